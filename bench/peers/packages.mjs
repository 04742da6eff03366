/** Programs that the benchmark compares with, from the distribution's packages. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { say } from '../report.mjs';
import { findNginx } from './nginx.mjs';
import { findPhpFpm } from './php-fpm.mjs';
import { findProgram } from './processes.mjs';

/** Debian asks this program whether a package may start its service: 101 is no. */
const POLICY = '/usr/sbin/policy-rc.d';
const APT_LIMIT_MS = 300_000;

/**
 * Finds what is wanted, and installs what is missing where that needs no question (root, apt). Says what stays missing.
 * @param {{php: boolean, nginx: boolean, mayInstall: boolean}} wanted
 * @returns {{phpFpm: string | undefined, nginx: string | undefined}}
 */
export function requirePrograms(wanted) {
  const missing = () => [
    ...(wanted.php && findPhpFpm() === undefined ? ['php-fpm'] : []),
    ...(wanted.nginx && findNginx() === undefined ? ['nginx-light'] : []),
  ];
  if (missing().length > 0 && wanted.mayInstall && process.getuid?.() === 0) install(missing());
  for (const name of missing()) {
    say(
      `Left out, since it is not here: ${name}. Debian and Ubuntu: sudo apt-get install --no-install-recommends ${name}\n`,
    );
  }
  return {
    phpFpm: wanted.php ? findPhpFpm() : undefined,
    nginx: wanted.nginx ? findNginx() : undefined,
  };
}

/** @param {readonly string[]} packages */
function install(packages) {
  const aptGet = findProgram(/^apt-get$/);
  if (aptGet === undefined) return;
  say(`Installing ${packages.join(' ')} …`);
  // The benchmark starts its own: a package must not start a service here.
  const ownsPolicy = !existsSync(POLICY);
  if (ownsPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const run = (/** @type {string[]} */ ...args) =>
      spawnSync(aptGet, args, { stdio: ['ignore', 'ignore', 'inherit'], env, timeout: APT_LIMIT_MS });
    run('update');
    run('install', '--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...packages);
  } finally {
    if (ownsPolicy) rmSync(POLICY, { force: true });
  }
}
