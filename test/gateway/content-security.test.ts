/** Pages with a Content-Security-Policy get leave for what the development server adds to them, and for nothing else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { allowAdditions } from '../../src/gateway/content-security.js';

const HOST = 'localhost:8080';
const ADDITIONS = { scriptPath: '/.own/script.js', eventsPath: '/.own/events', styles: ['color:red'], nonce: 'Zm9v' };
const HASH = `'sha256-${createHash('sha256').update('color:red').digest('base64')}'`;
const SCRIPT = `${HOST}/.own/script.js`;
const EVENTS = `${HOST}/.own/events`;
const STYLE = `'unsafe-hashes' ${HASH}`;

function changed(policy: string, name = 'Content-Security-Policy'): string | undefined {
  const headers = allowAdditions(
    [
      ['Content-Type', 'text/html'],
      [name, policy],
    ],
    HOST,
    ADDITIONS,
  );
  return headers?.[1]?.[1];
}

describe('the policy of a page that something is added to', () => {
  it('gets directives of their own where a wider one stands for them', () => {
    assert.equal(
      changed("default-src 'none'; img-src 'self'"),
      `default-src 'none'; img-src 'self'; script-src-elem ${SCRIPT}; connect-src ${EVENTS}; style-src-attr ${STYLE}`,
    );
    assert.equal(
      changed("script-src 'self' 'nonce-abc'; style-src 'self'; connect-src 'self'"),
      `script-src 'self' 'nonce-abc'; style-src 'self'; connect-src 'self' ${EVENTS}; ` +
        `script-src-elem 'self' 'nonce-abc' ${SCRIPT}; style-src-attr 'self' ${STYLE}`,
    );
    assert.equal(changed("script-src-elem 'NONE'"), `script-src-elem ${SCRIPT}`);
  });

  it('is as it was where it forbids none of it', () => {
    assert.equal(changed("frame-ancestors 'none'; img-src *"), "frame-ancestors 'none'; img-src *");
    assert.deepEqual(allowAdditions([['X-A', 'b']], '[::1]:80', ADDITIONS), [['X-A', 'b']]);
  });

  it("keeps what 'unsafe-inline' allows, which a nonce or a hash would end", () => {
    assert.equal(
      changed("script-src 'unsafe-inline'; style-src 'unsafe-inline'"),
      `script-src 'unsafe-inline'; style-src 'unsafe-inline'; script-src-elem 'unsafe-inline' ${SCRIPT}`,
    );
  });

  it("has the nonce where 'strict-dynamic' makes addresses nothing", () => {
    assert.equal(
      changed("script-src-elem 'strict-dynamic' 'nonce-abc'"),
      "script-src-elem 'strict-dynamic' 'nonce-abc' 'nonce-Zm9v'",
    );
  });

  it('is changed in each of several, in one header or in two, and where it only reports', () => {
    assert.equal(
      changed("connect-src 'none', connect-src 'self'; CONNECT-SRC *"),
      `connect-src ${EVENTS}, connect-src 'self' ${EVENTS}; CONNECT-SRC *`,
    );
    assert.equal(changed("connect-src 'none'", 'content-security-policy-Report-Only'), `connect-src ${EVENTS}`);
  });

  it('is left alone where it cannot be had: a sandbox, or a host that it cannot name', () => {
    for (const policy of ['sandbox', "default-src 'self'; sandbox allow-scripts", 'img-src *, Sandbox allow-forms']) {
      assert.equal(changed(policy), undefined, policy);
    }
    assert.equal(changed('sandbox allow-same-origin allow-scripts'), 'sandbox allow-same-origin allow-scripts');
    for (const host of ['[::1]:8080', '', 'a b', 'x;script-src *']) {
      assert.equal(
        allowAdditions([['Content-Security-Policy', "default-src 'self'"]], host, ADDITIONS),
        undefined,
        host,
      );
    }
  });
});
