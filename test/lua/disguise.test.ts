/** Functions that stand in the place of those of Lua's library are C functions to a script (fidelity D-A8). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isJit, isLua54, isPlain51, luaError, newState, serve } from './support.js';

function evaluate(expression: string): string {
  const { state, evaluate } = newState();
  try {
    return evaluate(expression);
  } finally {
    state.close();
  }
}

describe('a replaced function', () => {
  for (const name of [
    'print',
    'load',
    'io.write',
    'coroutine.wrap',
    'debug.getinfo',
    'io.stdout.write',
    'string.dump',
  ]) {
    it(`${name} is a C function to debug.getinfo`, () => {
      assert.equal(
        evaluate(`(function() local i = debug.getinfo(${name}) return i.what .. i.source .. i.currentline end)()`),
        'C=[C]-1',
      );
    });
  }

  it('cannot be dumped or changed', () => {
    assert.match(
      luaError(() => evaluate('string.dump(print)')).message,
      /^\/srv\/script\.lua:1: unable to dump given function$/,
    );
    evaluate('select("#", debug.setupvalue(io.read, 1, 5))');
    assert.equal(evaluate('(pcall(io.read))'), 'true');
    // LuaJIT gives functions of C something.
    if (!isJit) assert.equal(evaluate('select("#", debug.getupvalue(print, 1))'), '0');
    if (!isLua54) {
      const message = /^\/srv\/script\.lua:1: 'setfenv' cannot change environment of given object$/;
      assert.match(luaError(() => evaluate('setfenv(print, {})')).message, message);
    }
    if (!isPlain51) {
      luaError(() => evaluate('debug.upvaluejoin(print, 1, function() return print end, 1)'));
      assert.equal(evaluate('(pcall(print, "still works"))'), 'true');
    }
  });

  it('leaves levels as they are', () => {
    assert.equal(evaluate('debug.getinfo(1, "l").currentline .. debug.getinfo(0, "n").name'), '1getinfo');
    assert.equal(
      evaluate(
        '(function(a) local b = 2 return select(2, debug.getlocal(1, 1)) + select(2, debug.getlocal(1, 2)) end)(5)',
      ),
      '7',
    );
    assert.doesNotMatch(evaluate('debug.traceback("x")'), /luafcgid\]/);
    assert.match(evaluate('debug.traceback("x")'), /^x\nstack traceback:\n\t\/srv\/script\.lua:1: in/);
    if (!isLua54) {
      assert.equal(evaluate('(function() setfenv(1, { x = 7 }) return x end)()'), '7');
      assert.equal(evaluate('getfenv(1) == getfenv() and getfenv(1)._G == _G'), 'true');
    }
  });

  it('is not looked into by hooks', () => {
    const { state, run } = newState();
    run(`function main(env, con)
      local lines, calls = {}, {}
      debug.sethook(function(event, line)
        if event == "line" then lines[#lines + 1] = line else calls[#calls + 1] = debug.getinfo(2, "S").what end
      end, "lc")
      local f = (loadstring or load)("return 1")
      f()
      debug.sethook()
      con:puts(table.concat(lines, ","), "|", table.concat(calls, ","))
    end`);
    // The call of the loader, of the chunk, and of sethook itself.
    assert.match(serve(state, 'main').body, /^6,(1,)?7,1,8\|C,main,C$/);
    state.close();
  });

  it('gives a script its hook back', () => {
    assert.equal(
      evaluate(
        '(function() local function hook() end debug.sethook(hook, "", 1000) local h = debug.gethook() debug.sethook() return h == hook end)()',
      ),
      'true',
    );
  });
});
