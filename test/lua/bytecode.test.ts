/** Precompiled chunks where they are allowed. That they are refused elsewhere, sandbox.test.ts shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, isJit, isLua54, luaError, newState, serve } from './support.js';

const DUMP = `${compatible}dumped = string.dump(loadstring("return 40 + 2, ..."))`;

/** What this Lua makes of a chunk; strings are bytes. */
function compiled(source: string): string {
  const { state, run, evaluate } = newState();
  run(`${compatible}chunk = loadstring([==[${source}]==], "@/srv/script.lua")`);
  const bytes = evaluate('string.dump(chunk)');
  state.close();
  return bytes;
}

test('precompiled chunks are loaded wherever sources are, if that is allowed', () => {
  const files = { '/srv/m.lua': compiled('return { answer = 42 }'), '/srv/x.lua': compiled('return 43') };
  const { state, run, evaluate } = newState({ allowsBytecode: true }, files);
  run(DUMP);
  for (const [expression, expected] of [
    ['loadstring(dumped)()', '42'],
    ['load(function() local d = dumped:sub(at or 1) if at then return nil end at = 1000 return d end)()', '42'],
    ['require("m").answer', '42'],
    ['dofile("x.lua")', '43'],
    ['loadfile("x.lua")()', '43'],
    ['loadstring("return 1")()', '1'],
  ] as const) {
    assert.equal(evaluate(expression), expected, expression);
  }
  if (isJit || isLua54) {
    assert.equal(evaluate('load(dumped, "=x", "b")()'), '42');
    assert.match(
      evaluate('select(2, load(dumped, "=x", "t"))'),
      /attempt to load (a binary chunk \(mode is 't'\)|chunk with wrong mode)/,
    );
    assert.match(
      evaluate('select(2, load("return 1", "=x", "b"))'),
      /attempt to load (a text chunk \(mode is 'b'\)|chunk with wrong mode)/,
    );
  }
  state.close();
});

test('a script may be precompiled, if that is allowed', () => {
  const { state, run } = newState({ allowsBytecode: true });
  run(compiled('function main(env, con) con:puts("precompiled") end'));
  assert.equal(serve(state, 'main').body, 'precompiled');
  state.close();
});

test('chunks of another Lua are refused by Lua itself', () => {
  const { state, run } = newState({ allowsBytecode: true });
  const error = luaError(() => run('\x1bLua\x01\x02\x03'));
  assert.equal(error.kind, 'syntax');
  assert.match(error.message, /precompiled|bytecode|version|truncated/);
  state.close();
});

test('a state may load again what string.dump has just given it, as Lapis clones functions (cases/users F10)', () => {
  const { state, run, evaluate } = newState();
  run(`${compatible}local function clone(f) return loadstring(string.dump(f)) end
    cloned = clone(function(a) return a + 1 end)
    old = string.dump(cloned)
    forged = old:sub(1, -2) .. string.char((old:byte(-1) + 1) % 256)
    for at = 1, 8 do clone(loadstring("return " .. at)) end`);
  assert.equal(evaluate('cloned(41)'), '42');
  assert.match(evaluate('select(2, loadstring(forged))'), /^precompiled Lua chunks are not loaded/);
  assert.match(evaluate('select(2, loadstring(old))'), /^precompiled/, 'only the last ones are remembered');
  state.close();
});
