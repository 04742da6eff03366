/** A real MariaDB of the distribution, with a data directory, a socket and a port of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.js';
import { type Cleanup, tempDir } from './cleanup.js';
import type { Database } from './postgres.js';
import { copyTemplate } from './template.js';
import { findProgram, freePort } from './web-server.js';

export interface MariadbOptions {
  /** Further options of the command line. */
  readonly settings?: readonly string[];
}

/** Starts it with the database `test`, which `root` may use without a password. */
export async function startMariadb(
  t: Cleanup,
  options: MariadbOptions = {},
): Promise<Database & { readonly socket: string }> {
  const program = findProgram('mariadbd');
  const install = findProgram('mariadb-install-db');
  assert.ok(program && install, 'MariaDB is not installed: install it (Debian: apt-get install mariadb-server)');
  const dir = tempDir(t);
  const data = join(dir, 'data');
  const user = `--user=${userInfo().username}`;
  copyTemplate('mariadb', data, (folder) => {
    const initialize = ['--no-defaults', `--datadir=${folder}`, '--auth-root-authentication-method=normal', user];
    execFileSync(install, [...initialize, '--skip-name-resolve'], { stdio: 'pipe' });
  });
  const port = await freePort();
  const socket = join(dir, 'mysqld.sock');
  const args = [
    '--no-defaults',
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${socket}`,
    `--pid-file=${join(dir, 'mysqld.pid')}`,
    '--skip-name-resolve',
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-buffer-pool-size=16M',
    user,
    ...(options.settings ?? []),
  ];
  let child: Child;
  const start = async (): Promise<void> => {
    child = new Child({ name: 'mariadbd', command: program, args, cwd: dir });
    await child.logged(/ready for connections/);
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
    socket,
    get pid() {
      return child.pid as number;
    },
    kill: () => stop('SIGKILL'),
    stop: () => stop('SIGTERM'),
    start,
    signal: (signal) => child.signal(signal),
  };
}
