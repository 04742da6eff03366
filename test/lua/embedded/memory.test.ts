import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbeddedState } from '../../../src/lua/embedded/state.js';
import { encodeName, section, vector, writeModule } from '../../../src/lua/embedded/wasm/bytes.js';
import { LuaError, type LuaState } from '../../../src/lua/state.js';
import { luaError, newRequest, newState, serve } from '../support.js';

const mebibyte = 1 << 20;

test('past the memory limit there is a memory error, and the state can still be asked', async (t) => {
  const hogs: [name: string, source: string][] = [
    ['tables', 'local t = {} for i = 1, 1e9 do t[i] = {} end'],
    ['strings', 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end'],
    ['one string', 'return ("x"):rep(100000):rep(1000)'],
    ['concatenation', 'local s = "x" while true do s = s .. s end'],
    ['closures', 'local f for i = 1, 1e9 do local g = f f = function() return g end end'],
    ['coroutines', 'local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end'],
    ['output', 'local s = ("x"):rep(30000) local t = {} for i = 1, 1e9 do t[i] = s .. i con:puts(i) end'],
    ['the stack', 'local function f(...) return f(1, ...) end f()'],
  ];
  for (const [name, source] of hogs) {
    await t.test(name, () => {
      const { state, run } = newState({ memoryBytes: 4 * mebibyte });
      run(`function main(env, con) ${source} end function small(env, con) con:puts("alive") end`);
      const error = luaError(() => serve(state, 'main'));
      if (name !== 'the stack') {
        assert.equal(error.kind, 'memory');
        assert.match(error.message, /^not enough memory: the state may have 4 MiB \(\/srv\/script\.lua:\d+\)$/);
      }
      assert.ok(state.memoryBytes() <= 4 * mebibyte);
      assert.equal(serve(state, 'small').body, 'alive');
      state.close();
    });
  }
});

test('a script can catch a memory error and go on', () => {
  const { state, run } = newState({ memoryBytes: 4 * mebibyte });
  run(`function main(env, con)
    for i = 1, 20 do
      local ok, e = pcall(function() local t = {} for i = 1, 1e9 do t[i] = {} end end)
      con:puts(tostring(ok), " ", e, ";")
    end
  end`);
  assert.equal(serve(state, 'main').body, 'false not enough memory;'.repeat(20));
  state.close();
});

test('garbage is collected before the limit is reached', () => {
  const { state, run } = newState({ memoryBytes: 8 * mebibyte });
  run(`kept = {} for i = 1, 40 do kept[i] = ("k"):rep(100000) .. i end
    function main(env, con) for i = 1, 2000 do local s = ("x"):rep(50000) .. i end con:puts(#kept) end`);
  assert.equal(serve(state, 'main').body, '40');
  state.close();
});

test('a body larger than the memory is a memory error', () => {
  const { state, run } = newState({ memoryBytes: 4 * mebibyte });
  run('function main(env, con) return con:gets() end');
  const error = luaError(() => serve(state, 'main', { body: 'x'.repeat(6 * mebibyte), pieceBytes: 100000 }));
  assert.equal(error.kind, 'memory');
  state.close();
});

test('a chunk larger than the memory is a memory error', () => {
  const { state } = newState({ memoryBytes: 2 * mebibyte });
  assert.equal(luaError(() => state.run(new Uint8Array(3 * mebibyte).fill(0x20), '@x')).kind, 'memory');
  state.run(Buffer.from('x = 1'), '@y');
  state.close();
});

/** What scripts ordinarily do, so that a failing allocation meets many places. */
const ordinary = `
  local m = require("luafcgid")
  local words = {}
  for word in ("the quick brown fox"):gmatch("%a+") do words[#words + 1] = word:upper() .. #words end
  table.sort(words)
  local co = coroutine.wrap(function(a) local b = coroutine.yield(a .. "x") return b .. "y" end)
  con:puts(co("1"), co("2"), table.concat(words, " "), m.serialize(words), m.escape("<a>"))
  con:header("X-A", words[1]) con:cookie("a", "b c", { path = "/" }) con:status(201) con:log("warn", words[2])
  local q, c, f = con:query(), con:cookies(), con:form()
  con:puts(q.a, c.session, f.x[2], tostring(con:config("list")[2]), os.date("!%c", 0), string.format("%q %5.2f", "a\\n", 1.5))
  print("to the log") io.write("partial")
  local chunk = assert(loadstring("return ...")) con:puts(chunk("loaded"))
  pcall(error, { "x" }) con:flush()
`;

const input = {
  params: {
    QUERY_STRING: 'a=1&b=2',
    HTTP_COOKIE: 'session=abc',
    CONTENT_TYPE: 'application/x-www-form-urlencoded',
  },
  body: 'x=1&x=2',
};

/**
 * Puts a function before a state's allocator that may refuse memory: `mayAllocate` is asked at each allocation and growth.
 * Gives a function that removes it.
 */
function interceptAllocations(state: LuaState, mayAllocate: () => boolean): () => void {
  assert.ok(state instanceof EmbeddedState);
  const { x, L } = state.machine;
  const table = x.__indirect_function_table;
  const at = x.lua_getallocf(L, 0);
  type Allocator = (userData: number, block: number, oldBytes: number, newBytes: number) => number;
  const original = table.get(at) as Allocator;
  const i32 = 0x7f;
  const name = encodeName('f');
  const module = writeModule([
    { id: section.type, body: vector([Uint8Array.of(0x60, 4, i32, i32, i32, i32, 1, i32)]) },
    { id: section.import, body: vector([Buffer.concat([name, name, Uint8Array.of(0, 0)])]) },
    { id: section.export, body: vector([Buffer.concat([name, Uint8Array.of(0, 0)])]) },
  ]);
  const allocate: Allocator = (userData, block, oldBytes, newBytes) =>
    newBytes > oldBytes && !mayAllocate() ? 0 : original(userData, block, oldBytes, newBytes);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), {
    f: { f: allocate as WebAssembly.Import },
  });
  table.set(at, (exports as { f: unknown }).f);
  return () => table.set(at, original);
}

test('whichever allocation fails, it is a memory error and nothing else', async (t) => {
  for (const [mode, isRefused] of [
    ['this one only', (seen: number, nth: number) => seen === nth],
    ['this one and all after it', (seen: number, nth: number) => seen >= nth],
  ] as const) {
    await t.test(mode, () => {
      const { state, run } = newState({ config: { list: ['a', 'b'] } });
      run(`function main(env, con) ${ordinary} end`);
      const wanted = serve(state, 'main', input);
      let failures = 0;
      for (let nth = 1; ; nth += 1) {
        let seen = 0;
        const restore = interceptAllocations(state, () => {
          seen += 1;
          return !isRefused(seen, nth);
        });
        let error: unknown;
        try {
          state.serve('main', newRequest(input));
        } catch (thrown) {
          error = thrown;
        } finally {
          restore();
        }
        if (error !== undefined) {
          assert.ok(error instanceof LuaError, `allocation ${nth}: ${error}`);
          assert.equal(error.kind, 'memory', `allocation ${nth}: ${error.message}\n${error.traceback}`);
          failures += 1;
        }
        if (seen < nth) break;
      }
      assert.ok(failures > 50, `${failures} failures`);
      assert.deepEqual(serve(state, 'main', input).calls, wanted.calls);
      state.close();
    });
  }
});

test('whatever the limit, loading and serving work or are a memory error', () => {
  let worked = 0;
  for (let memoryBytes = 0; memoryBytes < 4 * mebibyte; memoryBytes += 65536) {
    try {
      const { state, run } = newState({ memoryBytes, config: { list: ['a', 'b'] } });
      run(`local t = {} for i = 1, 10000 do t[i] = { i } end kept = t function main(env, con) ${ordinary} end`);
      serve(state, 'main', input);
      state.close();
      worked += 1;
    } catch (error) {
      assert.ok(error instanceof LuaError, String(error));
      assert.equal(error.kind, 'memory');
      assert.equal(worked, 0, 'what works with less works with more');
    }
  }
  assert.ok(worked > 0);
});

test('a source is compiled whole when its copy makes the memory grow', () => {
  const { state, run, evaluate } = newState();
  run('function length(bytes) return #assert(loadstring("return \\"" .. ("x"):rep(bytes) .. "\\""))() end');
  // Each copy is larger than what is free: some of them grow the memory between the look at the source and its use.
  for (let bytes = 1000; bytes < 4_000_000; bytes = Math.ceil(bytes * 1.3)) {
    assert.equal(evaluate(`length(${bytes})`), String(bytes));
  }
  state.close();
});
