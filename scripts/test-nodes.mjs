// The quick tests, and those of the package for npm, on each version of Node.js that is supported, whatever version runs
// this. npm brings the versions.
import { spawnSync } from 'node:child_process';

const VERSIONS = [20, 22, 24];

const run = (version, args) => {
  const all = ['--yes', '-p', `node@${version}`, 'node', 'scripts/test.mjs', ...args];
  return spawnSync('npx', all, { stdio: 'inherit' }).status === 0;
};

const failed = VERSIONS.filter((version) => {
  console.log(`\n######## Node.js ${version}`);
  const parts = process.argv.slice(2);
  // With names of tests, those alone.
  const runs = parts.length > 0 ? [parts] : [['--unit'], ['packaging/npm-package']];
  return !runs.every((args) => run(version, args));
});
console.log(failed.length === 0 ? `\npassed on ${VERSIONS.join(', ')}` : `\nFAILED on ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
