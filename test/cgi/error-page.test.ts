/** Pages that the server makes itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { escapeHtml } from '../../src/base/html.js';
import { type ErrorPage, renderErrorPage } from '../../src/cgi/error-page.js';

function render(page: ErrorPage): { head: string[]; body: string } {
  const text = renderErrorPage(page).toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  return { head: text.slice(0, end).split('\r\n'), body: text.slice(end + 4) };
}

const EVIL = `<script>alert("1" & '2')</script>`;
const SAFE = '&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;';

describe('an error page', () => {
  for (const status of [400, 403, 404, 405, 413, 431, 500, 503, 504, 599]) {
    it(`of status ${status} is a whole answer`, () => {
      const { head, body } = render({ status });
      assert.match(head[0] as string, new RegExp(`^Status: ${status} .+`));
      assert.ok(head.includes('Content-Type: text/html; charset=utf-8'));
      assert.ok(head.includes(`Content-Length: ${body.length}`));
      assert.ok(head.includes('Cache-Control: no-store'));
      assert.match(body, /^<!DOCTYPE html>[\s\S]*<\/html>\n$/);
      assert.ok(body.includes(String(status)));
      for (const line of head) assert.match(line, /^[A-Za-z-]+: .+$/);
    });
  }

  it('says when to try again, and which methods there are', () => {
    assert.ok(render({ status: 503 }).head.some((line) => /^Retry-After: \d+$/.test(line)));
    assert.ok(render({ status: 405 }).head.some((line) => /^Allow: .*GET.*POST/.test(line)));
    assert.ok(!render({ status: 404 }).head.some((line) => line.startsWith('Retry-After')));
  });

  it('has the name of its request, escaped', () => {
    assert.ok(render({ status: 500, requestName: 'abc-1f' }).body.includes('Request abc-1f'));
    assert.ok(render({ status: 500, requestName: EVIL }).body.includes(SAFE));
  });

  it('shows message, traceback and source of an error, all escaped', () => {
    const lines = [
      { number: 9, text: 'local a = 1 < 2', isFault: false },
      { number: 10, text: EVIL, isFault: true },
    ];
    const { body } = render({
      status: 500,
      detail: { message: `${EVIL}1`, traceback: `${EVIL}2`, source: { file: `/srv/${EVIL}.lua`, lines } },
    });
    for (const text of [`${SAFE}1`, `${SAFE}2`, `/srv/${SAFE}.lua`, '    9  local a = 1 &lt; 2']) {
      assert.ok(body.includes(text), text);
    }
    assert.match(body, new RegExp(`<mark>   10  ${SAFE.replace(/[()]/g, '\\$&')}</mark>`));
    assert.ok(!body.includes('<script'));
  });

  it('shows the places that led to an error, folded and escaped', () => {
    const lines = [{ number: 3, text: EVIL, isFault: true }];
    const { body } = render({ status: 500, detail: { message: 'm', callers: [{ file: `/srv/${EVIL}.lua`, lines }] } });
    assert.ok(body.includes(`<details><summary>called at /srv/${SAFE}.lua:3</summary>`), body);
    assert.ok(body.includes(`<mark>    3  ${SAFE}</mark>`));
    assert.ok(!body.includes('<script'));
  });

  it('shows local variables and the request, and leads to the editor, all escaped', () => {
    const lines = [{ number: 7, text: 'x', isFault: true }];
    const locals = [[EVIL, EVIL]] as const;
    const { body } = render({
      status: 500,
      detail: {
        message: 'm',
        source: { file: '/srv/a b"<.lua', lines, locals },
        callers: [{ file: '/srv/c.lua', lines, locals }],
        request: { method: 'GET', url: `/${EVIL}`, headers: [['X-Evil', EVIL]] },
        editor: 'vscode://file/{file}:{line}',
      },
    });
    assert.ok(body.includes('<a href="vscode://file//srv/a%20b%22%3C.lua:7">open in the editor</a>'), body);
    assert.ok(body.includes('<a href="vscode://file//srv/c.lua:7">'));
    assert.equal(body.split(`<tr><th>${SAFE}</th><td>${SAFE}</td></tr>`).length, 3);
    assert.ok(body.includes(`<tr><th>GET</th><td>/${SAFE}</td></tr>`));
    assert.ok(body.includes(`<tr><th>X-Evil</th><td>${SAFE}</td></tr>`));
    assert.ok(!body.includes('<script'));
  });

  it('shows a detail that has a message only', () => {
    const { body } = render({ status: 500, detail: { message: 'just this' } });
    assert.ok(body.includes('<pre class="text">just this</pre>'));
    assert.ok(!body.includes('<mark>') && !body.includes('undefined'));
  });

  it('is text for whoever wants text, with nothing escaped and the faulty line marked', () => {
    const lines = [
      { number: 9, text: 'local a = 1 < 2', isFault: false },
      { number: 10, text: EVIL, isFault: true },
    ];
    const detail = { message: `${EVIL}1`, traceback: 'stack', source: { file: '/srv/a.lua', lines } };
    const { head, body } = render({ status: 500, requestName: 'r-1', form: 'text', detail });
    assert.ok(head.includes('Content-Type: text/plain; charset=utf-8'));
    assert.ok(head.includes(`Content-Length: ${body.length}`));
    assert.equal(
      body,
      `500 Internal Server Error\nThis page failed.\n\n${EVIL}1\n\n/srv/a.lua\n     9  local a = 1 < 2\n>   10  ${EVIL}\n\nstack\n\nRequest r-1\n`,
    );
  });

  it('names no file and no code without a detail', () => {
    const { body } = render({ status: 500, requestName: 'r-1' });
    assert.doesNotMatch(body, /\.lua|LUAFCGID|\/srv/);
  });

  it('has the bytes of its texts as they are, and their number as its length', () => {
    const message = Buffer.from('grüße €').toString('latin1');
    const page = renderErrorPage({ status: 500, detail: { message } });
    assert.ok(page.includes(Buffer.from('grüße €')));
    const length = Number(/Content-Length: (\d+)/.exec(page.toString('latin1'))?.[1]);
    assert.equal(page.length, page.indexOf('\r\n\r\n') + 4 + length);
  });
});

describe('escaped text', () => {
  it('has no character left that means something in HTML', () => {
    const all = String.fromCharCode(...Array(256).keys());
    assert.doesNotMatch(escapeHtml(all).replace(/&(amp|lt|gt|quot|#39);/g, ''), /[&<>"']/);
    assert.equal(escapeHtml('&lt;'), '&amp;lt;');
  });
});
