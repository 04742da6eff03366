/** Texts that the host makes of Lua's values, beside the memory of the state: JSON and pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, serve } from '../support.js';

const limitBytes = 8 << 20;

/** The largest buffer that is made while `run` runs. */
function largestBuffer(t: { readonly mock: typeof import('node:test').mock }, run: () => void): number {
  let largest = 0;
  const plain = Buffer.allocUnsafeSlow;
  const mocked = t.mock.method(Buffer, 'allocUnsafeSlow', (bytes: number) => {
    largest = Math.max(largest, bytes);
    return plain(bytes);
  });
  try {
    run();
  } finally {
    mocked.mock.restore();
  }
  return largest;
}

test('JSON of tables that are twice as large in each level takes no more than the memory of the state (attacks F6)', (t) => {
  const { state, run } = newState({ memoryBytes: limitBytes });
  run(`local json = require("luafcgid.json")
    function main(env, con) local t = { "leaf" } for i = 1, 22 do t = { t, t } end json.encode(t) end
    function large(env, con) local s = ("x"):rep(1000) local t = {} for i = 1, 1000 do t[i] = s end con:puts(#json.encode(t)) end`);
  const largest = largestBuffer(t, () => assert.equal(luaError(() => serve(state, 'main')).kind, 'memory'));
  assert.ok(largest <= limitBytes, `${largest} bytes`);
  assert.equal(serve(state, 'large').body, '1003001');
  state.close();
});

test('a page of one text many times takes no more than the memory of the state (attacks F6)', (t) => {
  const { state, run } = newState({ memoryBytes: limitBytes });
  run(`local template = require("luafcgid.template")
    local page = template.compile("<% for i = 1, n do %><%- text %><% end %>")
    function main(env, con) page({ n = 1000, text = ("x"):rep(65536) }) end
    function large(env, con) con:puts(#page({ n = 20, text = ("x"):rep(65536) })) end`);
  const largest = largestBuffer(t, () => assert.equal(luaError(() => serve(state, 'main')).kind, 'memory'));
  assert.ok(largest <= limitBytes, `${largest} bytes`);
  assert.equal(serve(state, 'large').body, String(20 * 65536));
  state.close();
});
