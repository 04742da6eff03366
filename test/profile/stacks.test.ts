/** Profiles: stacks as the Lua of each engine writes them, counted, and the page that shows them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderProfile } from '../../src/profile/flame-graph.js';
import { type StackNode, Stacks } from '../../src/profile/stacks.js';

/** Names and counts, indented. */
function drawn(node: StackNode, indent = ''): string[] {
  const lines = [`${indent}${node.name} ${node.count}`];
  for (const child of node.children.values()) lines.push(...drawn(child, `${indent}  `));
  return lines;
}

describe('stacks', () => {
  it('become a tree from the outermost function to the line that ran', () => {
    const stacks = new Stacks();
    const of51 = "stack traceback:\n\t/srv/a.lua:2: in function 'inner'\n\t/srv/a.lua:5: in function </srv/a.lua:4>";
    stacks.add(of51, false);
    stacks.add(of51, false);
    stacks.add("stack traceback:\n\t[C]: in function 'rep'\n\t/srv/a.lua:5: in function </srv/a.lua:4>", false);
    stacks.add(
      "stack traceback:\n\t[C]: in function 'coroutine.yield'\n\t/srv/a.lua:7: in function </srv/a.lua:4>",
      true,
    );
    assert.deepEqual(drawn(stacks.root), [
      'all 4',
      '  function at line 4 (a.lua) 4',
      '    inner (a.lua) 2',
      '      line 2 2',
      '    rep (C) 1',
      '    coroutine.yield (C) 1',
      '      waiting 1',
    ]);
    assert.deepEqual(
      [...stacks.lines],
      [
        ['/srv/a.lua:2', 2],
        ['/srv/a.lua:5', 1],
        ['/srv/a.lua:7', 1],
      ],
    );
  });

  it('are read as Lua 5.4 and LuaJIT write them, and nothing is made of what is no stack', () => {
    const stacks = new Stacks();
    stacks.add("stack traceback:\n\t...long/b.lua:3: in upvalue 'f'\n\t/srv/b.lua:9: in function 'main'", false);
    stacks.add('stack traceback:\n\t/srv/b.lua:9: in main chunk', false);
    stacks.add('', false);
    stacks.add('stack traceback:\n\t...', false);
    assert.deepEqual(drawn(stacks.root), [
      'all 2',
      '  main (b.lua) 1',
      '    f (b.lua) 1',
      '      line 3 1',
      '  main chunk (b.lua) 1',
      '    line 9 1',
    ]);
  });
});

describe('the page of a profile', () => {
  it('is one file whose data is never markup, and whose script is right', () => {
    const stacks = new Stacks();
    stacks.add(
      "\t/srv/<b>.lua:3: in function '</script><script>alert(1)</script>'\n\t/srv/<b>.lua:9: in main chunk",
      false,
    );
    const html = renderProfile(stacks, { title: 'GET /<i>', requests: 1, durationMs: 12 });
    assert.doesNotMatch(html, /<i>|<b>|alert\(1\)<\/script>|src=|href=|https?:/);
    assert.match(html, /1 samples of 1 request in 0\.01 s/);
    const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)];
    assert.equal(scripts.length, 1);
    assert.doesNotThrow(() => new Function((scripts[0] as RegExpMatchArray)[1] as string));
  });

  it('says so when nothing was seen', () => {
    assert.match(renderProfile(new Stacks(), { title: 't', requests: 1, durationMs: 1 }), /no stack was seen/);
  });
});
