/** States that are made from images of loaded scripts, and isolation by request, in the real process (issue 16). */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { runCommand, type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** Asserts how often a line was logged for a script: that its main chunk has run, if none is named. */
async function assertLogged(server: Server, script: string, count: number, what = 'loaded again'): Promise<void> {
  const found = (): number =>
    server
      .log()
      .split('\n')
      .filter((line) => line.includes(`/${script}`) && line.includes(what)).length;
  await eventually(`${what}, ${count} times`, () => found() >= count);
  assert.equal(found(), count, server.log());
}

const COUNT = `
print("loaded again", math.random(1e9))
served = 0
function main(env, con)
  served = served + 1
  if env.QUERY_STRING == "memory" then local s = "x" while true do s = s .. s end end
  con:puts(served, " of ", VERSION or 1)
end`;

async function text(server: Server, script: string, query = ''): Promise<string> {
  const answer = await ask(server, script, { params: { QUERY_STRING: query } });
  assert.equal(answer.status, 200, answer.text);
  return answer.text;
}

/** Asks several times over one connection, which may come to be served by a worker itself. */
async function askKept(server: Server, script: string, queries: readonly string[]): Promise<string[]> {
  const connection = await FcgiConnection.connect(server.socket);
  const texts: string[] = [];
  for (const [at, query] of queries.entries()) {
    const params = scriptParams(server.path(script), { QUERY_STRING: query });
    void connection.send(requestBytes({ id: at + 1, keepConn: true, params }));
    texts.push(parseCgiAnswer((await connection.response(at + 1)).stdout).body.toString());
  }
  connection.destroy();
  return texts;
}

describe('an image of a script', () => {
  const limited = shared((t) =>
    startServer(t, {
      files: {
        'site/a.lua': COUNT,
        'site/b.lua': `require("part") pcall(require, "late") ${COUNT}`,
        'site/c.lua': COUNT,
        'site/part.lua': 'VERSION = 1 return 1',
      },
      // No sweep helps: each new state looks by itself.
      config: ({ scripts }) =>
        `maxcount = 1 memory = 4 * 2^20 sweep = 3600000 root = ${JSON.stringify(join(scripts, 'site'))}`,
    }),
  );
  const single = shared((t) =>
    startServer(t, { files: { 'a.lua': COUNT, 'b.lua': COUNT, 'c.lua': COUNT }, config: 'states = 1 sweep = 20' }),
  );

  it('is what further states are made from, and no file is run again', async () => {
    const server = limited();
    for (let times = 0; times < 5; times += 1) assert.equal(await text(server, 'site/a.lua'), '1 of 1');
    assert.equal((await ask(server, 'site/a.lua', { params: { QUERY_STRING: 'memory' } })).status, 500);
    assert.equal(await text(server, 'site/a.lua'), '1 of 1');
    await assertLogged(server, 'site/a.lua', 1);
  });

  it('is not used when a file of the script has changed, or one has appeared', async () => {
    const server = limited();
    assert.equal(await text(server, 'site/b.lua'), '1 of 1');
    assert.equal(await text(server, 'site/b.lua'), '1 of 1');
    await assertLogged(server, 'site/b.lua', 1);
    server.write('site/part.lua', 'VERSION = 2 return 1');
    assert.equal(await text(server, 'site/b.lua'), '1 of 2');
    assert.equal(await text(server, 'site/b.lua'), '1 of 2');
    await assertLogged(server, 'site/b.lua', 2);
    server.write('site/late.lua', 'VERSION = 3 return 1');
    assert.equal(await text(server, 'site/b.lua'), '1 of 3');
    await assertLogged(server, 'site/b.lua', 3);
  });

  it('is not used for a script that lies outside of the roots by now', async () => {
    const server = limited();
    assert.equal(await text(server, 'site/c.lua'), '1 of 1');
    assert.equal(await text(server, 'site/c.lua'), '1 of 1');
    mkdirSync(join(server.dir, 'elsewhere'));
    renameSync(server.path('site/c.lua'), join(server.dir, 'elsewhere/c.lua'));
    symlinkSync(join(server.dir, 'elsewhere/c.lua'), server.path('site/c.lua'));
    assert.equal((await ask(server, 'site/c.lua')).status, 403);
  });

  it('serves after an eviction, too', async () => {
    for (let times = 0; times < 3; times += 1) {
      for (const script of ['a.lua', 'b.lua']) assert.equal(await text(single(), script), '1 of 1');
    }
    for (const script of ['a.lua', 'b.lua']) await assertLogged(single(), script, 1);
  });

  it('is found stale by the sweep while its state is in use', async () => {
    assert.equal(await text(single(), 'c.lua'), '1 of 1');
    single().write('c.lua', `VERSION = 2 ${COUNT}`);
    await eventually('the new version', async () => (await text(single(), 'c.lua')).endsWith('of 2'));
  });

  it('comes to other workers when the script takes long to load, and is not used there after a change of the file', async (t) => {
    const slow = `
      print("loaded again", math.random(1e9))
      local endless = os.clock() + 0.1 repeat until os.clock() > endless
      function main(env, con)
        local turn = require("luafcgid.shared").turn
        if env.QUERY_STRING == "hold" then
          turn:set("step", "held")
          repeat until turn:get("step") == "over"
        elseif env.QUERY_STRING == "look" then
          con:puts(tostring(turn:get("step")))
        elseif env.QUERY_STRING ~= "" then
          turn:set("step", env.QUERY_STRING)
          con:log(env.QUERY_STRING)
        end
        con:puts(" worker ", con.worker, " version ", VERSION or 1)
      end`;
    const server = await startServer(t, {
      files: { 'a.lua': slow },
      config: 'workers = 2 clones = 2 sweep = 20 watchdog = 60 shared = { turn = 2^16 }',
    });
    /** One request holds the worker that has a state, so that the other worker serves those that come meanwhile. */
    const askBoth = async (): Promise<string[]> => {
      await text(server, 'a.lua', 'begin');
      const first = text(server, 'a.lua', 'hold');
      let second = '';
      await eventually('a worker is held', async () => {
        second = await text(server, 'a.lua', 'look');
        return second.startsWith('held');
      });
      await text(server, 'a.lua', 'over');
      return [await first, second.replace('held', '')];
    };
    // A worker that has no answer in moments loads the script by itself: on a busy machine it may take several versions.
    let [version, loads, sharedVersions] = [1, 0, 0];
    while (sharedVersions < 2) {
      await eventually('the version', async () => (await text(server, 'a.lua')).endsWith(`version ${version}`));
      const answers = await askBoth();
      const all = [0, 1].map((worker) => ` worker ${worker} version ${version}`);
      assert.deepEqual(answers.sort(), all);
      // Lines that were written before these answers are there with the next one.
      await text(server, 'a.lua', `marked${version}`);
      await server.logged(new RegExp(`marked${version}\\b`));
      const before = loads;
      loads = server.log().split('loaded again').length - 1;
      if (loads - before === 1) sharedVersions += 1;
      assert.ok(version < 30, `${loads} times for ${version} versions: no worker gets the image of another`);
      version += 1;
      server.write('a.lua', `VERSION = ${version} ${slow}`);
    }
  });

  it('is not kept when it is larger than images allows, and with images = 0', async (t) => {
    for (const images of ['0', '2^16']) {
      const server = await startServer(t, {
        files: { 'a.lua': COUNT },
        config: `workers = 1 maxcount = 1 loglevel = "debug" images = ${images}`,
      });
      for (let times = 0; times < 3; times += 1) assert.equal(await text(server, 'a.lua'), '1 of 1');
      await assertLogged(server, 'a.lua', 3);
      await assertLogged(server, 'a.lua', 1, 'LUAFCGID_IMAGE_NONE');
      assert.match(
        server.log(),
        /cannot be copied: (images = 0|it takes more than the \d+ bytes that the images of this worker)/,
      );
    }
  });
});

/** Changes all that Lua offers, and tells what of it was there before. */
const LEAK = `
local luafcgid = require("luafcgid")
local upvalue, list, meta = 0, {}, {}
shared = setmetatable({}, meta)
function main(env, con)
  local found = {}
  local function see(name, value) if value then found[#found + 1] = name end end
  see("global", leaked) see("upvalue", upvalue > 0) see("list", list[1]) see("meta", meta.__index)
  see("string", string.leak) see("stringmeta", getmetatable("").__add) see("package", package.loaded.leak)
  see("env", getmetatable(_G)) see("patched", ("x"):upper() ~= "X") see("luafcgid", luafcgid.leak)
  see("hook", debug.gethook() ~= nil) see("registry", debug.getregistry().leak) see("main", again)
  local what = env.QUERY_STRING
  if what ~= "look" then
    leaked, upvalue, list[1], meta.__index = true, 1, true, function() end
    string.leak, getmetatable("").__add, package.loaded.leak = true, function() end, true
    setmetatable(_G, { __index = function(_, name) return name == "leaked2" end })
    string.upper = function() return "patched" end
    luafcgid.leak, debug.getregistry().leak = true, true
    again, main = true, function(_, con) con:puts("another main") end
    debug.sethook(function() end, "", 1000)
    if what == "error" then error("as asked") end
    if what == "sleep" then luafcgid.sleep(0.02) end
    if what == "exit" then os.exit(0) end
    if what == "spin" then con:config("watchdog", 0.2) while true do end end
    if what == "finish" then con:puts("early") con:finish() end
    if what == "log" then con:log("said") end
  end
  if what ~= "finish" then con:puts("found:", table.concat(found, " ")) end
end`;

/** Leaves what it has of data sources, locks and sessions to the next request. */
const DATA = `
local M, lock = require("luafcgid.db"), require("luafcgid.lock")
local db = M.open("main")
local handle, unfinished, held, mine
function main(env, con)
  if env.QUERY_STRING == "setup" then db:exec("create table t (id integer)") return end
  if env.QUERY_STRING == "look" then
    con:puts(tostring(handle or unfinished or held or mine), " ", db:value("select count(*) from t"))
    con:puts(" ", tostring(lock.try("leak") ~= nil), " ", tostring(con:session().user))
    return
  end
  mine = con:session() mine.user = "Ann"
  held = lock.try("leak")
  handle = M.open("main")
  unfinished = coroutine.wrap(function() for row in db:rows("select 1 union select 2") do coroutine.yield(row) end end)
  unfinished()
  if env.QUERY_STRING == "error" then
    handle:transaction(function() handle:exec("insert into t values (1)") error("as asked") end)
  end
end`;

describe('isolation by request', () => {
  const ways = ['look', 'leak', 'error', 'sleep', 'exit', 'spin', 'finish', 'log', 'look'];

  const isolated = shared((t) =>
    startServer(t, {
      files: {
        'leak.lua': LEAK,
        'chosen.lua': `require("luafcgid").isolation("state") ${COUNT}`,
        'count.lua': COUNT,
        'random.lua': 'function main(env, con) con:puts(math.random(1e9)) end',
        'open.lua': `file = io.open("data/a.txt") ${COUNT}`,
        'data/a.txt': 'text',
        'data.lua': DATA,
      },
      config: ({ scripts }) =>
        `clones = 1 isolation = "request" data = { main = "sqlite:main.db" }
        files = { read = { ${JSON.stringify(join(scripts, 'data'))} } }`,
    }),
  );
  const plain = shared((t) =>
    startServer(t, {
      files: { 'leak.lua': `require("luafcgid").isolation("request") ${LEAK}`, 'count.lua': COUNT },
      config: 'clones = 1',
    }),
  );
  const withoutImages = shared((t) =>
    startServer(t, { files: { 'leak.lua': LEAK }, config: 'clones = 1 isolation = "request" images = 0' }),
  );

  for (const [name, server] of [
    ['by the setting', isolated],
    ['by the script', plain],
    ['without an image', withoutImages],
  ] as const) {
    it(`lets no request see what another one has changed, ${name}`, async () => {
      for (const way of ways) {
        await ask(server(), 'leak.lua', { params: { QUERY_STRING: way } });
        assert.equal(await text(server(), 'leak.lua', 'look'), 'found:', `after ${way}`);
      }
      const kept = await askKept(server(), 'leak.lua', [...ways.flatMap((way) => [way, 'look'])]);
      const seen = kept.filter((each) => each.startsWith('found:') && each !== 'found:');
      assert.deepEqual(seen, [], kept.join('\n'));
      assert.equal(kept.filter((each) => each === 'found:').length >= ways.length, true, kept.join('\n'));
    });
  }

  it('is not what scripts have by default, and a script may do without it', async () => {
    assert.deepEqual(await askKept(plain(), 'count.lua', ['', '', '']), ['1 of 1', '2 of 1', '3 of 1']);
    assert.deepEqual(await askKept(isolated(), 'chosen.lua', ['', '', '']), ['1 of 1', '2 of 1', '3 of 1']);
    assert.deepEqual(await askKept(isolated(), 'count.lua', ['', '', '']), ['1 of 1', '1 of 1', '1 of 1']);
    for (const script of ['chosen.lua', 'count.lua']) await assertLogged(isolated(), script, 1);
  });

  it('gives each request random numbers of its own', async () => {
    const drawn = await askKept(
      isolated(),
      'random.lua',
      Array.from({ length: 8 }, () => ''),
    );
    assert.ok(new Set(drawn).size >= 7, drawn.join(' '));
  });

  it('loads a script that has files open anew for each request, and says so once', async () => {
    assert.deepEqual(await askKept(isolated(), 'open.lua', ['', '', '']), ['1 of 1', '1 of 1', '1 of 1']);
    await assertLogged(isolated(), 'open.lua', 3);
    await assertLogged(isolated(), 'open.lua', 1, 'LUAFCGID_ISOLATION_RELOADS');
    assert.match(isolated().log(), /each request loads .*open\.lua anew .*: it has files open/);
  });

  it('holds while requests of one script wait beside each other', async (t) => {
    const server = await startServer(t, {
      files: { 'leak.lua': LEAK },
      config: 'workers = 1 clones = 6 isolation = "request"',
    });
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, at) => text(server, 'leak.lua', at % 3 === 0 ? 'leak' : 'sleep')),
      );
      assert.deepEqual(answers, Array(12).fill('found:'));
    }
  });

  it('leaves no handle, transaction, lock, cursor or session of one request to the next', async () => {
    const server = isolated();
    await text(server, 'data.lua', 'setup');
    for (const way of ['leave', 'error']) {
      await ask(server, 'data.lua', { params: { QUERY_STRING: way } });
      assert.equal(await text(server, 'data.lua', 'look'), 'nil 0 true nil', `after ${way}`);
    }
  });

  it('is refused with a native engine, in the configuration and by the module', async (t) => {
    const file = join(tempDir(t), 'native.lua');
    writeFileSync(file, 'engine = "lua5.1" isolation = "request"');
    const { code, stderr } = await runCommand(['check', file]);
    assert.equal(code, 1);
    assert.match(stderr, /isolation = "request".*left out with engine = "lua5\.1", whose states cannot be copied/);
  });
});
