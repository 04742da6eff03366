/** A real PostgreSQL of the distribution, with a data directory and a port of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';
import { type Cleanup, tempDir } from './cleanup.js';
import { copyTemplate } from './template.js';
import { freePort } from './web-server.js';

export interface PostgresOptions {
  /** Lines of its configuration. */
  readonly settings?: readonly string[];
  /** Lines of `pg_hba.conf`; all of this machine are trusted when left out. */
  readonly access?: readonly string[];
  /** The password of the user `postgres`. */
  readonly password?: string;
  /** Files that it reads as its own, by their names in its directory: certificates. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Database {
  readonly port: number;
  readonly dir: string;
  /** The process of the server. */
  readonly pid: number;
  /** Ends it like a crash. */
  kill(): Promise<void>;
  /** Stops it in order. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and data. */
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

/** Debian keeps the programs of each version in a folder of their own. */
function programOf(name: string): string {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').sort((a, b) => +b - +a) : [];
  const found = versions.map((version) => `/usr/lib/postgresql/${version}/bin/${name}`).find(existsSync);
  assert.ok(found, 'PostgreSQL is not installed: install it (Debian: apt-get install postgresql)');
  return found;
}

/** It refuses to run as root: then it runs as the user that its package has made. */
function asItsUser(): { readonly prefix: readonly string[]; readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const uid = id('-u');
  const gid = id('-g');
  return { prefix: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'], uid, gid };
}

export async function startPostgres(t: Cleanup, options: PostgresOptions = {}): Promise<Database> {
  const dir = tempDir(t);
  const account = asItsUser();
  if (account !== undefined) chownSync(dir, account.uid, account.gid);
  const data = join(dir, 'data');
  const run = (program: string, args: readonly string[]): readonly [string, readonly string[]] => {
    const [command = '', ...rest] = [...(account?.prefix ?? []), programOf(program), ...args];
    return [command, rest];
  };
  const { password = 'unused' } = options;
  copyTemplate(`postgres-${createHash('sha256').update(password).digest('hex').slice(0, 16)}`, data, (folder) => {
    if (account !== undefined) chownSync(folder, account.uid, account.gid);
    const file = join(dir, 'password');
    writeFileSync(file, `${password}\n`);
    const who = ['-U', 'postgres', '--pwfile', file, '-A', 'trust'];
    const [command, args] = run('initdb', ['-D', folder, ...who, '-E', 'UTF8', '--locale=C', '-N']);
    execFileSync(command, args, { stdio: 'pipe' });
  });
  const port = await freePort();
  const settings = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    `unix_socket_directories = '${dir}'`,
    'fsync = off',
    'synchronous_commit = off',
    'shared_buffers = 16MB',
    ...(options.settings ?? []),
  ];
  writeFileSync(join(data, 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
  if (options.access !== undefined) writeFileSync(join(data, 'pg_hba.conf'), `${options.access.join('\n')}\n`);
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(data, name), text, { mode: 0o600 });
    if (account !== undefined) chownSync(join(data, name), account.uid, account.gid);
  }
  let child: Child;
  const start = async (): Promise<void> => {
    const [command, args] = run('postgres', ['-D', data]);
    child = new Child({ name: 'postgres', command, args, cwd: dir });
    await child.logged(/ready to accept connections/);
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exit !== undefined) return;
    // One that is frozen hears nothing.
    child.signal('SIGCONT');
    await child.stop(signal);
  };
  await start();
  t.after(() => stop('SIGQUIT'));
  return {
    port,
    dir,
    get pid() {
      return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
    },
    kill: () => stop('SIGQUIT'),
    stop: () => stop('SIGINT'),
    start,
    signal: (signal) => child.signal(signal),
  };
}
