/**
 * Kept connections whose requests workers serve by themselves: whatever happens in one, its client sees the same as
 * on any other connection. On drivers that do not lend, the same is tested the other way round.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { type CgiAnswer, FcgiConnection, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { IO, type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** Request numbers that workers give begin here. */
const FIRST_LENT = 2 ** 30;

/** Does what the query says. */
const PAGE = `
served = 0
function main(env, con)
  served = served + 1
  local what, argument = (env.QUERY_STRING or ""):match("^(%a*)=?(.*)$")
  if what == "fail" then error("as asked") end
  if what == "status" then con:status(argument) con:puts("a status") return end
  if what == "flush" then con:puts("before ") con:flush() con:puts("after") return end
  if what == "finish" then con:puts("all of it") con:finish() served = served + 100 return end
  if what == "log" then con:log("said " .. argument) con:puts("told") return end
  if what == "config" then con:config("contenttype", "text/plain") con:puts("plain") return end
  if what == "long" then for i = 1, tonumber(argument) do con:puts(("0123456789"):rep(100)) end return end
  if what == "late" then con:puts(("x"):rep(100)) error("too late for a page") end
  if what == "exit" then os.exit(7) end
  if what == "memory" then local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end end
  if what == "spin" then con:config("watchdog", 1) while true do end end
  if what == "sleep" then
    require("luafcgid").sleep(tonumber(argument))
    con:puts("slept ", env.QUERY_STRING)
    return
  end
  if what == "wait" then
    con:puts("waiting")
    while not io.open(argument) do end
    return
  end
  con:puts(env.REQUEST_METHOD, " ", served, " ", con:gets() or "")
end`;

interface AskOptions {
  readonly body?: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly script?: string;
}

/** A connection that is kept, one request after the other. */
class Kept {
  readonly connection: FcgiConnection;
  readonly #server: Server;
  #last = 0;

  private constructor(server: Server, connection: FcgiConnection) {
    this.#server = server;
    this.connection = connection;
  }

  static async open(t: Cleanup, server: Server): Promise<Kept> {
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    return new Kept(server, connection);
  }

  /** One whose requests are served by a worker itself by now, where that is done at all. */
  static async lent(t: Cleanup, server: Server, script = 'page.lua'): Promise<Kept> {
    const kept = await Kept.open(t, server);
    await kept.get('', { script });
    if (IO === 'node') return kept;
    // How long a script takes is believed little by little, and one that fails takes longer: ever fewer of them do.
    for (let rounds = 30; (await kept.failing(script)) < FIRST_LENT; rounds *= 2) {
      assert.ok(rounds < 10_000, 'no worker takes a request by itself');
      for (let left = rounds; left > 0; left -= 1) await kept.get('', { script });
    }
    await kept.get('', { script });
    return kept;
  }

  begin(query: string, { body = '', params = {}, script = 'page.lua' }: AskOptions = {}): number {
    this.#last += 1;
    const bytes = requestBytes({
      id: this.#last,
      keepConn: true,
      body,
      params: scriptParams(this.#server.path(script), {
        REQUEST_METHOD: body === '' ? 'GET' : 'POST',
        QUERY_STRING: query,
        ...(body !== '' && { CONTENT_LENGTH: String(body.length) }),
        ...params,
      }),
    });
    void this.connection.send(bytes);
    return this.#last;
  }

  async answer(id: number): Promise<CgiAnswer & { readonly text: string; readonly exitCode: number }> {
    const { stdout, appStatus } = await this.connection.response(id);
    const answer = parseCgiAnswer(stdout);
    assert.deepEqual(this.connection.violations, []);
    return { ...answer, text: answer.body.toString('latin1'), exitCode: appStatus };
  }

  async get(query: string, options: AskOptions = {}) {
    return this.answer(this.begin(query, options));
  }

  /** The number of a request that fails. */
  async failing(script = 'page.lua'): Promise<number> {
    const { status, text } = await this.get('fail', { script });
    assert.equal(status, 500);
    const name = /\b[0-9a-f]{6}-([0-9a-z]+)\b/.exec(text);
    assert.ok(name, text);
    return Number.parseInt(name[1]!, 36);
  }
}

const FILES = { 'page.lua': PAGE, 'changing.lua': PAGE };
const CONFIG = 'workers = 2 clones = 2 showerrors = true memory = 16 * 1024 * 1024 sweep = 100';
/** Scripts may wait for a file in their folder. */
const config = ({ scripts }: { readonly scripts: string }): string =>
  `${CONFIG} files = { read = { ${JSON.stringify(scripts)} } }`;

// Tests of this suite share a server: the last ones have it reload, and stop.
describe('a kept connection', () => {
  const server = shared((t) => startServer(t, { files: FILES, config }));

  it('has its short requests served by a worker itself, where the driver can lend', async (t) => {
    const kept = await Kept.lent(t, server());
    if (IO === 'node') assert.ok((await kept.failing()) < FIRST_LENT);
  });

  const cases: Record<string, (kept: Kept) => Promise<void>> = {
    'a body': async (kept) => {
      const body = 'b'.repeat(20_000);
      const { text } = await kept.get('', { body });
      assert.match(text, new RegExp(`^POST \\d+ ${body}$`));
    },
    'a body larger than what a worker reads by itself': async (kept) => {
      const body = 'c'.repeat(200_000);
      const { text } = await kept.get('', { body });
      assert.ok(text.endsWith(` ${body}`));
    },
    'a body shorter than announced': async (kept) => {
      const { status } = await kept.get('', { body: 'short', params: { CONTENT_LENGTH: '9' } });
      assert.equal(status, 400);
    },
    HEAD: async (kept) => {
      const { status, text } = await kept.get('', { params: { REQUEST_METHOD: 'HEAD' } });
      assert.deepEqual([status, text], [200, '']);
    },
    'a method that is not served': async (kept) => {
      assert.equal((await kept.get('', { params: { REQUEST_METHOD: 'TRACE' } })).status, 405);
    },
    'a Proxy header': async (kept) => {
      const { text } = await kept.get('', { params: { HTTP_PROXY: 'http://evil/' }, script: 'env.lua' });
      assert.equal(text, 'none');
    },
    'a script that is not there': async (kept) => {
      assert.equal((await kept.get('', { script: 'nowhere.lua' })).status, 404);
    },
    'a status of its own': async (kept) => {
      const { status, text } = await kept.get('status=404 Not Found');
      assert.deepEqual([status, text], [404, 'a status']);
    },
    'an exit code': async (kept) => assert.equal((await kept.get('exit')).exitCode, 7),
    'output before the end': async (kept) => assert.equal((await kept.get('flush')).text, 'before after'),
    'an answer that ends before the script': async (kept) => assert.equal((await kept.get('finish')).text, 'all of it'),
    'a setting': async (kept) => {
      const { headers, text } = await kept.get('config');
      assert.equal(text, 'plain');
      assert.ok(headers.some(([name, value]) => name.toLowerCase() === 'content-type' && value === 'text/plain'));
    },
    'a line in the log': async (kept) => {
      const word = `word${Math.random()}`;
      assert.equal((await kept.get(`log=${word}`)).text, 'told');
      await server().logged(new RegExp(`said ${word}`));
    },
    'a page of a megabyte': async (kept) => assert.equal((await kept.get('long=1000')).text.length, 1_000_000),
    'an error': async (kept) => assert.match((await kept.get('fail')).text, /as asked/),
    'an error after a part of the page': async (kept) => assert.equal((await kept.get('late')).status, 500),
    'want of memory': async (kept) => assert.equal((await kept.get('memory')).status, 500),
  };
  for (const [what, check] of Object.entries(cases)) {
    it(`is answered as ever: ${what}`, async (t) => {
      server().write('env.lua', 'function main(env, con) con:puts(env.HTTP_PROXY or "none") end');
      const kept = await Kept.lent(t, server());
      await check(kept);
      assert.equal((await kept.get('')).status, 200, 'and the connection goes on');
      await check(kept);
    });
  }

  it('may send two requests at once, garbage, or its end', async (t) => {
    const kept = await Kept.lent(t, server());
    const both = [kept.begin('status=201 Created'), kept.begin('status=202 Accepted')];
    assert.deepEqual([(await kept.answer(both[0]!)).status, (await kept.answer(both[1]!)).status], [201, 202]);
    const ending = await Kept.lent(t, server());
    ending.connection.end();
    assert.deepEqual((await ending.connection.closed()).error, undefined);
    await kept.get('');
    void kept.connection.send(Buffer.alloc(64, 0xff));
    await kept.connection.closed();
    assert.equal((await ask(server(), 'page.lua')).status, 200);
  });

  it('is cut by nobody in the middle of a request that comes in pieces', async (t) => {
    const kept = await Kept.lent(t, server());
    const bytes = requestBytes({ id: 9, keepConn: true, params: scriptParams(server().path('page.lua')) });
    for (let at = 1; at < bytes.length; at += 7) {
      await kept.connection.send(bytes.subarray(0, at));
      await kept.connection.send(bytes.subarray(at));
      assert.equal((await kept.answer(9)).status, 200, `cut at ${at}`);
    }
  });

  it('harms nobody when its script, short so far, becomes long', async (t) => {
    const kept = await Promise.all(Array.from({ length: 8 }, () => Kept.lent(t, server())));
    const flag = server().path('go');
    const [slow, ...others] = kept as [Kept, ...Kept[]];
    const waiting = slow.begin(`wait=${flag}`);
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(others.map((other) => other.get('')));
      for (const { status } of answers) assert.equal(status, 200);
    }
    server().write('go', '');
    assert.equal((await slow.answer(waiting)).text, 'waiting');
    assert.equal((await slow.get('')).status, 200);
  });

  it('leaves no new connection to a worker that has come to something long', async (t) => {
    for (let round = 0; round < 8; round += 1) {
      const kept = await Kept.lent(t, server());
      const flag = `go${round}`;
      // Both at once: the worker that takes the first is told of the second in the same look.
      const waiting = kept.begin(`wait=${server().path(flag)}`);
      assert.equal((await ask(server(), 'page.lua')).status, 200);
      server().write(flag, '');
      assert.equal((await kept.answer(waiting)).text, 'waiting');
    }
  });

  it('is stopped by the watchdog when it never ends', async (t) => {
    const kept = await Kept.lent(t, server());
    assert.equal((await kept.get('spin')).status, 504);
    assert.equal((await kept.get('')).status, 200);
    await eventually('a line of the log', () => /LUAFCGID_SCRIPT_TIMEOUT/.test(server().log()));
  });

  it('is the new text when the script has changed', async (t) => {
    const kept = await Kept.lent(t, server(), 'changing.lua');
    const get = async (): Promise<string> => (await kept.get('', { script: 'changing.lua' })).text;
    server().write('changing.lua', 'function main(env, con) con:puts("another page") end');
    await eventually('the new page', async () => (await get()) === 'another page');
    for (let round = 0; round < 100; round += 1) assert.equal(await get(), 'another page');
  });

  it('leaves nothing open behind clients that go', async (t) => {
    await (await Kept.lent(t, server())).get('');
    const { pid } = server();
    assert.ok(existsSync(`/proc/${pid}/fd`), 'this test needs /proc');
    const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const before = descriptors();
    for (let round = 0; round < 3; round += 1) {
      const kept = await Promise.all(Array.from({ length: 10 }, () => Kept.lent(t, server())));
      for (const { connection } of kept) connection.destroy();
    }
    await eventually('their descriptors closed', () => descriptors() <= before);
  });

  it('goes on across a reload, on the same connection', async (t) => {
    const kept = await Kept.lent(t, server());
    server().signal('SIGHUP');
    await server().logged(/ reloaded: listening/);
    for (let round = 0; round < 100; round += 1) assert.equal((await kept.get('')).status, 200);
  });

  it('ends with the server: what runs is finished, what is idle is closed', async (t) => {
    const [idle, busy] = [await Kept.lent(t, server()), await Kept.lent(t, server())];
    const waiting = busy.begin(`wait=${server().path('end')}`);
    // It runs by the time that others are answered beside it.
    await ask(server(), 'page.lua');
    const stopped = server().stop();
    await idle.connection.closed();
    server().write('end', '');
    assert.equal((await busy.answer(waiting)).text, 'waiting');
    await busy.connection.closed();
    await stopped;
  });
});

describe('kept connections of one worker', () => {
  const server = shared((t) =>
    startServer(t, { files: FILES, config: 'states = 4 connections = 4 showerrors = true' }),
  );

  it('are not served in a state in which another request waits', async (t) => {
    const [kept, other] = [await Kept.lent(t, server()), await Kept.lent(t, server())];
    for (let round = 0; round < 10; round += 1) {
      const waiting = other.begin('sleep=0.05');
      for (let left = 20; left > 0; left -= 1) assert.match((await kept.get('')).text, /^GET \d+ $/);
      assert.equal((await other.answer(waiting)).text, 'slept sleep=0.05');
    }
  });

  it('make room for others when connections are too many', async (t) => {
    const lent: Kept[] = [];
    for (let left = 4; left > 0; left -= 1) lent.push(await Kept.lent(t, server()));
    assert.equal((await ask(server(), 'page.lua')).status, 200);
    await eventually('one of them closed', () => lent.some(({ connection }) => connection.isClosed));
  });
});

describe('kept connections of one state', () => {
  const server = shared((t) =>
    startServer(t, { files: FILES, config: 'clones = 1 idletimeout = 3 showerrors = true' }),
  );

  it('have their answers in order, and all of them from that', async (t) => {
    const kept = await Kept.lent(t, server());
    let last = Number((await kept.get('')).text.split(' ')[1]);
    for (let round = 0; round < 200; round += 1) {
      const [method, served] = (await kept.get('')).text.split(' ');
      assert.deepEqual([method, Number(served)], ['GET', last + 1]);
      last += 1;
    }
  });

  it('are closed when they have been idle for too long, and only then', async (t) => {
    const [idle, busy] = [await Kept.lent(t, server()), await Kept.lent(t, server())];
    for (let isClosed = false, rounds = 0; !isClosed; rounds += 1) {
      assert.ok(rounds < 400, 'it is never closed');
      isClosed = await Promise.race([
        idle.connection.closed().then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50)),
      ]);
      assert.equal((await busy.get('')).status, 200);
    }
  });
});
