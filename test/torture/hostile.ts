/** `npm run torture -- --mode hostile`: all hostile scripts of an engine, in both orders of what a handler can do. */
import type { EngineName } from '../../src/lua/engine-names.js';
import { runHostile } from '../hostile/run.js';
import { snippetsOf } from '../hostile/snippets/index.js';

/** How often each script is asked for in one run. */
const TIMES = 3;

export async function allHostileScripts(
  engines: readonly EngineName[],
  io: string,
  seed: number,
): Promise<{ failures: readonly string[]; summary: string }> {
  const failures: string[] = [];
  const summaries: string[] = [];
  for (const engine of engines)
    for (const round of [0, 1]) {
      const undo: (() => Promise<void> | void)[] = [];
      try {
        const verdict = await runHostile(
          { after: (step) => undo.push(step) },
          { engine, io, seed: seed + round, snippets: snippetsOf(engine), times: TIMES },
        );
        failures.push(...verdict.failures);
        summaries.push(verdict.summary);
      } catch (error) {
        failures.push(`${engine}, seed ${seed + round}: ${error instanceof Error ? error.message : String(error)}`);
      }
      for (let step = undo.pop(); step !== undefined; step = undo.pop())
        await Promise.resolve(step()).catch((error: unknown) => failures.push(`clean-up: ${String(error)}`));
    }
  return { failures, summary: summaries.join('\n') };
}
