import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allBytes, newState, serve } from '../support.js';

test('views stay right while the memory grows between and during calls', () => {
  const { state, run } = newState();
  run(`
    kept = {}
    function main(env, con)
      for i = 1, 40 do
        kept[#kept + 1] = env.X .. i .. ("y"):rep(50000)
        con:puts(kept[#kept], "\\n")
        con:header("X-" .. i, env.X)
      end
    end`);
  const before = state.memoryBytes();
  const { body, calls } = serve(state, 'main', { params: { X: allBytes } });
  assert.ok(state.memoryBytes() > before);
  assert.equal(
    body.length,
    Array.from({ length: 40 }, (_, at) => 256 + String(at + 1).length + 50001).reduce((a, b) => a + b),
  );
  assert.equal(calls[39], `header X-40: ${allBytes}`);
  state.close();
});
