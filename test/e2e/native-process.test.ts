/** What native scripts share with nobody although the system has it once for each process. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const ENGINES = ['lua5.1', 'lua5.4', 'luajit'] as const;

describe('a native script', () => {
  for (const engine of ENGINES) {
    it(`opens relative files beside itself, whatever directory others have changed to (${engine}, issue 12.6, users D2, F1)`, async (t) => {
      const script =
        'function main(env, con) local f = io.open("data.txt") con:puts(f and f:read("*a") or "none", " ", io.popen("pwd"):read("*l")) end';
      const files = { 'a/x.lua': script, 'a/data.txt': 'A', 'b/x.lua': script, 'b/data.txt': 'B' };
      const server = await startServer(t, { files, config: `engine = "${engine}" workers = 2 clones = 2` });
      const asked = Array.from({ length: 40 }, (_, nth) => (nth % 2 === 0 ? 'a' : 'b'));
      const answers = await Promise.all(asked.map(async (folder) => (await ask(server, `${folder}/x.lua`)).text));
      assert.deepEqual(
        answers,
        asked.map((folder) => `${folder.toUpperCase()} ${server.scripts}/${folder}`),
      );
    });
  }

  it('loads relative files beside itself, and else where it has changed to (users D1)', async (t) => {
    const files = {
      's.lua': `local lfs = require("lfs")
        function main(env, con)
          lfs.chdir("pages")
          con:puts(dofile("beside.lua"), " ", dofile("there.lua"), " ", assert(loadfile("both.lua"))(), " ")
          con:puts(select(2, loadfile("nowhere.lua")), " ", select(2, pcall(dofile, "nowhere.lua")), " ", (select(2, loadfile("byte.lua"))))
        end`,
      'beside.lua': 'return "beside"',
      'both.lua': 'return "first"',
      'pages/both.lua': 'return "second"',
      'pages/there.lua': '#!/usr/bin/lua\nreturn "there"',
      'pages/byte.lua': '\x1bLua',
    };
    const server = await startServer(t, { files, config: 'engine = "lua5.1" workers = 1' });
    const missing = `cannot open ${server.scripts}/nowhere.lua: No such file or directory`;
    const { text } = await ask(server, 's.lua');
    assert.ok(text.startsWith(`beside there first ${missing} ${missing} `), text);
    assert.match(text, /precompiled/);
  });

  it('has programs whose pipes break as they do elsewhere (reports A13)', async (t) => {
    const files = {
      'p.lua': `function main(env, con)
        con:puts(io.popen("grep SigIgn /proc/self/status"):read("*a"), io.popen("yes | head -1; echo done"):read("*a")) end`,
    };
    const server = await startServer(t, { files, config: 'engine = "lua5.1" workers = 1' });
    const [, ignored = '', output] = /^SigIgn:\t([0-9a-f]+)\n([\s\S]*)$/.exec((await ask(server, 'p.lua')).text) ?? [];
    const [pipe, fileSize] = [13n, 25n].map((number) => (BigInt(`0x${ignored}`) >> (number - 1n)) & 1n);
    assert.deepEqual([pipe, fileSize, output], [0n, 0n, 'y\ndone\n']);
  });

  it('has its own dates while others ask for others (reports A3)', async (t) => {
    const script = (seconds: number, text: string) => `function main(env, con)
      for i = 1, 20000 do
        local text = os.date("!%Y-%m-%d %H:%M:%S", ${seconds})
        if text ~= "${text}" then return con:puts("wrong: ", text) end
      end
      con:puts(os.date("!*t", ${seconds}).hour)
    end`;
    const files = {
      'a.lua': script(1_000_000_000, '2001-09-09 01:46:40'),
      'b.lua': script(1_700_000_000, '2023-11-14 22:13:20'),
    };
    const server = await startServer(t, { files, config: 'engine = "lua5.1" workers = 2' });
    const answers = await Promise.all(
      ['a', 'b', 'a', 'b'].map(async (name) => (await ask(server, `${name}.lua`)).text),
    );
    assert.deepEqual(answers, ['1', '22', '1', '22']);
  });

  it('has random numbers and a locale of its own', async (t) => {
    const files = {
      'r.lua': `function main(env, con)
        if env.QUERY_STRING == "seed" then math.randomseed(7) end
        con:puts(math.random(1000000), " ", math.random(1000000), " ", tostring(os.setlocale("de_DE.UTF-8")), tostring(os.setlocale("C")))
      end`,
      'other.lua': 'function main(env, con) for i = 1, 1000 do math.random() end math.randomseed(1) end',
    };
    const server = await startServer(t, { files, config: 'engine = "lua5.1" workers = 1 clones = 1' });
    const seeded = async () => (await ask(server, 'r.lua', { params: { QUERY_STRING: 'seed' } })).text;
    const first = await seeded();
    assert.match(first, /^\d+ \d+ nilC$/);
    await ask(server, 'other.lua');
    assert.equal(await seeded(), first);
  });
});
