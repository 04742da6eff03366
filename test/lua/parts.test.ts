/** The parts that a state's own Lua consists of: which are loaded when, and what they leave where scripts see it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { deferredParts, loadedParts, luaFile } from '../../src/lua/runtime/manifest.js';
import { compatible, newState, serve } from './support.js';

const kinds = ['embedded', 'native'] as const;

test('every part has a name and a file of its own', () => {
  for (const kind of kinds) {
    const parts = [...loadedParts(kind), ...deferredParts];
    assert.equal(new Set(parts.map(({ name }) => name)).size, parts.length);
    for (const { file } of parts) assert.ok(existsSync(luaFile(file)), file);
  }
});

test('a deferred part is loaded once, when it is first needed, and works after a script has emptied the libraries', () => {
  const { state, run } = newState();
  run(`${compatible}local libraries = { string, table, math, os }
    local next = next
    function main(env, con)
      for i = 1, #libraries do for name in next, libraries[i] do libraries[i][name] = nil end end
      con:cookie("a", "b c", { expires = 0 })
      con:cookie("a", "b c")
    end`);
  assert.deepEqual(serve(state, 'main').calls, [
    'header Set-Cookie: a=b%20c; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
    'header Set-Cookie: a=b%20c',
  ]);
  state.close();
});

test('what a state consists of leaves no name in its globals and in package.loaded until a script requires one', () => {
  const { evaluate } = newState();
  assert.equal(evaluate('parts or arguments or run or host'), 'nil');
  const loaded = evaluate(`(function()
    local names = {}
    for name in pairs(package.loaded) do if name:find("luafcgid") then names[#names + 1] = name end end
    return table.concat(names, " ")
  end)()`);
  assert.equal(loaded, '');
});

for (const { module } of deferredParts.filter((part) => part.module !== undefined)) {
  test(`${module} can be required and is the same the second time`, () => {
    const { state, evaluate } = newState();
    assert.equal(evaluate(`require("${module}") == require("${module}") and type(require("${module}"))`), 'table');
    state.close();
  });
}
