/** What scripts have of Lua's library and of the system, beyond the embedded engine. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compatible, isJit, isLua54, luaError, newState, serve } from '../support.js';

const folder = mkdtempSync(join(tmpdir(), 'luafcgid-native-'));
after(() => rmSync(folder, { recursive: true }));

test('files are read and written', () => {
  const { state, run, evaluate } = newState();
  run(`path = ${JSON.stringify(join(folder, 'file'))}
    local f = assert(io.open(path, "w")) f:write("one\\n", 2, "\\n") f:close()
    io.output(path .. "2") io.write("by the default file") io.close() io.output(io.stdout)
    io.input(path) first = io.read("*l") io.close(io.input()) io.input(io.stdin)`);
  assert.equal(evaluate('first'), 'one');
  assert.equal(
    evaluate(
      '(function() local t = {} for l in io.lines(path) do t[#t + 1] = l end return table.concat(t, "|") end)()',
    ),
    'one|2',
  );
  assert.equal(evaluate('io.open(path .. "2"):read("*a")'), 'by the default file');
  assert.equal(evaluate('io.type(io.open(path)) .. io.type(io.stdout)'), 'filefile');
  assert.equal(evaluate('os.rename(path, path .. "3") and os.remove(path .. "3")'), 'true');
  assert.match(luaError(() => evaluate('io.lines("/no/such/file")')).message, /script.lua:1: .*No such file/);
  state.close();
});

test('processes are run, and the environment is seen', () => {
  const { state, evaluate } = newState();
  assert.equal(evaluate('io.popen("echo from a process"):read("*a")'), 'from a process\n');
  assert.equal(evaluate('os.getenv("PATH")'), process.env.PATH);
  assert.equal(evaluate('os.execute("exit 0")'), isLua54 ? 'true' : '0');
  state.close();
});

test('what a script prints goes to the log all the same', () => {
  const { state, run, log } = newState();
  run('io.stdout:write("a", 1, "\\n") io.write("b\\n") io.stderr:write("c\\n") print("d")');
  if (isLua54) run('warn("e", "f") warn("@on")');
  assert.deepEqual(
    log.map(({ level, text }) => `${level} ${text}`),
    ['info a1', 'info b', 'warn c', 'info d', ...(isLua54 ? ['warn ef'] : [])],
  );
  state.close();
});

test('C modules are looked for beside the script and where the system has them', () => {
  const { state, evaluate } = newState();
  assert.match(evaluate('package.cpath'), /^\/srv\/\?\.so;\/.*\/lua\/5\.[14]\/\?\.so/);
  assert.equal(evaluate('#(package.loaders or package.searchers)'), '5');
  assert.match(evaluate('select(2, package.loadlib("/no/such.so", "f"))'), /no such|cannot open/i);
  state.close();
});

test('the libraries of the Lua version are there', () => {
  const { state, evaluate, run } = newState();
  if (isJit) {
    assert.equal(evaluate('require("ffi").C ~= nil and require("bit").bxor(5, 1) == 4 and jit.status()'), 'true');
    assert.equal(evaluate('require("string.buffer").decode(require("string.buffer").encode({ 5 }))[1]'), '5');
  } else if (isLua54) {
    assert.equal(evaluate('utf8.char(252) .. 7 // 2 .. math.type(1) .. table.pack(1, 2).n'), '\xc3\xbc3integer2');
    assert.equal(evaluate('type(setfenv) .. type(unpack) .. type(loadstring)'), 'nilnilnil');
  } else {
    run('f = setfenv(function() return x end, { x = "own" })');
    assert.equal(evaluate('f() .. table.getn({ 1, 2 }) .. math.mod(7, 4)'), 'own23');
  }
  state.close();
});

test('numbers are written as the Lua version writes them, and take their place all the same', () => {
  const { state, run } = newState({ config: { workers: 4, list: [1, 2.5] } });
  run(`function main(env, con)
    con:puts(1.0, "|", 3, "|", 2^53, "|", con:config("workers"), "|", con:config("list")[1], con:config("list")[2])
    con:status(404.0) con:redirect("/", 303.0) con:cookie("a", 1, { maxage = 60.0, expires = 0.5 })
  end`);
  const { body, calls } = serve(state, 'main');
  assert.equal(body, isLua54 ? '1.0|3|9.007199254741e+15|4|12.5' : '1|3|9.007199254741e+15|4|12.5');
  assert.deepEqual(calls, [
    'status 404',
    'header Location: /',
    'status 303',
    'header Set-Cookie: a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60',
  ]);
  state.close();
});

test('host functions reached through the debug library check what they are given', () => {
  const { state, run, evaluate } = newState();
  run(`${compatible}
    local host, call
    local function search(value, seen)
      if type(value) ~= "function" or seen[value] then return end
      seen[value] = true
      for i = 1, 60 do
        local name, upvalue = debug.getupvalue(value, i)
        if not name then break end
        if type(upvalue) == "table" and rawget(upvalue, "readbody") then host = upvalue end
        if name == "call" and debug.getinfo(upvalue, "S").what == "C" then call = upvalue end
        search(upvalue, seen)
      end
    end
    function main(env, con)
      local seen = {}
      search(getmetatable and debug.getmetatable(con).__index.flush, seen)
      for _, f in pairs(host) do search(f, seen) end
      local values = { {}, 1e9, -1, 0/0, "text", print, true, con, ("x"):rep(9000) }
      local count = 0
      for number = -1, 60 do
        -- All but the exit.
        if number < 1 or host[number] ~= host.exit then
          pcall(call)
          for i = 1, #values do
            pcall(call, values[i]) pcall(call, number, values[i], values[i]) pcall(call, number, -1, values[i], 2)
            count = count + 1
          end
        end
      end
      return host
    end`);
  try {
    serve(state, 'main');
  } catch (error) {
    // It may have ended itself or broken this state's library; what matters is that nothing else breaks.
    assert.equal((error as Error).name, 'LuaError');
  }
  try {
    assert.equal(evaluate('1 + 1'), '2');
  } finally {
    state.close();
  }
  const other = newState();
  assert.equal(other.evaluate('1 + 1'), '2');
  other.state.close();
});

test('a state at work can be neither closed nor asked', () => {
  const { state, run } = newState();
  run('function main(env, con) con:flush() end');
  const attempts: string[] = [];
  const flush = () => {
    for (const attempt of [() => state.close(), () => state.call('main'), () => serve(state, 'main')]) {
      assert.throws(attempt, (error) => attempts.push((error as Error).message) > 0);
    }
  };
  serve(state, 'main', { override: { flush } });
  assert.deepEqual(attempts, Array(3).fill('the Lua state is at work'));
  state.close();
  for (const use of [() => state.memoryBytes(), () => state.collectStep(), () => state.globals(), () => run('x = 1')]) {
    assert.match(luaError(use).message, /the Lua state is closed/);
  }
});

test('finalizers that run while a state is closed do no harm', () => {
  const { state, run } = newState();
  run(`local function finalized(run)
      if newproxy then local p = newproxy(true) getmetatable(p).__gc = run return p end
      return setmetatable({}, { __gc = run })
    end
    kept = finalized(function() print("late") io.write("later") os.exit(3) end)
    kept2 = finalized(function() error("at the end") end)
    function main(env, con) con2 = con kept3 = finalized(function() con2:puts("x") con2:flush() end) end`);
  serve(state, 'main');
  state.close();
});
