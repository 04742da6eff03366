/** The status as text and JSON, and which form a client gets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasInvisible } from '../../src/logging/invisible.js';
import { renderJson } from '../../src/status/json.js';
import { formOf, renderStatus } from '../../src/status/render.js';
import { renderText } from '../../src/status/text.js';
import { renderTop } from '../../src/status/top.js';
import { sampleScript, sampleStatus } from './sample.js';

describe('the form of the status', () => {
  it('is the one that the query names, or else what the client accepts', () => {
    const browser = 'text/html,application/xhtml+xml';
    const prometheus = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
    for (const [query, accept, form] of [
      ['', '', 'text'],
      ['', '*/*', 'text'],
      ['', browser, 'html'],
      ['', prometheus, 'openmetrics'],
      ['', 'application/json', 'json'],
      ['json', browser, 'json'],
      ['full&format=openmetrics', '', 'openmetrics'],
      ['html', '', 'html'],
      ['nothing', '', 'text'],
    ] as const) {
      assert.equal(formOf(query, accept), form, `?${query} ${accept}`);
    }
  });

  it('comes with its type', () => {
    const types = (['text', 'json', 'openmetrics', 'html'] as const).map(
      (form) => renderStatus(form, () => sampleStatus()).contentType.split(';')[0],
    );
    assert.deepEqual(types, ['text/plain', 'application/json', 'application/openmetrics-text', 'text/html']);
  });

  it('as a page loads nothing from elsewhere, and asks for the figures by itself', () => {
    const body = renderStatus('html', () => assert.fail('the page needs no status')).body.toString();
    assert.doesNotMatch(body, /(?:src|href)="(?!\?|data:)/);
    assert.match(body, /default-src 'none'/);
    assert.doesNotMatch(body, /innerHTML|insertAdjacentHTML|document\.write/);
  });
});

describe('the status as text', () => {
  it('says what is asked of it at night: users.md section 2', () => {
    const text = renderText(sampleStatus());
    for (const part of [
      /^luafcgid 2\.0\.0 {2}pid 812 {2}up 01:00 h {2}embedded, epoll {2}\/etc\/luafcgid\/config\.lua \(reload .*: ok\)$/m,
      /^requests .*running 1 {3}waiting 1 \(oldest 3\.1 s, max 4\) {3}812\/s {3}failed 1/m,
      /^refused +LUAFCGID_POOL_FULL 3$/m,
      /^workers +1 of 2 busy {3}replaced 1 {3}hung 0/m,
      /^\/srv\/slow\.lua +1 +3 /m,
      /^68d1a0-1 +running +1 +0 +3\.5 s +192\.0\.2\.7 +GET \/slow\.lua +\/srv\/slow\.lua:3$/m,
      /^ +17 .*\/srv\/report\.lua:40 +LUAFCGID_SCRIPT_FAILED: attempt to index a nil value$/m,
      /^main +postgres +2 of 8 /m,
    ]) {
      assert.match(text, part);
    }
  });

  it('and a screen of top let nothing that a client or script has written drive the terminal, or begin a line', () => {
    const evil = '/a\x1b]0;x\x07\nFORGED\r\u009b2J\u202e';
    const [request] = sampleStatus().running;
    const [error] = sampleStatus().errors;
    assert.ok(request !== undefined && error !== undefined);
    const status = sampleStatus({
      running: [{ ...request, method: evil, path: evil, client: evil, line: evil }],
      errors: [{ ...error, text: evil, place: evil, request: evil }],
      scripts: [sampleScript(evil)],
    });
    const json = renderJson(status).toString();
    const top = renderTop(JSON.parse(json), undefined, 'r', 50, 1000);
    for (const text of [renderText(status), top]) {
      assert.ok(text.includes('\\x1b]0;x\\x07\\x0aFORGED'), text);
      assert.ok(!hasInvisible(text.replaceAll('\n', '')) && !/^FORGED/m.test(text), text);
    }
    assert.ok(!hasInvisible(json.trimEnd()), 'and so does the JSON form');
    assert.equal(JSON.parse(json).scripts[0].script, evil);
  });

  it('says how full shared dictionaries are, and what they have evicted and refused', () => {
    assert.match(renderText(sampleStatus()), /^cache +12 +1\.0 of 16\.0 MiB +30 +4 +3 +0$/m);
  });

  it('counts what it leaves out', () => {
    const scripts = Array.from({ length: 30 }, (_, at) => sampleScript(`/srv/${at}.lua`));
    assert.match(renderText(sampleStatus({ scripts })), /^… and 10 more$/m);
  });
});

describe('the status as JSON', () => {
  it('has names with units in snake case, and no name that comes from data', () => {
    const { server, requests, scripts, running, errors } = JSON.parse(renderJson(sampleStatus()).toString());
    assert.deepEqual([server.uptime_seconds, server.last_reload.is_refused], [3_600, false]);
    assert.deepEqual(requests.by_status, { none: 0, '1xx': 0, '2xx': 8, '3xx': 0, '4xx': 0, '5xx': 1 });
    assert.deepEqual(requests.refused, [{ code: 'LUAFCGID_POOL_FULL', status: 503, count: 3 }]);
    assert.deepEqual([scripts[0].run_p50_ms, scripts[0].wait_p99_ms], [1, null]);
    assert.equal(running[0].path, '/slow.lua');
    assert.equal(errors[0].place, '/srv/report.lua:40');
  });
});
