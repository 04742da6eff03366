/** What hangs in native code ends with the program, which starts itself anew in the same process; nobody notices. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const SCRIPT = `function main(env, con)
  if env.QUERY_STRING == "hang" then string.find(("a"):rep(30000), ".-.-.-.-.-b") end
  con:puts("alive ", env.QUERY_STRING)
end`;

const threads = (pid: number): number => readdirSync(`/proc/${pid}/task`).length;

describe('a thread that hangs in native code', () => {
  it('is ended by a restart in the same process, over which no request is lost', async (t) => {
    assert.ok(existsSync('/proc/self/task'), 'this test needs /proc');
    const server = await startServer(t, {
      config: 'engine = "lua5.1"; workers = 2; watchdog = 2; sweep = 200',
      files: { 'a.lua': SCRIPT },
    });
    // Some threads of Node.js start with the first requests.
    await Promise.all(Array.from({ length: 8 }, () => ask(server, 'a.lua')));
    const before = threads(server.pid);
    let isOver = false;
    const load = async (name: string): Promise<number> => {
      let answered = 0;
      for (; !isOver; answered += 1) {
        const mark = `${name}-${answered}`;
        const { status, text } = await ask(server, 'a.lua', { params: { QUERY_STRING: mark } });
        assert.deepEqual({ status, text }, { status: 200, text: `alive ${mark}` });
      }
      return answered;
    };
    const clients = Promise.all([load('a'), load('b')]);
    const hung = await ask(server, 'a.lua', { params: { QUERY_STRING: 'hang' } });
    assert.equal(hung.status, 504);
    await server.logged(/LUAFCGID_WORKER_HANGS: .* restarts itself when no request runs/);
    // Some moment without a request comes, or another one that hangs does not let the server wait for it.
    await ask(server, 'a.lua', { params: { QUERY_STRING: 'hang' } }).catch(() => {});
    const ready = () => server.log().split('ready: listening').length - 1;
    await Promise.race([eventually('the new program', () => ready() === 2), clients]);
    isOver = true;
    for (const answered of await clients) assert.ok(answered > 0);
    assert.match(server.log(), /LUAFCGID_SERVER_RESTARTS/);
    assert.equal((await ask(server, 'a.lua')).text, 'alive ');
    await eventually('no more threads than before', () => threads(server.pid) <= before);
    await server.stop();
    assert.ok(!existsSync(server.socket));
    assert.doesNotMatch(server.log(), /LUAFCGID_BUG/);
  });

  /** A server that takes its own place just now, and does not serve yet. */
  async function startRestarting(t: TestContext): Promise<Server> {
    const server = await startServer(t, {
      config: 'engine = "lua5.1"; workers = 1; watchdog = 2; sweep = 200',
      files: { 'a.lua': SCRIPT },
    });
    await ask(server, 'a.lua', { params: { QUERY_STRING: 'hang' } });
    // The new program has this in its environment, and starts its threads before it serves.
    const about = (file: string): string => {
      try {
        return readFileSync(`/proc/${server.pid}/${file}`, 'latin1');
      } catch {
        return ''; // a thread that has ended meanwhile
      }
    };
    const names = (): string[] =>
      readdirSync(`/proc/${server.pid}/task`).map((task) => about(`task/${task}/comm`).trim());
    const begins = (): boolean =>
      about('environ').includes('LUAFCGID_SUCCESSOR=') && names().some((name) => name.startsWith('luafcgid '));
    await eventually('the new program', begins);
    return server;
  }

  it('and a server that is stopped while it takes its own place stops in order', async (t) => {
    const server = await startRestarting(t);
    await server.stop();
    assert.match(server.log(), /LUAFCGID_SERVER_RESTARTS[\s\S]*stopped\n/);
  });

  it('and one that is told to reload meanwhile reloads when it serves', async (t) => {
    const server = await startRestarting(t);
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening/);
    assert.equal((await ask(server, 'a.lua')).text, 'alive ');
  });
});
