/**
 * `npm run fuzz`: feeds inputs to the parsers, more and more of those that reach new code, for a number of runs.
 *
 *   npm run fuzz -- [--runs NUMBER] [--seed NUMBER] [--target NAME] [--save]
 *
 * An input that fails is made smaller, kept in the corpus, and ends the command with status 1. With --save the corpus
 * becomes the smallest inputs that together reach all that was reached.
 */
import { parseArgs } from 'node:util';
import { keepFound, readCorpus, writeCorpus } from './corpus.js';
import { Coverage } from './coverage.js';
import { mutate, shrink } from './mutate.js';
import { Random } from './random.js';
import { TARGETS, type Target } from './targets.js';

/** Inputs between two looks at the coverage: a look takes as long as some of them. */
const BATCH = 64;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    target: { type: 'string' },
    save: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
const targets = TARGETS.filter(({ name }) => values.target === undefined || values.target === name);
if (!(runs >= 0 && Number.isInteger(seed)) || targets.length === 0) {
  console.error(`--runs and --seed are numbers; --target is one of ${TARGETS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

function fails(target: Target, bytes: Uint8Array): boolean {
  try {
    target.run(bytes);
    return false;
  } catch {
    return true;
  }
}

/** Runs one input. Returns whether it holds; otherwise it is reported and kept. */
function holds(target: Target, bytes: Uint8Array): boolean {
  try {
    target.run(bytes);
    return true;
  } catch (error) {
    const smallest = shrink(bytes, (smaller) => fails(target, smaller));
    const file = keepFound(target.name, smallest);
    console.error(`${target.name}: ${error instanceof Error ? error.stack : String(error)}`);
    console.error(`  input: ${Buffer.from(smallest).toString('hex')}\n  kept in ${file}; seed ${seed}`);
    return false;
  }
}

const coverage = new Coverage();

/** Those of the inputs that reach code which smaller ones do not. */
function smallestSet(target: Target, inputs: readonly Uint8Array[]): Uint8Array[] {
  const reached = new Set<string>();
  coverage.take();
  return [...inputs]
    .sort((a, b) => a.length - b.length)
    .filter((bytes) => {
      target.run(bytes);
      const before = reached.size;
      for (const block of coverage.take()) reached.add(block);
      return reached.size > before;
    });
}

function fuzz(target: Target): boolean {
  const random = new Random(seed);
  const inputs: Uint8Array[] = [...readCorpus(target.name).map(({ bytes }) => bytes), ...target.seeds];
  const reached = new Set<string>();
  const isNew = (): boolean => {
    const before = reached.size;
    for (const block of coverage.take()) reached.add(block);
    return reached.size > before;
  };
  for (const bytes of inputs) if (!holds(target, bytes)) return false;
  isNew();
  const known = reached.size;
  const startMs = performance.now();
  for (let done = 0; done < runs; done += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, runs - done) }, () => mutate(random, inputs, target.words));
    const before = new Set(reached);
    for (const bytes of batch) if (!holds(target, bytes)) return false;
    if (!isNew()) continue;
    // Which of them it was: each alone, against what was known before.
    for (const bytes of batch) {
      target.run(bytes);
      const fresh = [...coverage.take()].filter((block) => !before.has(block));
      if (fresh.length === 0) continue;
      for (const block of fresh) before.add(block);
      inputs.push(bytes);
    }
  }
  const perSecond = Math.round(runs / ((performance.now() - startMs) / 1000));
  console.log(
    `${target.name.padEnd(14)}${runs} runs, ${perSecond} a second; ${inputs.length} inputs, ` +
      `${reached.size} blocks reached, ${reached.size - known} of them new`,
  );
  if (values.save) writeCorpus(target.name, smallestSet(target, inputs));
  return true;
}

console.log(`seed ${seed}`);
process.exitCode = targets.map(fuzz).every(Boolean) ? 0 : 1;
coverage.close();
