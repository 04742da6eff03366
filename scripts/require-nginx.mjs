// The end-to-end tests drive a real nginx. Makes sure that there is one: installs it where that is possible without
// asking (root, apt), and otherwise says what to install. Never lets the tests pass by skipping.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const PACKAGE = 'nginx-light';
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

function fail(reason) {
  console.error(
    `The end-to-end tests need nginx, and ${reason}.\n` +
      `Install it and run the tests again. Debian and Ubuntu: sudo apt-get install --no-install-recommends ${PACKAGE}`,
  );
  process.exit(1);
}

/** Runs a command and gives back what went wrong, if anything. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status === 0) return undefined;
  return `"${[command, ...args].join(' ')}" failed (${error?.message ?? `exit status ${status}`})`;
}

function install(aptGet) {
  console.log(`nginx is missing: installing ${PACKAGE} for the end-to-end tests`);
  // The tests start an nginx of their own: the package must not open port 80 of this machine.
  const ownsPolicy = !existsSync(POLICY);
  if (ownsPolicy) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    process.on('exit', () => rmSync(POLICY, { force: true }));
  }
  // One unreachable source fails the update and need not matter: the installation decides.
  run(aptGet, ['update']);
  const options = ['--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120'];
  const failure = run(aptGet, ['install', ...options, PACKAGE]);
  if (failure) fail(failure);
}

if (!findProgram('nginx')) {
  const aptGet = findProgram('apt-get');
  if (!aptGet) fail('this machine has no apt-get to install it with');
  if (process.getuid?.() !== 0) fail('only root can install it');
  install(aptGet);
  if (!findProgram('nginx')) fail(`${PACKAGE} did not bring it`);
}
