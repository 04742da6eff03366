// Makes the package for Debian, with dpkg-deb and npm: npm run package:deb
//
// --node FILE          puts this program of Node.js into it, for systems whose own is older than 20; else it depends on nodejs
// --output FOLDER      where to write it (dist)
// --compression KIND   xz, gzip or none (xz)
//
// The maintainer is $DEBFULLNAME <$DEBEMAIL>, and times are $SOURCE_DATE_EPOCH, as everywhere in Debian.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { values: options } = parseArgs({
  options: {
    node: { type: 'string' },
    output: { type: 'string', default: join(ROOT, 'dist') },
    compression: { type: 'string', default: 'xz' },
  },
});
const { node: ownNode } = options;
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** A version before 2.0.0 sorts before it in Debian, too. */
const version = `${manifest.version.replace('-', '~')}-1`;
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? Math.floor(Date.now() / 1000));
const maintainer = `${process.env.DEBFULLNAME ?? 'luafcgid authors'} <${process.env.DEBEMAIL ?? 'luafcgid@localhost'}>`;
/** Where other systems have the command; units and scripts name it. */
const COMMAND = /\/usr\/local\/bin\/luafcgid/g;
const NODE = ownNode !== undefined ? 'libc6, libstdc++6' : 'nodejs (>= 20)';

const work = mkdtempSync(join(tmpdir(), 'luafcgid-deb-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
const tree = join(work, 'tree');
const program = join(tree, 'usr/lib/luafcgid');

function run(command, args, cwd = ROOT) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status === 0) return stdout;
  console.error(`${command} ${args.join(' ')} failed: ${error?.message ?? ''}\n${stdout}${stderr}`);
  process.exit(1);
}

/** Writes a file of the package. */
function put(name, contents, mode = 0o644) {
  const file = join(tree, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, contents);
  chmodSync(file, mode);
}

const read = (name) => readFileSync(join(ROOT, 'packaging', name), 'utf8');
const zipped = (contents) => gzipSync(contents, { level: 9 });

/** Names of all files below a folder; links are not followed. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** What the package for npm has, and the modules that the lock file names. */
function makeProgram() {
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', work]);
  mkdirSync(program, { recursive: true });
  const tarball = join(work, `luafcgid-${manifest.version}.tgz`);
  run('tar', ['-xzf', tarball, '-C', program, '--strip-components=1', '--no-same-owner']);
  copyModules();
}

/** Those that the lock file names, and that are no development tools, from the folder that npm has installed. */
function copyModules() {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const { dependencies, optionalDependencies } = manifest;
  for (const [name, { version: wanted, dev }] of Object.entries(packages)) {
    if (name === '' || dev === true) continue;
    const file = join(ROOT, name, 'package.json');
    const isNamed = name.replace(/^node_modules\//, '') in { ...dependencies, ...optionalDependencies };
    // Modules with native code have packages for each system, of which npm installs one.
    if (!existsSync(file) && !isNamed) continue;
    const found = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : 'missing';
    if (found !== wanted) {
      console.error(`${name} is ${found}, and package-lock.json has ${wanted}: run "npm ci" before this`);
      process.exit(1);
    }
    const filter = (path) => isUsed(path.slice(join(ROOT, name).length), name);
    if (!UNUSED_MODULES.test(name)) cpSync(join(ROOT, name), join(program, name), { recursive: true, filter });
  }
  const sqlite = join(program, 'node_modules/@photostructure/sqlite/prebuilds', HERE);
  if (!existsSync(sqlite)) console.error(`there is no SQLite for ${HERE}: its data sources will not open`);
}

/** Of types and build tools, and what wasmoon-lua5.1 needs for its JavaScript: only its WebAssembly is used. */
const UNUSED_MODULES = /^node_modules\/(@types\/.*|lodash|node-addon-api|undici-types)$/;
const HERE = `${process.platform}-${process.arch}`;

/** Whether a file of a module is for this system, and not for compilers, debuggers and tests. */
function isUsed(path, name) {
  if (/^\/(node_modules|test)(\/|$)|\.(map|d\.[cm]?ts|cc?|cpp|h|hpp|gypi?)$|(^|\/)[^/]*musl[^/]*$/.test(path))
    return false;
  if (/^\/prebuilds\/./.test(path)) return path.startsWith(`/prebuilds/${HERE}`);
  const isNative = /koffi|sqlite/.test(name);
  return !(isNative && /^\/(src|vendor|doc|scripts)(\/|$)/.test(path));
}

/** The command. */
function makeCommand() {
  const bin = join(program, 'bin/luafcgid');
  chmodSync(bin, 0o755);
  if (ownNode === undefined) {
    // The system's, whatever stands before it in PATH.
    writeFileSync(bin, readFileSync(bin, 'utf8').replace(/^#!.*/, '#!/usr/bin/node'));
    mkdirSync(join(tree, 'usr/bin'), { recursive: true });
    symlinkSync('../lib/luafcgid/bin/luafcgid', join(tree, 'usr/bin/luafcgid'));
    return;
  }
  copyFileSync(ownNode, join(program, 'node'));
  chmodSync(join(program, 'node'), 0o755);
  const script = `#!/bin/sh
# The Node.js of the package runs it.
here=$(dirname "$(readlink -f "$0")")/../lib/luafcgid
exec "$here/node" "$here/bin/luafcgid" "$@"
`;
  put('usr/bin/luafcgid', script, 0o755);
  chmodSync(bin, 0o644);
}

function makeDocuments() {
  const doc = join(tree, 'usr/share/doc/luafcgid');
  mkdirSync(doc, { recursive: true });
  for (const name of ['docs', 'examples', 'README.md', 'SECURITY.md']) renameSync(join(program, name), join(doc, name));
  put('usr/share/doc/luafcgid/examples/config.lua', read('config.lua'));
  for (const name of ['monitoring', 'container']) {
    const folder = join(program, 'packaging', name);
    if (existsSync(folder)) cpSync(folder, join(doc, 'examples', name), { recursive: true });
  }
  put('usr/share/doc/luafcgid/changelog.gz', zipped(readFileSync(join(program, 'CHANGELOG.md'))));
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const entry = `luafcgid (${version}) unstable; urgency=medium\n\n  * Version ${manifest.version}; changelog.gz has its changes.\n\n -- ${maintainer}  ${date}\n`;
  put('usr/share/doc/luafcgid/changelog.Debian.gz', zipped(entry));
  put('usr/share/doc/luafcgid/copyright', copyright());
  for (const page of readdirSync(join(program, 'packaging/man'))) {
    put(
      `usr/share/man/man${page.at(-1)}/${page}.gz`,
      zipped(read(`man/${page}`).replace(COMMAND, '/usr/bin/luafcgid')),
    );
  }
  for (const name of ['packaging', 'CHANGELOG.md', 'LICENSE']) rmSync(join(program, name), { recursive: true });
}

/** The licence of the program, and those of the modules beside it. */
function copyright() {
  const modules = filesBelow(join(program, 'node_modules'))
    .filter((file) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file))
    .map((file) => {
      const { name, version: of, license } = JSON.parse(readFileSync(file, 'utf8'));
      return `${name} ${of}: ${license ?? 'see its folder'}`;
    });
  const node =
    ownNode !== undefined ? '\nNode.js: MIT and others, https://github.com/nodejs/node/blob/main/LICENSE\n' : '';
  return `${readFileSync(join(program, 'LICENSE'), 'utf8')}
The modules in /usr/lib/luafcgid/node_modules have licences of their own, in their folders:

${modules.join('\n')}
${node}`;
}

function makeService() {
  for (const unit of readdirSync(join(ROOT, 'packaging/systemd'))) {
    put(`usr/lib/systemd/system/${unit}`, read(`systemd/${unit}`).replace(COMMAND, '/usr/bin/luafcgid'));
  }
  put('usr/lib/sysusers.d/luafcgid.conf', read('deb/luafcgid.sysusers'));
  put('etc/luafcgid/config.lua', read('deb/config.lua'));
  put('etc/logrotate.d/luafcgid', read('logrotate/luafcgid'));
  mkdirSync(join(tree, 'var/www'), { recursive: true });
}

/** What dpkg reads. */
function makeControl() {
  const files = filesBelow(tree);
  const inKib = (file) => Math.ceil(lstatSync(file).size / 1024);
  const control = `Package: luafcgid
Version: ${version}
Architecture: ${run('dpkg', ['--print-architecture']).trim()}
Maintainer: ${maintainer}
Installed-Size: ${files.reduce((sum, file) => sum + inKib(file), 0)}
Depends: ${NODE}, passwd
Recommends: nginx | apache2 | lighttpd | caddy | haproxy
Suggests: logrotate, liblua5.1-0, liblua5.4-0, libluajit-5.1-2
Section: httpd
Priority: optional
Homepage: ${manifest.homepage}
Description: FastCGI application server for Lua web scripts
 luafcgid keeps persistent, isolated Lua states behind nginx, Apache, lighttpd,
 Caddy or HAProxy. Lua 5.1 comes with it; Lua 5.1, 5.4 and LuaJIT of the system
 can be used as well. Scripts have SQL databases, Redis, HTTP requests, shared
 memory, sessions and templates, and what waits holds nothing up.
`;
  const sums = files
    .filter((file) => !lstatSync(file).isSymbolicLink() && !relative(tree, file).startsWith('etc/'))
    .map((file) => `${createHash('md5').update(readFileSync(file)).digest('hex')}  ${relative(tree, file)}\n`);
  const configuration = files.map((file) => `/${relative(tree, file)}`).filter((file) => file.startsWith('/etc/'));
  put('DEBIAN/control', control);
  put('DEBIAN/md5sums', sums.join(''));
  put('DEBIAN/conffiles', `${configuration.join('\n')}\n`);
  for (const name of ['postinst', 'prerm', 'postrm']) put(`DEBIAN/${name}`, read(`deb/${name}`), 0o755);
}

/** Whatever the umask and the archives of others have made of it. */
function normalise() {
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isSymbolicLink()) continue;
    const isProgram = entry.isDirectory() || (lstatSync(file).mode & 0o100) !== 0;
    chmodSync(file, isProgram ? 0o755 : 0o644);
    if (!entry.isDirectory()) utimesSync(file, epoch, epoch);
  }
  chmodSync(tree, 0o755);
}

if (!existsSync(join(ROOT, 'dist/src/main.cjs'))) {
  console.error('it is not built: run "npm run package:deb", or "npm run build" before this');
  process.exit(1);
}
makeProgram();
makeCommand();
makeDocuments();
makeService();
makeControl();
normalise();
mkdirSync(options.output, { recursive: true });
const architecture = run('dpkg', ['--print-architecture']).trim();
const file = join(resolve(options.output), `luafcgid_${version}_${architecture}.deb`);
run('dpkg-deb', ['--root-owner-group', `-Z${options.compression}`, '--build', tree, file]);
console.log(file);
