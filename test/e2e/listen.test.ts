/** Where the real process listens: Unix sockets and their files, TCP, several addresses, an inherited descriptor. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, statSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Child } from '../support/child.js';
import { tempDir } from '../support/cleanup.js';
import { FcgiConnection } from '../support/fcgi-client.js';
import { ROOT, runCommand, startServer } from '../support/server.js';
import { ask, itOnce, shared } from '../support/shared.js';
import { freePort } from '../support/web-server.js';

const HELLO = { 'hello.lua': 'function main(env, con) con:puts("hello") end' };

/** A Unix socket's file whose server was killed: nobody listens there any more. */
async function leaveStaleSocket(path: string): Promise<void> {
  const child = new Child({
    name: 'short-lived server',
    command: process.execPath,
    args: ['-e', 'require("net").createServer().listen(process.argv[1], () => console.log("listens"))', path],
  });
  await child.logged(/listens/);
  await child.stop('SIGKILL');
  assert.ok(lstatSync(path).isSocket());
}

function listening(t: TestContext, address: string | number): Promise<net.Server> {
  const server = net.createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const done = (): void => resolve(server);
    if (typeof address === 'number') server.listen(address, '127.0.0.1', done);
    else server.listen(address, done);
    t.after(() => server.close());
  });
}

describe('a Unix socket', () => {
  it('does not replace a file that is no socket', async (t) => {
    const dir = tempDir(t);
    const config = join(dir, 'config.lua');
    writeFileSync(join(dir, 'precious'), 'text');
    writeFileSync(config, 'listen = "./precious"');
    const run = await runCommand([config]);
    assert.deepEqual([run.code, statSync(join(dir, 'precious')).size], [1, 4]);
    assert.match(run.stderr, /precious.*socket/);
  });
});

// Tests share a server: the last one stops it.
describe('a server that listens on several addresses', () => {
  let [port, stale] = [0, ''];
  /** Modes that the file of a socket has had. */
  const modes = new Set<string>();
  const server = shared(async (t) => {
    port = await freePort();
    const dir = tempDir(t);
    stale = join(dir, 'stale.sock');
    await leaveStaleSocket(stale);
    const socket = join(dir, 'mode.sock');
    let isWatching = true;
    const watch = (): void => {
      const stats = lstatSync(socket, { throwIfNoEntry: false });
      if (stats) modes.add((stats.mode & 0o7777).toString(8));
      if (isWatching) setImmediate(watch);
    };
    const former = process.umask(0);
    watch();
    const started = await startServer(t, {
      files: HELLO,
      config: ({ socket: own, dir: folder }) => `socketmode = "0660"
        listen = { "${own}", "${stale}", "${socket}", "unix:${folder}/a.sock", "./b.sock", "127.0.0.1:${port}", "127.0.0.1:0" }`,
    });
    process.umask(former);
    isWatching = false;
    watch();
    return started;
  });

  it('serves each of them', async () => {
    for (const socket of [join(server().dir, 'a.sock'), join(server().dir, 'b.sock'), port]) {
      assert.equal((await ask(server(), 'hello.lua', { socket })).text, 'hello');
    }
  });

  it('takes a free port for port 0, and tells which', async () => {
    const [, free] = await server().logged(/ready: listening on .*127\.0\.0\.1:([1-9][0-9]*);/);
    assert.notEqual(Number(free), port);
    assert.equal((await ask(server(), 'hello.lua', { socket: Number(free) })).text, 'hello');
  });

  it('replaces the file of a Unix socket that nobody listens on any more', async () => {
    assert.equal((await ask(server(), 'hello.lua', { socket: stale })).text, 'hello');
  });

  it('gives its Unix sockets the mode that socketmode says, from their first moment', () => {
    assert.deepEqual([...modes], ['660']);
  });

  it('keeps the socket on which it answers from a second server', async () => {
    const config = join(server().dir, 'second.lua');
    writeFileSync(config, `listen = ${JSON.stringify(server().socket)}`);
    const second = await runCommand([config]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /LUAFCGID_LISTEN_IN_USE/);
    assert.ok(second.stderr.includes(server().socket), second.stderr);
    assert.equal((await ask(server(), 'hello.lua')).text, 'hello', 'the first one goes on');
  });

  it('is stopped by nobody who connects and sends nothing, or half of a record', async (t) => {
    const silent = await Promise.all(Array.from({ length: 200 }, () => FcgiConnection.connect(server().socket)));
    t.after(() => {
      for (const connection of silent) connection.destroy();
    });
    for (const connection of silent) connection.send(Buffer.from([1, 1, 0]));
    for (let round = 0; round < 5; round += 1) assert.equal((await ask(server(), 'hello.lua')).text, 'hello');
    await server().stop();
    for (const connection of silent) await connection.closed();
    for (const name of ['a.sock', 'b.sock', 'fcgi.sock'])
      assert.equal(existsSync(join(server().dir, name)), false, `${name} is left`);
  });
});

describe('listening', () => {
  it('lets only those in that allowed and FCGI_WEB_SERVER_ADDRS name, by address or network', async (t) => {
    for (const [allowed, addresses, isLetIn] of [
      ['"127.0.0.0/8"', '192.0.2.1, 127.0.0.1', true],
      ['{ "192.0.2.0/24", "127.0.0.2" }', '127.0.0.1', false],
      ['"127.0.0.0/8"', '192.0.2.1', false],
    ] as const) {
      const env = { FCGI_WEB_SERVER_ADDRS: addresses };
      // On all interfaces, where an address of IPv4 comes as one of IPv6.
      const server = await startServer(t, { files: HELLO, config: `listen = ":0" allowed = ${allowed}`, env });
      const [, port] = await server.logged(/ready: listening on \S*:([1-9][0-9]*);/);
      const asked = ask(server, 'hello.lua', { socket: Number(port) });
      if (isLetIn) assert.equal((await asked).text, 'hello');
      else {
        await assert.rejects(asked);
        await server.logged(/LUAFCGID_LISTEN_STRANGER.*127\.0\.0\.1/);
      }
      await server.stop();
    }
  });

  itOnce('starts nothing when FCGI_WEB_SERVER_ADDRS holds something else', async () => {
    const run = await runCommand([], { cwd: '/', env: { FCGI_WEB_SERVER_ADDRS: '127.0.0.1,localhost' } });
    assert.equal(run.code, 1);
    assert.match(run.stderr, /"localhost".*LUAFCGID_LISTEN_ADDRS/s);
  });

  it('on a TCP port that is taken ends with one error that names it, and leaves nothing behind', async (t) => {
    const { port } = (await listening(t, 0)).address() as AddressInfo;
    const dir = tempDir(t);
    const config = join(dir, 'config.lua');
    writeFileSync(config, `listen = {"./first.sock", "127.0.0.1:${port}"}`);
    const run = await runCommand([config]);
    assert.equal(run.code, 1);
    assert.ok(run.stderr.includes(`127.0.0.1:${port}`), run.stderr);
    assert.match(run.stderr, /LUAFCGID_LISTEN_IN_USE/);
    assert.equal(existsSync(join(dir, 'first.sock')), false);
  });

  itOnce('in a directory that does not exist is a fault of the configuration', async (t) => {
    const config = join(tempDir(t), 'config.lua');
    writeFileSync(config, 'listen = "/no/such/directory/a.sock"');
    const run = await runCommand([config]);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /no directory \/no\/such\/directory/);
  });

  it('on a descriptor that was inherited serves what the parent listens on', async (t) => {
    const parent = await listening(t, 0);
    const { port } = parent.address() as AddressInfo;
    // The descriptor of a listening socket: Node.js has no public name for it.
    const { fd } = (parent as unknown as { readonly _handle: { readonly fd: number } })._handle;
    const server = await startServer(t, { files: HELLO, config: 'listen = "fd:0"', inherit: fd });
    await new Promise((resolve) => parent.close(resolve));
    assert.equal((await ask(server, 'hello.lua', { socket: port })).text, 'hello');
  });

  itOnce('on a descriptor that is no socket is an error', async (t) => {
    const config = join(tempDir(t), 'config.lua');
    writeFileSync(config, 'listen = "fd:0"');
    const run = await runCommand([config]);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /LUAFCGID_LISTEN_FAILED.*/);
  });

  itOnce('without a configuration is on loopback only', async (t) => {
    const run = await runCommand(['--help']);
    assert.match(run.stdout, /127\.0\.0\.1:9000/);
    const dir = tempDir(t);
    const child = new Child({
      name: 'luafcgid',
      command: process.execPath,
      args: [join(ROOT, 'bin/luafcgid')],
      cwd: dir,
    });
    // The port may be taken on this machine; the address is told either way.
    const [line] = await child.logged(/127\.0\.0\.1:9000/);
    assert.ok(line);
    if (!child.exit) await child.stop('SIGKILL');
  });
});
