/** What programs inherit that a script of the real process starts: none of the server's descriptors. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { FcgiConnection, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const O_CLOEXEC = 0o2000000;

/** What each descriptor of a process is, and whether programs that the process starts inherit it. */
function descriptorsOf(
  pid: number,
): { readonly number: number; readonly what: string; readonly isInherited: boolean }[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${name}`, 'utf8'))?.[1] ?? '';
      const isInherited = (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
      return [{ number: Number(name), what: readlinkSync(`/proc/${pid}/fd/${name}`), isInherited }];
    } catch {
      return []; // closed meanwhile
    }
  });
}

const SCRIPTS = {
  'long.lua': 'function main(env, con) con:puts(("x"):rep(32e6)) end',
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'child.lua': `function main(env, con)
    local pipe = io.popen("ls -l /proc/self/fd") con:puts(pipe:read("*a")) pipe:close()
  end`,
};

/** Has the server send a long answer to a client that does not read, so that it keeps the rest in a file. */
async function spool(server: Server): Promise<FcgiConnection> {
  const slow = await FcgiConnection.connect(server.socket);
  slow.send(requestBytes({ params: scriptParams(server.path('long.lua')) }));
  await slow.received(1);
  slow.pause();
  // The only worker is wanted.
  assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  return slow;
}

it('every descriptor closes on exec: sockets, log, temporary files, and what threads wake each other by', async (t) => {
  const server = await startServer(t, {
    files: SCRIPTS,
    config: ({ dir }) => `
      listen = { ${JSON.stringify(join(dir, 'fcgi.sock'))}, "127.0.0.1:0" }
      logfile = ${JSON.stringify(join(dir, 'log'))} workers = 1 sendbuffer = 1024 engine = "lua5.1"`,
  });
  const slow = await spool(server);
  t.after(() => slow.destroy());
  const found = await eventually('the file', () => {
    const all = descriptorsOf(server.pid);
    return all.some(({ what }) => what.includes('luafcgid-spool')) && all;
  });
  // What this test has inherited itself, everything that it starts inherits.
  const foreign = new Set(descriptorsOf(process.pid).flatMap(({ what, isInherited }) => (isInherited ? [what] : [])));
  const own = found.filter(({ number, what }) => number > 2 && !foreign.has(what));
  for (const part of ['socket:', '/log', 'eventpoll', 'eventfd']) {
    assert.ok(
      own.some(({ what }) => what.includes(part)),
      `${part} is not among ${own.map(({ what }) => what)}`,
    );
  }
  assert.deepEqual(
    own.filter(({ isInherited }) => isInherited),
    [],
  );
  // And as a program sees it that a script starts: the standard streams, and the folder that it reads.
  const { text } = await ask(server, 'child.lua');
  const seen = [...text.matchAll(/ (\d+) -> (.*)$/gm)].filter(([, , what = '']) => !foreign.has(what));
  assert.deepEqual(
    seen.map(([, number]) => Number(number)),
    [0, 1, 2, 3],
    text,
  );
  assert.match(seen[3]?.[2] ?? '', /^\/proc\/\d+\/fd$/);
  assert.doesNotMatch(text, /spool|eventpoll|\/log/);
});

it('a listening socket that the server inherited itself goes no further', async (t) => {
  const listener = net.createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const { fd } = (listener as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const server = await startServer(t, {
    files: SCRIPTS,
    inherit: fd,
    config: 'listen = "fd:0" engine = "lua5.1"',
  });
  await new Promise((resolve) => listener.close(resolve));
  const { text } = await ask(server, 'child.lua', { socket: port });
  // What is left of the server's are standard output and error; a socket that the test has as these is none of its.
  assert.doesNotMatch(text, / ([03-9]|\d\d+) -> socket:/);
});
