/** The command `luafcgid`: what it prints, how it ends, what signals do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Child } from '../support/child.js';
import { tempDir } from '../support/cleanup.js';
import { parseCgiAnswer } from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { fetchHttp } from '../support/http.js';
import { ROOT, runCommand, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';
import { freePort } from '../support/web-server.js';

const oneLine = /^luafcgid: [^\n]+\n$/;

describe('luafcgid', () => {
  it('tells usage and settings on --help, its version on --version', async () => {
    const help = await runCommand(['--help']);
    assert.deepEqual([help.code, help.stderr], [0, '']);
    for (const part of [
      'luafcgid serve',
      'luafcgid check',
      'luafcgid run',
      'luafcgid status',
      '--pidfile',
      'maxpost',
      'queuetimeout',
    ]) {
      assert.ok(help.stdout.includes(part), part);
    }
    assert.ok(help.stdout.split('\n').every((line) => line.length <= 120));
    const run = await runCommand(['run', '--help']);
    assert.deepEqual([run.code, run.stderr], [0, '']);
    assert.match(run.stdout, /^Usage: luafcgid run SCRIPT\n[\s\S]*--body FILE/);
    assert.doesNotMatch(run.stdout, /maxpost|--port/);
    const version = await runCommand(['--version']);
    assert.deepEqual([version.code, version.stderr], [0, '']);
    assert.match(version.stdout, /^luafcgid \d+\.\d+\.\d+\S*\n$/);
  });

  // What is wrong with the words themselves: test/cli/command-line.test.ts.
  for (const args of [
    ['--no-such-option'],
    ['check'],
    ['run', 'a.lua', '--header', 'no colon'],
    ['serve', '.', '--port', '65536'],
  ]) {
    it(`says in one line what is wrong with "${args.join(' ')}", and ends with 2`, async () => {
      const { code, stdout, stderr } = await runCommand(args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, oneLine);
      assert.match(stderr, /--help/);
    });
  }
});

describe('a broken configuration', () => {
  const broken = 'workers = "many"\nstattes = 4\nlisten = 9000\nclones = -1\n';
  const faults = [/workers = "many"/, /stattes.*\n.*Did you mean "states"/, /listen = "9000"/, /clones = -1/];

  for (const args of [[], ['check', 'config.lua'], ['serve', '.', '--config', 'config.lua']]) {
    it(`has all its faults listed by "${['luafcgid', ...args].join(' ')}", and nothing listens`, async (t) => {
      const cwd = tempDir(t);
      writeFileSync(join(cwd, 'config.lua'), broken);
      const { code, stdout, stderr } = await runCommand(args, { cwd, env: { TMPDIR: cwd } });
      assert.deepEqual([code, stdout], [1, '']);
      // serve listens on a socket of its own, whatever the configuration says.
      const told = args[0] === 'serve' ? faults.filter((fault) => !fault.source.includes('listen')) : faults;
      for (const fault of told) assert.match(stderr, fault);
      assert.deepEqual(readdirSync(cwd), ['config.lua'], 'nothing is left behind');
    });
  }

  it('is one that is not there, or is no Lua', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'syntax.lua'), 'listen = = 1');
    for (const [args, reason] of [
      [['missing.lua'], /missing\.lua[\s\S]*no such file/],
      [['check', 'syntax.lua'], /syntax\.lua:1: unexpected symbol/],
      [['.'], /directory/],
    ] as const) {
      const { code, stderr } = await runCommand(args, { cwd });
      assert.equal(code, 1);
      assert.match(stderr, reason);
      assert.doesNotMatch(stderr, /\n {4}at /, 'no stack of JavaScript');
    }
  });

  it('is none that check finds in order', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'good.lua'), 'listen = "./a.sock" retries = 5');
    const { code, stdout, stderr } = await runCommand(['check', 'good.lua'], { cwd });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /good\.lua/);
    assert.match(stdout, /retries/, 'what has no effect is told');
    assert.deepEqual(readdirSync(cwd), ['good.lua']);
  });
});

describe('luafcgid check of pages', () => {
  it('tells every fault by file, line and column, for the Lua of the engine: users.md section 3', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(
      join(cwd, 'good.lua'),
      'local lib = require("lib")\nfunction main(env, con) con:puts(shared_title) end',
    );
    writeFileSync(join(cwd, 'lib.lua'), 'shared_title = "x"\nreturn {}');
    writeFileSync(
      join(cwd, 'bad.lua'),
      'function main(env, con)\n  con:pust("x")\n  con:param("x")\n  n = unpack({})\nend',
    );
    const bad = await runCommand(['check', 'bad.lua'], { cwd });
    assert.deepEqual([bad.code, bad.stderr], [1, '']);
    assert.deepEqual(
      bad.stdout.split('\n').map((line) => line.slice(0, 45)),
      ['bad.lua:2:7: con has no method pust; did you ', 'bad.lua:4:3: n is assigned in a function and ', ''],
    );
    const newer = await runCommand(['check', '--engine', 'lua5.4', 'good.lua', 'bad.lua'], { cwd });
    assert.match(newer.stdout, /^bad\.lua:4:7: unpack is a global that nobody defines$/m);
    assert.doesNotMatch(newer.stdout, /good/);
    assert.deepEqual(await runCommand(['check', 'good.lua'], { cwd }).then(({ code, stdout }) => [code, stdout]), [
      0,
      'good.lua: no faults found\n',
    ]);
    writeFileSync(join(cwd, 'broken.lua'), 'function main(env, con)\n  local x = = 1\nend');
    const broken = await runCommand(['check', 'broken.lua', 'good.lua'], { cwd });
    assert.deepEqual([broken.code, broken.stdout], [1, "broken.lua:2:11: unexpected symbol near '='\n"]);
  });
});

describe('luafcgid run', () => {
  const script = `
    function main(env, con)
      con:type("text/plain")
      con:puts(env.REQUEST_METHOD, "|", env.QUERY_STRING, "|", env.HTTP_X_ONE or "-", "|", env.HTTP_COOKIE or "-", "|",
        env.CONTENT_TYPE or "-", "|", con:gets() or "-")
    end`;
  const parts = async (args: readonly string[], stdin?: Uint8Array | string): Promise<string[]> => {
    const run = await runCommand(args, stdin === undefined ? {} : { stdin });
    assert.deepEqual([run.code, run.stderr], [0, '']);
    const answer = parseCgiAnswer(run.stdoutBytes);
    assert.equal(answer.status, 200);
    return answer.body.toString('latin1').split('|');
  };

  it('prints the answer of a script', async (t) => {
    const file = join(tempDir(t), 'page.lua');
    writeFileSync(file, script);
    assert.deepEqual(await parts(['run', file]), ['GET', '', '-', '-', '', '-']);
    assert.deepEqual(
      await parts([
        'run',
        file,
        '--method',
        'PUT',
        '--query',
        'a=b&c',
        '--header',
        'X-One: 1:2',
        '--header',
        'Cookie:x=y',
      ]),
      ['PUT', 'a=b&c', '1:2', 'x=y', '', '-'],
    );
  });

  it('sends a body from a file or from standard input, byte for byte', async (t) => {
    const dir = tempDir(t);
    const file = join(dir, 'page.lua');
    const body = Buffer.from(Array.from({ length: 256 }, (_, value) => value).filter((value) => value !== 0x7c));
    writeFileSync(file, script);
    writeFileSync(join(dir, 'body'), body);
    for (const [source, stdin] of [
      [join(dir, 'body'), undefined],
      ['-', body],
    ] as const) {
      const [method, , , , type, sent] = await parts(['run', file, '--body', source], stdin);
      assert.deepEqual([method, type], ['POST', 'application/x-www-form-urlencoded']);
      assert.equal(sent, body.toString('latin1'));
    }
    const typed = await parts(['run', file, '--body', '-', '--header', 'content-type: text/x'], 'abc');
    assert.deepEqual(typed.slice(4), ['text/x', 'abc']);
  });

  it('prints a large answer whole', async (t) => {
    const file = join(tempDir(t), 'large.lua');
    writeFileSync(file, 'function main(env, con) for i = 1, 100 do con:puts(("x"):rep(100000)) end end');
    const { code, stdoutBytes } = await runCommand(['run', file]);
    assert.deepEqual([code, parseCgiAnswer(stdoutBytes).body.length], [0, 10_000_000]);
  });

  it('ends quietly, and leaves nothing behind, when nobody reads its answer to the end', async (t) => {
    const dir = tempDir(t);
    const file = join(dir, 'large.lua');
    writeFileSync(file, 'function main(env, con) for i = 1, 100 do con:puts(("x"):rep(100000)) end end');
    const pipe = '"$0" "$@" | head -c 20';
    const run = spawnSync('sh', ['-c', pipe, process.execPath, join(ROOT, 'bin/luafcgid'), 'run', file], {
      env: { ...process.env, TMPDIR: dir },
    });
    assert.deepEqual([run.stdout.toString(), run.stderr.toString()], ['Status: 200 OK\r\nCont', '']);
    assert.deepEqual(readdirSync(dir), ['large.lua']);
  });

  it('leaves nothing behind when a signal ends it in the middle of a script', async (t) => {
    const dir = tempDir(t);
    const file = join(dir, 'loop.lua');
    writeFileSync(file, 'function main(env, con) con:puts("begun") con:flush() while true do end end');
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const child = new Child({
        name: 'luafcgid run',
        command: process.execPath,
        args: [join(ROOT, 'bin/luafcgid'), 'run', file],
        env: { ...process.env, TMPDIR: dir },
      });
      await child.logged(/begun/);
      assert.equal((await child.stop(signal)).code, code);
      assert.deepEqual(readdirSync(dir), ['loop.lua']);
    }
  });

  it('finds modules beside the script, and takes a configuration', async (t) => {
    const dir = tempDir(t);
    mkdirSync(join(dir, 'lib'));
    writeFileSync(join(dir, 'lib/m.lua'), 'return "module"');
    writeFileSync(
      join(dir, 'page.lua'),
      'local m = require("lib.m")\nfunction go(env, con) con:puts(m) print("noted") end',
    );
    writeFileSync(join(dir, 'config.lua'), 'handler = "go" listen = "/no/such/place.sock" print("config says")');
    const run = await runCommand(['run', 'page.lua', '--config', 'config.lua'], { cwd: dir });
    assert.equal(run.code, 0, run.stderr);
    assert.equal(parseCgiAnswer(run.stdoutBytes).body.toString(), 'module');
  });

  it('ends with 1 when the script fails, with the error on standard error too', async (t) => {
    const file = join(tempDir(t), 'fails.lua');
    writeFileSync(file, 'function main() error("oh no") end');
    const run = await runCommand(['run', file]);
    assert.equal(run.code, 1);
    const answer = parseCgiAnswer(run.stdoutBytes);
    assert.equal(answer.status, 500);
    assert.match(run.stderr, /fails\.lua:1: oh no/);
    // users.md section 3: a terminal shows no HTML.
    assert.match(
      answer.body.toString(),
      /^500 Internal Server Error\n[\s\S]*oh no\n[\s\S]*\n> {4}1 {2}function main\(\) error/,
    );
    assert.doesNotMatch(answer.body.toString(), /<[a-z]+>/);
  });

  it('says so when a file is missing', async (t) => {
    const dir = tempDir(t);
    writeFileSync(join(dir, 'page.lua'), script);
    for (const [args, name] of [
      [['run', 'page.lua', '--body', 'no-body.txt'], 'no-body.txt'],
      [['run', 'no-page.lua'], 'no-page.lua'],
    ] as const) {
      const run = await runCommand(args, { cwd: dir });
      assert.deepEqual([run.code, run.stdout], [1, ''], name);
      assert.ok(run.stderr.includes(name), run.stderr);
      assert.doesNotMatch(run.stderr, /\n {4}at /, 'no stack of JavaScript');
    }
  });
});

describe('luafcgid serve', () => {
  const files = { 'hello.lua': 'function main(env, con) con:puts("hello") end', 'page.html': '<p>page' };

  const page = (word: string) =>
    `function main(env, con) print("${word}", 1) con:log("warn", "<w>") con:puts("<p>") end`;
  let given = 0;
  // Tests share it: the last one stops it.
  const server = shared(async (t) => {
    given = await freePort();
    return startServer(t, {
      files: {
        ...files,
        'one.lua': page('first'),
        'two.lua': page('second'),
        'loop.lua': 'function main(env, con) print("begun") while true do end end',
      },
      args: ({ scripts }) => ['serve', scripts, '--host', '127.0.0.1'],
      env: { PORT: String(given) },
      ready: /Ctrl-C/,
    });
  });
  const get = async (path: string, headers = {}) => (await fetchHttp({ port: given, path, headers })).text;

  it('prints both addresses, that of HTTP with the port from PORT, and answers at each', async () => {
    const [, port] = await server().logged(/http:\/\/127\.0\.0\.1:([1-9]\d*)\//);
    assert.equal(Number(port), given);
    const [, socket] = await server().logged(/FastCGI +(\/\S+)/);
    assert.equal(await get('/hello.lua'), 'hello');
    assert.equal(await get('/page.html'), '<p>page');
    assert.equal((await ask(server(), 'hello.lua', { socket: socket! })).text, 'hello');
  });

  it('serves what was edited at the very next request, and prints a line for each', async () => {
    for (let edit = 0; edit < 10; edit += 1) {
      writeFileSync(join(server().scripts, 'hello.lua'), `function main(env, con) con:puts("edit ${edit}") end`);
      assert.equal(await get('/hello.lua?a=b'), `edit ${edit}`);
    }
    assert.match(await get('/helo.lua'), /There is no \/helo\.lua here\. Did you mean \/hello\.lua\?/);
    await server().logged(/^200 +[\d.]+ ms {2}GET \/hello\.lua\?a=b$/m);
    await server().logged(/^404 +[\d.]+ ms {2}GET \/helo\.lua$/m);
  });

  it("shows what a script prints in the page that it makes, and no other script's: users.md section 3", async () => {
    const headers = { 'Sec-Fetch-Dest': 'document' };
    for (let round = 0; round < 3; round += 1) {
      const texts = await Promise.all(['/one.lua', '/two.lua'].map((path) => get(path, headers)));
      assert.match(texts[0] as string, /^<p>\n<details [\s\S]*>2 lines printed<[\s\S]*>first\t1\nwarn: &lt;w&gt;</);
      assert.match(texts[1] as string, />second\t1\n/);
    }
    assert.equal(await get('/one.lua'), '<p>');
  });

  it('ends at Ctrl-C without waiting for a page that hangs: issue 15', async () => {
    const [, socket] = await server().logged(/FastCGI +(\/\S+)/);
    const cut = get('/loop.lua').catch(() => 'cut');
    await server().logged(/begun/);
    server().signal('SIGINT');
    assert.deepEqual(await server().ended(), { code: 0, signal: null });
    await server().logged(/requests that did not end within 0\.02 s and are broken off: 1$/m);
    assert.equal(await cut, 'cut');
    assert.equal(existsSync(socket!), false);
  });

  it('says that there is no such folder before it starts a server: users.md section 1', async () => {
    const { code, stdout, stderr } = await runCommand(['serve', '/no/such/folder']);
    assert.equal(code, 1);
    assert.match(stderr, /^luafcgid: cannot serve the folder \/no\/such\/folder: ENOENT/);
    assert.doesNotMatch(stdout + stderr, /ready: listening/);
  });

  it('colours the statuses of its lines in a terminal, unless NO_COLOR says otherwise', async (t) => {
    const dir = tempDir(t);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    for (const [noColor, expected] of [
      ['', '\x1b[32m200\x1b[39m'],
      ['1', '\n200 '],
    ] as const) {
      // What --port says counts more than PORT.
      const wanted = await freePort();
      const command = `${process.execPath} ${join(ROOT, 'bin/luafcgid')} serve ${dir} --port ${wanted}`;
      const child = new Child({
        name: 'luafcgid serve in a terminal',
        command: 'script',
        args: ['-qefc', command, '/dev/null'],
        env: { ...process.env, NO_COLOR: noColor, TERM: 'xterm', TMPDIR: dir, PORT: '0' },
      });
      t.after(() => child.stop('SIGKILL'));
      const [, port] = await child.logged(/http:\/\/127\.0\.0\.1:([1-9]\d*)\//);
      assert.equal(Number(port), wanted);
      assert.equal((await fetchHttp({ port: wanted, path: '/hello.lua' })).text, 'hello');
      await child.logged(/ms {2}GET \/hello\.lua/);
      assert.ok(child.stdout.includes(expected), child.stdout.toString());
      await child.stop('SIGTERM');
    }
  });

  it('says which port is in use, and leaves nothing behind', async (t) => {
    const dir = tempDir(t);
    const taken = net.createServer().listen(0, '127.0.0.1');
    t.after(() => void taken.close());
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as net.AddressInfo;
    const run = await runCommand(['serve', ROOT, '--port', String(port)], { env: { TMPDIR: dir } });
    assert.deepEqual([run.code, run.stdout], [1, '']);
    assert.match(run.stderr, new RegExp(`port ${port} .*in use[\\s\\S]*LUAFCGID_GATEWAY_PORT`));
    assert.deepEqual(readdirSync(dir), []);
  });

  it('says that there is no such directory', async () => {
    const run = await runCommand(['serve', '/no/such/directory', '--port', '0']);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /\/no\/such\/directory/);
  });
});

describe('a signal', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal} lets requests under way finish, takes no new ones, closes idle connections, and ends with 0`, async (t) => {
      const server = await startServer(t, { files: { 'hold.lua': HOLD }, config: 'workers = 2 bodymemory = 0' });
      await (await Held.ask(t, server, 'hold.lua')).release();
      const held = await Held.ask(t, server, 'hold.lua');
      await held.running;
      const waiting = await Held.ask(t, server, 'hold.lua');
      await waiting.running;
      server.signal(signal);
      await eventually('the socket gone', () => !existsSync(server.socket));
      for (const each of [held, waiting]) assert.equal((await each.release()).status, 200);
      assert.deepEqual(await server.ended(), { code: 0, signal: null });
    });
  }

  it('that comes a second time does not wait for anything', async (t) => {
    const server = await startServer(t, { files: { 'hold.lua': HOLD }, config: 'bodymemory = 0' });
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    server.signal('SIGTERM');
    await eventually('the socket gone', () => !existsSync(server.socket));
    server.signal('SIGTERM');
    assert.deepEqual(await server.ended(), { code: 1, signal: null });
  });
});
