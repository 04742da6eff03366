/** Coroutines behave as in the stock interpreter, although each call of one passes through this server's code. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLua54, newState } from './support.js';

function evaluate(expression: string): string {
  const { state, evaluate } = newState();
  try {
    return evaluate(expression);
  } finally {
    state.close();
  }
}

describe('coroutine.wrap', () => {
  it('raises what closing a variable raises, in the place of the error before (fidelity D-A6)', {
    skip: !isLua54 && 'this version closes no variables',
  }, () => {
    const source = `(function()
      local co = coroutine.wrap(function()
        local x <close> = setmetatable({}, { __close = function() error("B", 0) end })
        coroutine.yield(1)
        error("A", 0)
      end)
      co()
      return select(2, pcall(co))
    end)()`;
    assert.equal(evaluate(source), 'B');
  });

  it('that calls itself says that it runs (fidelity D-A6)', () => {
    const source = `(function()
      local w
      w = coroutine.wrap(function() return select(2, pcall(w)) end)
      return w()
    end)()`;
    assert.equal(evaluate(source), `cannot resume ${isLua54 ? 'non-suspended' : 'running'} coroutine`);
  });

  it('names the line that called for an error without a place', () => {
    const source = `(function()
      local w = coroutine.wrap(function() end)
      w()
      return select(2, pcall(function() w() end))
    end)()`;
    assert.equal(evaluate(source), '/srv/script.lua:4: cannot resume dead coroutine');
  });

  it('passes error values of other types on', () => {
    assert.equal(evaluate('type(select(2, pcall(coroutine.wrap(function() error({}) end))))'), 'table');
  });

  it('refuses what is no function with the text of Lua, at the line that called', () => {
    const message = evaluate('select(2, pcall(function() coroutine.wrap(1) end))');
    assert.match(message, /^\/srv\/script\.lua:1: bad argument #1 to 'wrap' \((Lua )?function expected/);
  });
});

describe('coroutine.resume', () => {
  it('refuses what is no coroutine with the text of Lua, at the line that called', () => {
    const message = evaluate('select(2, pcall(function() coroutine.resume(1) end))');
    assert.match(message, /^\/srv\/script\.lua:1: bad argument #1 to 'resume' \((coroutine|thread) expected/);
  });
});
