/** A PostgreSQL and a Redis of the distribution for the benchmark, each on a free port, with a thousand notes. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './nginx.mjs';
import { findProgram, startProgram } from './processes.mjs';

export const NOTES = 1000;
const START_LIMIT_MS = 15_000;
const PROGRAMS = '/usr/lib/postgresql';

/** PostgreSQL refuses to run as root: then it runs as the user that its package has made. */
function asItsUser() {
  if (process.getuid?.() !== 0) return undefined;
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const [uid, gid] = [id('-u'), id('-g')];
  return { uid, gid, prefix: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] };
}

/** It accepts connections before it serves them. @param {() => void} ask throws as long as it does not serve */
async function untilReady(ask) {
  const giveUpMs = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      return ask();
    } catch (error) {
      if (performance.now() > giveUpMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** @returns {Promise<{pid: number, port: number, stop: () => Promise<void>}>} */
export async function startPostgres() {
  const version = readdirSync(PROGRAMS).sort().at(-1);
  const account = asItsUser();
  // Its user cannot enter the folder of the benchmark.
  const data = mkdtempSync(join(tmpdir(), 'luafcgid-bench-postgres-'));
  process.on('exit', () => rmSync(data, { recursive: true, force: true }));
  if (account !== undefined) chownSync(data, account.uid, account.gid);
  const command = (/** @type {string} */ name, /** @type {string[]} */ ...args) => {
    const [program, ...rest] = [...(account?.prefix ?? []), join(PROGRAMS, version ?? '', 'bin', name), ...args];
    return { program, args: rest };
  };
  const init = command('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N');
  execFileSync(init.program, init.args, { stdio: 'pipe' });
  const port = await freePort();
  const options = [
    ...['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    ...['-c', 'max_connections=200', '-c', 'fsync=off'],
  ];
  const server = command('postgres', ...options);
  const running = await startProgram(server.program, server.args, `127.0.0.1:${port}`, 'SIGINT');
  const sql = `create table notes (id integer primary key, title text not null);
    insert into notes select n, 'title ' || n from generate_series(1, ${NOTES}) as n; analyze notes;`;
  const psql = (/** @type {string} */ text) =>
    execFileSync('psql', ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-q', '-c', text], {
      stdio: 'pipe',
    });
  await untilReady(() => psql('select 1'));
  psql(sql);
  return { ...running, port };
}

/** @param {string} folder @returns {Promise<{pid: number, port: number, stop: () => Promise<void>}>} */
export async function startRedis(folder) {
  const program = findProgram(/^(redis|valkey)-server$/);
  if (program === undefined) throw new Error('no redis-server and no valkey-server is installed');
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, '--loglevel', 'warning'];
  const running = await startProgram(program, args, `127.0.0.1:${port}`, 'SIGTERM');
  const commands = Array.from({ length: NOTES }, (_, index) => `SET note:${index + 1} "title ${index + 1}"\r\n`).join(
    '',
  );
  await new Promise((resolve, reject) => {
    let seen = 0;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(commands));
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      seen += bytes.toString('latin1').split('+OK\r\n').length - 1;
      if (seen >= NOTES) socket.end(() => resolve(undefined));
    });
  });
  return { ...running, port };
}
