/** Functions of the C library that would count to 2^31, where nothing interrupts them (attacks F13.5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, serve } from '../support.js';

test('string.rep gives the empty string at once, however often it is repeated', () => {
  const { evaluate, run, state } = newState();
  assert.equal(
    evaluate('#("").rep("", 2 ^ 31 - 1) .. #("").rep("", "2000000000") .. ("ab"):rep(3) .. ("x"):rep(-1)'),
    '00ababab',
  );
  run('function main() string.rep("") end');
  assert.match(
    luaError(() => serve(state, 'main')).message,
    /bad argument #2 to 'rep' \(number expected, got no value\)/,
  );
  state.close();
});

test('table.insert refuses a position that it would have to move 2^31 items for', () => {
  const { evaluate, run, state } = newState();
  assert.equal(
    evaluate(`(function()
      local t = { 1, 2, 3 }
      table.insert(t, 2, "a") table.insert(t, "b") table.insert(t, 9, "c") table.insert(t, -5, "d")
      return t[-5] .. t[2] .. t[3] .. t[4] .. t[5]
    end)()`),
    'd1a23',
  );
  run('function main()\ntable.insert({}, -2 ^ 31, 1) end function wide()\ntable.insert({}, 2 ^ 31, 1) end');
  for (const [handler, line] of [
    ['main', 2],
    ['wide', 3],
  ] as const)
    assert.equal(
      luaError(() => serve(state, handler)).message,
      `/srv/script.lua:${line}: bad argument #2 to 'insert' (invalid value)`,
    );
  state.close();
});
