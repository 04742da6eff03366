// Runs every compiled test file, or those whose path contains one of the arguments. The end-to-end tests run once for
// each driver that the front has here (`io`), those that no driver concerns once. The tests of the script interface,
// directly in test/lua, run again with each native engine, together with those of native engines only. All others run
// once.
//
// --unit       only what needs no web server, no database and no other engine: under a minute on two processors
// --coverage   prints the coverage of all but the end-to-end tests, and fails below what .c8rc.json demands
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const isLinux = process.platform === 'linux';
/** Drivers of the front, by the name that the configuration has for them. */
const DRIVERS = isLinux ? ['epoll', 'node'] : ['node'];
/** End-to-end tests of what the front's driver takes no part in: they run once. */
const DRIVER_FREE = [
  'applications',
  'authorizer-web-servers',
  'bad-scripts',
  'check-connect',
  'check-list',
  'command',
  'console',
  'compatibility',
  'data',
  'doors',
  'error-handlers',
  'example-applications',
  'examples',
  'existing-software',
  'failing-scripts',
  'finalizers',
  'front-controller',
  'housekeeping',
  'http-client',
  'huge-texts',
  'images',
  'locks',
  'looks',
  'logs',
  'lost-workers',
  'native',
  'native-process',
  'operator',
  'profile',
  'pool',
  'script-interface',
  'sendfile',
  'sessions',
  'shared',
  'source-locks',
  'sql-compatibility',
  'torture-pristine',
  'uploads',
  'user',
  'warm-start',
  'watchdog',
];
/** These take longest. They begin first, so that none of them runs alone at the end. */
const LONGEST = [
  'allocations',
  'hostile/embedded',
  'hostile/l',
  'e2e/reload',
  'memory-of-clients',
  'loans',
  'waiting',
  'sessions',
  'e2e/command',
  'e2e/native',
  'torture',
  'streaming',
  'slow-clients',
  'operator',
  'profile',
  'background',
  'io/thread',
];
const NATIVE_ENGINES = ['lua5.1', 'lua5.4', 'luajit'];
/** What calls the kernel of Linux, or what only Linux has. */
const LINUX_ONLY = /^dist\/test\/(linux\/|front\/(io\/epoll\/|host\/threaded\.)|e2e\/service-manager\.)/;
/** Starts programs of others, whole servers, or takes long: not for `--unit`. */
const NOT_UNIT = /^dist\/test\/(e2e|docs|fuzz|golden|hostile|io|packaging|torture|lua\/native)\//;
/** Tests that leave their process as it was. Many such files share one: starting it takes longer than most of their tests. */
const SHARING =
  /^dist\/test\/((base|cgi|channel|config|fcgi|gateway|linux|logging|metrics|pool|scripts|status|structure|worker)\/|front\/(?!host|io\/epoll)|lua\/(embedded\/(?!bytes))?[^/]*$)/;
const FILES_OF_PROCESS = 10;
/** Much of its time a file waits for processes that it has started: more files than processors run at a time. */
const CONCURRENCY = availableParallelism() + 1;
/** A process that takes longer hangs: it is ended, and fails. */
const PROCESS_TIMEOUT_MS = 600_000;

/** Property tests do the same each time, unless another seed, or `random`, is asked for. */
const seed = process.env.LUAFCGID_TEST_SEED ?? '1';

const flags = process.argv.slice(2).filter((word) => word.startsWith('--'));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const isUnit = flags.includes('--unit');
const isCovered = flags.includes('--coverage');
const unknown = flags.find((flag) => !['--unit', '--coverage'].includes(flag));
if (unknown !== undefined) fail(`${unknown} is no option; there are --unit and --coverage`);

const files = readdirSync('dist/test', { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => `dist/test/${file}`)
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => isLinux || !LINUX_ONLY.test(file))
  .filter((file) => !isUnit || !NOT_UNIT.test(file))
  .sort()
  .sort((a, b) => rankOf(a) - rankOf(b));
if (files.length === 0) fail(`no test file matches: ${wanted.join(' ')}`);

const isEndToEnd = (file) => file.startsWith('dist/test/e2e/');
const isDriverFree = (file) => DRIVER_FREE.some((name) => file.endsWith(`/${name}.test.js`));
const isForNative = (file) => file.startsWith('dist/test/lua/native/');
const isForEveryEngine = (file) => /^dist\/test\/lua\/[^/]*$/.test(file);
const once = { name: 'all but end to end', isIn: (file) => !isEndToEnd(file) && !isForNative(file), env: {} };
const passes = isUnit
  ? [once]
  : [
      once,
      ...NATIVE_ENGINES.map((engine) => ({
        name: `engine ${engine}`,
        isIn: (file) => isForEveryEngine(file) || isForNative(file),
        env: { LUAFCGID_TEST_ENGINE: engine },
      })),
      ...DRIVERS.map((io, index) => ({
        name: `end to end, io = "${io}"`,
        isIn: (file) => isEndToEnd(file) && (index === 0 || !isDriverFree(file)),
        env: { LUAFCGID_TEST_IO: io },
      })),
    ];

const folder = mkdtempSync(join(tmpdir(), 'luafcgid-tests-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const results = [];
for (const pass of passes) {
  const chosen = files.filter(pass.isIn);
  if (chosen.length > 0) results.push(run(pass, chosen));
}
console.log('');
for (const { name, isPassed } of results) console.log(`==== ${isPassed ? 'passed' : 'FAILED'}: ${name}`);
// A part of the tests covers a part of the code: only the whole is held to the limits.
if (isCovered && wanted.length === 0) results.push({ isPassed: reportCoverage(), passed: 0, failed: 0, skipped: 0 });
const total = (what) => results.reduce((sum, result) => sum + result[what], 0);
console.log(`${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`);
process.exit(results.every(({ isPassed }) => isPassed) ? 0 : 1);

/** The files to start: those that share a process are imported by one that is written for them. */
function inProcesses(chosen) {
  const sharing = chosen.filter((file) => SHARING.test(file));
  const shared = [];
  while (sharing.length > 0) {
    const file = join(folder, `shared-${shared.length + 1}.mjs`);
    const imports = sharing.splice(0, FILES_OF_PROCESS).map((each) => `import '${pathToFileURL(resolve(each))}';\n`);
    writeFileSync(file, imports.join(''));
    shared.push(file);
  }
  return [...shared, ...chosen.filter((file) => !SHARING.test(file))];
}

/** Where a file stands among the longest; behind all of them otherwise. */
function rankOf(file) {
  const rank = LONGEST.findIndex((part) => file.includes(part));
  return rank < 0 ? LONGEST.length : rank;
}

function run({ name, env }, chosen) {
  console.log(`\n==== ${name}: ${chosen.length} files`);
  const counts = join(folder, 'counts');
  const args = [
    '--test',
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${PROCESS_TIMEOUT_MS}`,
    '--enable-source-maps',
    ...(seed === 'random' ? [] : ['--import', './dist/test/support/seed.js']),
    `--test-reporter=${process.stdout.isTTY ? 'spec' : 'tap'}`,
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/count-reporter.mjs',
    `--test-reporter-destination=${counts}`,
    ...inProcesses(chosen),
  ];
  const coverage = isCovered && Object.keys(env).length === 0 ? { NODE_V8_COVERAGE: join(folder, 'coverage') } : {};
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, LUAFCGID_TEST_SEED: seed, ...env, ...coverage },
  });
  return { name, isPassed: status === 0, ...JSON.parse(readFileSync(counts, 'utf8')) };
}

function reportCoverage() {
  const args = ['c8', 'report', '--check-coverage', '--temp-directory', join(folder, 'coverage')];
  return spawnSync('npx', args, { stdio: 'inherit' }).status === 0;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
