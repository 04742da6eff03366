/** The package for Debian: made, installed into a root of its own, served from, upgraded, removed and purged. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { version } from '../../src/base/version.js';
import { Child } from '../support/child.js';
import { tempDir } from '../support/cleanup.js';
import { request, scriptParams } from '../support/fcgi-client.js';
import { ROOT } from '../support/server.js';
import { findProgram } from '../support/web-server.js';
import { NODE_FIRST, runToEnd } from './support/pack.js';

const HELLO = 'function main(env, con) con:puts("hello") end';
const skip = findProgram('dpkg-deb') === undefined && 'dpkg-deb is not installed';

/** A machine of its own, with what the package depends on, as far as dpkg knows. */
class Machine {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
    for (const folder of ['etc', 'var/lib/dpkg/updates', 'var/lib/dpkg/info', 'run']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    writeFileSync(join(root, 'var/lib/dpkg/status'), '');
  }

  /** Installs packages, as far as dpkg knows. */
  has(packages: Readonly<Record<string, string>>): void {
    const file = join(this.root, 'var/lib/dpkg/status');
    const others = readFileSync(file, 'utf8')
      .split('\n\n')
      .filter(
        (stanza) => stanza !== '' && !Object.keys(packages).some((name) => stanza.startsWith(`Package: ${name}\n`)),
      );
    const stanza = ([name, of]: readonly [string, string]): string =>
      `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nMulti-Arch: foreign\nVersion: ${of}\n` +
      'Maintainer: nobody <nobody@localhost>\nDescription: stands for the one of this machine';
    writeFileSync(file, `${[...others, ...Object.entries(packages).map(stanza)].join('\n\n')}\n\n`);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** Scripts of the package run on this system, and are told the root. */
  dpkg(...args: readonly string[]) {
    const words = [
      'dpkg',
      `--root=${this.root}`,
      '--force-script-chrootless',
      `--log=${join(this.root, 'log')}`,
      ...args,
    ];
    const [command = '', ...rest] = process.getuid?.() === 0 ? words : ['fakeroot', ...words];
    const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8' });
    return { status, text: stdout + stderr };
  }

  /** Everything that is there, but for what dpkg itself keeps. */
  files(): string[] {
    return readdirSync(this.root, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(this.root.length))
      .filter((name) => !/^\/(var\/lib\/dpkg\/|log$|etc\/(\.pwd\.lock|(passwd|group|shadow|gshadow)-?)$)/.test(name))
      .sort();
  }
}

function build(folder: string, ...options: string[]): string {
  const args = [join(ROOT, 'scripts/package-deb.mjs'), '--output', folder, '--compression', 'none', ...options];
  return runToEnd(process.execPath, args).trim();
}

const field = (file: string, name: string): string => runToEnd('dpkg-deb', ['-f', file, name]).trim();

describe('the package for Debian', { skip }, () => {
  const dir = tempDir({ after });
  let file = '';
  before(() => {
    file = build(dir);
  });

  /** The tests below go on with what those before have left on it. */
  const here = new Machine(join(dir, 'machine'));
  it('says what it is, what it needs and what is configuration', () => {
    assert.equal(field(file, 'Package'), 'luafcgid');
    assert.equal(field(file, 'Version'), `${version.replace('-', '~')}-1`);
    assert.equal(field(file, 'Architecture'), runToEnd('dpkg', ['--print-architecture']).trim());
    assert.match(field(file, 'Depends'), /^nodejs \(>= 20\),/);
    assert.match(field(file, 'Maintainer'), /^[^<>]+ <[^<>@ ]+@[^<>@ ]+>$/);
    for (const line of field(file, 'Description').split('\n').slice(1)) assert.match(line, /^ \S.{0,78}$/);
  });

  it('has folders, owners, modes and documents as Debian wants them', () => {
    const entries = runToEnd('dpkg-deb', ['-c', file])
      .trim()
      .split('\n')
      .map((line) => /^(\S{10}) (\S+) +\d+ \S+ \S+ \.(\/.*?)( -> .*)?$/.exec(line) ?? assert.fail(line));
    for (const [line, mode, owner, name] of entries as unknown as [string, string, string, string][]) {
      assert.equal(owner, 'root/root', line);
      assert.match(mode, /^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx)$/, line);
      assert.match(name, /^\/($|etc\/|usr\/($|bin\/|lib\/|share\/)|var\/($|www\/$))/, line);
    }
    const names = entries.map(([, , , name]) => name);
    for (const name of ['copyright', 'changelog.gz', 'changelog.Debian.gz']) {
      assert.ok(names.includes(`/usr/share/doc/luafcgid/${name}`), name);
    }
    const junk = names.filter((name) =>
      /\.(map|d\.ts|cpp)$|musl|win32|darwin|node_modules\/(@[^/]+\/)?[^/]+\/test\//.test(name ?? ''),
    );
    assert.deepEqual(junk, []);
    assert.ok(statSync(file).size < 40 * 1024 * 1024, `${statSync(file).size} bytes before compression`);
  });

  it('waits to be configured where Node.js is too old', () => {
    here.has({ nodejs: '18.20.4+dfsg-1', passwd: '1:4.13' });
    const { status, text } = here.dpkg('-i', file);
    assert.notEqual(status, 0);
    assert.match(text, /luafcgid depends on nodejs \(>= 20\)/);
    here.has({ nodejs: '20.19.2+dfsg-1' });
    assert.deepEqual(here.dpkg('--configure', '-a').status, 0);
  });

  it('brings user, units, manual pages, rotation of logs and configuration, and serves', async (t) => {
    const accounts = readFileSync(here.path('etc/passwd'), 'utf8');
    assert.match(accounts, /^luafcgid:[^:]*:\d+:\d+:[^:]*:\/nonexistent:\/usr\/sbin\/nologin$/m);
    for (const link of ['multi-user.target.wants/luafcgid.service', 'sockets.target.wants/luafcgid.socket']) {
      const unit = readlinkSync(here.path(`etc/systemd/system/${link}`));
      assert.match(readFileSync(here.path(unit), 'utf8'), /^\[Install\]$/m);
    }
    const service = readFileSync(here.path('usr/lib/systemd/system/luafcgid.service'), 'utf8');
    assert.match(service, /^ExecStart=\/usr\/bin\/luafcgid \/etc\/luafcgid\/config\.lua$/m);
    assert.doesNotMatch(service, /\/usr\/local/);
    const page = gunzipSync(readFileSync(here.path('usr/share/man/man1/luafcgid.1.gz'))).toString();
    assert.match(page, /^\.TH LUAFCGID 1/);
    assert.deepEqual(conffiles(), ['/etc/logrotate.d/luafcgid', '/etc/luafcgid/config.lua']);
    assert.equal(here.dpkg('--verify', 'luafcgid').text, '');

    const program = here.path('usr/bin/luafcgid');
    assert.equal(runToEnd(program, ['--version']), `luafcgid ${version}\n`);
    // The folders that systemd and Debian have are those of this root.
    const config = join(dir, 'moved.lua');
    const settings = readFileSync(here.path('etc/luafcgid/config.lua'), 'utf8');
    writeFileSync(config, settings.replaceAll('"/', `"${here.root}/`));
    mkdirSync(here.path('run/luafcgid'));
    writeFileSync(here.path('var/www/hello.lua'), HELLO);
    t.after(() => {
      rmSync(here.path('var/www/hello.lua'));
      rmSync(here.path('run'), { recursive: true });
    });
    assert.match(runToEnd(program, ['check', config]), /is valid/);
    const child = new Child({ name: 'luafcgid', command: program, args: [config], cwd: dir, env: NODE_FIRST });
    t.after(async () => {
      assert.deepEqual(await child.stop(), { code: 0, signal: null }, child.log);
    });
    await child.logged(/ready/);
    const params = scriptParams(here.path('var/www/hello.lua'));
    const answer = await request({ socket: here.path('run/luafcgid/luafcgid.sock'), params });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'hello']);
    assert.equal(runToEnd(program, ['ping', config]), 'pong\n');
    assert.doesNotMatch(child.log, / (warn|error) .*LUAFCGID_(?!USER_ROOT)/);
  });

  it('keeps a changed configuration at an upgrade and a removal, and leaves nothing when it is purged', () => {
    const config = here.path('etc/luafcgid/config.lua');
    writeFileSync(config, '-- mine\n', { flag: 'a' });
    const upgraded = here.dpkg('-i', file);
    assert.equal(upgraded.status, 0, upgraded.text);
    assert.match(readFileSync(config, 'utf8'), /-- mine\n$/);
    const removed = here.dpkg('--remove', 'luafcgid');
    assert.equal(removed.status, 0, removed.text);
    assert.equal(existsSync(here.path('usr/bin/luafcgid')), false);
    assert.ok(existsSync(config));
    mkdirSync(here.path('var/log/luafcgid'), { recursive: true });
    writeFileSync(here.path('var/log/luafcgid/luafcgid.log'), '');
    const purged = here.dpkg('--purge', 'luafcgid');
    assert.equal(purged.status, 0, purged.text);
    assert.deepEqual(here.files(), []);
    assert.equal(existsSync(dirname(config)), false);
    assert.match(readFileSync(here.path('etc/passwd'), 'utf8'), /^luafcgid:/m);
  });

  it('brings a Node.js where one is named, and then needs none of the system', () => {
    // Stands in for the program itself, which has 100 MB.
    const node = join(dir, 'node');
    writeFileSync(node, `#!/bin/sh\nexec ${process.execPath} --title=own "$@"\n`);
    const own = build(join(dir, 'own'), '--node', node);
    assert.doesNotMatch(field(own, 'Depends'), /nodejs/);
    const there = join(dir, 'unpacked');
    runToEnd('dpkg-deb', ['-x', own, there]);
    assert.equal(readFileSync(join(there, 'usr/lib/luafcgid/node'), 'utf8'), readFileSync(node, 'utf8'));
    const env = { PATH: '/nowhere:/bin' };
    assert.equal(runToEnd(join(there, 'usr/bin/luafcgid'), ['--version'], dir, env), `luafcgid ${version}\n`);
  });

  function conffiles(): string[] {
    const { text } = here.dpkg('--status', 'luafcgid');
    return [...text.matchAll(/^ (\/etc\/\S+) [0-9a-f]{32}$/gm)].map(([, name]) => name as string).sort();
  }
});
