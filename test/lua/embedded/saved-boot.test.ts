/** The booted Lua that the build saves: what a start reads must be what booting would give. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { version } from '../../../src/base/version.js';
import {
  type BootedLua,
  bootedLua,
  compileEmbeddedModule,
  createEmbeddedEngine,
} from '../../../src/lua/embedded/engine.js';
import { embeddedFunctions } from '../../../src/lua/embedded/functions.js';
import { savedBoot } from '../../../src/lua/embedded/saved-boot.js';
import { changeModule, savedModule } from '../../../src/lua/embedded/wasm/module.js';

const hostFunctions = Object.keys(embeddedFunctions({ state: undefined }));
const module = compileEmbeddedModule();

/** Without the difference between a Buffer and other arrays of bytes. */
function plain({ image, chunks, ...others }: BootedLua) {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
  const runs = image.runs.map(({ start, bytes }) => ({ start, text: text(bytes) }));
  const parts = Object.entries(chunks).map(([name, bytes]) => [name, text(bytes)]);
  return { ...others, runs, parts };
}

test('the changed WebAssembly file that the build has saved is what changing it gives', () => {
  assert.ok(savedModule()?.equals(changeModule()), 'nothing was saved, or it was changed in another way');
});

test('what the build has saved is byte for byte what booting gives', () => {
  const saved = savedBoot({ hostFunctions, version });
  assert.ok(saved !== undefined, 'nothing was saved, or it is of another origin');
  assert.deepEqual(plain(saved), plain(createEmbeddedEngine(module, { version }).booted));
});

test('what was saved of another version or for other functions is not taken', () => {
  assert.equal(savedBoot({ hostFunctions, version: `${version}.1` }), undefined);
  assert.equal(savedBoot({ hostFunctions: hostFunctions.toReversed(), version }), undefined);
});

test('without a saved boot one boots', () => {
  const booted = bootedLua(module, 'another');
  assert.deepEqual(plain(booted), plain(createEmbeddedEngine(module, { version: 'another' }).booted));
});
