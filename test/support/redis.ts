/** A real Redis of the distribution, on a port of its own. */
import assert from 'node:assert/strict';
import { Child } from './child.js';
import { type Cleanup, tempDir } from './cleanup.js';
import type { Database } from './postgres.js';
import { findProgram, freePort } from './web-server.js';

/** @param settings lines of its configuration, as options of the command line */
export async function startRedis(t: Cleanup, settings: readonly string[] = []): Promise<Database> {
  const program = findProgram('redis-server');
  assert.ok(program, 'Redis is not installed: install it (Debian: apt-get install redis-server)');
  const dir = tempDir(t);
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...settings];
  let child: Child;
  const start = async (): Promise<void> => {
    child = new Child({ name: 'redis-server', command: program, args, cwd: dir });
    await child.logged(/Ready to accept connections/);
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exit !== undefined) return;
    // One that is frozen hears nothing.
    child.signal('SIGCONT');
    await child.stop(signal);
  };
  await start();
  t.after(() => stop('SIGKILL'));
  return {
    port,
    dir,
    get pid() {
      return child.pid as number;
    },
    kill: () => stop('SIGKILL'),
    stop: () => stop('SIGTERM'),
    start,
    signal: (signal) => child.signal(signal),
  };
}
