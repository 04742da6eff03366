/** Texts that a client makes so that Lua has to compare each with all others (hash flooding). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Machine } from '../../../src/lua/embedded/machine.js';
import type { InterruptSource } from '../../../src/lua/state.js';
import { newState, serve } from '../support.js';

/** Where a string of Lua 5.1 has its hash: so many bytes before its characters. */
const HASH_BEFORE = 8;

function hashOf(machine: Machine, text: string): number {
  const { x, L } = machine;
  machine.pushBytes(L, Buffer.from(text, 'latin1'));
  const hash = machine.words.getUint32(x.lua_tolstring(L, -1, 0) - HASH_BEFORE, true);
  x.lua_settop(L, -2);
  return hash;
}

test('each byte of a text changes its hash, so no client fills one list with different texts', () => {
  const { state, run } = newState();
  // Memory grows only while Lua is entered by the engine: here is enough of it.
  run('local text = ("x"):rep(2 ^ 22) text = nil collectgarbage()');
  const { machine } = state as unknown as { machine: Machine };
  for (const length of [1, 31, 32, 33, 64, 500]) {
    const text = 'a'.repeat(length);
    const hashes = Array.from({ length }, (_, at) => hashOf(machine, `${text.slice(0, at)}b${text.slice(at + 1)}`));
    const plain = hashOf(machine, text);
    assert.deepEqual(
      hashes.flatMap((hash, at) => (hash === plain ? [at] : [])),
      [],
      `places that do not count in ${length} bytes`,
    );
  }
  state.close();
});

test('texts that are longer are known all the same, whatever differs in them', () => {
  const { state, evaluate } = newState();
  assert.equal(
    evaluate(`(function()
      local known, long = {}, ("x"):rep(5000)
      for at = 1, 5000, 7 do known[long:sub(1, at - 1) .. "y" .. long:sub(at + 1)] = at end
      for at = 1, 5000, 7 do assert(known[long:sub(1, at - 1) .. "y" .. long:sub(at + 1)] == at) end
      return tostring(known[long])
    end)()`),
    'nil',
  );
  state.close();
});

test('whether the request has to stop is asked while the host reads JSON, however long each of its strings takes', () => {
  let looks = 0;
  const interrupts: InterruptSource = {
    get isStopWanted() {
      looks += 1;
      return false;
    },
    stopReason: () => new Error('never'),
    takeTrace: () => false,
    traced() {},
  };
  const { state, run } = newState({ interrupts });
  run('local json = require("luafcgid.json") function main(env, con) con:puts(#json.decode(con:gets())) end');
  const looksFor = (strings: number): number => {
    const before = looks;
    const body = `[${Array.from({ length: strings }, (_, at) => `"${at}"`).join()}]`;
    assert.equal(serve(state, 'main', { body }).body, String(strings));
    return looks - before;
  };
  assert.ok(looksFor(10_000) - looksFor(10) >= 30);
  state.close();
});
