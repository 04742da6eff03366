/**
 * What the load generator itself can reach: against a server that does nothing but answer. A figure of another server
 * that comes near it would be the generator's, not the server's.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LoadGenerator } from './load/load.mjs';
import { startProgram } from './peers/processes.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';

const RESPONDER = fileURLToPath(new URL('./load/fixed-responder.mjs', import.meta.url));
const WARMUP_MS = 300;

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureCeiling(options, folder) {
  const address = join(folder, 'fixed.sock');
  const responder = await startProgram(process.execPath, [RESPONDER, address], address);
  const generator = new LoadGenerator();
  try {
    const results = [];
    for (const keep of options.modes.map((mode) => mode === 'kept')) {
      for (const connections of options.connections) {
        const outcome = await generator.run({
          protocol: 'fastcgi',
          address,
          path: '/fixed/hello',
          expected: { ending: '\n', contains: 'Hello, world!', minBytes: 14 },
          connections,
          keep,
          warmupMs: WARMUP_MS,
          measureMs: options.seconds * 1000,
          pid: responder.pid,
        });
        results.push({ keep, connections, ...outcome });
      }
    }
    say('### The ceiling of the load generator, against a server with a fixed answer\n');
    sayTable(
      [
        'connections|',
        'requests/s',
        'p50 ms',
        'p99 ms',
        'generator CPU µs/request',
        'generator: busy + waiting %',
        'errors',
      ],
      results.map((result) => [
        `${result.connections} ${result.keep ? 'kept' : 'new'}`,
        fixed(result.requests / result.seconds),
        millis(result.p50Micros),
        millis(result.p99Micros),
        fixed(result.cpuMicros / result.requests, 1),
        `${fixed(result.cpuMicros / result.seconds / 1e4)} + ${fixed(result.cpuWaitMicros / result.seconds / 1e4)}`,
        String(result.errors),
      ]),
    );
    return results;
  } finally {
    await generator.stop();
    await responder.stop();
  }
}
