// Runs every compiled test file, or those whose path contains one of the arguments. The tests of the script interface,
// directly in test/lua, run again with each native engine, together with those of native engines only.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const NATIVE_ENGINES = ['lua5.1', 'lua5.4', 'luajit'];

const wanted = process.argv.slice(2);
const files = readdirSync('dist/test', { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => `dist/test/${file}`)
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches: ${wanted.join(' ')}`);
  process.exit(1);
}

function run(files, engine) {
  if (files.length === 0) return;
  console.log(`# engine ${engine}`);
  const { status } = spawnSync(process.execPath, ['--test', '--enable-source-maps', ...files], {
    stdio: 'inherit',
    env: { ...process.env, LUAFCGID_TEST_ENGINE: engine },
  });
  if (status !== 0) process.exitCode = 1;
}

const isForNative = (file) => /\/test\/lua\/native\//.test(file);
const isForAll = (file) => /\/test\/lua\/[^/]*$/.test(file);
run(
  files.filter((file) => !isForNative(file)),
  'embedded',
);
for (const engine of NATIVE_ENGINES) {
  run(
    files.filter((file) => isForAll(file) || isForNative(file)),
    engine,
  );
}
