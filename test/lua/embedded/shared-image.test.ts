/** Images that one engine has made and another one uses, as two workers do (issue 16). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEmbeddedEngine } from '../../../src/lua/embedded/engine.js';
import { EmbeddedState } from '../../../src/lua/embedded/state.js';
import { createEngine, prepareEngine } from '../../../src/lua/engine.js';
import type { LuaEngine, LuaState, SharedStateImage, StateImage } from '../../../src/lua/state.js';
import { serve } from '../support.js';

const data = prepareEngine('2.0.0', 'embedded');

const SOURCE = `
local luafcgid = require("luafcgid")
local count, kept = 0, {}
for i = 1, 20000 do kept[i] = { i } end
waiting = coroutine.wrap(function(a) while true do a = coroutine.yield(a .. "!") end end)
waiting("")
function main(env, con)
  count = count + 1
  con:puts(count, #kept, kept[20000][1], waiting("a"), luafcgid.escape("<"), ("x"):rep(3))
end`;

function newState(engine: LuaEngine, image?: StateImage): LuaState {
  return engine.createState({
    host: { log() {}, readSource: () => undefined },
    memoryBytes: 64 << 20,
    directory: '/srv',
    path: [],
    config: {},
    ...(image !== undefined && { image }),
  });
}

function imageIn(engine: LuaEngine): StateImage {
  const state = newState(engine);
  state.run(Buffer.from(SOURCE), '@/srv/script.lua');
  const image = state.takeImage?.('main');
  assert.ok(typeof image === 'object');
  return image;
}

/** What another thread gets of it. */
function sent(shared: SharedStateImage | undefined): SharedStateImage {
  assert.ok(shared !== undefined);
  return structuredClone(shared);
}

test('a state from an image of another thread is byte for byte one from an image of its own', () => {
  const one = createEngine(data);
  const other = createEngine(structuredClone(data));
  const image = imageIn(one);
  const shared = sent(one.shareImage?.(image));
  assert.equal(shared.sizeBytes, image.sizeBytes);
  const opened = other.openImage?.(shared);
  assert.ok(opened !== undefined);
  assert.equal(opened.sizeBytes, image.sizeBytes);
  const [own, foreign] = [newState(one, image), newState(other, opened)];
  assert.ok(own instanceof EmbeddedState && foreign instanceof EmbeddedState);
  const differences = [...own.machine.memory].filter((byte, at) => byte !== foreign.machine.memory[at]).length;
  assert.ok(differences <= 64, `${differences} bytes differ: more than the seed of random numbers`);
  const both: LuaState[] = [own, foreign];
  for (let count = 1; count <= 3; count += 1) {
    for (const state of both) assert.equal(serve(state, 'main').body, `${count}2000020000a!&lt;xxx`);
  }
  foreign.restore?.(opened);
  assert.equal(serve(foreign, 'main').body, '12000020000a!&lt;xxx');
});

test('what requests change does not come into the shared memory', () => {
  const engine = createEngine(data);
  const shared = sent(engine.shareImage?.(imageIn(engine)));
  const open = (): StateImage => engine.openImage?.(shared) as StateImage;
  const state = newState(engine, open());
  for (let times = 0; times < 3; times += 1) serve(state, 'main');
  assert.equal(serve(newState(engine, open()), 'main').body, '12000020000a!&lt;xxx');
});

test('an image of another boot is refused: its functions may have other numbers', () => {
  const engine = createEngine(data);
  const other = createEmbeddedEngine(undefined, { version: 'another version' });
  assert.equal(other.openImage?.(sent(engine.shareImage?.(imageIn(engine)))), undefined);
});
