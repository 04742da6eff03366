/** con:session and the tokens of forms, on real stores: what a browser keeps, what another cannot take, and what ends. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { startMariadb } from '../support/mariadb.js';
import { startPostgres } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { type Server, startServer } from '../support/server.js';
import { type AskOptions, ask, shared, type TextAnswer } from '../support/shared.js';

/** One of each kind: the tests of the script interface run on all. */
const ENGINES = ['embedded', 'luajit'] as const;

/** Runs what is posted, so that a test can say it where it matters. */
const RUNNER = `local luafcgid = require("luafcgid")
function main(env, con)
  con:type("text/plain")
  local run = assert((loadstring or load)("local con, s, luafcgid, env = ... " .. env.HTTP_X_RUN))
  run(con, env.HTTP_X_PLAIN and {} or con:session(), luafcgid, env)
end`;

/** A browser: keeps the cookies that it is given. */
class Browser {
  readonly #server: Server;
  readonly cookies = new Map<string, string>();
  /** The Set-Cookie headers of the last answer. */
  set: string[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async send(source: string, options: AskOptions = {}): Promise<TextAnswer> {
    const params = { HTTP_X_RUN: source, HTTP_COOKIE: this.cookie, ...options.params };
    const answer = await ask(this.#server, 'run.lua', { ...options, params });
    this.set = answer.headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value);
    for (const line of this.set) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/Max-Age=0/.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  /** What a page that has to work puts out. */
  async run(source: string, options?: AskOptions): Promise<string> {
    const { status, text } = await this.send(source, options);
    assert.equal(status, 200, text);
    return text;
  }
}

interface Site {
  readonly server: Server;
  browser(): Browser;
}

async function site(t: Cleanup, engine: string, data: string, sessions: string, more = ''): Promise<Site> {
  const server = await startServer(t, {
    config: `clones = 4 engine = "${engine}" data = { ${data} } sessions = ${sessions} ${more}`,
    files: { 'run.lua': RUNNER },
  });
  return { server, browser: () => new Browser(server) };
}

/** Requests of one browser at the same time that read, wait, and write. */
async function checkLock({ browser }: Site): Promise<void> {
  const ann = browser();
  await ann.run('s.n = 0');
  const results = await Promise.all(
    Array.from({ length: 8 }, () =>
      ann.run(
        'local ok = s:lock(120) local n = s.n luafcgid.sleep(0.01) s.n = n + 1 con:puts(tostring(ok), tostring(s:lock()))',
      ),
    ),
  );
  assert.deepEqual(results, Array(8).fill('truetrue'));
  assert.equal(await ann.run('con:puts(s.n)'), '8');
  // A new session is nobody else's; one that was destroyed is none.
  assert.equal(await browser().run('con:puts(tostring(s:lock())) s.n = 1 con:puts(tostring(s:lock()))'), 'truetrue');
  assert.match((await ann.send('s:lock("x")')).text, /bad argument #1 to &#39;lock&#39;|bad argument #1 to 'lock'/);
}

/** A pattern that takes longer than any watchdog allows, and that nothing interrupts. */
const HANG = 'string.rep("a", 40):find(("a?"):rep(40) .. ("a"):rep(40))';
const SHARED = 'require("luafcgid.shared").cache';

/** While one request has the lock, others do not get it; whatever ends that request, they do. */
async function checkHolders({ browser, server }: Site, other: Browser = browser()): Promise<void> {
  const ann = browser();
  await ann.run('s.n = 1');
  other.cookies.set('session', ann.cookies.get('session') ?? '');
  const holder = ann.run(
    `assert(s:lock()) con:log("the session is locked") repeat luafcgid.sleep(0.01) until ${SHARED}:get("go") s.n = s.n + 1`,
  );
  await server.logged(/the session is locked/);
  const TRY = 'local ok, why = s:lock(SECONDS) con:puts(tostring(ok), " ", tostring(why))';
  assert.equal(await other.run(TRY.replace('SECONDS', '0')), 'nil timeout');
  assert.equal(await other.run(TRY.replace('SECONDS', '0.05')), 'nil timeout');
  assert.equal(await other.run('con:puts(s.n)'), '1', 'a request that does not lock it is not held up');
  const waiting = other.run('con:puts(tostring(s:lock(120)), s.n)');
  await ann.run(`${SHARED}:set("go", true)`);
  await holder;
  assert.equal(await waiting, 'true2');
  assert.equal((await ann.send('assert(s:lock()) s.n = 99 error("no")')).status, 500);
  await ann.run('assert(s:lock(120)) os.exit(0)');
  assert.equal(await other.run('con:puts(tostring(s:lock(120)), s.n)'), 'true2');
}

/** What every store has to do. */
async function checkStore({ browser, server }: Site): Promise<void> {
  const ann = browser();
  assert.equal(await ann.run('con:puts(tostring(s.name), tostring(s:exists()))'), 'nilfalse');
  assert.deepEqual(ann.set, [], 'a session that has nothing is none');
  await ann.run('s.name = "Ann \\195\\164" s:set("list", { 1, "two", { deep = true } }) s.n = 1.5 s.off = false');
  assert.match(ann.set[0] ?? '', /^session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
  assert.equal(
    await ann.run(
      'con:puts(s.name, s:get("list")[3].deep and "deep" or "", s.n, tostring(s.off), tostring(s:exists()))',
    ),
    'Ann ädeep1.5falsetrue',
  );
  assert.deepEqual(ann.set, []);
  assert.equal(await browser().run('con:puts(tostring(s.name))'), 'nil', 'another browser has none of it');

  await ann.run('s:unset("n") s.off = nil s:get("list")[1] = 9');
  assert.equal(await ann.run('con:puts(tostring(s.n), tostring(s.off), s.list[1])'), 'nilnil1');

  // Two requests at the same time change different values: both changes stay.
  const other = browser();
  other.cookies.set('session', ann.cookies.get('session') ?? '');
  const slow = ann.run('s.a = "of the slow one" luafcgid.sleep(0.2) con:puts("done")');
  await other.run('s.b = "of the fast one"');
  await slow;
  assert.equal(await ann.run('con:puts(s.a, " ", s.b, " ", s.name)'), 'of the slow one of the fast one Ann ä');

  // Login: the old number is worth nothing any more, the values stay.
  const before = ann.cookies.get('session');
  await ann.run('s:renew() s.user = 7');
  assert.notEqual(ann.cookies.get('session'), before);
  assert.equal(await ann.run('con:puts(s.user, s.a)'), '7of the slow one');
  assert.equal(await other.run('con:puts(tostring(s.user), tostring(s:exists()))'), 'nilfalse');

  // Messages for the next page, once.
  await ann.run('s:flash("saved", "good") s:flash("twice")');
  assert.equal(
    await ann.run('for _, f in ipairs(s:flashes()) do con:puts(f.text, "/", tostring(f.kind), ";") end'),
    'saved/good;twice/nil;',
  );
  assert.equal(await ann.run('con:puts(#s:flashes())'), '0');

  // What a script that failed has set is not kept; what os.exit, con:flush and con:finish end is.
  assert.equal((await ann.send('s.user = 8 error("no")')).status, 500);
  await ann.run('s.e = 1 os.exit(0)');
  await ann.run('s.f = 1 con:puts("x") con:flush()');
  await ann.run('s.g = 1 con:puts("x") con:finish()');
  assert.equal(await ann.run('con:puts(s.user, s.e, s.f, s.g)'), '7111');

  // Logout.
  const thief = browser();
  thief.cookies.set('session', ann.cookies.get('session') ?? '');
  await ann.run('s:destroy()');
  assert.match(ann.set[0] ?? '', /^session=; Path=\/; Max-Age=0; HttpOnly; SameSite=Lax$/);
  assert.equal(await thief.run('con:puts(tostring(s.user))'), 'nil');

  // A request that was under way when the session ended does not bring it back.
  await ann.run('s.user = 9');
  const late = browser();
  late.cookies.set('session', ann.cookies.get('session') ?? '');
  const under = late.run('s.x = 1 con:log("it is under way") luafcgid.sleep(0.2) con:puts("done")');
  await server.logged(/it is under way/);
  await ann.run('s:destroy()');
  await under;
  assert.equal(await late.run('con:puts(tostring(s.x), tostring(s:exists()))'), 'nilfalse');
}

/** None that a busy machine comes to. */
const LIMITS = ', waittimeout = 60, connecttimeout = 60';

describe('con:session', () => {
  for (const engine of ENGINES) {
    it(`keeps values in memory, for all workers, with ${engine}`, async (t: TestContext) => {
      const memory = await site(t, engine, '', '"memory"', 'workers = 2');
      await checkStore(memory);
      await checkLock(memory);
      await checkHolders(memory);
    });
  }

  /** A store with the locks of its sessions in the same source (issue 14, 3). */
  async function checkSource(t: TestContext, engine: string, data: string): Promise<Site> {
    const made = await site(t, engine, `main = { "${data}"${LIMITS} }`, '"main"', 'locks = "main"');
    await checkStore(made);
    await checkLock(made);
    return made;
  }

  it('keeps values and locks in SQLite', async (t: TestContext) => {
    await checkHolders(await checkSource(t, 'lua5.4', 'sqlite:main.db'));
  });

  it('keeps values and locks in Redis, for several servers', async (t: TestContext) => {
    const { port } = await startRedis(t);
    const source = `redis://127.0.0.1:${port}`;
    const first = await checkSource(t, 'embedded', source);
    const second = await site(t, 'embedded', `main = { "${source}"${LIMITS} }`, '"main"', 'locks = "main"');
    await checkHolders(first, second.browser());
  });

  it('keeps values and locks in PostgreSQL', async (t: TestContext) => {
    const { port } = await startPostgres(t);
    await checkHolders(await checkSource(t, 'embedded', `postgres://postgres@127.0.0.1:${port}/postgres`));
  });

  it('keeps values and locks in MariaDB', async (t: TestContext) => {
    const { port } = await startMariadb(t);
    await checkHolders(await checkSource(t, 'embedded', `mysql://root@127.0.0.1:${port}/test`));
  });
});

describe('a session', () => {
  const common = shared((t) => site(t, 'embedded', 'main = "sqlite:main.db"', '"main"'));

  it('is never one that the server did not make: forged, fixed, damaged or far too long numbers (issue 14)', async () => {
    const { browser } = common();
    for (const number of [
      'A'.repeat(43),
      'x',
      '',
      `${'A'.repeat(42)}'`,
      'A'.repeat(6000),
      "' or 1=1 --",
      '%00'.repeat(15),
    ]) {
      const forger = browser();
      forger.cookies.set('session', number);
      assert.equal(await forger.run('s.name = "mine" con:puts(tostring(s:exists()))'), 'true');
      assert.notEqual(forger.cookies.get('session'), number);
      assert.match(forger.cookies.get('session') ?? '', /^[\w-]{43}$/);
    }
  });

  it('is found among several cookies of its name, of which others are not its own', async () => {
    const { browser } = common();
    const ann = browser();
    await ann.run('s.name = "Ann"');
    const own = ann.cookies.get('session');
    const HTTP_COOKIE = `session=${'B'.repeat(43)}; session=x; session=${own}`;
    assert.equal(await ann.run('con:puts(s.name)', { params: { HTTP_COOKIE } }), 'Ann');
  });

  it('leaves only a digest of its number in the store', async (t) => {
    const { browser } = await site(t, 'embedded', 'main = "sqlite:main.db"', '"main"');
    const ann = browser();
    await ann.run('s.name = "Ann"');
    const stored = await ann.run(
      'con:puts(require("luafcgid.db").open("main"):value("select id from luafcgid_sessions"))',
    );
    assert.equal(
      stored,
      createHash('sha256')
        .update(ann.cookies.get('session') ?? '')
        .digest('hex'),
    );
  });

  it('ends when nobody uses it, and in any case at its absolute limit', async (t) => {
    const { browser } = await site(
      t,
      'embedded',
      'main = "sqlite:main.db"',
      '{ store = "main", idle = 100, absolute = 1000 }',
    );
    const ann = browser();
    const db = 'local db = require("luafcgid.db").open("main") ';
    await ann.run('s.name = "Ann"');
    const left = () => ann.run(`${db}con:puts(db:value("select expires from luafcgid_sessions") - os.time())`);
    assert.ok(Number(await left()) >= 80);
    // Used: lasts longer again. The store is told when a part of the time has passed.
    await ann.run(`${db}db:exec("update luafcgid_sessions set expires = expires - 50")`, {
      params: { HTTP_X_PLAIN: '1' },
    });
    await ann.run('con:puts(s.name)');
    assert.ok(Number(await left()) >= 80);
    // Near its absolute limit it lasts no longer than that.
    await ann.run(`${db}db:exec("update luafcgid_sessions set created = created - 970, expires = expires - 90")`, {
      params: { HTTP_X_PLAIN: '1' },
    });
    await ann.run('s.x = 1');
    assert.ok(Number(await left()) <= 30);
    await ann.run(`${db}db:exec("update luafcgid_sessions set created = created - 31")`, {
      params: { HTTP_X_PLAIN: '1' },
    });
    assert.equal(await ann.run('con:puts(tostring(s.name))'), 'nil');
    const bob = browser();
    await bob.run('s.name = "Bob"');
    await bob.run(`${db}db:exec("update luafcgid_sessions set expires = ?", os.time() - 1)`, {
      params: { HTTP_X_PLAIN: '1' },
    });
    assert.equal(await bob.run('con:puts(tostring(s.name))'), 'nil');
  });

  it('refuses what it cannot keep, with the reason and the line of the script', async (t) => {
    const { browser, server } = await site(
      t,
      'embedded',
      'main = "sqlite:main.db"',
      '{ store = "main", maxsize = 1000 }',
    );
    const ann = browser();
    await ann.run('s.name = "Ann"');
    for (const [source, expected] of [
      ['s.x = print', /\[string "local con[^:]*:1: session:set: /],
      ['s.x = "\\255"', /session:set: .*UTF-8/],
      ['s.x = { [1] = 1, [3] = 1 }', /session:set: /],
      ['s.x = 0/0', /session:set: /],
      ['s.big = ("x"):rep(1000)', /the session would have 1\d\d\d bytes, more than 1000 \(maxsize/],
      ['s.set = 1', /session\.set is a method; write session:set\("set", value\)/],
      ['s[1] = 1', /the name of a value has 1 to 64 bytes/],
      ['s:set(("n"):rep(65), 1)', /the name of a value has 1 to 64 bytes/],
      ['s.set("a", 1)', /session\.set was called without its session/],
      ['s:destroy() s.a = 1', /the session was destroyed in this request/],
    ] as const) {
      const { status, text } = await ann.send(source);
      assert.equal(status, 500, source);
      assert.match(text.replaceAll('&quot;', '"').replaceAll('&#39;', "'"), expected, source);
      if (source.startsWith('s:destroy')) continue;
      assert.equal(await ann.run('con:puts(s.name)'), 'Ann', source);
    }
    await browser().send('con:puts("x") con:flush() s.a = 1');
    await server.logged(/con:\w+ after the headers were sent/);
  });

  it('has a cookie that is Secure over HTTPS, and what the setting says', async (t) => {
    const { browser } = common();
    const ann = browser();
    await ann.run('s.name = "Ann"', { params: { HTTPS: 'on' } });
    assert.match(ann.set[0] ?? '', /; HttpOnly; Secure; SameSite=Lax$|; Secure; HttpOnly; SameSite=Lax$/);
    const strict = await site(
      t,
      'embedded',
      'main = "sqlite:main.db"',
      '{ store = "main", name = "sid", path = "/app/", domain = "example.com", samesite = "Strict", secure = true }',
    );
    const bob = strict.browser();
    await bob.run('s.name = "Bob"');
    assert.match(
      bob.set[0] ?? '',
      /^sid=[\w-]{43}; Path=\/app\/; Domain=example\.com; Secure; HttpOnly; SameSite=Strict$/,
    );
  });

  it('is refused when the memory for sessions is full, and those that are there stay', async (t) => {
    const { browser } = await site(t, 'embedded', '', '{ size = 65536 }');
    const ann = browser();
    await ann.run('s.name = "Ann"');
    let full: TextAnswer | undefined;
    for (let round = 0; round < 60 && full === undefined; round += 1) {
      const answer = await browser().send('s.x = ("x"):rep(4000)');
      if (answer.status !== 200) full = answer;
    }
    assert.equal(full?.status, 503);
    assert.match(full.text, /no room for another session/);
    assert.equal(await ann.run('con:puts(s.name)'), 'Ann');
  });

  it('in memory survives that its worker is replaced, and a reload', async (t) => {
    const { browser, server } = await site(t, 'embedded', '', '"memory"', 'watchdog = 1');
    const ann = browser();
    await ann.run('s.name = "Ann"');
    assert.equal((await ann.send(`assert(s:lock()) s.x = 1 ${HANG}`)).status, 504);
    await server.logged(/worker \d+ is replaced/);
    assert.equal(await ann.run('con:puts(s.name, tostring(s.x), tostring(s:lock(60)))'), 'Annniltrue');
    server.signal('SIGHUP');
    await server.logged(/reload/);
    assert.equal(await ann.run('con:puts(s.name)'), 'Ann');
  });

  it('whose lock is in a database is free when its worker is lost, and keeps nothing of a request that has lost the lock', async (t) => {
    const { browser, server } = await site(
      t,
      'embedded',
      'main = "sqlite:main.db"',
      '"main"',
      'locks = "main" watchdog = 1',
    );
    const ann = browser();
    await ann.run('s.n = 1');
    assert.equal((await ann.send(`assert(s:lock()) ${HANG}`)).status, 504);
    assert.equal(await ann.run('con:puts(tostring(s:lock(60)), s.n)'), 'true1');
    // The lease is renewed from time to time, and then it is not there. Another request gets the lock meanwhile.
    const lost = ann.run(`assert(s:lock()) require("luafcgid.db").open("main"):exec("delete from luafcgid_locks")
      s.n = 99 con:log("the lock is removed") repeat luafcgid.sleep(0.05) s:lock(60) until s.n ~= 99 con:puts(s.n)`);
    await server.logged(/the lock is removed/);
    await ann.run('assert(s:lock(60)) s.n = s.n + 1');
    assert.equal(await lost, '2');
    await server.logged(/the lock of the session was lost meanwhile/);
  });

  it('tells that its store is not there', async (t) => {
    const { port, stop } = await startRedis(t);
    const { browser } = await site(t, 'embedded', `cache = { "redis://127.0.0.1:${port}"${LIMITS} }`, '"cache"');
    const ann = browser();
    await ann.run('s.name = "Ann"');
    await stop();
    const { status, text } = await ann.send('con:puts(s.name)');
    assert.equal(status, 500);
    assert.match(text, /data source cache/);
  });
});

describe('a form with a token', () => {
  const common = shared((t) => site(t, 'embedded', 'main = "sqlite:main.db"', '"main"'));

  const CHECK = 'con:check_csrf() con:puts("done")';
  const PLAIN = { HTTP_X_PLAIN: '1' };
  const posted = (token: string | undefined): AskOptions => ({
    params: { CONTENT_TYPE: 'application/x-www-form-urlencoded', ...PLAIN },
    body: token === undefined ? 'a=1' : `a=1&csrf=${encodeURIComponent(token)}`,
  });

  it('is accepted from the browser that it was given to, and from no other', async () => {
    const { browser } = common();
    const ann = browser();
    await ann.run('s.name = "Ann"');
    const token = await ann.run('con:puts(con:csrf())', { params: PLAIN });
    assert.match(token, /^[\w-]{64}$/);
    assert.notEqual(await ann.run('con:puts(con:csrf())', { params: PLAIN }), token, 'another text each time');
    assert.equal(await ann.run(CHECK, posted(token)), 'done');
    assert.equal(await ann.run(CHECK, posted(token)), 'done', 'a page may be sent twice');
    assert.equal(await ann.run(CHECK, { params: { HTTP_X_CSRF_TOKEN: token, ...PLAIN }, body: '{}' }), 'done');
    assert.equal(await ann.run('con:puts(con:form({ csrf = true }).a)', posted(token)), '1');
    const other = browser();
    await other.run('s.name = "Eve"');
    const foreign = await other.run('con:puts(con:csrf())', { params: PLAIN });
    const changed = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    for (const wrong of [undefined, '', 'x', foreign, changed, token.slice(0, 63), `${token}A`, '='.repeat(64)]) {
      const { status, text } = await ann.send(CHECK, posted(wrong));
      assert.equal(status, 403, wrong);
      assert.match(text, /CSRF token/);
    }
    assert.equal((await other.send(CHECK, posted(token))).status, 403);
    assert.equal((await browser().send(CHECK, posted(token))).status, 403);
  });

  it('is worth nothing after the login that has renewed the session', async () => {
    const { browser } = common();
    const ann = browser();
    await ann.run('s.name = "Ann"');
    const token = await ann.run('con:puts(con:csrf())', { params: PLAIN });
    const after = await ann.run('con:check_csrf() s:renew() con:puts(con:csrf())', {
      params: { HTTP_X_CSRF_TOKEN: token },
    });
    assert.equal((await ann.send(CHECK, posted(token))).status, 403);
    assert.equal(await ann.run(CHECK, posted(after)), 'done');
  });

  it('works for a visitor without a session, and makes none', async (t) => {
    const { browser } = await site(t, 'embedded', 'main = "sqlite:main.db"', '"main"');
    const visitor = browser();
    const page = await visitor.run('con:puts(con:csrf_field())', { params: PLAIN });
    const token = /^<input type="hidden" name="csrf" value="([\w-]{64})">$/.exec(page)?.[1];
    assert.ok(token, page);
    assert.equal(visitor.set.length, 1);
    assert.equal(await visitor.run(CHECK, posted(token)), 'done');
    const count = 'con:puts(require("luafcgid.db").open("main"):value("select count(*) from luafcgid_sessions"))';
    await visitor.run('con:puts(tostring(s:exists()))');
    assert.equal(await visitor.run(count, { params: PLAIN }), '0');
    // Logging in: a number that the visitor had before is not taken.
    const before = visitor.cookies.get('session');
    await visitor.run('con:check_csrf() s:renew() s.user = 1', { params: { HTTP_X_CSRF_TOKEN: token } });
    assert.notEqual(visitor.cookies.get('session'), before);
    assert.equal(visitor.set.length, 1);
  });

  it('of a session is not accepted with a token of another cookie that was planted beside it', async () => {
    const { browser } = common();
    const ann = browser();
    await ann.run('s.name = "Ann"');
    const eve = browser();
    const token = await eve.run('con:puts(con:csrf())', { params: PLAIN });
    const HTTP_COOKIE = `session=${eve.cookies.get('session')}; session=${ann.cookies.get('session')}`;
    const options = posted(token);
    const { status } = await ann.send(CHECK, { ...options, params: { ...options.params, HTTP_COOKIE } });
    assert.equal(status, 403);
  });
});
