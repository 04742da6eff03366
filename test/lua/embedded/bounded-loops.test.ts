/** Functions of the C library that would count to 2^31, where nothing interrupts them (attacks F13.5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, serve } from '../support.js';

/** Each works in C for long: a hundred of them are a thousand instructions of Lua. */
const WORK: Readonly<Record<string, string>> = {
  'string.rep': '("x"):rep(200000)',
  'string.upper': 'text:upper()',
  'string.gsub': 'text:gsub("y", "")',
  'string.find': 'text:find("y")',
  'string.match': 'text:match("y")',
  'table.sort': 'table.sort(list)',
  'table.insert': 'table.insert(list, 1, 0)',
  'table.remove': 'table.remove(list, 1)',
  'table.concat': 'table.concat(list)',
  'string.format with a long text': '("%q"):format(text)',
  loadstring: 'loadstring(source)',
  'tonumber of a long text': 'tonumber(text) tonumber(text, 16)',
  collectgarbage: 'collectgarbage()',
  'collectgarbage that calls finalizers': 'proxies() collectgarbage()',
  'a memory bomb in pcall': 'pcall(function() kept[#kept + 1] = ("x"):rep(1000000) .. #kept end)',
};

/** Interrupts that never come, and how often the watchdog has looked for them. */
function countedLooks() {
  const interrupts = {
    looks: 0,
    get isStopWanted() {
      interrupts.looks += 1;
      return false;
    },
    stopReason: () => new Error('it was told to stop'),
    takeTrace: () => false,
    traced() {},
  };
  return interrupts;
}

test('string.rep gives the empty string at once, however often it is repeated', () => {
  const interrupts = countedLooks();
  const { evaluate, run, state } = newState({ interrupts });
  assert.equal(evaluate('("ab"):rep("3") .. ("x"):rep(-1)'), 'ababab');
  const before = interrupts.looks;
  // It would count two billion instructions, and take seconds in which nothing interrupts it.
  assert.equal(evaluate('#("").rep("", 2 ^ 31 - 1) .. #("").rep("", "2000000000")'), '00');
  assert.equal(interrupts.looks, before);
  run('function main() string.rep("") end');
  assert.match(
    luaError(() => serve(state, 'main')).message,
    /bad argument #2 to 'rep' \(number expected, got no value\)/,
  );
  state.close();
});

test('table.insert refuses a position that it would have to move 2^31 items for', () => {
  const { evaluate, run, state } = newState();
  assert.equal(
    evaluate(`(function()
      local t = { 1, 2, 3 }
      table.insert(t, 2, "a") table.insert(t, "b") table.insert(t, 9, "c") table.insert(t, -5, "d")
      return t[-5] .. t[2] .. t[3] .. t[4] .. t[5]
    end)()`),
    'd1a23',
  );
  run('function main()\ntable.insert({}, -2 ^ 31, 1) end function wide()\ntable.insert({}, 2 ^ 31, 1) end');
  for (const [handler, line] of [
    ['main', 2],
    ['wide', 3],
  ] as const)
    assert.equal(
      luaError(() => serve(state, handler)).message,
      `/srv/script.lua:${line}: bad argument #2 to 'insert' (invalid value)`,
    );
  state.close();
});

for (const [name, work] of Object.entries(WORK))
  test(`${name} counts as the instructions that it takes the time of, so the watchdog looks around between two of them`, () => {
    const interrupts = countedLooks();
    const { run, state } = newState({ interrupts, memoryBytes: 16 << 20 });
    run(`local text, list, kept, source = ("x"):rep(200000), {}, {}, ("x=1 "):rep(20000)
      for i = 1, 20000 do list[i] = i end
      local function finalizer() local t = { 1 } end
      local function proxies() for i = 1, 50 do getmetatable(newproxy(true)).__gc = finalizer end end
      function main() for i = 1, 100 do ${work} end end`);
    interrupts.looks = 0;
    serve(state, 'main');
    assert.ok(interrupts.looks >= 50, `${interrupts.looks} looks`);
    state.close();
  });

/** Instructions of Lua that take long, and no function that could count. */
const SLOW: Readonly<Record<string, string>> = {
  'strings that are joined': 'local joined = text .. text',
  'strings that are compared': 'local isLess = text < other',
  'a long stack that is told': 'debug.traceback()',
};
for (const [name, work] of Object.entries(SLOW))
  test(`${name}: where instructions take long, the watchdog looks around after fewer of them (attacks F13.5)`, () => {
    const clock = performance.now;
    let nowMs = 0;
    // A clock on which each look at it takes as long as ten thousand slow instructions do.
    performance.now = () => {
      nowMs += 1000;
      return nowMs;
    };
    try {
      const interrupts = countedLooks();
      const { run, state } = newState({ interrupts, memoryBytes: 16 << 20 });
      run(`local text = ("x"):rep(1000) local other = text .. "y"
        function main() for i = 1, 30000 do ${work} end end`);
      interrupts.looks = 0;
      serve(state, 'main');
      // Without that there would be some ten.
      assert.ok(interrupts.looks >= 1000, `${interrupts.looks} looks`);
      state.close();
    } finally {
      performance.now = clock;
    }
  });

test('short texts, and the end of a list, do not count', () => {
  const interrupts = countedLooks();
  const { run, state } = newState({ interrupts });
  run(`local list = {} for i = 1, 20000 do list[i] = i end
    local text = ("x"):rep(200000)
    function main()
      for i = 1, 100 do
        local s = ("abc"):upper():gsub("A", "b"):rep(3)
        table.insert(list, i) table.remove(list)
        s = text:sub(i, i) .. text:byte(i) .. text:find("x", i)
      end
    end`);
  interrupts.looks = 0;
  serve(state, 'main');
  assert.ok(interrupts.looks <= 1, `${interrupts.looks} looks`);
  state.close();
});
