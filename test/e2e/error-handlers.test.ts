/** Errors as their clients and their applications want them: JSON for clients that ask for it, pages of the application. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headerValue } from '../support/fcgi-client.js';
import { startServer } from '../support/server.js';
import { type AskOptions, ask, shared } from '../support/shared.js';

const JSON_CLIENT: AskOptions = { params: { HTTP_ACCEPT: 'application/json' } };

describe('an error', () => {
  const server = shared((t) =>
    startServer(t, {
      config: 'workers = 1 states = 4 watchdog = 1 showerrors = true headers = "X-Powered-By: Lua\\r\\n"',
    }),
  );

  it('is JSON for a client that asks for JSON, wherever it comes from (users II.10)', async () => {
    server().write('fails.lua', 'function main(env, con) error("deep \\"fault\\" \\195\\164\\255") end');
    const failed = await ask(server(), 'fails.lua', JSON_CLIENT);
    assert.equal(failed.status, 500);
    assert.equal(headerValue(failed.headers, 'content-type'), 'application/problem+json');
    const problem = JSON.parse(failed.text);
    assert.deepEqual(
      [problem.status, problem.title, problem.detail],
      [500, 'Internal Server Error', 'This page failed.'],
    );
    assert.match(problem.message, /fails\.lua:1: deep "fault" ä/);
    assert.match(problem.traceback, /stack traceback/);
    assert.match(problem.request, /^[0-9a-z]+-[0-9a-z]+$/);
    const missing = await ask(server(), 'nothing.lua', JSON_CLIENT);
    assert.deepEqual([missing.status, JSON.parse(missing.text).title], [404, 'Not Found']);
    server().write('endless.lua', 'function main() while true do end end');
    const late = await ask(server(), 'endless.lua', JSON_CLIENT);
    assert.deepEqual([late.status, JSON.parse(late.text).status], [504, 504]);
  });

  it('stays a page for browsers and for clients that say nothing', async () => {
    server().write('fails.lua', 'function main(env, con) error("fault") end');
    for (const accept of [
      undefined,
      '*/*',
      'text/html,application/xhtml+xml,*/*;q=0.8',
      'application/json;q=0.5, text/html',
    ]) {
      const { headers } = await ask(
        server(),
        'fails.lua',
        accept === undefined ? {} : { params: { HTTP_ACCEPT: accept } },
      );
      assert.equal(headerValue(headers, 'content-type'), 'text/html; charset=utf-8', accept);
    }
    const sent = { params: { HTTP_ACCEPT: '*/*', CONTENT_TYPE: 'application/json' }, body: '{' };
    const { headers } = await ask(server(), 'fails.lua', sent);
    assert.equal(headerValue(headers, 'content-type'), 'application/problem+json');
  });

  it('of a JSON body names what is wrong, with the status that fits', async () => {
    server().write('json.lua', 'function main(env, con) con:puts(con:json({ max = 20 }).a) end');
    const send = (body: string, type: string) =>
      ask(server(), 'json.lua', { params: { CONTENT_TYPE: type, HTTP_ACCEPT: 'application/json' }, body });
    assert.deepEqual([(await send('{"a":7}', 'application/json')).text], ['7']);
    for (const [body, type, status] of [
      ['{"a":', 'application/json', 400],
      ['', 'application/json', 400],
      ['a=1', 'application/x-www-form-urlencoded', 415],
      [`{"a":"${'x'.repeat(30)}"}`, 'application/json', 413],
    ] as const) {
      const answer = await send(body, type);
      assert.deepEqual([answer.status, JSON.parse(answer.text).status], [status, status]);
    }
  });

  it('goes to the function on_error of the script, which answers in its place', async () => {
    server().write(
      'own.lua',
      `function main(env, con)
        con:status(201) con:header("X-Gone", "1") con:puts("half")
        if env.QUERY_STRING == "json" then con:json() end
        error("inner")
      end
      function on_error(env, con)
        local p = con.problem
        con:header("X-Own", con.id)
        con:puts(p.status, " ", p.code, " ", p.message:match("[^:]*$"), " ", env.SCRIPT_NAME, " ", #p.traceback > 0 and "traced" or "")
      end`,
    );
    const answer = await ask(server(), 'own.lua');
    assert.equal(answer.text, '500 LUAFCGID_SCRIPT_FAILED  inner /own.lua traced');
    assert.equal(answer.status, 500);
    assert.equal(headerValue(answer.headers, 'x-gone'), undefined);
    const name = headerValue(answer.headers, 'x-own');
    await server().logged(new RegExp(`error \\[${name} state \\d+ worker \\d+ .*own\\.lua\\] LUAFCGID_SCRIPT_FAILED`));
    const refused = await ask(server(), 'own.lua', { params: { QUERY_STRING: 'json' }, body: 'x' });
    assert.deepEqual([refused.status, refused.text.slice(0, 25)], [415, '415 LUAFCGID_REQUEST_TYPE']);
  });

  it('of that function itself gives the page of the server', async () => {
    server().write('twice.lua', 'function main() error("first") end function on_error() error("second") end');
    const answer = await ask(server(), 'twice.lua');
    assert.equal(answer.status, 500);
    assert.match(answer.text, /second/);
    await server().logged(
      /LUAFCGID_SCRIPT_FAILED: \S+twice\.lua:1: first[\s\S]*LUAFCGID_SCRIPT_FAILED: \S+twice\.lua:1: second/,
    );
  });

  it('does not reach that function when it was sent already, or when the script was stopped', async () => {
    server().write(
      'sent.lua',
      'function main(env, con) con:puts("part") con:flush() error("late") end function on_error(env, con) con:puts("o", "wn") end',
    );
    assert.ok(!(await ask(server(), 'sent.lua')).text.includes('own'));
    server().write(
      'stopped.lua',
      'function main() while true do end end function on_error(env, con) con:puts("o", "wn") end',
    );
    const stopped = await ask(server(), 'stopped.lua');
    assert.equal(stopped.status, 504);
    assert.ok(!stopped.text.includes('own'));
  });

  it('in a script that waits goes there too, and it may wait itself', async () => {
    server().write(
      'waits.lua',
      `local luafcgid = require("luafcgid")
      function main() luafcgid.sleep(0.01) error("waited") end
      function on_error(env, con) luafcgid.sleep(0.01) con:puts("own ", con.problem.status) end`,
    );
    assert.equal((await ask(server(), 'waits.lua')).text, 'own 500');
  });
});

describe('headers of the configuration', () => {
  const server = shared((t) =>
    startServer(t, { config: 'workers = 1 states = 4 headers = "X-Powered-By: Lua\\r\\nX-B: b\\r\\n"' }),
  );

  it('are replaced by those of a script, removed and read by it (users II.21)', async () => {
    server().write(
      'headers.lua',
      'function main(env, con) con:header("x-powered-by", "Me") con:remove_header("X-B") con:puts(con:get_header("X-Powered-By"), tostring(con:get_header("x-b"))) end',
    );
    for (let round = 0; round < 2; round += 1) {
      const { headers, text } = await ask(server(), 'headers.lua');
      assert.deepEqual(
        headers.filter(([name]) => /^x-/i.test(name)),
        [['x-powered-by', 'Me']],
      );
      assert.equal(text, 'Menil');
    }
    server().write('plain.lua', 'function main() end');
    assert.equal(headerValue((await ask(server(), 'plain.lua')).headers, 'x-b'), 'b');
  });
});
