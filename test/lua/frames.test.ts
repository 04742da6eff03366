/** Local variables of the functions on the stack, for error pages: users.md section 3. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuaError } from '../../src/lua/state.js';
import { isJit, newState, serve } from './support.js';

/** The frames of the error that the source raises in its handler, innermost first. */
function framesOf(source: string, isShown = true): { place: string; locals: Record<string, string> }[] {
  const { state, run } = newState({ showsLocals: isShown });
  run(source);
  let error: unknown;
  try {
    serve(state, 'main');
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof LuaError);
  const frames: { place: string; locals: Record<string, string> }[] = [];
  for (const line of error.frames.split('\n')) {
    const [name = '', value = ''] = line.slice(1).split('\t');
    if (line.startsWith('F')) frames.push({ place: `${name}:${value}`, locals: {} });
    else if (line !== '') (frames.at(-1) as { locals: Record<string, string> }).locals[name] = value;
  }
  return frames;
}

describe('an error', () => {
  it('has the local variables of every function on the stack, each in its own frame', () => {
    const frames = framesOf(
      'local function inner(a, b)\n  local sum = a + b\n  error("x")\n  return sum\nend\nfunction main(env, con)\n  local n = 2\n  inner(n, 40)\n  return n\nend',
    );
    assert.deepEqual(
      frames.map(({ place }) => place),
      ['/srv/script.lua:3', '/srv/script.lua:8'],
    );
    assert.deepEqual(frames[0]?.locals, { a: '2', b: '40', sum: '42' });
    assert.deepEqual([frames[1]?.locals.n, frames[1]?.locals.con], ['2', 'con']);
  });

  it('shows values on one line and of bounded size, whatever they are', () => {
    const [{ locals } = { locals: {} as Record<string, string> }] = framesOf(`function main(env, con)
      local text, long, number, yes, none = 'a"b\\n\\tc\\0', ("x"):rep(1e6), 0.5, true, nil
      local list, deep, empty = { 1, 2, "three" }, { a = { b = { c = 1 } } }, {}
      local many = {} for i = 1, 1e5 do many[i] = i end
      local evil = setmetatable({}, { __tostring = error, __index = error, __pairs = error, __len = error })
      local own, of_c, routine = function() end, print, coroutine.create(print)
      local loop = {} loop.loop = loop
      error("x")
      return text, long, number, yes, none, list, deep, empty, many, evil, own, of_c, routine, loop
    end`);
    assert.equal(locals.text, '"a\\"b\\n\\tc\\0"');
    assert.match(locals.long as string, /^"x{160}" \.\.\. \(1000000 bytes\)$/);
    assert.deepEqual([locals.number, locals.yes, locals.none], ['0.5', 'true', 'nil']);
    assert.equal(locals.list, '{[1] = 1, [2] = 2, [3] = "three"}');
    assert.equal(locals.deep, '{a = {b = {...}}}');
    assert.deepEqual([locals.empty, locals.evil], ['{}', '{}']);
    assert.match(locals.many as string, /^\{(\[\d+\] = \d+, ){8}\.\.\.\}$/);
    assert.deepEqual([locals.own, locals.of_c, locals.routine], ['function at line 6', 'function of C', 'thread']);
    assert.equal(locals.loop, '{loop = {loop = {...}}}');
  });

  it('shows no secrets, by the names of variables, fields, and values of a query', () => {
    const [{ locals } = { locals: {} as Record<string, string> }] = framesOf(`function main(env, con)
      local password, api_key, sessionId, cookie = "s3cret", "s3cret", "s3cret", "s3cret"
      local user = { name = "Ada", Password = "s3cret", tokens = { "fine" } }
      local query = "a=1&access_token=s3cret&b=2"
      local authorization = { scheme = "Basic", secret = "s3cret" }
      error("x")
      return password, api_key, sessionId, cookie, user, query, authorization
    end`);
    assert.doesNotMatch(JSON.stringify(locals), /s3cret/);
    assert.equal(locals.password, '(hidden)');
    assert.equal(locals.user, '{Password = (hidden), name = "Ada", tokens = {[1] = "fine"}}');
    assert.equal(locals.query, '"a=1&access_token=(hidden)&b=2"');
    assert.equal(locals.authorization, '{scheme = "Basic", secret = (hidden)}');
  });

  it('has them when it ended a coroutine that waits are for, and none after a stack overflow that left no room', () => {
    const waiting = framesOf(
      'require("luafcgid")\nfunction main(env, con)\n  local here = 1\n  error("x")\n  return here\nend',
    );
    assert.equal(waiting[0]?.locals.here, '1');
    const frames = framesOf(
      'function main(env, con)\n  local function deep(n) return 1 + deep(n + 1) end\n  deep(1)\nend',
    );
    assert.ok(frames.length <= 8, isJit ? 'LuaJIT' : '');
  });

  it('has none where nobody may see them', () => {
    assert.deepEqual(framesOf('function main(env, con)\n  local a = 1\n  error(a)\nend', false), []);
  });
});
