/** Breaking into running code from outside: here the host does it while it is called. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHookSetter, prepareEngine } from '../../src/lua/engine.js';
import type { InterruptSource, LuaState } from '../../src/lua/state.js';
import { engineName, luaError, newState, serve } from './support.js';

const setHook = createHookSetter(prepareEngine('2.0.0', engineName));

/** LuaJIT's compiled code does not look at hooks. */
const interpreted = 'if jit then jit.off() end ';

/** A state that can be broken into. */
function interruptible() {
  const wanted = { stop: false, trace: false };
  const traces: string[] = [];
  const interrupts: InterruptSource = {
    get isStopWanted() {
      return wanted.stop;
    },
    stopReason: () => new Error('it was told to stop'),
    takeTrace() {
      const { trace } = wanted;
      wanted.trace = false;
      return trace;
    },
    traced: (traceback) => traces.push(traceback),
  };
  const { state, run } = newState({ interrupts });
  const breakIn = (wish: Partial<typeof wanted>): void => {
    Object.assign(wanted, wish);
    const { hookTarget } = state as LuaState;
    if (hookTarget !== undefined) setHook?.(hookTarget.state, hookTarget.hook);
  };
  return { state, run, wanted, traces, breakIn };
}

const LOOPS: readonly [name: string, source: string][] = [
  ['a loop', 'while true do end'],
  ['a loop of pcalls', 'while true do pcall(function() while true do pcall(error) end end) end'],
  ['a loop that collects garbage', 'while true do local t = {{}} collectgarbage() end'],
  ['a coroutine', 'coroutine.wrap(function() while true do end end)()'],
  [
    'a coroutine whose resumer goes on',
    `coroutine.wrap(function()
      pcall(coroutine.wrap(function() while true do end end))
      while true do end
    end)()`,
  ],
  ['a metamethod', 'local p = setmetatable({}, {__index = function() while true do end end}) local x = p.x'],
  [
    'a sort',
    'while true do local t = {} for i = 1, 100 do t[i] = -i end table.sort(t, function(a, b) return a < b end) end',
  ],
];

for (const [name, source] of LOOPS) {
  test(`${name} is stopped, and the state is as good as before`, () => {
    const { state, run, wanted, breakIn } = interruptible();
    run(`${interpreted} function main(env, con) con:puts("begun") con:log("now") ${source} end
      function after(env, con)
        local sum = 0
        for i = 1, 100000 do sum = sum + 1 end
        local ok, more = coroutine.resume(coroutine.create(function() for i = 1, 100000 do sum = sum + 1 end return sum end))
        con:puts(string.format("%d", more))
      end`);
    for (let times = 1; times <= 2; times += 1) {
      const error = luaError(() => serve(state, 'main', { override: { log: () => breakIn({ stop: true }) } }));
      assert.equal(error.kind, 'stopped');
      assert.equal(error.message, 'it was told to stop');
      assert.match(error.traceback, /^stack traceback:\n\t\/srv\/script\.lua:\d+: in /);
      wanted.stop = false;
      assert.equal(serve(state, 'after').body, '200000');
    }
    state.close();
  });
}

test('who is told to stop again while it is being tidied up after is told once', () => {
  const { state, run, wanted, breakIn } = interruptible();
  run(`${interpreted} function main(env, con) con:puts("begun") con:log("now") while true do end end
    function after(env, con) con:puts("fine") end`);
  const again = (): void => breakIn({ stop: true });
  luaError(() => serve(state, 'main', { override: { log: again, write: again } }));
  wanted.stop = false;
  assert.equal(serve(state, 'after').body, 'fine');
  state.close();
});

test('a chunk is stopped while it is loaded', () => {
  const { state, run, wanted, breakIn } = interruptible();
  breakIn({ stop: true });
  assert.equal(luaError(() => run(`${interpreted} while true do end`)).kind, 'stopped');
  wanted.stop = false;
  run('function main(env, con) con:puts("loaded") end');
  assert.equal(serve(state, 'main').body, 'loaded');
  state.close();
});

test('the Lua stack is told from the midst of what runs, which does not notice', () => {
  const { state, run, traces, breakIn } = interruptible();
  run(`${interpreted}
    local function deep(con)
      con:log("now")
      local sum = 0
      for i = 1, 100000 do sum = sum + 1 end
      return string.format("%d", sum)
    end
    function main(env, con) con:puts(deep(con), " ", tostring(debug.gethook())) end`);
  assert.equal(serve(state, 'main', { override: { log: () => breakIn({ trace: true }) } }).body, '100000 nil');
  assert.equal(traces.length, 1);
  assert.match(
    traces[0] ?? '',
    /^stack traceback:\n\t\/srv\/script\.lua:\d: in .*'deep'[^\n]*\n\t\/srv\/script\.lua:8: in [^\n]*$/,
  );
  state.close();
});
