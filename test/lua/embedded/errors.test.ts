import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, serve } from '../support.js';

test('an exhausted native stack is fatal, and only for its state', () => {
  const { state, run } = newState();
  const other = newState();
  run('function main() return pcall(string.find, ("a"):rep(1000000), (".?"):rep(1000000) .. "b") end');
  const error = luaError(() => serve(state, 'main'));
  assert.equal(error.kind, 'fatal');
  assert.match(error.message, /the native stack is exhausted/);
  const later = luaError(() => serve(state, 'main'));
  assert.equal(later.kind, 'fatal');
  assert.match(later.message, /broken/);
  state.close();
  assert.equal(other.evaluate('1 + 1'), '2');
  other.state.close();
});
