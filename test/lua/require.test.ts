import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOfSource, isEmbedded, isLua54, luaError, newState, serve } from './support.js';

test('require looks beside the script first, then on the configured path', () => {
  const { state, evaluate, asked } = newState(
    { path: ['/usr/share/lua/5.1/?.lua', '/opt/?/main.lua'] },
    {
      '/srv/near.lua': 'return "near " .. ...',
      '/srv/pack/init.lua': 'return "pack"',
      '/srv/a/b.lua': 'return "a.b"',
      '/usr/share/lua/5.1/far.lua': 'return "far"',
      '/usr/share/lua/5.1/near.lua': 'return "wrong"',
      '/opt/other/main.lua': 'return "other"',
    },
  );
  const path = evaluate('package.path');
  const own = '/srv/?.lua;/srv/?/init.lua;/usr/share/lua/5.1/?.lua;/opt/?/main.lua';
  // The native engines add the system's path, of which only absolute templates are kept.
  if (isEmbedded) assert.equal(path, own);
  else assert.ok(path.startsWith(`${own};/`) && !path.includes(';.'), path);
  assert.equal(evaluate('require("near")'), 'near near');
  assert.deepEqual(asked, ['/srv/near.lua']);
  assert.equal(evaluate('require("near")'), 'near near');
  assert.deepEqual(asked, ['/srv/near.lua'], 'a loaded module is not read again');
  assert.equal(evaluate('require("pack") .. require("a.b") .. require("far") .. require("other")'), 'packa.bfarother');
  state.close();
});

test('a module that is nowhere: the error lists what was tried', () => {
  const { state, evaluate } = newState({ path: ['/x/?.lua'] });
  const lines = luaError(() => evaluate('require("no.such")')).message.split('\n');
  assert.deepEqual(lines.slice(0, 5), [
    "/srv/script.lua:1: module 'no.such' not found:",
    "\tno field package.preload['no.such']",
    "\tno file '/srv/no/such.lua'",
    "\tno file '/srv/no/such/init.lua'",
    "\tno file '/x/no/such.lua'",
  ]);
  // After them those of the system's path, and C modules.
  if (isEmbedded) {
    assert.match(
      lines.slice(5).join('\n'),
      /^\tthe embedded Lua engine loads modules that are written in Lua; C modules need/,
    );
  }
  if (!isEmbedded) assert.ok(lines.includes("\tno file '/srv/no/such.so'"), lines.join('\n'));
  state.close();
});

test('package.preload comes first', () => {
  const { state, evaluate, run } = newState({}, { '/srv/m.lua': 'return "file"' });
  run('package.preload.m = function() return "preload" end');
  assert.equal(evaluate('require("m")'), 'preload');
  state.close();
});

test('a package.path that the script changes is honoured, relative to the directory', () => {
  const { state, evaluate, run, asked } = newState(
    {},
    { '/srv/lib/m.lua': 'return "lib"', '/else/n.lua': 'return "else"', '/srv/up/../o.lua': 'return "up"' },
  );
  run('package.path = "./lib/?.lua;" .. package.path .. ";/else/?.lua;up/../?.lua"');
  assert.equal(evaluate('require("m") .. require("n") .. require("o")'), 'libelseup');
  assert.equal(asked[0], '/srv/lib/m.lua');
  run('package.path = nil');
  assert.match(luaError(() => evaluate('require("q")')).message, /'package.path' must be a string/);
  state.close();
});

test('a module that does not compile or fails says where', () => {
  const { state, evaluate } = newState({}, { '/srv/syntax.lua': 'x =\n= 1', '/srv/fails.lua': '\nerror("inside")' });
  assert.equal(
    luaError(() => evaluate('require("syntax")')).message,
    "error loading module 'syntax' from file '/srv/syntax.lua':\n\t/srv/syntax.lua:2: unexpected symbol near '='",
  );
  const error = luaError(() => evaluate('require("fails")'));
  assert.equal(error.message, '/srv/fails.lua:2: inside');
  assert.match(error.traceback, /\/srv\/fails.lua:2: in main chunk\n\t\[C\]: in function 'require'/);
  state.close();
});

test('names with percent signs and question marks are taken as they are', () => {
  const { state, evaluate, asked } = newState();
  luaError(() => evaluate('require("50%1?")'));
  assert.equal(asked[0], '/srv/50%1?.lua');
  state.close();
});

test('the built-in module comes before any file of its name', () => {
  const { state, evaluate, asked } = newState({}, { '/srv/luafcgid.lua': 'return "old"' });
  assert.equal(evaluate('require("luafcgid").version'), '2.0.0');
  assert.equal(evaluate('require("luafcgid") == package.loaded.luafcgid'), 'true');
  assert.deepEqual(asked, []);
  state.close();
});

test('dofile and loadfile read relative to the directory of the script', () => {
  const { state, evaluate, asked } = newState(
    {},
    { '/srv/inc.lua': '#!x\nreturn 1, "inc"', '/abs/x.lua': 'return "abs"', '/srv/bad.lua': 'x =' },
  );
  assert.equal(evaluate('select(2, dofile("inc.lua"))'), 'inc');
  assert.equal(evaluate('dofile("./inc.lua") .. dofile("/abs/x.lua") .. loadfile("inc.lua")()'), '1abs1');
  assert.deepEqual(asked, ['/srv/inc.lua', '/srv/inc.lua', '/abs/x.lua', '/srv/inc.lua']);
  assert.equal(
    luaError(() => evaluate('dofile("none.lua")')).message,
    'cannot open /srv/none.lua: No such file or directory',
  );
  assert.equal(evaluate('select(2, loadfile("none.lua"))'), 'cannot open /srv/none.lua: No such file or directory');
  assert.equal(evaluate('select(2, loadfile("bad.lua"))'), `/srv/bad.lua:1: unexpected symbol near ${endOfSource}`);
  assert.equal(
    luaError(() => evaluate('dofile("bad.lua")')).message,
    `/srv/bad.lua:1: unexpected symbol near ${endOfSource}`,
  );
  state.close();
});

test('paths outside of ASCII reach the host as they are written', () => {
  // One character per byte: UTF-8 for é and ü, and a byte that is no UTF-8 at all.
  const directory = '/srv/\xc3\xa9\xff';
  const { state, run, evaluate, asked } = newState({ directory }, { [`${directory}/\xc3\xbc.lua`]: 'return "ok"' });
  run('name = "\\195\\188"');
  assert.equal(evaluate('require(name)'), 'ok');
  assert.deepEqual(asked, [`${directory}/\xc3\xbc.lua`]);
  state.close();
});

test('a module that failed says why each time it is required (reports Q8, users D6)', () => {
  const files: Record<string, string> = {
    '/srv/m.lua': 'error("broken inside", 0)',
    '/srv/nothing.lua': '',
    '/srv/a.lua': 'require("b")',
  };
  files['/srv/b.lua'] = 'return require("a")';
  const { state, run } = newState({}, files);
  run(`function main(env, con) con:puts(tostring(require("m").x)) end
    function caught(env, con)
      local first = select(2, pcall(require, "m"))
      local second = select(2, pcall(require, "m"))
      con:puts(first, "|", second, "|", tostring(package.loaded.m))
    end
    function nothing(env, con) con:puts(tostring(require("nothing")), tostring(require("nothing")), tostring(package.loaded.nothing)) end
    function circle(env, con) con:puts(select(2, pcall(require, "a"))) end
    function inside(env, con)
      local co = coroutine.create(function() require("yielding") end)
      package.preload.yielding = function() coroutine.yield() end
      coroutine.resume(co)
      con:puts(select(2, pcall(require, "yielding")))
    end`);
  for (let time = 1; time <= 3; time += 1) assert.match(luaError(() => serve(state, 'main')).message, /broken inside/);
  assert.equal(serve(state, 'caught').body, 'broken inside|broken inside|nil');
  assert.equal(serve(state, 'nothing').body, 'truetruetrue');
  if (!isLua54) assert.match(serve(state, 'circle').body, /loop or previous error loading module 'a'/);
  files['/srv/m.lua'] = 'return { x = 5 }';
  assert.equal(serve(state, 'main').body, '5');
  state.close();
});
