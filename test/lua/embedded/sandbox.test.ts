import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState } from '../support.js';

test('files and processes fail in the normal Lua way, saying why', () => {
  const { state, evaluate } = newState();
  const failures = [
    ['io.open("/etc/passwd")', '/etc/passwd: the embedded Lua engine gives scripts no files'],
    ['io.open("out", "w")', 'out: the embedded Lua engine gives scripts no files'],
    ['io.tmpfile()', 'the embedded Lua engine gives scripts no files'],
    ['io.popen("id")', 'id: the embedded Lua engine gives scripts no processes'],
    ['os.execute("id")', 'id: the embedded Lua engine gives scripts no processes'],
    ['os.remove("/tmp/x")', '/tmp/x: the embedded Lua engine gives scripts no files'],
    ['os.rename("/a", "/b")', '/a: the embedded Lua engine gives scripts no files'],
    ['os.tmpname()', 'the embedded Lua engine gives scripts no files'],
    ['package.loadlib("/lib/x.so", "f")', '/lib/x.so: the embedded Lua engine cannot load C libraries'],
    ['loadfile()', 'cannot read standard input: a script has none'],
  ];
  for (const [call, message] of failures) {
    assert.equal(
      evaluate(`(function(...) return tostring((...)) .. " " .. tostring((select(2, ...))) end)(${call})`),
      `nil ${message}`,
    );
  }
  assert.match(
    luaError(() => evaluate('io.lines("/etc/passwd")')).message,
    /^\/srv\/script.lua:1: \/etc\/passwd: the embedded/,
  );
  assert.match(luaError(() => evaluate('io.input("/etc/passwd")')).message, /no files/);
  assert.equal(evaluate('os.execute()'), '0');
  state.close();
});

test('os.getenv sees what it was given and nothing else', () => {
  const { state, evaluate } = newState({ environment: { HOME: '/home/x', EMPTY: '', NAME: 'é' } });
  assert.equal(evaluate('os.getenv("HOME")'), '/home/x');
  assert.equal(evaluate('os.getenv("EMPTY")'), '');
  assert.equal(evaluate('os.getenv("NAME")'), '\xc3\xa9');
  assert.equal(evaluate('os.getenv("PATH")'), 'nil');
  assert.equal(evaluate('os.getenv("constructor")'), 'nil');
  state.close();
  const bare = newState();
  assert.equal(bare.evaluate('os.getenv("HOME")'), 'nil');
  bare.state.close();
});
