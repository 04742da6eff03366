/**
 * The image and its surroundings, as far as they can be tried without a container: the commands of the image run here, with
 * its configuration and the environment of the compose file, behind nginx with the configuration beside it.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { settingVariables } from '../../src/config/load.js';
import { options } from '../../src/config/schema.js';
import { Child } from '../support/child.js';
import { type Cleanup, tempDir } from '../support/cleanup.js';
import { request, scriptParams } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import { startNginxWith } from '../support/nginx.js';
import { ROOT, runCommand } from '../support/server.js';
import { eventually } from '../support/shared.js';

const FOLDER = join(ROOT, 'packaging/container');
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
const dockerfile = read('Dockerfile').replaceAll('\\\n', ' ');
const compose = read('compose.yaml');

/** The words of an instruction of the image, after the command's name, with the configuration of this folder. */
function words(instruction: RegExp): string[] {
  const [, list = ''] = instruction.exec(dockerfile) ?? assert.fail(`there is no ${instruction}`);
  const [program, ...rest] = JSON.parse(list) as string[];
  assert.equal(program, 'luafcgid');
  return rest.map((word) => word.replace('/etc/luafcgid/config.lua', join(FOLDER, 'config.lua')));
}

const serving = (): string[] => words(/^CMD (\[.*\])$/m);
const health = (): string[] => words(/^HEALTHCHECK .* CMD (\[.*\])$/m);

/** What the compose file sets. */
function composeEnvironment(): Record<string, string> {
  const found = [...compose.matchAll(/^ {6}(LUAFCGID_\w+): "?(?:\$\{\w+:-)?([^"}\n]*)\}?"?$/gm)];
  assert.ok(found.length > 0);
  return Object.fromEntries(found.map(([, name, value]) => [name, value]));
}

interface Started {
  readonly child: Child;
  readonly env: Record<string, string>;
  readonly port: number;
  readonly root: string;
}

/** The image's command; folders and the port are of this test. */
async function start(t: Cleanup, further: Readonly<Record<string, string>> = {}): Promise<Started> {
  const dir = tempDir(t);
  const root = join(dir, 'www');
  mkdirSync(root);
  writeFileSync(join(root, 'index.lua'), readFileSync(join(FOLDER, 'site/index.lua')));
  const env = {
    ...composeEnvironment(),
    LUAFCGID_LISTEN: '127.0.0.1:0',
    LUAFCGID_ROOT: root,
    LUAFCGID_STATUS: join(dir, 'status.sock'),
    ...further,
  };
  const args = [join(ROOT, 'bin/luafcgid'), ...serving()];
  const all = { ...process.env, ...env };
  const child = new Child({ name: 'luafcgid', command: process.execPath, args, cwd: dir, env: all });
  t.after(async () => {
    assert.deepEqual(child.exit ?? (await child.stop()), { code: 0, signal: null }, child.log);
  });
  const [, port] = await child.logged(/listening on 127\.0\.0\.1:(\d+)/);
  return { child, env, port: Number(port), root };
}

/** Asks for a script without a web server. */
async function ask({ port, root }: Started, script: string): Promise<string> {
  const { body } = await request({ socket: port, params: scriptParams(join(root, script)) });
  return body.toString();
}

describe('the container image', () => {
  it('copies what is there, and runs as a user of its own', () => {
    for (const [, source = ''] of dockerfile.matchAll(/^COPY (?!--from)(?:--\S+ )*(\S+) /gm)) {
      assert.ok(existsSync(join(ROOT, source)), source);
    }
    assert.match(dockerfile, /^USER luafcgid$/m);
    const [, uid] = /useradd .*--uid (\d+)/.exec(dockerfile) ?? [];
    assert.ok(compose.includes(`/run/luafcgid:mode=0700,uid=${uid}\n`), 'the folder of its sockets is that user’s');
    const [, major] = /^FROM node:(\d+)-/m.exec(dockerfile) ?? [];
    assert.ok(Number(major) >= 20);
  });

  it('serves behind the nginx of the compose file, and takes its settings from the environment', async (t) => {
    const { port, root } = await start(t);
    writeFileSync(join(root, 'watchdog.lua'), 'function main(env, con) con:puts(con:config("watchdog")) end');
    const web = await startNginxWith(t, (own) =>
      read('nginx.conf')
        .replaceAll('include fastcgi_params', 'include /etc/nginx/fastcgi_params')
        .replace('server lua:9000', `server 127.0.0.1:${port}`)
        .replace('listen 80', `listen 127.0.0.1:${own}`)
        .replaceAll('/srv/www', root),
    );
    const page = await fetchHttp({ port: web.port, path: '/' });
    assert.deepEqual([page.status, page.text], [200, 'Hello from a container.\n']);
    assert.equal((await fetchHttp({ port: web.port, path: '/watchdog.lua' })).text, '30');
    assert.equal((await fetchHttp({ port: web.port, path: '/none.lua' })).status, 404);
  });

  it('is healthy while it answers, and says so by an exit status', async (t) => {
    const { child, env } = await start(t);
    assert.deepEqual(await runCommand(health(), { env }).then(({ code, stderr }) => [code, stderr]), [0, '']);
    await child.stop();
    assert.equal((await runCommand(health(), { env })).code, 1);
  });

  it('logs objects: events to standard error, requests to standard output', async (t) => {
    const started = await start(t);
    const { child, root } = started;
    assert.equal(await ask(started, 'index.lua'), 'Hello from a container.\n');
    await eventually('the line of the request', () => child.stdout.includes('\n'));
    const lines = (bytes: Buffer) =>
      bytes
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines(child.stdout).map(({ status, script }) => [status, script]),
      [[200, join(root, 'index.lua')]],
    );
    assert.ok(lines(child.stderr).some(({ message }) => /ready/.test(message)));
  });

  it('keeps the settings of its environment across a reload, and hides them from scripts', async (t) => {
    const started = await start(t, { LUAFCGID_ENGINE: 'lua5.1', LUAFCGID_APP: '{"secret": "hush"}' });
    const script =
      'function main(env, con) con:puts(con:config("watchdog"), " ", tostring(os.getenv("LUAFCGID_APP")), " ", ' +
      'io.popen("env"):read("*a"):find("hush") and "seen" or "hidden") end';
    writeFileSync(join(started.root, 'seen.lua'), script);
    assert.equal(await ask(started, 'seen.lua'), '30 nil hidden');
    started.child.signal('SIGHUP');
    await started.child.logged(/reloaded/);
    assert.equal(await ask(started, 'seen.lua'), '30 nil hidden');
  });
});

describe('the compose file', () => {
  it('sets what are settings, and connects to the server by its name', () => {
    for (const name of Object.keys(composeEnvironment())) assert.ok(settingVariables.includes(name), name);
    const services = [...compose.matchAll(/^ {2}(\w+):\n {4}/gm)].map(([, name]) => name);
    const [, host] = /server (\w+):9000;/.exec(read('nginx.conf')) ?? [];
    assert.ok(services.includes(host ?? ''), `${services}`);
    assert.match(read('config.lua'), /^listen = ":9000"$/m);
  });

  it('mounts what is there, and leaves time for requests at a stop', () => {
    for (const [, source = ''] of compose.matchAll(/^ {6}- (\.\/\S+?):/gm)) {
      assert.ok(existsSync(join(FOLDER, source)), source);
    }
    const [, context = '', file = ''] = /context: (\S+)\n +dockerfile: (\S+)/.exec(compose) ?? [];
    assert.ok(existsSync(resolve(FOLDER, context, file)), file);
    assert.equal(resolve(FOLDER, context), ROOT);
    const [, seconds] = /stop_grace_period: (\d+)s/.exec(compose) ?? [];
    assert.ok(Number(seconds) > Number(options.draintimeout.default));
  });
});
