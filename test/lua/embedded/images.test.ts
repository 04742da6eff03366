/** States that are made from the image of another one, and states that go back to their image (issue 16). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbeddedState } from '../../../src/lua/embedded/state.js';
import type { LuaState, StateImage } from '../../../src/lua/state.js';
import { tempDir } from '../../support/cleanup.js';
import { engine, luaError, newState, serve } from '../support.js';
import { grantedFiles } from './granted.js';

function imageOf(state: LuaState, handler = 'main'): StateImage {
  const image = state.takeImage?.(handler);
  assert.ok(typeof image === 'object', String(image));
  return image;
}

function memoryOf(state: LuaState): Buffer {
  assert.ok(state instanceof EmbeddedState);
  return state.machine.memory;
}

/** How many bytes of two memories differ; beyond the shorter one only zeros are equal. */
function differing(one: Uint8Array, other: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < Math.max(one.length, other.length); at += 1)
    if ((one[at] ?? 0) !== (other[at] ?? 0)) count += 1;
  return count;
}

test('a clone has all that the main chunk has left, and shares nothing with its origin', () => {
  const { state, run } = newState();
  run(`local luafcgid = require("luafcgid")
    local count, list = 0, { "a", nested = { deep = setmetatable({}, { __index = function(_, k) return "<" .. k .. ">" end }) } }
    string.shout = function(s) return s:upper() .. "!" end
    suspended = coroutine.wrap(function(a) while true do a = coroutine.yield(a * 2) end end)
    suspended(1)
    function main(env, con)
      count = count + 1
      list[#list + 1] = "x"
      con:puts(count, #list, list.nested.deep.key, ("hey"):shout(), suspended(21), luafcgid.escape("<"))
    end`);
  const image = imageOf(state);
  const clone = newState({ image }).state;
  for (const each of [state, clone, newState({ image }).state]) {
    assert.equal(serve(each, 'main').body, '12<key>HEY!42&lt;');
    assert.equal(serve(each, 'main').body, '23<key>HEY!42&lt;');
    each.close();
  }
});

test('clones draw random numbers of their own, also when the main chunk has drawn some', () => {
  const { state, run } = newState();
  run('math.randomseed(42) math.random() function main(env, con) con:puts(math.random(1e9)) end');
  const image = imageOf(state);
  const drawn = Array.from({ length: 8 }, () => {
    const clone = newState({ image }).state;
    const { body } = serve(clone, 'main');
    clone.close();
    return body;
  });
  assert.ok(new Set(drawn).size >= 7, drawn.join(' '));
});

test("a clone's clock goes on from that of the image", () => {
  const { state, run } = newState();
  run('local started = os.clock() function main(env, con) con:puts(tostring(os.clock() >= started)) end');
  const until = performance.now() + 5;
  while (performance.now() < until);
  const clone = newState({ image: imageOf(state) }).state;
  assert.equal(serve(clone, 'main').body, 'true');
});

test('an image holds only the pages that the script has changed', () => {
  const small = newState();
  small.run('function main(env, con) con:puts("Hello") end');
  const { sizeBytes } = imageOf(small.state);
  // Of some 960 KiB. How many pages a script touches depends on where the booted heap has room.
  assert.ok(sizeBytes <= 240 * 1024, `${sizeBytes} bytes`);
  const large = newState();
  large.run('kept = {} for i = 1, 20000 do kept[i] = { i } end local garbage = ("x"):rep(1e6) function main() end');
  const image = imageOf(large.state);
  assert.ok(image.sizeBytes > 1 << 20 && image.sizeBytes < 4 << 20, `${image.sizeBytes} bytes`);
});

test('a state that has files open is not copied, and says so; closed and forgotten files do no harm', (t) => {
  const dir = tempDir(t);
  const files = grantedFiles({ read: [], write: [dir] }, dir);
  const held = newState({ files });
  held.run(`kept = assert(io.open("${dir}/a", "w")) function main() end`);
  assert.equal(held.state.takeImage?.('main'), 'files');
  held.run('kept:close()');
  imageOf(held.state);
  const forgotten = newState({ files });
  forgotten.run(`io.open("${dir}/b", "w") function main() end`);
  imageOf(forgotten.state);
});

test('a finalizer that fails at the end of loading is told as the reason', () => {
  const { state, run } = newState();
  run('local u = newproxy(true) getmetatable(u).__gc = function() error("never mind") end u = nil function main() end');
  assert.match(luaError(() => state.takeImage?.('main')).message, /never mind/);
});

test('a collector that the script has stopped stays stopped, one that runs goes on', () => {
  for (const [source, grows] of [
    ['collectgarbage("stop")', true],
    ['', false],
  ] as const) {
    const { state, run } = newState();
    run(`${source} function main(env, con)
      local before = collectgarbage("count")
      for i = 1, 50000 do local t = { {} } end
      con:puts(tostring(collectgarbage("count") - before > 3000))
    end`);
    const clone = newState({ image: imageOf(state) }).state;
    assert.equal(serve(clone, 'main').body, String(grows));
  }
});

test('a clone has the memory limit of its own options, exactly', () => {
  const { state, run } = newState({ memoryBytes: 8 << 20 });
  run(
    'kept = ("k"):rep(1e6) function main(env, con) local t = {} for i = 1, 1e9 do t[i] = {} end end function small(env, con) con:puts(#kept) end',
  );
  const image = imageOf(state);
  for (let times = 0; times < 3; times += 1) {
    const clone = newState({ memoryBytes: 8 << 20, image }).state;
    assert.equal(luaError(() => serve(clone, 'main')).kind, 'memory');
    assert.ok(clone.memoryBytes() <= 8 << 20 && clone.memoryBytes() > 7 << 20);
    clone.restore?.(image);
    assert.equal(serve(clone, 'small').body, '1000000');
    clone.close();
  }
});

test('a restored state is byte for byte what its image was, but for the seed of its random numbers', () => {
  const { state, run } = newState({ memoryBytes: 16 << 20 });
  run(`kept = {} for i = 1, 1000 do kept[i] = { i } end
    function main(env, con)
      local function deep(n) return n == 0 and 1 or 1 + select(2, pcall(deep, n - 1)) end
      kept = nil string.rep, print, _G.x = nil, error, ("x"):rep(3e6)
      local nested nested = function(n) return (("a"):gsub("a", function() return n > 0 and nested(n - 1) or "b" end)) end
      nested(150) deep(100)
      for i = 1, 20000 do _G[i] = { i } end
      collectgarbage() con:puts("done")
    end`);
  const image = imageOf(state);
  state.restore?.(image);
  const before = Uint8Array.from(memoryOf(state));
  for (let times = 0; times < 3; times += 1) {
    assert.equal(serve(state, 'main').body, 'done');
    assert.ok(differing(before, memoryOf(state)) > 100_000);
    state.restore?.(image);
    const count = differing(before, memoryOf(state));
    assert.ok(count <= 64, `${count} bytes differ`);
  }
});

test('a request that failed, was stopped or ran out of memory leaves nothing in a restored state', () => {
  const { state, run } = newState({ memoryBytes: 4 << 20 });
  run(`function main(env, con)
      if seen then con:puts("seen ", seen) return end
      seen = env.QUERY_STRING
      if seen == "error" then error({}) elseif seen == "memory" then local s = "x" while true do s = s .. s end
      elseif seen == "exit" then os.exit(3) elseif seen == "thread" then coroutine.wrap(function() error("inside") end)() end
      con:puts("first")
    end`);
  const image = imageOf(state);
  for (const way of ['error', 'memory', 'exit', 'thread', 'none', 'error']) {
    try {
      serve(state, 'main', { params: { QUERY_STRING: way } });
    } catch (error) {
      assert.ok(['error', 'memory', 'thread'].includes(way), String(error));
    }
    state.restore?.(image);
  }
  assert.equal(serve(state, 'main', { params: { QUERY_STRING: 'last' } }).body, 'first');
});

test('luafcgid.isolation is asked for while the script is loaded, and stays with its image', () => {
  const { state, run } = newState();
  run('luafcgid = require("luafcgid") luafcgid.isolation("request") function main() luafcgid.isolation("state") end');
  assert.equal(state.isolation, 'request');
  assert.match(luaError(() => serve(state, 'main')).message, /luafcgid\.isolation was called by a request/);
  const clone = newState({ image: imageOf(state) }).state;
  assert.equal(clone.isolation, 'request');
  const wrong = newState();
  assert.match(
    luaError(() => wrong.run('require("luafcgid").isolation("page")')).message,
    /bad argument #1 to 'isolation' \("request" or "state" expected\)/,
  );
  assert.equal(engine.hasImages, true);
});
