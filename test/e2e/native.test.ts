/** The native engines in the real process: chosen in the configuration and on the command line, with C modules. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { parseCgiAnswer } from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { fetchHttp } from '../support/http.js';
import { runCommand, type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const WHICH = `
  function main(env, con)
    con:type("text/plain")
    con:puts(jit and jit.version:match("^LuaJIT") or _VERSION, " ", io.open("/etc/hostname") and "files" or "no files",
      " ", con:config("engine"), " ", env.REQUEST_METHOD)
  end`;

/** What the script above says under each engine. */
const ENGINES = [
  ['embedded', 'Lua 5.1 no files'],
  ['lua5.1', 'Lua 5.1 files'],
  ['lua5.4', 'Lua 5.4 files'],
  ['luajit', 'LuaJIT files'],
] as const;

const PROXY = `function main(env, con)
  local names = {}
  for name in pairs(env) do if name:find("PROXY") then names[#names + 1] = name end end
  con:puts(tostring(env.HTTP_PROXY), " ", tostring(env["HTTP_PROXY"]), " ", table.concat(names), " ", env.HTTP_HOST)
end`;

const EXPAND = `
  local function expand(s) return (s:gsub("%b()", function(x) return "<i>" .. expand(x:sub(2, -2)) .. "</i>" end)) end
  function main(env, con) con:puts(#expand(env.QUERY_STRING)) end`;

/** What only one engine is asked for. */
const FURTHER_FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'lua5.1': {
    'with-cjson.lua': `
      local cjson = require("cjson")
      function main(env, con)
        con:puts(cjson.encode({ list = { 1, 2, cjson.null } }), " ", cjson.decode('{"a":["é",true]}').a[1])
        con:puts(" ", cjson.decode(cjson.encode(env)).QUERY_STRING)
      end`,
    'with-lfs.lua': `
      local lfs = require("lfs")
      function main(env, con)
        local folder = env.SCRIPT_FILENAME:match("^(.*)/")
        local names = {}
        for name in lfs.dir(folder) do if name:match("%.lua$") then names[#names + 1] = name end end
        table.sort(names)
        con:puts(table.concat(names, " "), " ", lfs.attributes(env.SCRIPT_FILENAME, "mode"))
      end`,
    'with-lpeg.lua': `
      local lpeg = require("lpeg")
      local number = lpeg.R("09") ^ 1 / tonumber
      local sum = lpeg.Cf(number * (lpeg.P("+") * number) ^ 0, function(a, b) return a + b end)
      function main(env, con) con:puts(sum:match(env.QUERY_STRING)) end`,
    'with-sqlite.lua': `
      local sqlite3 = require("luasql.sqlite3")
      local connection = assert(sqlite3.sqlite3():connect(":memory:"))
      assert(connection:execute("create table visits (name text)"))
      function main(env, con)
        assert(connection:execute("insert into visits values ('" .. connection:escape(env.QUERY_STRING) .. "')"))
        local cursor = assert(connection:execute("select count(*), group_concat(name, '|') from visits"))
        con:puts(table.concat({ cursor:fetch() }, " "))
        cursor:close()
      end`,
  },
  'lua5.4': {
    'hog.lua': `count = 0
      function main(env, con)
        count = count + 1
        if env.QUERY_STRING == "hog" then local t = {} while true do t[#t + 1] = { #t } end end
        con:puts(count)
      end`,
  },
  luajit: {
    'page.lua': 'local part = require("part") function main(env, con) con:puts("a ", part.text) end',
    'part.lua': 'return { text = "one" }',
  },
};

/** Tests of one engine, on the server that has it. */
const FURTHER_TESTS: Readonly<Record<string, (server: () => Server) => void>> = {
  'lua5.1': testModulesOfC,
  'lua5.4': testMemory,
  luajit: testChanges,
};

for (const [engine, says] of ENGINES) {
  describe(`the Lua engine ${engine}`, () => {
    const server = shared((t) =>
      startServer(t, {
        files: {
          'which.lua': WHICH,
          'expand.lua': EXPAND,
          'proxy.lua': PROXY,
          'fine.lua': 'function main(env, con) con:puts("fine") end',
          ...FURTHER_FILES[engine],
        },
        config: `engine = "${engine}" clones = 1 sweep = 20 memory = 8 * 2^20`,
      }),
    );
    FURTHER_TESTS[engine]?.(server);

    it('is chosen by the configuration', async () => {
      assert.equal((await ask(server(), 'which.lua')).text, `${says} ${engine} GET`);
    });

    it("gives a script no HTTP_PROXY of a client's Proxy header", async () => {
      const params = { HTTP_PROXY: 'http://evil.example:8080/', HTTP_HOST: 'x' };
      assert.equal((await ask(server(), 'proxy.lua', { params })).text, 'nil nil  x');
    });

    it('has the C stack that nested callbacks need (attacks F4)', async () => {
      const nested = (levels: number) =>
        ask(server(), 'expand.lua', { params: { QUERY_STRING: '('.repeat(levels) + ')'.repeat(levels) } });
      // 300 are within what LuaJIT nests, and more than what others do; 2,000 are more than any does.
      assert.equal((await nested(300)).status, engine === 'luajit' ? 200 : 500);
      assert.equal((await nested(2000)).status, 500);
      assert.equal((await ask(server(), 'fine.lua')).text, 'fine');
    });
  });
}

describe('the Lua engine', () => {
  it('is what --engine says, whatever the configuration says', async (t) => {
    const server = await startServer(t, {
      files: { 'which.lua': WHICH },
      config: 'engine = "luajit"',
      args: ({ config }) => [config, '--engine', 'embedded'],
    });
    assert.equal((await ask(server, 'which.lua')).text, 'Lua 5.1 no files embedded GET');
  });

  it('is what --engine says for run and for serve', async (t) => {
    const file = join(tempDir(t), 'which.lua');
    writeFileSync(file, WHICH);
    for (const [engine, says] of ENGINES) {
      const run = await runCommand(['run', file, '--engine', engine]);
      assert.equal(run.code, 0, run.stderr);
      assert.equal(parseCgiAnswer(run.stdoutBytes).body.toString(), `${says} ${engine} GET`);
    }
    const server = await startServer(t, {
      files: { 'which.lua': WHICH },
      args: ({ scripts }) => ['serve', scripts, '--engine', 'lua5.4'],
      env: { PORT: '0' },
      ready: /Ctrl-C/,
    });
    const [, port] = await server.logged(/http:\/\/127\.0\.0\.1:([1-9]\d*)\//);
    assert.equal((await fetchHttp({ port: Number(port), path: '/which.lua' })).text, 'Lua 5.4 files lua5.4 GET');
  });

  it('that does not exist, or whose library does not, is one clear error before anything starts', async (t) => {
    const dir = tempDir(t);
    const file = join(dir, 'config.lua');
    const library = join(dir, 'liblua.so');
    writeFileSync(library, 'no library');
    for (const [config, message] of [
      ['engine = "lua5.3"', /engine = "lua5\.3": must be "embedded", "lua5\.1", "lua5\.4" or "luajit"/],
      ['engine = "luajit" lualib = "/no/such/liblua.so"', /lualib = "\/no\/such\/liblua\.so": there is no such file/],
      [
        `engine = "luajit" lualib = "${library}"`,
        /luajit cannot be used: .*liblua\.so.*\n.*apt-get install libluajit-5\.1-2/,
      ],
      ['engine = "lua5.4" lualib = LIBC', /lua5\.4 cannot be used: .*\n.*apt-get install liblua5\.4-0/],
    ] as const) {
      const libc = process.report?.getReport() as { sharedObjects?: string[] };
      const path = libc.sharedObjects?.find((name) => /\/libc[.-]/.test(name)) ?? '/lib/x86_64-linux-gnu/libc.so.6';
      writeFileSync(file, `listen = "a.sock" ${config.replace('LIBC', JSON.stringify(path))}`);
      // A server looks at its configuration as the check does: one of each kind of error is enough.
      for (const args of [['check', file], ...(/5\.3|LIBC/.test(config) ? [[file]] : [])]) {
        const { code, stdout, stderr } = await runCommand(args, { cwd: dir });
        assert.deepEqual([code, stdout], [1, ''], stderr);
        assert.match(stderr, message);
        assert.doesNotMatch(stderr, /\n {4}at /, 'no stack of JavaScript');
      }
    }
    const wrong = await runCommand(['--engine', 'perl'], { cwd: dir });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /engine = "perl" \(command line\): must be/);
    writeFileSync(file, 'engine = "luajit"');
    assert.equal((await runCommand(['check', file], { cwd: dir })).code, 0);
  });

  it('is refused when the library is another Lua', async (t) => {
    const dir = tempDir(t);
    const file = join(dir, 'config.lua');
    const script = join(dir, 'find.lua');
    writeFileSync(
      script,
      `function main(env, con)
        for line in io.lines("/proc/self/maps") do
          local file = line:match("%S+libluajit%S+$")
          if file then con:puts(file) return end
        end
      end`,
    );
    const find = await runCommand(['run', script, '--engine', 'luajit']);
    const libraryFile = parseCgiAnswer(find.stdoutBytes).body.toString();
    writeFileSync(file, `engine = "lua5.1" lualib = "${libraryFile}"`);
    const { code, stderr } = await runCommand(['check', file]);
    assert.equal(code, 1);
    assert.match(stderr, /lua5\.1 cannot be used: .* is LuaJIT\n/);
  });
});

describe('a native engine', () => {
  it('finishes its request when the server is told to stop, and a script that does not end is left', async (t) => {
    const server = await startServer(t, { config: 'engine = "luajit" bodymemory = 0', files: { 'hold.lua': HOLD } });
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    server.signal('SIGTERM');
    await eventually('the stop', () => /stopping/.test(server.log()));
    assert.equal((await held.release()).status, 200);
    assert.deepEqual(await server.ended(), { code: 0, signal: null });

    const stuck = await startServer(t, {
      config: 'engine = "lua5.1"',
      files: { 'loop.lua': 'function main(env, con) con:puts("begun") con:flush() while true do end end' },
    });
    void ask(stuck, 'loop.lua').catch(() => {});
    await eventually('the loop', () => true);
    stuck.signal('SIGTERM');
    await eventually('the stop', () => /stopping/.test(stuck.log()));
    stuck.signal('SIGTERM');
    const { code, signal } = await stuck.ended();
    assert.ok(signal === null && (code === 1 || code === 0), `${code} ${signal}`);
  });
});

function testModulesOfC(server: () => Server): void {
  const answer = async (script: string, query: string): Promise<string> => {
    const { status, text } = await ask(server(), script, { params: { QUERY_STRING: query } });
    assert.equal(status, 200, text);
    return text;
  };

  it('lua-cjson encodes and decodes, env included', async () => {
    for (const query of ['first=1', 'second=2']) {
      assert.equal(await answer('with-cjson.lua', query), `{"list":[1,2,null]} é ${query}`);
    }
  });

  it('lua-filesystem reads folders', async () => {
    assert.equal(
      await answer('with-lfs.lua', ''),
      'expand.lua fine.lua proxy.lua which.lua with-cjson.lua with-lfs.lua with-lpeg.lua with-sqlite.lua file',
    );
  });

  it('lua-lpeg matches', async () => {
    assert.equal(await answer('with-lpeg.lua', '1+20+300'), '321');
  });

  it('lua-sql-sqlite3 keeps its connection from request to request', async () => {
    assert.equal(await answer('with-sqlite.lua', "o'ne"), "1 o'ne");
    assert.equal(await answer('with-sqlite.lua', 'two'), "2 o'ne|two");
    assert.equal(await answer('with-sqlite.lua', 'three'), "3 o'ne|two|three");
  });
}

function testMemory(server: () => Server): void {
  it('costs a request that uses too much memory, and has its state replaced', async () => {
    const visit = (query: string) => ask(server(), 'hog.lua', { params: { QUERY_STRING: query } });
    assert.equal((await visit('')).text, '1');
    const hog = await visit('hog');
    assert.equal(hog.status, 500);
    assert.match(hog.text, /not enough memory: the state may have 8 MiB/);
    assert.equal((await visit('')).text, '1', 'a new state');
  });
}

function testChanges(server: () => Server): void {
  it('has a state made anew when its script, or a file that it required, changes', async () => {
    assert.equal((await ask(server(), 'page.lua')).text, 'a one');
    server().write('part.lua', 'return { text = "another" }');
    await eventually('the changed module', async () => (await ask(server(), 'page.lua')).text === 'a another');
  });
}
