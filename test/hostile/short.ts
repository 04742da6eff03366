/** A short run of the hostile scripts of one engine, as a test: every other one. Each engine has another half, and another order. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type EngineName, engineNames } from '../../src/lua/engine-names.js';
import { runHostile } from './run.js';
import { snippetsOf } from './snippets/index.js';

export async function testHostileScripts(t: TestContext, engine: EngineName): Promise<void> {
  const seed = engineNames.indexOf(engine) + 1;
  const snippets = snippetsOf(engine).filter(({ ends }, at) => ends !== 'lost' && (at + (seed >> 1)) % 2 === 0);
  assert.ok(snippets.length > 150, `${snippets.length} snippets`);
  const { failures, summary } = await runHostile(t, { engine, io: 'auto', seed, snippets, times: 1 });
  t.diagnostic(summary);
  assert.deepEqual(failures, []);
}
