/** What is found in pages before they run: users.md section 3, static checks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkPage, isPage, type PageRules } from '../../src/analysis/page-check.js';
import { readOutline } from '../../src/analysis/parser.js';

const RULES: PageRules = {
  handlers: ['main', 'authorize', 'filter'],
  engineGlobals: new Set(['_G', 'print', 'pairs', 'require', 'type', 'string', 'error', 'setmetatable', 'tonumber']),
  conMethods: ['puts', 'gets', 'header', 'flush', 'param'],
  syntaxFault: () => undefined,
  load: () => undefined,
  preload: undefined,
};

const told = (source: string, rules: Partial<PageRules> = {}): string[] =>
  checkPage(source, { ...RULES, ...rules }).map(({ line, column, text }) => `${line}:${column}: ${text}`);

describe('a page', () => {
  it('without a fault has none found in it, whatever Lua it is written in', () => {
    for (const source of [
      'function main(env, con) con:puts("x") end',
      'main = setmetatable({}, {})',
      'hits = 0\nfunction main(env, con) hits = hits + 1 con:puts(hits) end',
      'local M = {}\nfunction M.f() return M end\nreturn M',
      '#!/usr/bin/lua\n-- [[ a ]]\n--[==[ a\n]] ]==]\nfunction filter(env, con) local s = [[\n]] .. "a\\"\\\nb" con:puts(s) end',
      'local x <const>, y <close> = 1, nil\nfunction main(env, con) ::top:: if x // 2 ~ 3 >> 1 == 0x1p4 then goto top end end',
      'local n = 42LL\nfunction main(env, con) for i = 1, 2 do local f = function(...) return ..., i end f{n} f"x" end end',
      'function main(env, con) repeat local done = con:gets() until done end',
      'local unpack = table and table.unpack or unpack\nfunction main(env, con) if jit then con:puts(jit.version) end end',
      'function main(env, con) if type(ngx) == "table" then ngx.say("x") end end',
      'function main(env, con) _G.total = 1 _G["other"] = 2 print(total, other, _G.third) end',
      'local Shop = {}\nfunction Shop:add(item) self[#self + 1] = item end\nfunction main(env, con) Shop:add(con:param("x")) end',
      'function main(env, con) local con = env.db con:execute("x") end',
      'local function rows(con) return con:execute("select 1") end\nfunction main() rows() end',
      'local test = require("luafcgid.test")\ntest = nil',
      'setfenv(1, {})\nfunction page() anything() end',
    ]) {
      assert.deepEqual(told(source), [], source);
    }
  });

  it('that defines no handler is told, with what may have been meant', () => {
    assert.deepEqual(told('function mian(env, con) end'), [
      '1:1: there is no function main(env, con), which answers requests; was mian meant to be it?',
    ]);
    assert.deepEqual(told('print("x")'), ['1:1: there is no function main(env, con), which answers requests']);
  });

  it('has its accidental globals told, each once', () => {
    assert.deepEqual(
      told(
        'function main(env, con)\n  totl = 0\n  for i, v in pairs(env) do totl = totl + i end\n  con:puts(total)\nend',
      ),
      [
        '2:3: totl is assigned in a function and is a global, which outlives the request: write "local totl", or give it a value outside of all functions',
        '4:12: total is a global that nobody defines; did you mean totl?',
      ],
    );
    assert.deepEqual(told('function main(env, con) print(prnt(1)) helper() end'), [
      '1:31: prnt is a global that nobody defines; did you mean print?',
      '1:40: helper is a global that nobody defines',
    ]);
  });

  it('has methods told that con does not have, and calls without a colon', () => {
    assert.deepEqual(
      told('function main(env, con)\n  con:put("x")\n  con:frobnicate()\n  con.puts("x")\n  con.puts(con, "x")\nend'),
      [
        '2:7: con has no method put; did you mean puts?',
        '3:7: con has no method frobnicate',
        '4:7: con.puts is called without its con: write con:puts(...)',
      ],
    );
    const helper = 'local function head(con) con:heder("x") end\nfunction main(env, con) head(con) end';
    assert.deepEqual(told(helper), ['1:30: con has no method heder; did you mean header?']);
  });

  it('is not blamed for globals of its modules, of theirs, and of preload', () => {
    const files: Record<string, string> = {
      'require app': 'dofile("more.lua")\nfunction helper() end\nreturn {}',
      'dofile more.lua': 'more = 1\nfunction main(env, con) end',
    };
    const source = 'local app = require("app")\nlocal function f() helper(more, site) site = 2 end';
    assert.deepEqual(told(source, { load: ({ by, name }) => files[`${by} ${name}`], preload: 'site = {}' }), []);
  });

  it('with a fault of syntax has that told alone, at its column', () => {
    assert.deepEqual(
      told('function main()\n  local x = = 1\nend', {
        syntaxFault: () => "/srv/page.lua:2: unexpected symbol near '='",
      }),
      ["2:11: unexpected symbol near '='"],
    );
  });

  it('is told from a configuration', () => {
    const handlers = ['main', 'authorize', 'filter'];
    for (const page of ['function main() end', 'return {}', 'function f(env, con) con:puts(1) end', 'con con con']) {
      assert.equal(isPage(page, handlers), true, page);
    }
    for (const config of ['listen = 9000\nfunction startup() end', 'listen = = 1', '']) {
      assert.equal(isPage(config, handlers), false, config);
    }
  });
});

it('sources that are cut off or nested without end are refused, and never looked at for long', () => {
  for (const source of [
    'function',
    '"',
    '[[',
    'x = {',
    'f(',
    `x = ${'('.repeat(5000)}`,
    `${'do '.repeat(5000)}`,
    'a.b',
    '\x01',
  ]) {
    assert.throws(() => readOutline(source), /line \d+: /, source.slice(0, 20));
  }
});
