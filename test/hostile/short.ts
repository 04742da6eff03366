/** A short run of the hostile scripts of one engine, as a test: a part of them. Each engine has other ones, in another order.
 * `npm run torture -- --mode hostile` runs all. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type EngineName, engineNames } from '../../src/lua/engine-names.js';
import { runHostile } from './run.js';
import { snippetsOf } from './snippets/index.js';

export async function testHostileScripts(t: TestContext, engine: EngineName): Promise<void> {
  const seed = engineNames.indexOf(engine) + 1;
  // Native engines cannot stop C functions, so some of theirs cost a worker, which takes its time.
  const step = engine === 'embedded' ? 4 : 8;
  const snippets = snippetsOf(engine).filter(({ ends }, at) => ends !== 'lost' && at % step === seed % step);
  assert.ok(snippets.length > 300 / step, `${snippets.length} snippets`);
  const { failures, summary } = await runHostile(t, { engine, io: 'auto', seed, snippets, times: 1 });
  t.diagnostic(summary);
  assert.deepEqual(failures, []);
}
