/** What an operator and authors do meanwhile: reloads, good and bad, logs moved away, a disk that is full, files edited. */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import type { Run } from './run.js';
import { BAD_SCRIPTS, changing } from './site.js';
import { FIRST, LARGEST, type Variant } from './subject.js';

/** Configurations that cannot be taken. */
const BROKEN = [
  'workers = 0',
  'wrkers = 3',
  'this is no Lua',
  'function startup() error("not today") end',
  'listen = {}',
];

async function reload(run: Run, random: Random): Promise<void> {
  const before = run.subject.reloads;
  const isBroken = random.below(4) === 0;
  if (isBroken) run.subject.configure(FIRST, random.pick(BROKEN));
  else {
    const variant: Variant = {
      workers: 2 + random.below(LARGEST.workers - 1),
      states: random.pick([12, 24, LARGEST.states]),
      clones: 2 + random.below(4),
      memoryMiB: random.pick([8, LARGEST.memoryMiB]),
      sendbuffer: random.pick([20_000, 200_000]),
      maxcount: random.pick([0, 0, 50]),
    };
    run.subject.configure(variant);
  }
  try {
    await run.subject.signal('SIGHUP');
    await run.subject.until('the end of a reload', () => {
      const { done, refused } = run.subject.reloads;
      return done + refused > before.done + before.refused;
    });
  } catch (error) {
    run.tally.add('reload: without an end', 'FAILED');
    run.fail(error instanceof Error ? error.message : String(error));
    return;
  }
  const isDone = run.subject.reloads.done > before.done;
  run.tally.add(
    `reload: ${isBroken ? 'broken' : 'good'} configuration`,
    isDone === isBroken ? 'FAILED' : isDone ? 'done' : 'refused',
  );
  if (isDone === isBroken)
    run.fail(`a ${isBroken ? 'broken' : 'good'} configuration was ${isDone ? 'taken' : 'refused'}`);
}

async function reloads(run: Run): Promise<void> {
  const random = new Random(run.seed + 3_000);
  while (!run.isOver) {
    await pause(500 + random.below(1_500));
    await reload(run, random);
  }
}

async function rotateLogs(run: Run): Promise<void> {
  const random = new Random(run.seed + 4_000);
  const log = join(run.places.disk, 'access.log');
  while (!run.isOver) {
    await pause(500 + random.below(2_000));
    if (run.disk.isFull || !existsSync(log)) continue;
    renameSync(log, `${log}.1`);
    await run.subject.signal('SIGUSR1');
    run.tally.add('logs moved away', 'opened anew');
    await pause(300);
    rmSync(`${log}.1`, { force: true });
  }
}

async function fillDisk(run: Run): Promise<void> {
  const random = new Random(run.seed + 5_000);
  while (!run.isOver) {
    await pause(500 + random.below(1_500));
    run.disk.fill();
    if (run.disk.isFull) run.tally.add('disk', 'filled');
    await pause(500 + random.below(1_500));
    run.disk.empty();
  }
}

async function editFiles(run: Run): Promise<void> {
  const random = new Random(run.seed + 6_000);
  const { scripts } = run.places;
  const module = join(scripts, 'module.lua');
  for (let at = 1; !run.isOver; at += 1) {
    run.changingVersion = at;
    writeFileSync(join(scripts, 'changing.lua.new'), changing(at));
    renameSync(join(scripts, 'changing.lua.new'), join(scripts, 'changing.lua'));
    writeFileSync(join(scripts, 'changing-in-place.lua'), changing(at));
    if (random.below(2) === 0) rmSync(module, { force: true });
    else writeFileSync(module, 'return { text = "module" }');
    if (at % 5 === 0) writeFileSync(join(scripts, 'loop.lua'), `${BAD_SCRIPTS['loop.lua']?.text}\n-- ${at}`);
    await pause(50 + random.below(150));
  }
}

export async function operate(run: Run): Promise<void> {
  await Promise.all([reloads(run), rotateLogs(run), fillDisk(run), editFiles(run)]);
}
