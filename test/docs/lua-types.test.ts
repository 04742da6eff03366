/** types/**: what editors know of the script interface has all of it, and is Lua. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { newState } from '../lua/support.js';
import { ROOT } from '../support/server.js';

const folder = join(ROOT, 'types');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.lua'))
  .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
const page = readFileSync(join(ROOT, 'docs/lua-api.md'), 'utf8');

describe('types for editors', () => {
  it('are Lua, name their module, and end with it', () => {
    for (const { name, text } of files) {
      const module = name.replace(/\.lua$/, '').replaceAll('/', '.');
      assert.match(text, new RegExp(`^---@meta ${module.replaceAll('.', '\\.')}\n`), name);
      const { state, run } = newState();
      run(text);
      state.close();
    }
  });

  it('have every function of docs/lua-api.md, with all of its parameters', () => {
    const all = files.map(({ text }) => text).join('\n');
    const documented = [...page.matchAll(/^### (\S+)$/gm)].map(([, name = '']) => name);
    assert.ok(documented.length > 50);
    for (const name of documented) {
      assert.ok(all.includes(`function ${name}(`), name);
    }
    for (const [, object = '', method = ''] of page.matchAll(/^#### `(db|r|l|d|answer):(\w+)\(/gm)) {
      assert.match(
        all,
        new RegExp(`function ${object === 'db' ? 'handle' : object}:${method}\\(`),
        `${object}:${method}`,
      );
    }
    for (const [, name, list = ''] of all.matchAll(/^function ([\w.:]+)\((.*)\) end$/gm)) {
      const before =
        all
          .slice(0, all.indexOf(`function ${name}(`))
          .split('\n\n')
          .at(-1) ?? '';
      for (const parameter of list.split(', ').filter(Boolean)) {
        assert.match(
          before,
          new RegExp(`---@param ${parameter.replaceAll('.', '\\.')}\\??(?= )`),
          `${name}: ${parameter}`,
        );
      }
    }
  });

  it('come with settings for luacheck that name every setting', () => {
    const settings = readFileSync(join(folder, 'luacheckrc'), 'utf8');
    for (const [, name] of readFileSync(join(ROOT, 'packaging/config.lua'), 'utf8').matchAll(/^--(\w+) = /gm)) {
      assert.ok(settings.includes(`    "${name}",`), name);
    }
  });
});
