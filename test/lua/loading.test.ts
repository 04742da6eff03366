/** load, loadstring, loadfile: what they give back, and how much of a source they read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isJit, isLua54, newState } from './support.js';

/** The value of an expression, in a state with these files. */
function evaluate(expression: string, files: Readonly<Record<string, string>> = {}, allowsBytecode = false): string {
  const { state, evaluate } = newState({ allowsBytecode }, files);
  try {
    return evaluate(expression);
  } finally {
    state.close();
  }
}

const hasModes = isJit || isLua54;
const files = { '/srv/m.lua': 'return 5', '/srv/broken.lua': 'x = = 1' };

describe('load, loadstring and loadfile', () => {
  it('give one value when they succeed (fidelity D-A2)', () => {
    if (!isLua54) assert.equal(evaluate('select("#", loadstring("return 1"))'), '1');
    if (hasModes) assert.equal(evaluate('select("#", load("return 1"))'), '1');
    assert.equal(evaluate('select("#", load(function() end))'), '1');
    assert.equal(evaluate('select("#", loadfile("m.lua"))', files), '1');
    assert.equal(
      evaluate('(function() local t = {} table.insert(t, loadfile("m.lua")) return t[1]() end)()', files),
      '5',
    );
  });

  it('give nil and a message when they fail', () => {
    assert.match(
      evaluate('select(2, loadfile("broken.lua"))', files),
      /^\/srv\/broken\.lua:1: unexpected symbol near '='$/,
    );
    assert.equal(
      evaluate('select(2, loadfile("nothere.lua"))'),
      'cannot open /srv/nothere.lua: No such file or directory',
    );
  });

  it('read no further than to the first error (fidelity D-A4)', () => {
    const source = `(function()
      local calls = 0
      load(function() calls = calls + 1 return calls == 1 and "x = = 1\\n" or " y = 1\\n" end)
      return calls
    end)()`;
    assert.equal(evaluate(source), '1');
  });

  it('take pieces one after the other, and what the reader raises', () => {
    assert.equal(
      evaluate(
        'load((function() local p = { "return ", 4, 2 } return function() return table.remove(p, 1) end end)())()',
      ),
      '42',
    );
    assert.match(evaluate('select(2, load(function() error("from the reader", 0) end))'), /^from the reader$/);
    assert.match(evaluate('select(2, load(function() return {} end))'), /reader function must return a string/);
  });

  it('refuse precompiled chunks in whatever way they come, unless they are allowed', () => {
    const dump = 'string.dump(load(function() end))';
    const refusal = /^precompiled Lua chunks are not loaded/;
    const ways = [
      `load((function() local p = { "", ${dump} } return function() return table.remove(p, 1) end end)())`,
      `load((function() local d, at = ${dump}, 0 return function() at = at + 1 return d:sub(at, at) end end)())`,
      ...(isLua54 ? [] : [`loadstring(${dump})`]),
      ...(hasModes ? [`load(${dump})`, `load(${dump}, "n", "b")`, `load(${dump}, "n", "bt")`] : []),
    ];
    // An empty first piece is the end of the source.
    for (const way of ways.slice(1)) {
      // Not what string.dump has given: that may be loaded again.
      const changed = way.replace(dump, `(${dump} .. "x")`);
      assert.match(evaluate(`select(2, ${changed})`), refusal, changed);
      assert.equal(evaluate(`type(${way})`, {}, true), 'function', way);
    }
  });

  it('ask a file of the wrong kind for its mode (fidelity D-A5)', {
    skip: !hasModes && 'this version has no modes',
  }, () => {
    assert.match(evaluate('select(2, loadfile("m.lua", "b"))', files), /^attempt to load .*(chunk|mode)/);
    const dump = Buffer.from(evaluate('string.dump(load("return 7"))', {}, true), 'latin1').toString('latin1');
    const compiled = { '/srv/c.lua': dump };
    assert.match(evaluate('select(2, loadfile("c.lua", "t"))', compiled, true), /^attempt to load .*(chunk|mode)/);
    assert.equal(evaluate('loadfile("c.lua", "b")()', compiled, true), '7');
    assert.equal(evaluate('loadfile("c.lua")()', compiled, true), '7');
  });

  it('skip a first line with # before a precompiled chunk too, where chunks are allowed (fidelity D-A5)', () => {
    const dump = evaluate(isLua54 ? 'string.dump(load("return 7"))' : 'string.dump(loadstring("return 7"))', {}, true);
    const file = { '/srv/c.lua': `#!/usr/bin/lua\n${dump}` };
    assert.equal(evaluate('loadfile("c.lua")()', file, true), '7');
    assert.match(evaluate('select(2, loadfile("c.lua"))', file), /^precompiled Lua chunks are not loaded/);
  });

  it('name the function as the call does, and the line that called', () => {
    const message = evaluate('select(2, pcall(function() return (load()) end))');
    assert.match(message, /^\/srv\/script\.lua:1: bad argument #1 to 'load' \(/);
    assert.doesNotMatch(message, /\[luafcgid\]/);
  });
});
