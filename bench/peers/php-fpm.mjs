/** Debian's php-fpm with its own php.ini, in two pools that differ in the number of children. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, startProgram } from './processes.mjs';

/** @returns {string | undefined} */
export const findPhpFpm = () => findProgram(/^php-fpm[0-9.]*$/);

/**
 * @param {string} program
 * @param {string} folder for sockets and configuration
 * @param {{name: string, children: number}[]} pools
 */
export async function startPhpFpm(program, folder, pools) {
  const isRoot = process.getuid?.() === 0;
  const socketOf = (/** @type {{name: string}} */ pool) => join(folder, `${pool.name}.sock`);
  const configFile = join(folder, 'php-fpm.conf');
  const sections = pools.map(
    (pool) => `[${pool.name}]
listen = ${socketOf(pool)}
listen.backlog = 511
pm = static
pm.max_children = ${pool.children}
${isRoot ? 'user = root' : ''}
`,
  );
  writeFileSync(
    configFile,
    `[global]
daemonize = no
error_log = ${join(folder, 'php-fpm.log')}
log_level = warning
${sections.join('')}`,
  );
  // No `-n` and no `-c`: it reads the distribution's php.ini, and thereby has the opcache on.
  const args = ['--nodaemonize', '--fpm-config', configFile, ...(isRoot ? ['--allow-to-run-as-root'] : [])];
  const running = await startProgram(program, args, socketOf(pools[0]), 'SIGTERM');
  return { ...running, addresses: pools.map(socketOf) };
}
