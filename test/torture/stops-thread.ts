/** Stops whatever runs, some time after it has begun: what the watchdog is for a server. */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { Interrupter, InterruptRequest } from '../../src/channel/interrupts.js';
import { createHookSetter, type EngineData } from '../../src/lua/engine.js';

const { shared, engine, seed } = workerData as { shared: SharedArrayBuffer; engine: EngineData; seed: number };
const interrupter = new Interrupter(shared, createHookSetter(engine));
/** Who is not stopped after so long was not reached: a stop was lost. */
const LOST_MS = 20_000;
const REPEAT_MS = 250;
/** Longest run of a script. */
const LONGEST_MS = 3;

let state = seed >>> 0;
/** From 0 up to 1. */
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

let last = 0;
for (;;) {
  const { running } = interrupter;
  if (running <= 0 || running === last) continue;
  last = running;
  // Most are stopped soon: there is a lot of beginning in these scripts.
  const until = performance.now() + LONGEST_MS * random() ** 3;
  while (performance.now() < until && interrupter.running === running);
  interrupter.request(running, InterruptRequest.TIMEOUT);
  const lostMs = performance.now() + LOST_MS;
  for (let nextMs = performance.now() + REPEAT_MS; interrupter.running === running; )
    if (performance.now() > lostMs) {
      writeSync(2, `stop ${running} was lost\n`);
      process.kill(process.pid, 'SIGKILL');
    } else if (performance.now() > nextMs) {
      // As the server does it: Lua 5.4 takes a hook for none when another thread sets it at the moment at which it looks for one.
      interrupter.request(running, InterruptRequest.TIMEOUT);
      nextMs += REPEAT_MS;
    }
}
