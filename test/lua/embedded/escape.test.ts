/** Scripts that try to get out of the embedded engine, in every way that the manual of Lua 5.1 offers. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LuaError } from '../../../src/lua/state.js';
import { tempDir } from '../../support/cleanup.js';
import { newState, serve, type TestState } from '../support.js';
import { grantedFiles } from './granted.js';

/**
 * Finds every value that a script can get hold of: through globals, the registry, metatables, environments and upvalues of
 * functions, and the locals of what called it. `c_functions` are those that are not written in Lua, with how they were found.
 */
const WALK = `
  local ways, all, debug, next = {}, {}, debug, next
  local function reach(value, way)
    local kind = type(value)
    if kind ~= "table" and kind ~= "function" and kind ~= "userdata" and kind ~= "thread" then return end
    if not ways[value] then ways[value] = way all[#all + 1] = value end
  end
  reach(_G, "_G") reach(debug.getregistry(), "registry")
  for _, sample in pairs({ "", 1, true, print, coroutine.create(print), newproxy(true), io.stdout }) do
    reach(debug.getmetatable(sample), "metatable of " .. type(sample))
  end
  for level = 0, 20 do
    local info = debug.getinfo(level, "f")
    if not info then break end
    reach(info.func, "level " .. level)
    local i = 1
    while true do
      local name, value = debug.getlocal(level, i)
      if not name then break end
      reach(value, "local " .. name) i = i + 1
    end
  end
  local at = 0
  while at < #all do
    at = at + 1
    local value = all[at]
    local way = ways[value]
    reach(debug.getmetatable(value), way .. " metatable") reach(debug.getfenv(value), way .. " fenv")
    if type(value) == "table" then
      for k, v in next, value do reach(k, way .. " key") reach(v, way .. "." .. tostring(k)) end
    elseif type(value) == "function" then
      local i = 1
      while true do
        local name, upvalue = debug.getupvalue(value, i)
        if not name then break end
        reach(upvalue, way .. "^" .. name) i = i + 1
      end
    end
  end
  c_functions = {}
  for _, value in ipairs(all) do
    if type(value) == "function" and debug.getinfo(value, "S").what == "C" then
      c_functions[#c_functions + 1] = { value, ways[value] }
    end
  end
  reached = #all`;

/** A state that may use the files of one folder, beside a file with a marker that it may not read. */
function newPrisoner(t: TestContext): TestState & { readonly dir: string } {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'granted'));
  writeFileSync(join(dir, 'marker.lua'), 'return "MARKER"');
  const granted = [join(dir, 'granted')];
  const made = newState({ directory: dir, files: grantedFiles({ read: granted, write: granted }, dir) });
  t.after(() => made.state.close());
  made.run(`DIR = ${JSON.stringify(dir)}`);
  return { ...made, dir };
}

test('no function that can be reached gives a file, a process or the environment away, whatever it is called with', (t) => {
  const { run, evaluate, state, dir, log } = newPrisoner(t);
  const witness = newState();
  t.after(() => witness.state.close());
  run(WALK);
  assert.ok(Number(evaluate('reached')) > 150, `the walk has found ${evaluate('reached')} values only`);
  // The loaders of files and C libraries, load and its kin: their places are taken, and nothing keeps the originals.
  run(`function main()
    local names = { DIR .. "/marker.lua", "marker.lua", "granted/../marker.lua", "/proc/self/environ", "env", "PATH", "HOME" }
    local seen = {}
    for _, entry in ipairs(c_functions) do
      local f, way = entry[1], entry[2]
      -- The functions that the engine calls, which stand in the registry by number: one of them calls this function again.
      if not way:find("host.exit", 1, true) and not way:find("^registry%.%d+") then
        for _, name in ipairs(names) do
          for _, second in ipairs({ "r", "*a", "luaopen_x", DIR .. "/granted/x" }) do
            local results = { pcall(f, name, second) }
            for i = 2, #results do
              local value = results[i]
              if type(value) == "userdata" and io.type(value) == "file" and value ~= io.stdin and value ~= io.stdout and value ~= io.stderr then value = value:read("*a") end
              if type(value) == "function" then value = tostring((select(2, pcall(value)))) end
              if type(value) == "string" and (value == "MARKER" or value:find('return "MARKER"', 1, true) or value == GIVEN) then seen[#seen + 1] = way end
            end
          end
        end
      end
    end
    found = table.concat(seen, " ")
  end`);
  run(`GIVEN = ${JSON.stringify(process.env.PATH ?? '')}`);
  serve(state, 'main');
  // What it may load as Lua, beside itself, it may: through the host's loadfile, and through nothing else.
  assert.equal(evaluate('found:gsub("%S*host.loadfile", ""):gsub("%s", "")'), '');
  assert.deepEqual(readdirSync(dir).sort(), ['granted', 'marker.lua']);
  assert.equal(witness.evaluate('1 + 1'), '2');
  assert.ok(log.every(({ text }) => !text.includes('MARKER')));
});

test('no function that can be reached does harm by its arguments: an error stays one of Lua', (t) => {
  const values = `local proxy = newproxy(true)
    local values = { n = 24, nil, true, 0, -1, 2^31, 2^53, -2^63, 1/0, 0/0, "", "x", "\\0", ("y"):rep(2000), {}, { 1, x = {} },
      function() end, print, coroutine.create(print), proxy, io.stdout, con, env, io.open("granted/f", "w"),
      setmetatable({}, { __index = function() error({}) end, __tostring = function() error("t") end, __gc = 5 }) }`;
  const { run, evaluate } = newPrisoner(t);
  run(WALK);
  const count = Number(evaluate('#c_functions'));
  const witness = newState();
  t.after(() => witness.state.close());
  for (let n = 1; n <= count; n += 1) {
    const prisoner = newPrisoner(t);
    prisoner.run(WALK);
    prisoner.run(`function main(env, con)
      if busy then return end
      busy = true
      local f, way = c_functions[${n}][1], c_functions[${n}][2]
      -- Two that need no try: it counts down from the level that it is given, and the other ends the request.
      if f == debug.traceback or way:find("host.exit", 1, true) then return end
      ${values}
      getmetatable(proxy).__gc = function() pcall(f, proxy) end
      local pcall = pcall
      pcall(f)
      for i = 1, values.n do pcall(f, values[i]) end
      for i = 1, values.n, 2 do for j = 1, values.n, 3 do pcall(f, values[i], values[j]) end end
      for i = 1, values.n, 5 do for j = 2, values.n, 5 do pcall(f, values[i], values[j], values[j], values[i]) end end
      pcall(coroutine.resume, coroutine.create(function() pcall(f, "x", 5) pcall(f) end))
      values = nil collectgarbage()
      busy = false
    end`);
    try {
      serve(prisoner.state, 'main');
    } catch (error) {
      assert.ok(error instanceof LuaError, `${evaluate(`c_functions[${n}][2]`)}: ${(error as Error).stack}`);
    }
    prisoner.state.close();
  }
  assert.equal(witness.evaluate('1 + 1'), '2');
});

test('what a script does to its own state stays there', (t) => {
  const { run, state, evaluate } = newPrisoner(t);
  const witness = newState();
  t.after(() => witness.state.close());
  for (const attack of [
    'getmetatable("").__index = function() return function() return "taken" end end',
    'string.format = nil string.sub = nil table.concat = nil',
    'for k in pairs(debug.getregistry()) do debug.getregistry()[k] = nil end',
    'setfenv(0, {})',
    'debug.setfenv(io.open, {})',
    'debug.setmetatable(nil, { __index = function() return print end, __call = print })',
    'debug.setmetatable(print, { __index = _G, __call = error })',
    'debug.setmetatable(io.stdout, debug.getregistry()["FILE*"]) io.stdout:write("x") io.stdout:close() io.stdout:close()',
    'local p = newproxy() debug.setmetatable(p, debug.getregistry()["FILE*"]) pcall(p.read, p, "*a") pcall(p.close, p) p = nil collectgarbage()',
    'local f = io.open("granted/f", "w") debug.setmetatable(f, debug.getregistry()["_LOADLIB"]) f = nil collectgarbage()',
    'module("taken", package.seeall) _M = nil _G.print = nil',
    'package.loaded = nil package.loaders = nil package.preload = nil package.path = 5',
    'local function loop() return pcall(loop) end xpcall(loop, loop)',
    'debug.sethook(function() error("hooked") end, "crl", 1)',
    'coroutine.wrap(function() debug.sethook(coroutine.running(), error, "l") error({}) end)()',
    'collectgarbage("setpause", -1) collectgarbage("setstepmul", -1) collectgarbage("stop")',
    'for level = 0, 9 do for i = 1, 99 do pcall(debug.setlocal, level, i, nil) end end',
    'for i = 1, 20 do local f = debug.getinfo(i, "f") if f then for u = 1, 50 do pcall(debug.setupvalue, f.func, u, nil) end end end',
    'local p = newproxy(true) getmetatable(p).__gc = function() while true do os.exit() end end p = nil collectgarbage()',
  ]) {
    const attacker = newPrisoner(t);
    try {
      attacker.run(attack);
      attacker.run('function main(env, con) con:puts("x") end');
      serve(attacker.state, 'main');
    } catch (error) {
      assert.ok(error instanceof LuaError, `${attack}: ${(error as Error).stack}`);
    }
    try {
      attacker.state.collectStep();
    } catch (error) {
      assert.ok(error instanceof LuaError, `${attack}: ${(error as Error).stack}`);
    }
    attacker.state.close();
    // The next state has the memory of that one.
    const next = newState();
    assert.equal(
      next.evaluate('("x"):rep(3) .. table.concat({ type(io.open), type(print), _VERSION }, " ")'),
      'xxxfunction function Lua 5.1',
    );
    next.state.close();
    assert.equal(witness.evaluate('1 + 1'), '2');
  }
  run('ok = true');
  assert.equal(evaluate('ok'), 'true');
  state.close();
});

test('finalizers that are left when a state is closed do not run', () => {
  const { state, run, log } = newState();
  run('kept = newproxy(true) getmetatable(kept).__gc = function() print("finalized") os.exit(1) end');
  state.close();
  assert.deepEqual(log, []);
});

test('what host functions raise is text, never a value of the host', () => {
  const { state, run, evaluate } = newState();
  run(`function main(env, con) kinds = {}
    for _, f in ipairs({ function() con:header("a\\nb", "x") end, function() con:status("none") end, function() con:config("x", 1) end,
      function() con.puts() end, function() require("none") end, function() dofile("none") end, function() io.lines("none") end }) do
      local ok, e = pcall(f) kinds[#kinds + 1] = type(e)
    end end`);
  serve(state, 'main', { override: { header: () => assert.fail('refused'), status: () => assert.fail('refused') } });
  assert.equal(evaluate('table.concat(kinds, " ")'), Array(7).fill('string').join(' '));
  state.close();
});

test('forged bytecode, where it is allowed, breaks its own state at most', (t) => {
  const witness = newState();
  t.after(() => witness.state.close());
  const maker = newState();
  const dump = Buffer.from(
    maker.evaluate(`string.dump(loadstring([[local t = { 1, "two", print } for i, v in ipairs(t) do t[i] = function() return v, i end end
      local s = "x" .. #t return t[1](), s:rep(3), select("#", unpack(t))]]))`),
    'latin1',
  );
  maker.state.close();
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const kinds = new Set<string>();
  for (let n = 0; n < 400; n += 1) {
    const forged = Buffer.from(dump);
    for (let changes = 1 + random(4); changes > 0; changes -= 1) forged[12 + random(forged.length - 12)] = random(256);
    const victim = newState({ allowsBytecode: true, memoryBytes: 8 << 20 });
    try {
      victim.run('debug.sethook(function() error("too long") end, "", 100000)');
      victim.state.run(forged, '@/srv/script.lua');
      kinds.add('fine');
    } catch (error) {
      assert.ok(error instanceof LuaError, (error as Error).stack);
      kinds.add(error.kind);
    }
    victim.state.close();
  }
  assert.ok(
    ['syntax', 'runtime', 'memory', 'fine'].every((kind) => kinds.has(kind)),
    [...kinds].join(),
  );
  assert.equal(witness.evaluate('1 + 1'), '2');
  const next = newState();
  assert.equal(next.evaluate('table.concat({ ("x"):rep(3), #{ 1, 2 } }, " ")'), 'xxx 2');
  next.state.close();
});
