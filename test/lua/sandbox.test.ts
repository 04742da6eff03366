import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allBytes, compatible, endOfSource, isJit, isLua54, isPlain51, luaError, newState, serve } from './support.js';

test('print and io.write go to the log line by line, in order', () => {
  const { state, run, log } = newState();
  run(`print("a", 1, nil, true, 2.5) io.write("b", 1, "c\\nd") print("e") print()
    io.stderr:write("warning\\n", "half") io.stdout:write("f\\n\\ng") print("h\\ni")`);
  assert.deepEqual(
    log.map(({ level, text }) => `${level} ${text}`),
    [
      'info a\t1\tnil\ttrue\t2.5',
      'info b1c',
      'info de',
      'info ',
      'warn warning',
      'info f',
      'info ',
      'info gh',
      'info i',
      'warn half',
    ],
  );
  state.close();
});

test('a line that was not ended is logged at the end of its request', () => {
  const { state, run, log } = newState();
  run('function main() io.write("no end") end function fail() io.write("before") error("x") end');
  serve(state, 'main');
  serve(state, 'main');
  luaError(() => serve(state, 'fail'));
  assert.deepEqual(
    log.map(({ text }) => text),
    ['no end', 'no end', 'before'],
  );
  state.close();
});

test('logged text keeps every byte, and endless lines are cut', () => {
  const { state, run, log } = newState();
  run(`${compatible}io.write(("x"):rep(20000)) print(loadstring("return ...")(("y"):rep(3)))`);
  assert.deepEqual(
    log.map(({ text }) => text.length),
    [8192, 8192, 20000 - 16384 + 3],
  );
  log.length = 0;
  state.run(
    Buffer.from(`print((([==[${allBytes.replace('\r', '').replace('\0', '')}]==]):gsub("\\n", "|")))`, 'latin1'),
    '@x',
  );
  assert.equal(log[0]?.text, allBytes.replace('\r', '').replace('\0', '').replace('\n', '|'));
  state.close();
});

test('print uses the global tostring, as Lua does before 5.4', () => {
  const { state, run, log } = newState();
  if (isLua54) {
    run('tostring = nil print(1, "a")');
    assert.equal(log[0]?.text, '1\ta');
    state.close();
    return;
  }
  run('tostring = function(x) return "<" .. type(x) .. ">" end print(1, "a")');
  assert.equal(log[0]?.text, '<number>\t<string>');
  assert.match(
    luaError(() => run('tostring = function() return {} end print(1)')).message,
    /'tostring' must return a string to 'print'/,
  );
  state.close();
});

test('standard input is at its end, and standard files behave like files', () => {
  const { state, evaluate } = newState();
  for (const [expression, expected] of [
    ['io.read()', 'nil'],
    ['io.read("*l")', 'nil'],
    ['io.read("*n")', 'nil'],
    ['io.read(5)', 'nil'],
    ['io.read("*a")', ''],
    ['io.stdin:read("*a")', ''],
    ['io.lines()()', 'nil'],
    ['io.stdin:lines()()', 'nil'],
    ['select("#", io.read("*a", "*l", "*a"))', '2'],
    ['io.type(io.stdout)', 'file'],
    ['io.type(5)', 'nil'],
    ['type(io.stdout)', 'userdata'],
    ['io.stdout', 'file (stdout)'],
    ['io.output() == io.stdout', 'true'],
    ['io.output(io.stderr) == io.stderr and io.output(io.stdout) == io.stdout', 'true'],
    ['io.input() == io.stdin', 'true'],
    ['io.stdout:flush()', 'true'],
    ['io.stdout:setvbuf("no")', 'true'],
    ['io.stdout:seek()', 'nil'],
    ['io.stdout:close()', 'nil'],
    // What file:write gives back since Lua 5.2.
    ['io.write("x\\n")', isLua54 ? 'file (stdout)' : 'true'],
    ['io.stdin:write("x")', 'nil'],
  ] as const) {
    assert.equal(evaluate(expression), expected, expression);
  }
  assert.match(
    luaError(() => evaluate('io.stdout.write("x")')).message,
    /^\/srv\/script\.lua:\d+: bad argument #1 to 'write' \(FILE\* expected, got string\)/,
  );
  assert.match(luaError(() => evaluate('io.write({})')).message, /bad argument #1 to 'write'/);
  state.close();
});

test('os.time and os.date agree with the clock', () => {
  const { state, evaluate } = newState();
  const before = Math.floor(Date.now() / 1000);
  const told = Number(evaluate('os.time()'));
  assert.ok(told >= before && told <= Date.now() / 1000);
  assert.equal(evaluate('os.date("!%Y-%m-%dT%H:%M:%SZ", 1700000000)'), '2023-11-14T22:13:20Z');
  assert.equal(
    evaluate('os.date("!*t", 86399).hour .. os.date("!*t", 86399).sec .. tostring(os.date("!*t", 0).isdst)'),
    '2359false',
  );
  assert.equal(evaluate('os.time(os.date("*t", 1700000000))'), '1700000000');
  assert.equal(
    evaluate('os.time{year=2024, month=14, day=-3, hour=30} == os.time{year=2025, month=1, day=29, hour=6}'),
    'true',
  );
  assert.equal(
    evaluate('os.time{year=2021, month=1, day=1} - os.time{year=2020, month=1, day=1}'),
    String(366 * 86400),
  );
  assert.equal(evaluate('os.difftime(5, 2)'), isLua54 ? '3.0' : '3');
  assert.equal(evaluate('os.date("!%A, %d %B %Y %%", 0)'), 'Thursday, 01 January 1970 %');
  assert.equal(evaluate('#os.date() > 10'), 'true');
  if (isPlain51) assert.equal(evaluate('os.date("!%c", 1e300)'), 'nil');
  assert.match(luaError(() => evaluate('os.time{year=2020}')).message, /field '(day|month)' missing in date table/);
  state.close();
});

test('os.clock goes forward in fractions of seconds', () => {
  const { state, evaluate } = newState();
  assert.equal(
    evaluate(
      '(function() local a = os.clock() for i = 1, 1e5 do end return os.clock() > a and a >= 0 and a < 1e6 end)()',
    ),
    'true',
  );
  state.close();
});

test('bytecode is refused wherever source is loaded', () => {
  const bytecode = '\x1bLuaQ\0\x01\x04\x04\x04\x08\0';
  const { state, run, evaluate } = newState({}, { '/srv/m.lua': bytecode, '/srv/n.lua': `#!/x\n${bytecode}` });
  const refused = 'precompiled Lua chunks are not loaded; load the source instead';
  run(
    `${compatible}dumped = string.dump(function() return 5 end) text = function(...) return tostring((...)) .. " " .. tostring((select(2, ...))) end`,
  );
  assert.equal(evaluate('text(loadstring(dumped .. "x"))'), `nil ${refused}`);
  assert.equal(evaluate('text(load(function() local d = dumped dumped = nil return d end))'), `nil ${refused}`);
  run('dumped = string.dump(function() return 5 end)');
  assert.equal(
    evaluate('text(load(function() local d = dumped:sub(1, 1) dumped = dumped:sub(2) return d end))'),
    `nil ${refused}`,
  );
  assert.equal(evaluate('text(loadfile("m.lua"))'), `nil ${refused}`);
  assert.match(luaError(() => evaluate('dofile("m.lua")')).message, /precompiled/);
  assert.match(luaError(() => evaluate('require("m")')).message, /precompiled/);
  const error = luaError(() => run(bytecode));
  assert.equal(error.kind, 'syntax');
  assert.equal(error.message, `/srv/script.lua: ${refused}`);
  assert.match(luaError(() => run(`\xef\xbb\xbf${bytecode}`)).message, /precompiled/);
  state.close();
});

test('load takes its pieces from a function', () => {
  const { state, run, evaluate } = newState();
  run(`${compatible}function pieces(...) local list, at = {...}, 0 return function() at = at + 1 return list[at] end end
    text = function(...) return tostring((...)) .. " " .. tostring((select(2, ...))) end`);
  assert.equal(evaluate('load(pieces("return ", 1, " + 1"))()'), '2');
  assert.equal(evaluate('load(pieces("return 1", "", " + 1"))()'), '1');
  assert.equal(evaluate('text(load(pieces("x ="), "=name"))'), `nil name:1: unexpected symbol near ${endOfSource}`);
  assert.equal(evaluate('text(load(pieces("return 1", {})))'), 'nil reader function must return a string');
  assert.equal(evaluate('text(load(function() error("broken", 0) end))'), 'nil broken');
  if (isJit || isLua54) {
    assert.equal(evaluate('load("return 1 + 1")()'), '2');
    assert.equal(evaluate('load("return x", "=name", "t", { x = 5 })()'), '5');
    assert.equal(
      evaluate('text(load("return 1", "=name", "b"))'),
      isJit ? 'nil attempt to load chunk with wrong mode' : "nil attempt to load a text chunk (mode is 'b')",
    );
  } else {
    assert.match(
      luaError(() => evaluate('load("return 1")')).message,
      /bad argument #1 to 'load' \(function expected, got string\)/,
    );
  }
  assert.equal(evaluate('loadstring("return 1 + 1")()'), '2');
  assert.equal(
    evaluate('text(loadstring("x =", "@file.lua"))'),
    `nil file.lua:1: unexpected symbol near ${endOfSource}`,
  );
  assert.equal(evaluate('text(loadstring("x ="))'), `nil [string "x ="]:1: unexpected symbol near ${endOfSource}`);
  // LuaJIT skips such a line in texts as well.
  if (!isJit)
    assert.equal(evaluate('text(loadstring("#!x\\nreturn 1"))'), `nil [string "#!x..."]:1: unexpected symbol near '#'`);
  state.close();
});

test('a first line that starts with # and a byte order mark are skipped; line numbers stay right', () => {
  const { state, run } = newState();
  for (const start of ['#!/usr/bin/lua\n', '\xef\xbb\xbf\n', '\xef\xbb\xbf#!/usr/bin/lua\n', '# anything\r\n']) {
    assert.equal(luaError(() => run(`${start}error("x")`)).message, '/srv/script.lua:2: x', JSON.stringify(start));
  }
  run('#!only a first line');
  run('');
  state.close();
});

test('coroutines work as in stock Lua', () => {
  const { state, evaluate, run } = newState();
  run(`function all(...) local t = {} for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end return table.concat(t, " ") end
    function counter() return coroutine.wrap(function(a) while true do a = coroutine.yield(a, a + 1) end end) end`);
  assert.equal(evaluate('all(counter()(5))'), '5 6');
  assert.equal(
    evaluate('all(coroutine.resume(coroutine.create(function(...) return ... end), 1, nil, 3))'),
    'true 1 nil 3',
  );
  assert.equal(evaluate('all(coroutine.resume(coroutine.create(function() error("x", 0) end)))'), 'false x');
  assert.equal(evaluate('type(select(2, pcall(coroutine.wrap(function() error({}) end))))'), 'table');
  assert.equal(luaError(() => run('\ncoroutine.wrap(function() error("x", 0) end)()')).message, '/srv/script.lua:2: x');
  assert.match(
    luaError(() => evaluate('coroutine.wrap(5)')).message,
    /bad argument #1 to 'wrap' \((Lua )?function expected/,
  );
  state.close();
});
