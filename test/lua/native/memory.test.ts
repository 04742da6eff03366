/** The setting memory without an allocator of our own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineName, luaError, newState, serve } from '../support.js';

const mebibyte = 1 << 20;

test('a script that goes on past the memory limit is ended, and cannot catch that', async (t) => {
  const hogs: [name: string, source: string][] = [
    ['tables', 'local t = {} for i = 1, 1e9 do t[i] = {} end'],
    ['strings', 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end'],
    ['a string that doubles', 'local s = "x" while true do s = s .. s end'],
    ['closures', 'local f for i = 1, 1e9 do local g = f f = function() return g end end'],
    ['coroutines', 'local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end'],
    ['in pcall', 'while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = {} end end) end'],
    [
      'in a coroutine',
      'coroutine.wrap(function() local t = {} while true do pcall(function() t[#t + 1] = {} end) end end)()',
    ],
  ];
  for (const [name, source] of hogs) {
    await t.test(name, () => {
      const { state, run } = newState({ memoryBytes: 4 * mebibyte });
      run(`function main(env, con) ${source} end function small(env, con) con:puts("alive") end`);
      const error = luaError(() => serve(state, 'main'));
      assert.equal(error.kind, 'memory');
      assert.equal(error.message, 'not enough memory: the state may have 4 MiB');
      assert.equal(serve(state, 'small').body, 'alive');
      state.close();
    });
  }
});

if (engineName !== 'lua5.4')
  test('a step of the collector that a script asks for is a step, and no whole cycle (fidelity D-A9)', () => {
    const { state, run } = newState({ memoryBytes: 64 * mebibyte });
    run(`function main(env, con)
        local t = {}
        for i = 1, 100000 do t[i] = { i } end
        collectgarbage()
        local steps = 0
        repeat steps = steps + 1 until collectgarbage("step", 1) or steps == 1000
        con:puts(steps > 1 and "steps" or "a cycle")
      end`);
    assert.equal(serve(state, 'main').body, 'steps');
    state.close();
  });

test('a script that stops the collector is ended past the memory limit all the same (attacks F13.6)', () => {
  const { state, run } = newState({ memoryBytes: 4 * mebibyte });
  run(`function main(env, con)
      collectgarbage("stop")
      for i = 1, 1e9 do local t = { {}, ("x"):rep(1000) .. i } kept = kept or {} kept[i % 100000] = t end
    end
    function running(env, con)
      collectgarbage("stop")
      local stopped = pcall(collectgarbage, "isrunning") and tostring(collectgarbage("isrunning")) or "false"
      collectgarbage("restart")
      con:puts(stopped, " ", pcall(collectgarbage, "isrunning") and tostring(collectgarbage("isrunning")) or "true")
    end`);
  assert.equal(serve(state, 'running').body, 'false true');
  assert.equal(luaError(() => serve(state, 'main')).kind, 'memory');
  state.close();
});

// LuaJIT's own table.concat stays: it is compiled.
if (engineName !== 'luajit')
  test('table.concat makes no string beyond the memory limit of pieces that are the same (attacks F13.6)', () => {
    const { state, run } = newState({ memoryBytes: 8 * mebibyte });
    run(`function main(env, con)
        local t, s = {}, ("x"):rep(100000)
        for i = 1, 85 do t[i] = s end
        local ok, message = pcall(table.concat, t)
        con:puts(tostring(ok), " ", message, " ", tostring(pcall(table.concat, { "", "", "" }, ("y"):rep(5000000))), " ")
        con:puts(#table.concat(t, ",", 1, 10), " ", table.concat({ 1, "x", 2.5 }, "-"))
      end`);
    assert.equal(serve(state, 'main').body, 'false not enough memory false 1000009 1-x-2.5');
    state.close();
  });

test('what is garbage does not count', () => {
  const { state, run } = newState({ memoryBytes: 8 * mebibyte });
  run(`kept = {} for i = 1, 40 do kept[i] = ("k"):rep(100000) .. i end
    function main(env, con) for i = 1, 2000 do local s = ("x"):rep(50000) .. i end con:puts(#kept) end`);
  assert.equal(serve(state, 'main').body, '40');
  state.close();
});

test('a request that leaves too much behind is one that failed', () => {
  const { state, run } = newState({ memoryBytes: 2 * mebibyte });
  run('function main(env, con) collectgarbage("stop") kept = ("x"):rep(3000000) end');
  assert.equal(luaError(() => serve(state, 'main')).kind, 'memory');
  state.close();
});

test('a thousand requests leave nothing behind', () => {
  const { state, run } = newState();
  run(`function main(env, con)
    local t = {} for i = 1, 50 do t[i] = env.X .. i end
    con:puts(table.concat(t)) con:header("X-A", "b")
    if env.FAIL then error("x") end
  end
  function used(env, con) collectgarbage() collectgarbage() con:puts(collectgarbage("count")) end`);
  const once = (fail: boolean) => {
    try {
      serve(state, 'main', { params: fail ? { X: 'text', FAIL: '1' } : { X: 'text' } });
    } catch {}
  };
  const used = () => Number(serve(state, 'used').body);
  for (let i = 0; i < 500; i += 1) once(i % 2 === 0);
  const before = used();
  for (let i = 0; i < 1000; i += 1) once(i % 2 === 0);
  assert.ok(used() < before + 100, `${before} KiB before, ${used()} KiB after`);
  state.close();
});

test('one call of string.rep does not make a string beyond the limit', () => {
  const { state, run } = newState({ memoryBytes: 8 << 20 });
  run(`function main(env, con) con:puts(#("x"):rep(1000000), #string.rep("xy", 3)) end
    function huge(env, con) local ok, message = pcall(string.rep, "x", 100000000) con:puts(tostring(ok), message) end
    function uncaught(env, con) local s = ("x"):rep(100000000) end
    function wrong(env, con) string.rep({}, 2) end`);
  assert.equal(serve(state, 'main').body, '10000006');
  assert.equal(serve(state, 'huge').body, 'falsenot enough memory');
  assert.match(luaError(() => serve(state, 'wrong')).message, /^\/srv\/script\.lua:4: bad argument #1 to 'rep'/);
  assert.equal(luaError(() => serve(state, 'uncaught')).kind, 'memory');
  state.close();
});
