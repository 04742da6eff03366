/** `npm run torture -- --mode stops`: each engine in a process of its own, which a stop that breaks something would end. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { EngineName } from '../../src/lua/state.js';
import { stopScripts } from './stops.js';

/** Stops scripts of every engine so often each, and lets a tenth as many run out of memory. */
export function stopAllEngines(
  stops: number,
  seed: number,
  engines: readonly EngineName[],
): { failures: readonly string[]; summary: string } {
  const failures: string[] = [];
  const lines: string[] = [];
  for (const engine of engines) {
    const startMs = performance.now();
    const args = [fileURLToPath(import.meta.url), engine, String(stops), String(seed)];
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    lines.push(
      `${engine.padEnd(8)} ${stops} stops, ${stops / 10} ends by memory: ${seconds} s, ${signal ?? `status ${status}`}`,
    );
    if (status !== 0) failures.push(`${engine} (seed ${seed}): ${signal ?? `status ${status}`}\n${stdout}${stderr}`);
  }
  return { failures, summary: lines.join('\n') };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , engine, stops, seed] = process.argv;
  const failures = await stopScripts({
    engine: engine as EngineName,
    stops: Number(stops),
    memoryEnds: Math.ceil(Number(stops) / 10),
    seed: Number(seed),
  });
  for (const failure of new Set(failures)) console.log(failure);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
