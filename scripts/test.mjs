// Runs every compiled test file, or those whose path contains one of the arguments. The end-to-end tests run once for
// each driver that the front has here (`io`). The tests of the script interface, directly in test/lua, run again with
// each native engine, together with those of native engines only. All others run once.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const isLinux = process.platform === 'linux';
/** Drivers of the front, by the name that the configuration has for them. */
const DRIVERS = isLinux ? ['epoll', 'node'] : ['node'];
const NATIVE_ENGINES = ['lua5.1', 'lua5.4', 'luajit'];
/** What calls the kernel of Linux, or what only Linux has. */
const LINUX_ONLY = /^dist\/test\/(linux\/|front\/(io\/epoll\/|host\/threaded\.)|e2e\/service-manager\.)/;
/** Most of the time a file waits for processes that it has started: one more runs beside. */
const CONCURRENCY = 2;

const wanted = process.argv.slice(2);
const files = readdirSync('dist/test', { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => `dist/test/${file}`)
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => isLinux || !LINUX_ONLY.test(file))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches: ${wanted.join(' ')}`);
  process.exit(1);
}

const isEndToEnd = (file) => file.startsWith('dist/test/e2e/');
const isForNative = (file) => file.startsWith('dist/test/lua/native/');
const isForEveryEngine = (file) => /^dist\/test\/lua\/[^/]*$/.test(file);
const passes = [
  { name: 'all but end to end', isIn: (file) => !isEndToEnd(file) && !isForNative(file), env: {} },
  ...NATIVE_ENGINES.map((engine) => ({
    name: `engine ${engine}`,
    isIn: (file) => isForEveryEngine(file) || isForNative(file),
    env: { LUAFCGID_TEST_ENGINE: engine },
  })),
  ...DRIVERS.map((io) => ({ name: `end to end, io = "${io}"`, isIn: isEndToEnd, env: { LUAFCGID_TEST_IO: io } })),
];

const results = [];
for (const { name, isIn, env } of passes) {
  const chosen = files.filter(isIn);
  if (chosen.length === 0) continue;
  console.log(`\n==== ${name}: ${chosen.length} files`);
  const args = ['--test', `--test-concurrency=${CONCURRENCY}`, '--enable-source-maps', ...chosen];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  results.push({ name, isPassed: status === 0 });
}
console.log('');
for (const { name, isPassed } of results) console.log(`==== ${isPassed ? 'passed' : 'FAILED'}: ${name}`);
process.exit(results.every(({ isPassed }) => isPassed) ? 0 : 1);
