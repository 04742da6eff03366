// The quick tests on each version of Node.js that is supported, whatever version runs this. npm brings the versions.
import { spawnSync } from 'node:child_process';

const VERSIONS = [20, 22, 24];

const failed = VERSIONS.filter((version) => {
  console.log(`\n######## Node.js ${version}`);
  const args = ['--yes', '-p', `node@${version}`, 'node', 'scripts/test.mjs', '--unit', ...process.argv.slice(2)];
  return spawnSync('npx', args, { stdio: 'inherit' }).status !== 0;
});
console.log(failed.length === 0 ? `\npassed on ${VERSIONS.join(', ')}` : `\nFAILED on ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
