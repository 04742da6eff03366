/** What packages install beside the program: units, scripts and manual pages that fit it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { optionNames } from '../../src/config/schema.js';
import { tempDir } from '../support/cleanup.js';
import { ROOT, runCommand } from '../support/server.js';
import { findProgram } from '../support/web-server.js';

const read = (name: string): string => readFileSync(join(ROOT, 'packaging', name), 'utf8');
const PROGRAM = '/usr/local/bin/luafcgid';

/** Options of the command line, as `--help` tells them. */
async function commandOptions(): Promise<Set<string>> {
  const { stdout } = await runCommand(['--help']);
  return new Set([...stdout.matchAll(/(?<![\w-])--([a-z]+)/g)].map(([, name]) => name as string));
}

describe('the systemd units', () => {
  const service = read('systemd/luafcgid.service');
  const socket = read('systemd/luafcgid.socket');

  const skip = findProgram('systemd-analyze') === undefined && 'systemd-analyze is not installed';
  it('are found right by systemd', { skip }, (t) => {
    const dir = tempDir(t);
    const files = Object.entries({ 'luafcgid.service': service, 'luafcgid.socket': socket }).map(([name, text]) => {
      const file = join(dir, name);
      writeFileSync(file, text.replaceAll(PROGRAM, join(ROOT, 'bin/luafcgid')));
      return file;
    });
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], { encoding: 'utf8' });
    assert.deepEqual([status, stderr.split('\n').filter((line) => line.includes(dir))], [0, []], stderr);
  });

  it('wait for a stop longer than it takes, and do not forbid what Node.js needs', () => {
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(service)?.[1]);
    assert.ok(seconds >= 15, 'a stop takes up to ten seconds for requests, and some for the rest');
    assert.match(service, /^Type=notify$/m);
    assert.doesNotMatch(service, /^MemoryDenyWriteExecute=/m);
  });

  it('are made one of several by what the documents say', (t) => {
    const docs = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8');
    const [, edit = ''] = /^sed -i '([^']+)' \/etc\/systemd/m.exec(docs) ?? [];
    const file = join(tempDir(t), 'luafcgid-one.service');
    writeFileSync(file, service);
    assert.equal(spawnSync('sed', ['-i', edit, file]).status, 0);
    const one = readFileSync(file, 'utf8');
    for (const line of [
      'User=luafcgid-one',
      `ExecStart=${PROGRAM} /etc/luafcgid/one.lua`,
      'RuntimeDirectory=luafcgid-one',
      'LogsDirectory=luafcgid-one',
    ])
      assert.ok(one.includes(`\n${line}\n`), line);
    assert.doesNotMatch(one, /^Also=|config\.lua/m);
  });

  it('make the socket that the web servers of the documents connect to', () => {
    const path = /^ListenStream=(.+)$/m.exec(socket)?.[1];
    assert.ok(readFileSync(join(ROOT, 'docs/getting-started.md'), 'utf8').includes(`unix:${path};`));
  });
});

describe('the script for FreeBSD', () => {
  const script = join(ROOT, 'packaging/freebsd/luafcgid');

  it('is a shell script, with options that the command has', async () => {
    assert.equal(spawnSync('sh', ['-n', script]).status, 0);
    const options = await commandOptions();
    const used = /^command_args="(.*)"$/m.exec(readFileSync(script, 'utf8'))?.[1]?.match(/(?<=--)[a-z]+/g) ?? [];
    assert.deepEqual(used, ['daemonize', 'pidfile']);
    for (const name of used) assert.ok(options.has(name), name);
  });

  it('runs the command in the background, and its check, as rc(8) would', (t) => {
    const dir = tempDir(t);
    // Stands in for the part of FreeBSD that is not there: it tells what it was asked to do.
    writeFileSync(
      join(dir, 'rc.subr'),
      'load_rc_config() { :; }\nrun_rc_command() { echo "$command_interpreter $command $command_args|$required_files|$pidfile"; }\n',
    );
    const text = readFileSync(script, 'utf8').replace('/etc/rc.subr', join(dir, 'rc.subr'));
    const run = (env: Record<string, string>) =>
      spawnSync('sh', ['-eu', '-c', text, 'luafcgid', 'start'], {
        env: { PATH: '/usr/bin:/bin', ...env },
        encoding: 'utf8',
      });
    const { stdout, stderr } = run({ luafcgid_config: '/c.lua', luafcgid_pidfile: '/p' });
    assert.equal(stderr, '');
    assert.equal(stdout, `/usr/local/bin/node ${PROGRAM} --daemonize --pidfile=/p /c.lua|/c.lua|/p\n`);
    assert.match(run({}).stdout, /\/usr\/local\/etc\/luafcgid\/config\.lua\|/);
  });
});

describe('the manual pages', () => {
  it('tell of every option of the command line, and of every setting', async () => {
    const command = read('man/luafcgid.1').replaceAll('\\-', '-');
    for (const name of await commandOptions()) assert.ok(command.includes(`--${name}`), name);
    const settings = read('man/luafcgid.conf.5');
    for (const name of optionNames) assert.ok(settings.includes(`\n.TP\n.B ${name}\n`), name);
  });

  const skip = findProgram('groff') === undefined && 'groff is not installed';
  it('are found right by groff', { skip }, () => {
    for (const name of readdirSync(join(ROOT, 'packaging/man'))) {
      const args = ['-man', '-Tutf8', '-ww', '-z', join(ROOT, 'packaging/man', name)];
      const { status, stderr } = spawnSync('groff', args, { encoding: 'utf8' });
      assert.deepEqual([status, stderr], [0, ''], name);
    }
  });
});

it('the rotation of logs tells the server, by systemd or by its pid file', () => {
  const text = read('logrotate/luafcgid');
  const script = /postrotate\n([\s\S]*)endscript/.exec(text)?.[1] ?? '';
  assert.equal(spawnSync('sh', ['-n', '-c', script]).status, 0);
  assert.equal(script.match(/USR1/g)?.length, 2);
});
