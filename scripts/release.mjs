// Makes a release out of this checkout, after everything was looked at: npm run release -- VERSION [--dry-run]
//
// --dry-run         looks at everything and prints the notes, and makes nothing
// --without-tests   does not build and test: dist is of this commit, and its tests have passed
//
// What it makes: dist/release with the package for npm, the one for Debian where that can be made, the notes and SHA256SUMS,
// and the tag vVERSION in this repository. It publishes nothing; it prints the commands that do.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = resolve(fileURLToPath(import.meta.url), '../..');
const FOLDER = join(ROOT, 'dist/release');
// Semantic Versioning 2.0.0, without build metadata.
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'dry-run': { type: 'boolean', default: false }, 'without-tests': { type: 'boolean', default: false } },
});
const [version] = positionals;
if (positionals.length !== 1 || !VERSION.test(version)) {
  console.error(
    'usage: npm run release -- VERSION [--dry-run] [--without-tests], with a VERSION like 2.0.0 or 2.1.0-beta.1',
  );
  process.exit(2);
}

const read = (name) => readFileSync(join(ROOT, name), 'utf8');
const manifest = JSON.parse(read('package.json'));
const faults = [];

/** One thing that was looked at: what is wrong with it, if anything. */
function look(what, ...wrong) {
  console.log(`${wrong.length === 0 ? 'ok   ' : 'FAULT'}  ${what}`);
  for (const text of wrong) console.log(`         ${text}`);
  faults.push(...wrong);
}

function run(command, args, isShown = false) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: isShown ? 'inherit' : 'pipe',
  });
  return { isWell: status === 0, text: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`.trim() };
}

function demand(command, args) {
  const { isWell, text } = run(command, args);
  if (isWell) return text;
  console.error(`${command} ${args.join(' ')} failed:\n${text}`);
  process.exit(1);
}

function lookAtTree() {
  const { isWell, text } = run('git', ['status', '--porcelain']);
  const changed = isWell ? text.split('\n').filter((line) => line !== '') : [];
  look(
    'everything is committed',
    ...(isWell ? [] : [`this is no git repository: ${text}`]),
    ...(changed.length > 0 ? [`commit or remove: ${changed.map((line) => line.slice(2).trim()).join(', ')}`] : []),
  );
  const isTaken = run('git', ['rev-parse', '--quiet', '--verify', `refs/tags/v${version}`]).isWell;
  look(`v${version} is no tag yet`, ...(isTaken ? [`there is a tag v${version}: choose another version`] : []));
}

function lookAtVersions() {
  const lock = JSON.parse(read('package-lock.json'));
  const found = {
    'package.json': manifest.version,
    'package-lock.json': lock.version,
    'package-lock.json, packages[""]': lock.packages[''].version,
  };
  for (const page of readdirSync(join(ROOT, 'packaging/man'))) {
    const name = `packaging/man/${page}`;
    found[name] = /^\.TH \S+ \d "[^"]*" "luafcgid ([^"]*)"/m.exec(read(name))?.[1]?.replaceAll('\\-', '-') ?? 'none';
  }
  const wrong = Object.entries(found).filter(([, own]) => own !== version);
  look(`the version is ${version} everywhere`, ...wrong.map(([name, own]) => `${name} has ${own}`));
}

/** The section of CHANGELOG.md about this version. */
function notesOf() {
  const changelog = read('CHANGELOG.md');
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => new RegExp(`^\\[?${version.replaceAll('.', '\\.')}\\]?(\\s|$)`).test(text));
  if (section === undefined) {
    look('CHANGELOG.md tells of it', `there is no section "## ${version} - DATE"`);
    return '';
  }
  const [head = '', ...lines] = section.split('\n');
  const notes = lines.join('\n').trim();
  const date = / - (\d{4}-\d{2}-\d{2})$/.exec(head)?.[1];
  const isDate = date !== undefined && !Number.isNaN(Date.parse(`${date}T00:00:00Z`));
  look(
    'CHANGELOG.md tells of it',
    ...(isDate ? [] : [`its head is "## ${head}": write "## ${version} - YYYY-MM-DD"`]),
    ...(section === sections[0] ? [] : ['its section is not the first one']),
    ...(notes === '' ? ['its section is empty'] : []),
  );
  return notes;
}

function lookAtAddresses() {
  const { isWell, text: remote } = run('git', ['remote', 'get-url', 'origin']);
  const plain = (url) =>
    url
      .replace(/^git\+|\.git$/g, '')
      .replace(/^git@([^:]+):/, 'https://$1/')
      .replace(/^ssh:\/\/git@/, 'https://');
  const own = plain(manifest.repository.url);
  if (!isWell)
    console.log(`note   there is no remote "origin": the address in package.json, ${own}, is compared with nothing`);
  else
    look(
      'package.json names the repository',
      ...(plain(remote) === own ? [] : [`it has ${own}, and origin is ${plain(remote)}`]),
    );
}

function lookAtProgram() {
  if (options['without-tests']) console.log('note   it is neither built nor tested, as you wish');
  else
    look(
      'it is built, and all tests pass',
      ...(run('npm', ['test'], true).isWell ? [] : ['npm test failed: see above']),
    );
  const docs = run(process.execPath, ['scripts/generate-docs.mjs', '--check']);
  const stale = docs.text.split('\n').filter((line) => line.includes('is out of date'));
  look('the generated documents are those of the code', ...(docs.isWell ? [] : stale.length > 0 ? stale : [docs.text]));
  const packed = run('npm', ['pack', '--dry-run', '--ignore-scripts', '--json']);
  look('npm can pack it', ...(packed.isWell ? [] : [packed.text]));
}

function make(notes) {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  demand('npm', ['pack', '--ignore-scripts', '--pack-destination', FOLDER]);
  if (run('dpkg-deb', ['--version']).isWell) demand(process.execPath, ['scripts/package-deb.mjs', '--output', FOLDER]);
  else console.log('note   there is no dpkg-deb: no package for Debian was made');
  writeFileSync(join(FOLDER, 'notes.md'), `${notes}\n`);
  const files = readdirSync(FOLDER).filter((name) => name !== 'notes.md');
  const sum = (name) =>
    createHash('sha256')
      .update(readFileSync(join(FOLDER, name)))
      .digest('hex');
  writeFileSync(join(FOLDER, 'SHA256SUMS'), files.map((name) => `${sum(name)}  ${name}\n`).join(''));
  demand('git', ['tag', '--annotate', `v${version}`, '--message', `luafcgid ${version}`]);
  console.log(`\nmade: the tag v${version}, and in ${FOLDER}: ${readdirSync(FOLDER).join(', ')}`);
  console.log(
    `to publish it:\n  git push origin v${version}\n  npm publish ${join(FOLDER, `luafcgid-${version}.tgz`)}`,
  );
}

lookAtTree();
lookAtVersions();
const notes = notesOf();
lookAtAddresses();
// What takes minutes is not begun where it cannot help.
if (faults.length === 0) lookAtProgram();
else if (existsSync(join(ROOT, 'dist/src/main.cjs')))
  console.log('note   not built, tested or packed, because of the faults above');
if (faults.length > 0) {
  console.log(`\n${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}: nothing was made`);
  process.exit(1);
}
if (options['dry-run']) console.log(`\nThe notes:\n\n${notes}\n\nnothing was made: this was a dry run`);
else make(notes);
