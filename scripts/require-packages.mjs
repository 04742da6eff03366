// The tests drive real web servers, databases, a browser and the system's Lua libraries. Makes sure that they are there: installs them where
// that is possible without asking (root, apt), and otherwise says what to install. Without nginx, a database, Chromium or a Lua library tests
// fail; without one of the other web servers its tests are skipped, which is said here and by the tests.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

const koffi = createRequire(import.meta.url)('koffi');

const program = (name, packageName, isRequired) => ({
  what: name,
  packageName,
  isRequired,
  isThere: () => findProgram(name) !== undefined,
});
const library = (file, packageName) => ({
  what: file,
  packageName,
  isRequired: true,
  isThere() {
    try {
      koffi.load(file);
      return true;
    } catch {
      return false;
    }
  },
});
const luaModule = (file, packageName) => ({
  what: `the C module ${file} for Lua 5.1`,
  packageName,
  isRequired: true,
  isThere: () => moduleFolders().some((folder) => existsSync(join(folder, file))),
});

const luaSource = (file, packageName) => ({
  what: `the Lua module ${file}`,
  packageName,
  isRequired: true,
  isThere: () => existsSync(join('/usr/share/lua/5.1', file)),
});

const WANTED = [
  program('nginx', 'nginx-light', true),
  program('apache2', 'apache2-bin', false),
  program('lighttpd', 'lighttpd', false),
  program('caddy', 'caddy', false),
  program('haproxy', 'haproxy', false),
  program('systemd-analyze', 'systemd', false),
  program('groff', 'groff-base', false),
  program('chromium', 'chromium', true),
  {
    what: 'PostgreSQL',
    packageName: 'postgresql',
    isRequired: true,
    isThere: () => existsSync('/usr/lib/postgresql') && readdirSync('/usr/lib/postgresql').length > 0,
  },
  program('mariadbd', 'mariadb-server', true),
  program('redis-server', 'redis-server', true),
  // The stock interpreters, with which the engines are compared.
  program('lua5.1', 'lua5.1', true),
  program('lua5.4', 'lua5.4', true),
  program('luajit', 'luajit', true),
  library('liblua5.1.so.0', 'liblua5.1-0'),
  library('liblua5.4.so.0', 'liblua5.4-0'),
  library('libluajit-5.1.so.2', 'libluajit-5.1-2'),
  luaModule('cjson.so', 'lua-cjson'),
  luaModule('lfs.so', 'lua-filesystem'),
  luaModule('lpeg.so', 'lua-lpeg'),
  luaModule('luasql/sqlite3.so', 'lua-sql-sqlite3'),
  // Software written for other servers, with what it depends on.
  luaSource('orbit.lua', 'lua-orbit'),
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

/** Where Debian (a folder for each architecture) and local installations have C modules. */
function moduleFolders() {
  const architectures = readdirSync('/usr/lib', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return ['/usr/local/lib/lua/5.1', ...architectures.map(({ name }) => `/usr/lib/${name}/lua/5.1`)];
}

function run(command, args) {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: environment });
}

/** Tries to install each; what could not be had is found missing after that. */
function install(aptGet, packages) {
  console.log(`installing for the tests: ${packages.map(({ packageName }) => packageName).join(', ')}`);
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
  for (const { packageName } of packages) run(aptGet, ['install', ...options, packageName]);
}

/** Installs what is missing; gives back why that cannot be tried, if so. */
function obtain(packages) {
  const aptGet = findProgram('apt-get');
  if (!aptGet) return 'this machine has no apt-get to install it with';
  if (process.getuid?.() !== 0) return 'only root can install it';
  install(aptGet, packages);
  return undefined;
}

const missing = () => WANTED.filter(({ isThere }) => !isThere());

const wanted = missing();
const reason = wanted.length === 0 ? undefined : obtain(wanted);
for (const { what, packageName, isRequired } of missing()) {
  const why = reason ?? `apt-get could not install ${packageName}`;
  const remedy = `Debian and Ubuntu: sudo apt-get install --no-install-recommends ${packageName}`;
  if (isRequired) {
    console.error(`The tests need ${what}, and ${why}.\nInstall it and run the tests again. ${remedy}`);
    process.exitCode = 1;
  } else {
    console.error(`The tests behind ${what} are skipped, since ${why}. ${remedy}`);
  }
}
