/** What the real process notices of files that change while it serves them, idle or busy. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Held } from '../support/held.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** A script that tells its version, and how many requests its state has served. */
const version = (text: string): string => `
local version, served = "${text}", 0
function main(env, con)
  served = served + 1
  if env.QUERY_STRING == "held" then con:puts("running ") con:flush() con:gets() end
  con:puts(version, " ", served)
end`;

const shows = (server: Server, script: string, text: string): Promise<unknown> =>
  eventually(`${script} showing ${JSON.stringify(text)}`, async () => {
    const { status, body } = await ask(server, script);
    return `${status} ${body}` === text;
  });

describe('a script that changes', () => {
  const server = shared((t) => startServer(t, { config: 'sweep = 10 workers = 2 bodymemory = 0' }));
  /** Writes a script and lets a state load it. */
  const begin = async (name: string, text: string): Promise<string> => {
    const file = server().write(name, version(text));
    assert.equal((await ask(server(), name)).text, `${text} 1`);
    return file;
  };

  it('is served anew after an edit', async () => {
    await begin('edited.lua', 'old');
    server().write('edited.lua', version('new and longer'));
    await shows(server(), 'edited.lua', '200 new and longer 1');
    await shows(server(), 'edited.lua', '200 new and longer 3');
  });

  it('is served anew after each of many edits of one second, all of one size', async () => {
    await begin('often.lua', 'edit-00');
    for (let edit = 1; edit <= 20; edit += 1) {
      const text = `edit-${String(edit).padStart(2, '0')}`;
      server().write('often.lua', version(text));
      await eventually(text, async () => (await ask(server(), 'often.lua')).text.startsWith(`${text} `));
    }
  });

  it('is served anew when its time lies in the future and an edit keeps it, and the size', async () => {
    const future = new Date(Date.now() + 86_400_000);
    const file = server().write('future.lua', version('one'));
    utimesSync(file, future, future);
    assert.equal((await ask(server(), 'future.lua')).text, 'one 1');
    writeFileSync(file, version('two'));
    utimesSync(file, future, future);
    await eventually('two', async () => (await ask(server(), 'future.lua')).text.startsWith('two '));
  });

  it('is served anew when an edit keeps its size, its time and its inode (reports A9)', async () => {
    const past = new Date(1_000_000_000_000);
    const file = server().write('same.lua', version('one'));
    utimesSync(file, past, past);
    assert.equal((await ask(server(), 'same.lua')).text, 'one 1');
    writeFileSync(file, version('two'));
    utimesSync(file, past, past);
    await eventually('two', async () => (await ask(server(), 'same.lua')).text.startsWith('two '));
  });

  it('is served anew when an older version is put back', async () => {
    const file = await begin('older.lua', 'now');
    writeFileSync(`${file}.old`, version('old'));
    const longAgo = new Date(2001, 1, 1);
    utimesSync(`${file}.old`, longAgo, longAgo);
    renameSync(`${file}.old`, file);
    await shows(server(), 'older.lua', '200 old 1');
  });

  it('is served anew when a link leads elsewhere', async () => {
    const { scripts, path } = server();
    await begin('v1/page.lua', 'first');
    server().write('v2/page.lua', version('second'));
    symlinkSync('v1', join(scripts, 'current'));
    assert.match((await ask(server(), 'current/page.lua')).text, /^first /);
    symlinkSync('v2', join(scripts, 'next'));
    renameSync(path('next'), path('current'));
    await eventually('second', async () => (await ask(server(), 'current/page.lua')).text.startsWith('second '));
    assert.match((await ask(server(), 'v1/page.lua')).text, /^first /, 'the other file is as it was');
  });

  it('is gone when it is deleted, and back when it is there again', async () => {
    const file = await begin('mayfly.lua', 'alive');
    rmSync(file);
    await eventually('404', async () => (await ask(server(), 'mayfly.lua')).status === 404);
    server().write('mayfly.lua', version('reborn'));
    await shows(server(), 'mayfly.lua', '200 reborn 1');
  });

  it('is served as soon as it is there, even after a 404', async () => {
    assert.equal((await ask(server(), 'late.lua')).status, 404);
    server().write('late.lua', version('there'));
    assert.equal((await ask(server(), 'late.lua')).text, 'there 1');
  });

  it('is a directory after a while: 404', async () => {
    const file = await begin('becomes-directory.lua', 'file');
    rmSync(file);
    mkdirSync(file);
    await eventually('404', async () => (await ask(server(), 'becomes-directory.lua')).status === 404);
  });

  it('with an error is told, and works again when that is corrected', async () => {
    await begin('mistake.lua', 'good');
    server().write('mistake.lua', 'function main(env, con) con:puts("unfinished"');
    await eventually('500', async () => (await ask(server(), 'mistake.lua')).status === 500);
    server().write('mistake.lua', version('corrected'));
    await eventually('corrected', async () => (await ask(server(), 'mistake.lua')).text.startsWith('corrected'));
  });

  it('while it runs finishes as it was, and is served anew after that', async (t) => {
    await begin('busy.lua', 'old');
    const held = await Held.ask(t, server(), 'busy.lua');
    await held.running;
    server().write('busy.lua', version('new'));
    await shows(server(), 'busy.lua', '200 new 1'); // another clone
    await shows(server(), 'busy.lua', '200 new 5');
    // A new state reads the new file also before a sweep has found the change.
    await server().logged(/flushed, made from files that have changed: [^\n]*busy\.lua/);
    assert.equal((await held.release()).text, 'running old 2');
    for (let round = 0; round < 10; round += 1) assert.match((await ask(server(), 'busy.lua')).text, /^new /);
  });

  it('while its only state runs is served anew as soon as that is free', async (t) => {
    const single = await startServer(t, { config: 'sweep = 10 workers = 1 bodymemory = 0' });
    single.write('busy.lua', version('old'));
    const held = await Held.ask(t, single, 'busy.lua');
    await held.running;
    single.write('busy.lua', version('new'));
    // Another sweep has passed when a second change, to a file nobody runs, has been seen.
    await single.logged(/1 state is flushed, made from files that have changed: \/\S+\.lua$/m);
    const next = ask(single, 'busy.lua');
    assert.equal((await held.release()).text, 'running old 1');
    assert.equal((await next).text, 'new 1');
  });
});

describe('a module that a script requires', () => {
  const server = shared((t) =>
    startServer(t, { config: ({ dir }) => `sweep = 10 path = ${JSON.stringify(`${dir}/lib/?.lua`)}` }),
  );
  const page = 'local m = require("module")\nfunction main(env, con) con:puts(m.text) end';

  it('is loaded anew when it changes, beside the script or on the path', async () => {
    server().write('../lib/shared-module.lua', 'return "shared 1"');
    server().write('site/beside.lua', 'return "beside 1"');
    server().write(
      'site/page.lua',
      'local a, b = require("beside"), require("shared-module")\nfunction main(env, con) con:puts(a, ", ", b) end',
    );
    assert.equal((await ask(server(), 'site/page.lua')).text, 'beside 1, shared 1');
    server().write('site/beside.lua', 'return "beside 2"');
    await shows(server(), 'site/page.lua', '200 beside 2, shared 1');
    server().write('../lib/shared-module.lua', 'return "shared 2"');
    await shows(server(), 'site/page.lua', '200 beside 2, shared 2');
  });

  it('is loaded anew when a module of a module changes, also one that dofile ran', async () => {
    server().write('deep/page.lua', page);
    server().write('deep/module.lua', 'return { text = require("inner.most") .. dofile("data.lua") }');
    server().write('deep/inner/most.lua', 'return "a"');
    server().write('deep/data.lua', 'return "1"');
    assert.equal((await ask(server(), 'deep/page.lua')).text, 'a1');
    server().write('deep/inner/most.lua', 'return "b"');
    await shows(server(), 'deep/page.lua', '200 b1');
    server().write('deep/data.lua', 'return "2"');
    await shows(server(), 'deep/page.lua', '200 b2');
  });

  it('is noticed when it was required during a request', async () => {
    server().write('lazy/page.lua', 'function main(env, con) con:puts(require("module")) end');
    server().write('lazy/module.lua', 'return "one"');
    assert.equal((await ask(server(), 'lazy/page.lua')).text, 'one');
    server().write('lazy/module.lua', 'return "two"');
    await shows(server(), 'lazy/page.lua', '200 two');
  });

  it('is noticed when it appears where it was looked for, or comes first now (reports A16)', async () => {
    const optional = 'local ok, m = pcall(require, "opt")\nfunction main(env, con) con:puts(ok and m or "none") end';
    server().write('absent/page.lua', optional);
    assert.equal((await ask(server(), 'absent/page.lua')).text, 'none');
    server().write('absent/opt.lua', 'return "there"');
    await shows(server(), 'absent/page.lua', '200 there');
    server().write('first/page.lua', optional);
    server().write('first/opt/init.lua', 'return "second"');
    assert.equal((await ask(server(), 'first/page.lua')).text, 'second');
    server().write('first/opt.lua', 'return "first"');
    await shows(server(), 'first/page.lua', '200 first');
  });

  it('fails its script when it is deleted', async () => {
    server().write('gone/page.lua', page);
    const file = server().write('gone/module.lua', 'return { text = "there" }');
    assert.equal((await ask(server(), 'gone/page.lua')).text, 'there');
    rmSync(file);
    await eventually('500', async () => (await ask(server(), 'gone/page.lua')).status === 500);
    server().write('gone/module.lua', 'return { text = "back" }');
    assert.equal((await ask(server(), 'gone/page.lua')).text, 'back');
  });

  it('is loaded anew when the preload file changes', async (t) => {
    const preloaded = await startServer(t, {
      files: { '../preload.lua': 'greeting = "hello"', 'a.lua': 'function main(env, con) con:puts(greeting) end' },
      config: 'sweep = 10 preload = "preload.lua"',
    });
    assert.equal((await ask(preloaded, 'a.lua')).text, 'hello');
    preloaded.write('../preload.lua', 'greeting = "welcome"');
    await shows(preloaded, 'a.lua', '200 welcome');
  });
});

describe('the hooks of the configuration', () => {
  it('run at the start, in each sweep and at the end', async (t) => {
    const server = await startServer(t, {
      config: `sweep = 10
        local sweeps = 0
        function startup() print("hook: startup") end
        function housekeeping() sweeps = sweeps + 1 print("hook: sweep " .. sweeps) end
        function shutdown() print("hook: shutdown after " .. (sweeps > 2 and "many" or "few")) end`,
    });
    await server.logged(/hook: startup[\s\S]*ready[\s\S]*hook: sweep 1[\s\S]*hook: sweep 3/);
    await server.stop();
    assert.match(server.log(), /hook: shutdown after many/);
  });

  it('cost nothing but their own work when they fail', async (t) => {
    const server = await startServer(t, {
      files: { 'a.lua': version('a') },
      config: 'sweep = 10 function housekeeping() error("hook trouble") end',
    });
    await server.logged(/LUAFCGID_CONFIG_HOOK.*hook trouble[\s\S]*LUAFCGID_CONFIG_HOOK.*hook trouble/);
    assert.equal((await ask(server, 'a.lua')).text, 'a 1');
  });

  it('stop the start when startup fails', async (t) => {
    await assert.rejects(
      startServer(t, { config: 'function startup() error("no database") end' }),
      /exit code 1[\s\S]*no database/,
    );
  });
});
