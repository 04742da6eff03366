// The end-to-end tests drive real web servers. Makes sure that they are there: installs them where that is possible
// without asking (root, apt), and otherwise says what to install. Without nginx the tests fail; without one of the others
// its tests are skipped, which is said here and by the tests.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const SERVERS = [
  { program: 'nginx', packageName: 'nginx-light', isRequired: true },
  { program: 'apache2', packageName: 'apache2-bin', isRequired: false },
  { program: 'lighttpd', packageName: 'lighttpd', isRequired: false },
];
/** Debian asks this program whether a package may start its service: 101 is no. */
const POLICY = '/usr/sbin/policy-rc.d';

function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function run(command, args) {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: environment });
}

/** Tries to install each; what could not be had is found missing after that. */
function install(aptGet, servers) {
  console.log(`installing for the end-to-end tests: ${servers.map(({ packageName }) => packageName).join(', ')}`);
  // The tests start web servers of their own: a package must not open port 80 of this machine.
  const ownsPolicy = !existsSync(POLICY);
  if (ownsPolicy) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    process.on('exit', () => rmSync(POLICY, { force: true }));
  }
  // One unreachable source fails the update and need not matter: the installation decides.
  run(aptGet, ['update']);
  const options = ['--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120'];
  // Each by itself: one that cannot be had must not keep the others away.
  for (const { packageName } of servers) run(aptGet, ['install', ...options, packageName]);
}

/** Installs what is missing; gives back why that cannot be tried, if so. */
function obtain(servers) {
  const aptGet = findProgram('apt-get');
  if (!aptGet) return 'this machine has no apt-get to install it with';
  if (process.getuid?.() !== 0) return 'only root can install it';
  install(aptGet, servers);
  return undefined;
}

function missing(servers) {
  return servers.filter(({ program }) => !findProgram(program));
}

const wanted = missing(SERVERS);
const reason = wanted.length === 0 ? undefined : obtain(wanted);
for (const { program, packageName, isRequired } of missing(SERVERS)) {
  const why = reason ?? `apt-get could not install ${packageName}`;
  const remedy = `Debian and Ubuntu: sudo apt-get install --no-install-recommends ${packageName}`;
  if (isRequired) {
    console.error(`The end-to-end tests need ${program}, and ${why}.\nInstall it and run the tests again. ${remedy}`);
    process.exitCode = 1;
  } else {
    console.error(`The tests behind ${program} are skipped, since ${why}. ${remedy}`);
  }
}
