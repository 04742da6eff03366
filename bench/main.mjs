/** `npm run bench`: runs the parts that are asked for, prints their tables, and keeps all figures in a file. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOptions, USAGE } from './options.mjs';
import { machine, say, writeResults } from './report.mjs';

const EXIT_USAGE = 2;

/** The load generator calls the system directly, through a package that only the benchmark needs. */
async function requireDependencies() {
  try {
    await import('koffi');
  } catch {
    say('Installing what only the benchmark needs …');
    const folder = fileURLToPath(new URL('.', import.meta.url));
    // Its native part comes prebuilt: no script has to run.
    const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: folder,
      stdio: 'inherit',
    });
    if (npm.status !== 0) throw new Error(`"npm ci" failed in ${folder}`);
  }
}

/** @param {import('./options.mjs').Options} options */
async function run(options) {
  if (process.platform !== 'linux') throw new Error('the benchmark needs Linux: it reads /proc and waits with epoll');
  await requireDependencies();
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

  const about = machine();
  /** @type {Record<string, unknown>} */
  const results = { date: new Date().toISOString(), machine: about, options };
  say(
    `${about.processors} × ${about.processor}, ${about.memoryGiB} GiB, Linux ${about.kernel}, Node.js ${about.node}\n`,
  );
  for (const part of options.parts) {
    say(`## ${part}\n`);
    // Loaded one by one: what they import may just have been installed.
    switch (part) {
      case 'pages': {
        const { measureCeiling } = await import('./ceiling.mjs');
        const { measurePages } = await import('./throughput.mjs');
        results.ceiling = await measureCeiling(options, folder);
        results.pages = await measurePages(options, folder);
        break;
      }
      case 'hog':
        results.hog = await (await import('./hog.mjs')).measureHog(options, folder);
        break;
      case 'images':
        results.images = await (await import('./images.mjs')).measureImages(options);
        results.clones = await (await import('./clones.mjs')).measureClones(options, folder);
        break;
      case 'data':
        results.data = await (await import('./data.mjs')).measureData(options, folder);
        break;
      case 'clients':
        results.clients = await (await import('./clients.mjs')).measureClients(options, folder);
        break;
      case 'overload':
        results.overload = await (await import('./overload.mjs')).measureOverload(options, folder);
        break;
      case 'policy':
        results.policy = await (await import('./policy.mjs')).measurePolicy(options);
        break;
      case 'state-cost':
        results.stateCost = await (await import('./state-cost.mjs')).measureStateCost(options, folder);
        break;
      case 'streaming':
        results.streaming = await (await import('./streaming.mjs')).measureStreaming(options, folder);
        break;
    }
  }
  say(`All figures: ${writeResults(results)}`);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(USAGE);
  else await run(options);
  process.exit(0);
} catch (error) {
  const isUsage = /^(?:no |--)|^Unknown option|expected, got/.test(error instanceof Error ? error.message : '');
  process.stderr.write(`bench: ${error instanceof Error ? (isUsage ? error.message : error.stack) : error}\n`);
  if (isUsage) process.stderr.write(`\n${USAGE}`);
  process.exit(isUsage ? EXIT_USAGE : 1);
}
