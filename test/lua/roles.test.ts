/** What a script says and does as an Authorizer, in every engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoleName } from '../../src/base/roles.js';
import { LuaError } from '../../src/lua/state.js';
import { newRequest, newState } from './support.js';

/** What the host was told by a request of this role whose handler has this body. */
function told(body: string, role: RoleName = 'AUTHORIZER', prefix = ''): readonly string[] {
  const { state, run } = newState();
  try {
    run(`${prefix} function authorize(env, con) ${body} end`);
    const request = newRequest({ params: { A: 'b' } });
    state.serve('authorize', request, role);
    return [...request.calls, ...(request.body === '' ? [] : [`body ${request.body}`])];
  } finally {
    state.close();
  }
}

/** The message of what a handler raises. */
function fault(body: string, role: RoleName = 'AUTHORIZER'): string {
  try {
    told(body, role);
  } catch (error) {
    assert.ok(error instanceof LuaError);
    return error.message.replace(/^\/srv\/script\.lua:1: /, '');
  }
  return assert.fail(`no error: ${body}`);
}

test('an Authorizer lets a client in by true alone, and only an Authorizer does', () => {
  assert.deepEqual(told('return true'), ['grant']);
  assert.deepEqual(told('return true, 1'), ['grant']);
  for (const result of ['', 'return', 'return nil', 'return false', 'return 1', 'return "true"', 'return {}'])
    assert.deepEqual(told(result), [], result);
  assert.deepEqual(told('return nil, true'), []);
  assert.deepEqual(told('os.exit(0)'), []);
  for (const role of ['RESPONDER', 'FILTER'] as const) assert.deepEqual(told('return true', role), []);
});

test('that holds where the handler runs in a coroutine, since it may have to wait', () => {
  const waits = 'require("luafcgid")';
  assert.deepEqual(told('return true', 'AUTHORIZER', waits), ['grant']);
  assert.deepEqual(told('return false', 'AUTHORIZER', waits), []);
  assert.deepEqual(told('', 'AUTHORIZER', waits), []);
  assert.deepEqual(told('os.exit(0)', 'AUTHORIZER', waits), []);
  assert.deepEqual(told('return true', 'RESPONDER', waits), []);
});

test('an error refuses, whatever was said before', () => {
  assert.equal(fault('con:variable("A", "b") error("no")'), 'no');
});

test('one state serves every role, each with its own function', () => {
  const { state, run } = newState();
  run(`function main(env, con) con:puts("main ", env.FCGI_ROLE) return true end
    function authorize(env, con) con:puts("authorize ", env.FCGI_ROLE) return true end`);
  for (const [role, handler, calls] of [
    ['RESPONDER', 'main', []],
    ['AUTHORIZER', 'authorize', ['grant']],
    ['RESPONDER', 'main', []],
    ['AUTHORIZER', 'main', ['grant']],
    ['RESPONDER', 'main', []],
  ] as const) {
    const request = newRequest();
    state.serve(handler, request, role);
    assert.deepEqual([request.body, request.calls], [`${handler} ${role}`, calls]);
  }
  state.close();
});

test('con:variable sets a header of the protocol', () => {
  assert.deepEqual(told('con:variable("REMOTE_USER", "\\195\\164") con:variable("_1", 2)'), [
    'header Variable-REMOTE_USER: \u00c3\u00a4',
    'header Variable-_1: 2',
  ]);
});

test('con:variable refuses what can be no variable', () => {
  for (const name of ['', 'A B', 'A-B', 'A:B', '1', 'A\\n', '\\195\\164'])
    assert.match(fault(`con:variable("${name}", "x")`), /^con:variable: the name of a variable consists of letters/);
  assert.match(fault('con:variable({}, "x")'), /bad argument #1 to 'variable' \(string expected, got table\)/);
  assert.match(
    fault('con:variable("A", {})'),
    /bad argument #2 to 'variable' \(string or number expected, got table\)/,
  );
  assert.match(fault('con:variable(("A"):rep(1000) .. "-", 1)'), /it was given "A{100}\.\.\."$/);
  assert.match(fault('con.variable("A", "x")'), /con\.variable was called without its con/);
  assert.match(fault('con:finish() con:variable("A", "x")'), /con:variable after con:finish\(\)/);
  for (const role of ['RESPONDER', 'FILTER'] as const)
    assert.match(fault('con:variable("A", "x")', role), /variables are set by authorize\(env, con\) alone/);
});

test('con:data gives the file that a Filter is given, in pieces or whole, apart from the body', () => {
  const data = Array.from({ length: 5000 }, (_, at) => String.fromCharCode(at & 255)).join('');
  for (const [source, wanted] of [
    [
      'con:puts(con:data(3), "|", con:data(2), "|", #con:data(), "|", tostring(con:data()))',
      `${data.slice(0, 3)}|${data.slice(3, 5)}|4995|nil`,
    ],
    ['con:puts(con:data())', data],
    [
      'con:puts(con:data(10), con:gets(2), con:data(1), con:gets(), tostring(con:gets()))',
      `${data.slice(0, 10)}bo${data[10]}dynil`,
    ],
    ['while true do local piece = con:data(7) if not piece then break end con:puts(piece) end', data],
  ] as const) {
    const { state, run } = newState();
    run(`function filter(env, con) ${source} end`);
    const request = newRequest({ data, body: 'body', pieceBytes: 1000 });
    state.serve('filter', request, 'FILTER');
    assert.equal(request.body, wanted, source);
    state.close();
  }
});

test('con:data refuses what is no number of bytes, and other roles', () => {
  for (const wanted of ['0', '-1', '1.5', '"2"', '{}', 'true'])
    assert.match(fault(`con:data(${wanted})`, 'FILTER'), /^con:data takes a number of bytes, at least 1, or nothing/);
  for (const role of ['RESPONDER', 'AUTHORIZER'] as const)
    assert.match(fault('con:data()', role), /^con:data: only filter\(env, con\) is given a file/);
});
