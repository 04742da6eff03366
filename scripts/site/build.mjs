// Builds a website of the documents: `npm run site -- [FOLDER]` (site/ by default). It needs no server, loads nothing
// from elsewhere, and can be put into any folder of any web server, or opened from the disk.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Document } from './document.mjs';
import { renderListing, renderPage, renderSource } from './page.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));
/** A folder that was made by this program: only such a one is emptied. */
const MARK = '.luafcgid-site';

const out = resolve(process.argv[2] ?? 'site');
if (existsSync(out) && !existsSync(join(out, MARK)) && readdirSync(out).length > 0) {
  console.error(`${out} is not empty, and was not made by this program: name another folder`);
  process.exit(1);
}
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
writeFileSync(join(out, MARK), '');

const read = (/** @type {string} */ path) => readFileSync(join(ROOT, path), 'utf8');
const { version } = JSON.parse(read('package.json'));
const documents = readDocuments();
const byPath = new Map(documents.map((document) => [document.path, document]));
/** What documents link to besides each other: paths of files and folders. */
const linked = new Set();
const navigation = readNavigation();

for (const document of documents) {
  const body = document.render((target) => resolveLink(document, target));
  write(document.address, renderPage({ document, body, navigation, version }));
}
for (const path of [...linked].sort()) copyLinked(path);
const sections = documents.flatMap((document) => document.sections());
write('search-index.js', `window.luafcgidSections = ${JSON.stringify(sections)};\n`);
cpSync(join(HERE, 'style.css'), join(out, 'style.css'));
await build({
  entryPoints: [join(HERE, 'search.mjs')],
  outfile: join(out, 'search.js'),
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2020',
  logLevel: 'warning',
});
console.log(`${documents.length} pages in ${out}`);

function readDocuments() {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  const paths = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];
  paths.push(...inDocs.filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`));
  return paths.sort().map((path) => new Document(path, read(path)));
}

/** The order of the documents is that of the README's list. */
function readNavigation() {
  const list = read('README.md').split('## Documentation')[1]?.split('\n## ')[0] ?? '';
  const main = [...list.matchAll(/\]\(((?:docs\/[\w-]+|[A-Z]+)\.md)\)/g)].map(
    ([, path]) => /** @type {string} */ (path),
  );
  const decisions = documents.map(({ path }) => path).filter((path) => path.startsWith('docs/decisions/'));
  const entries = (/** @type {readonly string[]} */ paths) =>
    paths.map((path) => {
      const document = byPath.get(path);
      if (document === undefined) throw new Error(`README.md lists ${path}, which does not exist`);
      return document;
    });
  return [
    { title: '', documents: entries(['README.md', ...main]) },
    { title: 'Decisions', documents: entries(decisions) },
  ];
}

/**
 * Where a link of a document leads on the site.
 * @param {Document} document @param {string} target as it stands in the text
 */
function resolveLink(document, target) {
  if (/^[a-z]+:/i.test(target)) return target;
  const [file = '', anchor] = target.split('#', 2);
  const hash = anchor === undefined ? '' : `#${anchor}`;
  if (file === '') return hash;
  const path = posix.join(posix.dirname(document.path), file).replace(/\/$/, '');
  const other = byPath.get(path);
  if (other !== undefined) return document.addressTo(other.address) + hash;
  if (!existsSync(join(ROOT, path))) throw new Error(`${document.path} links to ${target}, which does not exist`);
  linked.add(path);
  return document.addressTo(linkedAddress(path)) + hash;
}

/** @param {string} path of a file or folder that is no document */
function linkedAddress(path) {
  if (/\.(png|svg)$/.test(path)) return path;
  return statSync(join(ROOT, path)).isDirectory() ? `${path}/index.html` : `${path}.html`;
}

/** A picture is copied; the text of any other file is shown on a page; a folder is a list of what is in it. */
function copyLinked(/** @type {string} */ path) {
  const source = join(ROOT, path);
  const address = linkedAddress(path);
  if (existsSync(join(out, address))) return;
  if (address === path) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    cpSync(source, join(out, path));
    return;
  }
  if (!statSync(source).isDirectory()) return write(address, renderSource({ path, text: read(path), address }));
  const inside = readdirSync(source)
    .map((name) => posix.join(path, name))
    .filter((inner) => !byPath.has(inner));
  for (const inner of inside) copyLinked(inner);
  write(
    address,
    renderListing({ path, links: inside.map((inner) => posix.relative(path, linkedAddress(inner))), address }),
  );
}

/** @param {string} address @param {string} text */
function write(address, text) {
  const file = join(out, address);
  if (relative(out, file).startsWith('..')) throw new Error(`${address} lies outside of the site`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
