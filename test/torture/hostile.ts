/** `npm run torture -- --mode hostile` and `--mode wire`: all hostile scripts of an engine, and clients that attack the wire. */
import type { EngineName } from '../../src/lua/engine-names.js';
import { runHostile, type Verdict } from '../hostile/run.js';
import { snippetsOf } from '../hostile/snippets/index.js';
import { attackWire } from '../hostile/wire.js';
import type { Cleanup } from '../support/cleanup.js';

/** How often each script is asked for in one run. */
const TIMES = 3;

/** Several runs, one after the other: each is cleaned up after, and its failure is no end of the others. */
async function runAll(runs: Readonly<Record<string, (t: Cleanup) => Promise<Verdict>>>): Promise<Verdict> {
  const failures: string[] = [];
  const summaries: string[] = [];
  for (const [name, run] of Object.entries(runs)) {
    const undo: (() => Promise<void> | void)[] = [];
    try {
      const verdict = await run({ after: (step) => undo.push(step) });
      failures.push(...verdict.failures);
      summaries.push(verdict.summary);
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(`${name}: clean-up: ${String(error)}`);
      }
    }
  }
  return { failures, summary: summaries.join('\n') };
}

/** Two runs of each engine: in the second one the handlers that could wait cannot, and the other way round. */
export function allHostileScripts(engines: readonly EngineName[], io: string, seed: number): Promise<Verdict> {
  const runs = engines.flatMap((engine) =>
    [seed, seed + 1].map((each) => {
      const options = { engine, io, seed: each, snippets: snippetsOf(engine), times: TIMES };
      return [`${engine}, seed ${each}`, (t: Cleanup) => runHostile(t, options)] as const;
    }),
  );
  return runAll(Object.fromEntries(runs));
}

export function attackWires(ios: readonly string[], seed: number, attacks: number): Promise<Verdict> {
  const runs = ios.map((io) => [`io ${io}`, (t: Cleanup) => attackWire(t, { io, seed, attacks })] as const);
  return runAll(Object.fromEntries(runs));
}
