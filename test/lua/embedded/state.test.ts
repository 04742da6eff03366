import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import { checkEmbeddedModule, compileEmbeddedModule } from '../../../src/lua/embedded/wasm/module.js';
import { allBytes, newState, serve } from '../support.js';

test('a state made after another was closed has nothing of it', () => {
  const marker = 'left over from before';
  for (let round = 0; round < 50; round += 1) {
    const { state, run, evaluate, log } = newState();
    assert.equal(evaluate('tostring(x) .. tostring(string.mine) .. #package.loaders'), 'nilnil4');
    run(
      `x = "${marker} ${round}" string.mine = x io.write("partial") function main(env, con) con:puts(x) os.exit() end`,
    );
    serve(state, 'main');
    assert.equal(log.length, 1);
    state.close();
  }
  const { state } = newState();
  const { machine } = state as unknown as { machine: { memory: Buffer } };
  assert.equal(machine.memory.includes(marker), false);
  state.close();
});

test('a thousand requests leave nothing behind', () => {
  const { state, run } = newState();
  run(`function main(env, con)
    local t = {} for i = 1, 50 do t[i] = env.X .. i end
    con:puts(table.concat(t)) con:header("X-A", "b")
    if env.FAIL then error("x") end
  end`);
  const once = (fail: boolean) => {
    try {
      serve(state, 'main', { params: fail ? { X: allBytes, FAIL: '1' } : { X: allBytes } });
    } catch {}
  };
  for (let i = 0; i < 500; i += 1) once(i % 2 === 0);
  const before = state.memoryBytes();
  for (let i = 0; i < 1000; i += 1) once(i % 2 === 0);
  assert.equal(state.memoryBytes(), before);
  state.close();
});

test('a WebAssembly file that is not the expected one, by its digest, is refused with one clear error (attacks F13.14)', () => {
  const refused = (detail: RegExp) => (error: unknown) =>
    error instanceof LuafcgidError && error.code === 'LUAFCGID_LUA_ENGINE' && detail.test(error.message);
  const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  assert.throws(() => checkEmbeddedModule(empty), refused(/lacks the exports memory, /));
  assert.throws(() => compileEmbeddedModule('/no/such/file.wasm'), refused(/no such file/));
  assert.throws(
    () => compileEmbeddedModule(new URL(import.meta.url).pathname),
    refused(/is another file: its SHA-256 digest is /),
  );
});

test('a hook that a script sets stays, however long it was before that since the watchdog has looked', () => {
  const clock = performance.now;
  let nowMs = 0;
  // On a busy machine a script may stand still at any time.
  performance.now = () => {
    nowMs += 1000;
    return nowMs;
  };
  try {
    const { run, state } = newState();
    run(`local function hook() end
      function main(env, con)
        debug.sethook(hook, "", 100)
        con:puts(tostring(debug.gethook() == hook))
      end`);
    assert.equal(serve(state, 'main').body, 'true');
    state.close();
  } finally {
    performance.now = clock;
  }
});
