// Runs every compiled test file, or those whose path contains one of the arguments. The end-to-end tests of what goes
// through sockets run once for each driver that the front has here (`io`). The tests of the script interface,
// directly in test/lua, run again with each native engine, together with those of native engines only. All others run
// once.
//
// --unit       only what needs no web server, no database and no other engine: under a minute on two processors
// --coverage   prints the coverage of all but the end-to-end tests, and fails below what .c8rc.json demands
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const isLinux = process.platform === 'linux';
/** Drivers of the front, by the name that the configuration has for them. */
const DRIVERS = isLinux ? ['epoll', 'node'] : ['node'];
/**
 * End-to-end tests of what goes through sockets of the front: they run with each driver, all others with the first. Parts of
 * them that no driver concerns: `describeOnce` and `itOnce`.
 */
const EACH_DRIVER = [
  'descriptors',
  'disconnect',
  'inherited',
  'listen',
  'memory-of-clients',
  'onslaught',
  'reload',
  'slow-clients',
  'slow-readers',
  'streaming',
  'torture',
  'waiting',
  'web-servers',
  'wire',
];
/** These take longest. They begin first, so that none of them runs alone at the end. */
const LONGEST = [
  'example-applications',
  'e2e/data',
  'any-order',
  'packaging/release',
  'packaging/debian',
  'e2e/looks',
  'huge-texts',
  'slow-readers',
  'authorizer',
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
  /^dist\/test\/((analysis|base|cgi|channel|cli|config|fcgi|gateway|linux|logging|metrics|pool|scripts|status|structure|worker)\/|docs\/(architecture|front-tests|generated|links|lua-api|lua-types|reliability)\.|shared\/(dictionary|lock-table)\.|support\/|io\/(pool\/|sql\/placeholders|values)|front\/(?!host|io\/epoll)|lua\/(embedded\/(?!bytes))?[^/]*$)/;
const FILES_OF_PROCESS = 12;
/** Parts run in two lanes, so that processors are busy while the last files of a part end. */
const LANES = 2;
/** A pass of more files has parts: no lane is left alone with a long one. */
const FILES_OF_PART = 50;
/** Much of its time a file waits for processes that it has started: more files than processors run at a time. */
const FILES_AT_A_TIME = availableParallelism() + 2;
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
const isForEachDriver = (file) => EACH_DRIVER.some((name) => file.endsWith(`/${name}.test.js`));
const isForNative = (file) => file.startsWith('dist/test/lua/native/');
const isForEveryEngine = (file) => /^dist\/test\/lua\/[^/]*$/.test(file);
const once = { name: 'all but end to end', isIn: (file) => !isEndToEnd(file) && !isForNative(file), env: {} };
const endToEnd = DRIVERS.map((io, index) => ({
  name: `end to end, io = "${io}"`,
  isIn: (file) => isEndToEnd(file) && (index === 0 || isForEachDriver(file)),
  env: { LUAFCGID_TEST_IO: io, LUAFCGID_TEST_REPETITION: index === 0 ? '0' : '1' },
}));
const engines = NATIVE_ENGINES.map((engine) => ({
  name: `engine ${engine}`,
  isIn: (file) => isForEveryEngine(file) || isForNative(file),
  env: { LUAFCGID_TEST_ENGINE: engine },
}));
/** The longest begin first. */
const passes = (isUnit ? [once] : [endToEnd[0], once, ...endToEnd.slice(1), ...engines])
  .map((pass) => ({ ...pass, chosen: files.filter(pass.isIn) }))
  .filter(({ chosen }) => chosen.length > 0);
const parts = inTurns(passes.map(partsOf));

const folder = mkdtempSync(join(tmpdir(), 'luafcgid-tests-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
/** Data folders of databases, which all test files of this run copy. */
const templates = join(folder, 'templates');
mkdirSync(templates);
// The user that a database runs as has to reach what is its own below.
chmodSync(folder, 0o711);
chmodSync(templates, 0o711);
const lanes = Math.min(LANES, parts.length);
const waiting = [...parts];
const results = [];
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) results.push(await run(part));
  }),
);
console.log('');
for (const { name, isPassed } of results) console.log(`==== ${isPassed ? 'passed' : 'FAILED'}: ${name}`);
// A part of the tests covers a part of the code: only the whole is held to the limits.
if (isCovered && wanted.length === 0) results.push({ isPassed: reportCoverage(), passed: 0, failed: 0, skipped: 0 });
// Last, and in one place: a long output is often seen by its end only.
for (const { name, failures = [] } of results)
  for (const failure of failures) console.log(`\n---- failed in ${name}: ${failure}`);
const total = (what) => results.reduce((sum, result) => sum + result[what], 0);
console.log(`${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`);
process.exit(results.every(({ isPassed }) => isPassed) ? 0 : 1);

/** The files to start: those that share a process are imported by one that is written for them. */
function inProcesses(chosen, place) {
  const sharing = chosen.filter((file) => SHARING.test(file));
  const shared = [];
  while (sharing.length > 0) {
    const file = join(place, `shared-${shared.length + 1}.mjs`);
    const imports = sharing.splice(0, FILES_OF_PROCESS).map((each) => `import '${pathToFileURL(resolve(each))}';\n`);
    writeFileSync(file, imports.join(''));
    shared.push(file);
  }
  return [...shared, ...chosen.filter((file) => !SHARING.test(file))];
}

/** The parts of a pass, each with some of its longest files. */
function partsOf({ name, env, chosen }) {
  const count = Math.ceil(chosen.length / FILES_OF_PART);
  return Array.from({ length: count }, (_, part) => ({
    name: count === 1 ? name : `${name}, part ${part + 1} of ${count}`,
    env,
    chosen: chosen.filter((_, at) => at % count === part),
  }));
}

/** The first of each list, then the second ones, and so on. */
function inTurns(lists) {
  const longest = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list.slice(at, at + 1))).flat();
}

/** Where a file stands among the longest; behind all of them otherwise. */
function rankOf(file) {
  const rank = LONGEST.findIndex((part) => file.includes(part));
  return rank < 0 ? LONGEST.length : rank;
}

/** Runs the files of a part. Where another one runs beside it, what it prints comes when it has ended. */
async function run({ name, env, chosen }) {
  const head = `\n==== ${name}: ${chosen.length} files`;
  const isAlone = lanes === 1;
  console.log(isAlone ? head : `---- begins: ${name}`);
  const place = mkdtempSync(join(folder, 'pass-'));
  const [counts, output] = [join(place, 'counts'), join(place, 'output')];
  const args = [
    '--test',
    `--test-concurrency=${isAlone ? FILES_AT_A_TIME : Math.ceil(FILES_AT_A_TIME / lanes)}`,
    `--test-timeout=${PROCESS_TIMEOUT_MS}`,
    '--enable-source-maps',
    ...(seed === 'random' ? [] : ['--import', './dist/test/support/seed.js']),
    `--test-reporter=${process.stdout.isTTY ? 'spec' : 'tap'}`,
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/count-reporter.mjs',
    `--test-reporter-destination=${counts}`,
    ...inProcesses(chosen, place),
  ];
  const coverage = isCovered && Object.keys(env).length === 0 ? { NODE_V8_COVERAGE: join(folder, 'coverage') } : {};
  const printed = isAlone ? 'inherit' : openSync(output, 'w');
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', printed, printed],
    env: { ...process.env, LUAFCGID_TEST_SEED: seed, LUAFCGID_TEST_TEMPLATES: templates, ...env, ...coverage },
  });
  const status = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (!isAlone) {
    closeSync(printed);
    console.log(head);
    await new Promise((resolve) => process.stdout.write(readFileSync(output), resolve));
  }
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
