// Runs every compiled test file, or those whose path contains one of the arguments. The end-to-end tests run once for
// each driver that the front has here (`io`), all others once.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const isLinux = process.platform === 'linux';
/** Drivers of the front, by the name that the configuration has for them. */
const drivers = isLinux ? ['epoll', 'node'] : ['node'];
/** What calls the kernel of Linux. */
const LINUX_ONLY = /^dist\/test\/(linux\/|front\/(epoll-driver|far-front)\.)/;
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
const passes = [
  { name: 'all but end to end', files: files.filter((file) => !isEndToEnd(file)), env: {} },
  ...drivers.map((io) => ({
    name: `end to end, io = "${io}"`,
    files: files.filter(isEndToEnd),
    env: { LUAFCGID_TEST_IO: io },
  })),
].filter((pass) => pass.files.length > 0);

const results = passes.map(({ name, files, env }) => {
  console.log(`\n==== ${name}: ${files.length} files`);
  const args = ['--test', `--test-concurrency=${CONCURRENCY}`, '--enable-source-maps', ...files];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  return { name, isPassed: status === 0 };
});
console.log('');
for (const { name, isPassed } of results) console.log(`==== ${isPassed ? 'passed' : 'FAILED'}: ${name}`);
process.exit(results.every(({ isPassed }) => isPassed) ? 0 : 1);
