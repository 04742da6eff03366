/** Where V8 gets no address space for another WebAssembly memory (`ulimit -v`): reports A11. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import { createEngine, prepareEngine } from '../../../src/lua/engine.js';

test('a state that cannot be made is an error with a code and a remedy (reports A11)', (t) => {
  const engine = createEngine(prepareEngine('2.0.0', 'embedded'));
  const host = { log: () => {}, readSource: () => undefined };
  const options = { host, memoryBytes: 2 ** 27, directory: '/', path: [], config: {}, environment: {} };
  t.mock.method(WebAssembly, 'Instance', () => {
    throw new RangeError('Out of memory: Cannot allocate Wasm memory for new instance');
  });
  assert.throws(
    () => engine.createState(options as unknown as Parameters<typeof engine.createState>[0]),
    (error) =>
      error instanceof LuafcgidError &&
      error.code === 'LUAFCGID_LUA_ADDRESS_SPACE' &&
      error.status === 503 &&
      error.solve.includes('--disable-wasm-trap-handler'),
  );
});
