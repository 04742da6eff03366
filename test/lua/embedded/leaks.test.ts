/**
 * Scripts that leave something behind in every way that Lua 5.1 and the modules offer: with isolation by request the next request
 * sees nothing of it, and no clone ever does (issue 16). Each row leaves something in one request (`leave`), and tells what is there
 * of it (`look`).
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { LuaState, StateImage } from '../../../src/lua/state.js';
import { tempDir } from '../../support/cleanup.js';
import { newState, serve } from '../support.js';
import { grantedFiles } from './granted.js';

interface Way {
  /** What the main chunk does. */
  readonly main?: string;
  readonly leave: string;
  /** An expression. */
  readonly look: string;
}

/** `DIR` stands for a folder whose files the script may read and write. */
const WAYS: Readonly<Record<string, Way>> = {
  'a global': { leave: 'leak = 1', look: 'leak' },
  'a global function of Lua': { leave: 'tostring = function() return "leak" end', look: 'tostring(1)' },
  'a nested table': { main: 'deep = { a = { b = {} } }', leave: 'deep.a.b[1] = "leak"', look: 'deep.a.b[1]' },
  'a removed value': { main: 'kept = { 1 }', leave: 'kept[1] = nil kept.x = 1', look: 'kept[1], kept.x' },
  'the order of a table': {
    main: 'list = { 3, 1, 2 }',
    leave: 'table.sort(list)',
    look: 'table.concat(list)',
  },
  'a local variable of the file': {
    main: 'local kept = 0 function get() return kept end function add() kept = kept + 1 end',
    leave: 'add()',
    look: 'get()',
  },
  'an upvalue, by debug.setupvalue': {
    main: 'local kept = 0 function get() return kept end',
    leave: 'debug.setupvalue(get, 1, "leak")',
    look: 'get()',
  },
  'a local variable, by debug.setlocal': {
    main: 'thread = coroutine.create(function() local kept = 1 coroutine.yield() return kept end) coroutine.resume(thread)',
    leave: 'debug.setlocal(thread, 1, 1, "leak")',
    look: 'select(2, coroutine.resume(thread))',
  },
  'a coroutine of the main chunk that goes on': {
    main: 'step = coroutine.wrap(function() local n = 0 while true do n = n + 1 coroutine.yield(n) end end)',
    leave: 'step() step()',
    look: 'step()',
  },
  'a coroutine of the main chunk that ends': {
    main: 'thread = coroutine.create(function() coroutine.yield() end) coroutine.resume(thread)',
    leave: 'coroutine.resume(thread)',
    look: 'coroutine.status(thread)',
  },
  'a coroutine of a request': {
    leave: 'thread = coroutine.create(function() coroutine.yield("leak") end) coroutine.resume(thread)',
    look: 'thread',
  },
  'the metatable of strings': { leave: 'getmetatable("").__index = function() return "leak" end', look: '("x").y' },
  'an operator of strings': {
    leave: 'getmetatable("").__concat = function() return "leak" end',
    look: 'select(2, pcall(function() return "a" .. {} end))',
  },
  'a function of the string library': { leave: 'string.upper = function() return "leak" end', look: '("x"):upper()' },
  'the metatable of numbers': {
    leave: 'debug.setmetatable(0, { __index = { leak = 1 } })',
    look: 'debug.getmetatable(0)',
  },
  'the metatable of nil': {
    leave: 'debug.setmetatable(nil, { __index = function() return "leak" end })',
    look: 'pcall(function() return nothing.x end)',
  },
  'the metatable of booleans': { leave: 'debug.setmetatable(true, {})', look: 'debug.getmetatable(true)' },
  'the metatable of functions': {
    leave: 'debug.setmetatable(print, { __index = {} })',
    look: 'debug.getmetatable(print)',
  },
  'the metatable of coroutines': {
    leave: 'debug.setmetatable(coroutine.create(print), { __index = {} })',
    look: 'debug.getmetatable(coroutine.create(print))',
  },
  'the metatable of _G': {
    leave: 'setmetatable(_G, { __index = function() return "leak" end })',
    look: 'rawget(_G, "x") == nil and anything',
  },
  'a metatable that stays the same table': {
    main: 'meta = {} object = setmetatable({}, meta)',
    leave: 'meta.__index = function() return "leak" end',
    look: 'object.x',
  },
  'package.loaded': { leave: 'package.loaded.leak = "leak"', look: 'package.loaded.leak' },
  'package.preload': {
    leave: 'package.preload.leak = function() return "leak" end',
    look: '(select(2, pcall(require, "leak")) == "leak")',
  },
  'package.loaders': {
    leave: 'table.insert(package.loaders, 1, function() return function() return "leak" end end)',
    look: '#package.loaders',
  },
  'package.path': { leave: 'package.path = "leak"', look: 'package.path' },
  'a module that is required later': {
    leave: 'require("later").n = 2',
    look: 'package.loaded.later or require("later").n',
  },
  'a value in a module that the main chunk has required': {
    main: 'local later = require("later")',
    leave: 'require("later").n = 2',
    look: 'require("later").n',
  },
  'a function of a server module': {
    leave: 'require("luafcgid").escape = function() return "leak" end',
    look: 'require("luafcgid").escape("<")',
  },
  'the registry': { leave: 'debug.getregistry().leak = 1', look: 'debug.getregistry().leak' },
  'the environment of a function': {
    main: 'function get() return inner end',
    leave: 'setfenv(get, { inner = "leak" })',
    look: 'get()',
  },
  'the environment of the thread': {
    leave: 'setfenv(0, setmetatable({ leak = 1 }, { __index = _G }))',
    look: 'getfenv(0).leak',
  },
  'the environment of userdata': {
    main: 'object = newproxy(true)',
    leave: 'debug.setfenv(object, { leak = 1 })',
    look: 'debug.getfenv(object).leak',
  },
  'the metatable of userdata': {
    main: 'object = newproxy(true)',
    leave: 'getmetatable(object).__index = function() return "leak" end',
    look: 'pcall(function() return object.x end)',
  },
  'a weak table': {
    main: 'weak = setmetatable({}, { __mode = "k" }) key = {} weak[key] = "kept"',
    leave: 'key = nil collectgarbage() collectgarbage()',
    look: 'weak[key]',
  },
  'an entry of a weak table that a request has added': {
    main: 'weak = setmetatable({}, { __mode = "v" })',
    leave: 'hold = {} weak.leak = hold',
    look: 'weak.leak',
  },
  'a hook': { leave: 'debug.sethook(function() end, "l")', look: 'debug.gethook()' },
  'a stopped collector': { leave: 'collectgarbage("stop")', look: 'stopped()' },
  'the pause of the collector': { leave: 'collectgarbage("setpause", 1000)', look: 'collectgarbage("setpause", 200)' },
  'the step of the collector': {
    leave: 'collectgarbage("setstepmul", 1000)',
    look: 'collectgarbage("setstepmul", 200)',
  },
  memory: {
    leave: 'keep = {} for i = 1, 20000 do keep[i] = { i } end',
    look: 'math.floor(collectgarbage("count") / 512)',
  },
  'a finalizer': {
    main: 'count = 0',
    leave: 'proxy = newproxy(true) getmetatable(proxy).__gc = function() count = count + 1 end proxy = nil',
    look: '(function() collectgarbage() collectgarbage() return count end)()',
  },
  'the finalizer of an object of the main chunk': {
    main: 'ended = 0 proxy = newproxy(true) getmetatable(proxy).__gc = function() ended = ended + 1 end',
    leave: 'proxy = nil collectgarbage() collectgarbage()',
    look: 'ended .. type(proxy)',
  },
  'a locale': { leave: 'os.setlocale("C", "all") os.setlocale("de_DE")', look: 'os.setlocale()' },
  'the default output': { leave: 'io.output(io.open("DIR/out", "w"))', look: 'tostring(io.output() == io.stdout)' },
  'the default input': { leave: 'io.input("DIR/in")', look: 'tostring(io.input() == io.stdin)' },
  'an open file': { leave: 'file = io.open("DIR/in")', look: 'file' },
  'con and env': { leave: 'kept_con, kept_env = con, env', look: 'kept_con or kept_env' },
  'a field of con': { leave: 'con.leak = 1', look: 'con.leak' },
  'a function of con': {
    leave: `local meta = debug.getmetatable(con)
      local former = meta.__index
      meta.__index = function(_, key) return key == "leak" or type(former) == "table" and former[key] or former(_, key) end`,
    look: 'con.leak',
  },
  'a variable of env': { leave: 'env.LEAK = 1', look: 'env.LEAK' },
  'the handler': { leave: 'function main(env, con) con:puts("another main") end', look: 'type(main)' },
  'the arguments of JSON': {
    leave: 'require("luafcgid.json").encode = function() return "leak" end',
    look: 'require("luafcgid.json").encode({ 1 })',
  },
  'a setting of JSON': {
    main: 'json = require("luafcgid.json").new and require("luafcgid.json").new() or require("luafcgid.json")',
    leave: 'json.encode_keep_buffer(false) json.decode_max_depth(7)',
    look: 'json.decode_max_depth()',
  },
  'a compiled template': {
    main: 'template = require("luafcgid.template")',
    leave: 'template.leak = template.compile("leak") template.escape = nil',
    look: 'template.leak',
  },
  'a handle of the dictionary module': {
    leave: 'require("luafcgid.shared").leak = 1',
    look: 'rawget(require("luafcgid.shared"), "leak")',
  },
  'random numbers': { leave: 'math.randomseed(1)', look: 'unseeded()' },
};

const COMMON = `
local function stopped()
  local before, most = collectgarbage("count"), 0
  for i = 1, 60000 do local t = { {} } most = math.max(most, collectgarbage("count") - before) end
  return most > 3000
end
-- The numbers that follow math.randomseed(1).
local function unseeded()
  local now = { math.random(1e9), math.random(1e9) }
  math.randomseed(1)
  return now[1] == math.random(1e9) and now[2] == math.random(1e9)
end
`;

interface Tried {
  readonly dir: string;
  readonly state: LuaState;
  readonly image: StateImage;
  open(): LuaState;
}

function prepare(t: TestContext, { main = '', leave, look }: Way): Tried {
  const dir = tempDir(t);
  writeFileSync(`${dir}/in`, 'text');
  const put = (text: string): string => text.replaceAll('DIR', dir);
  const open = (image?: StateImage) =>
    newState(
      { files: grantedFiles({ read: [dir], write: [dir] }, dir), ...(image !== undefined && { image }) },
      { '/srv/later.lua': 'return { n = 1 }' },
    );
  const { state, run } = open();
  run(`${COMMON} ${put(main)}
    function main(env, con)
      if env.QUERY_STRING == "leave" then ${put(leave)} return end
      local first, second = ${put(look)}
      con:puts(tostring(first), " ", tostring(second))
    end`);
  const image = state.takeImage?.('main');
  assert.ok(typeof image === 'object', String(image));
  return { dir, state, image, open: () => open(image).state };
}

const looks = (state: LuaState): string => serve(state, 'main').body.replace(/0x[0-9a-f]+/g, 'address');

function leaves(state: LuaState): void {
  serve(state, 'main', { params: { QUERY_STRING: 'leave' } });
}

/** What ends with its request whatever the isolation is, and a locale: there is only one. */
const LEAVES_NOTHING = new Set(['a field of con', 'a variable of env', 'a locale']);

for (const [name, way] of Object.entries(WAYS)) {
  test(`with isolation by request, and in clones, nothing is left of ${name}`, (t) => {
    const { state, image, open } = prepare(t, way);
    const seen = looks(open());
    leaves(state);
    // Clones that are made before and after share nothing with it.
    assert.equal(looks(open()), seen, 'a clone');
    if (!LEAVES_NOTHING.has(name)) assert.notEqual(looks(state), seen, 'the row itself shows nothing');
    for (let times = 0; times < 2; times += 1) {
      state.restore?.(image);
      leaves(state);
      state.restore?.(image);
      assert.equal(looks(state), seen, 'the next request');
    }
    state.close();
  });
}
