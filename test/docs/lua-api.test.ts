/** docs/lua-api.md describes the script interface that the real engine has: all of it, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { RoleName } from '../../src/base/roles.js';
import { serveSource } from '../lua/support.js';
import { ROOT } from '../support/server.js';

const page = readFileSync(join(ROOT, 'docs/lua-api.md'), 'utf8');

/** Sections of functions: name, and the code block that ends each. */
const functions = page
  .split(/^(?=##+ )/m)
  .filter((section) => section.startsWith('### '))
  .map((section) => ({
    name: section.slice(4, section.indexOf('\n')),
    example: /```lua\n((?:(?!```).*\n)*)```\s*$/.exec(section)?.[1] ?? '',
  }));

/** What a script finds: names with the prefix that the page gives them. */
function namesAtRunTime(): string[] {
  // Methods that few scripts use are there when they are first asked for.
  const methods = functions.flatMap(({ name }) => /^con:(\w+)$/.exec(name)?.[1] ?? []);
  const { body } = serveSource(`
    for name in ("${methods.join(' ')}"):gmatch("%S+") do local _ = con[name] end
    for name in pairs(debug.getmetatable(con).__index) do con:puts("con:", name, "\\n") end
    for name, value in pairs(require("luafcgid")) do
      if type(value) == "function" then con:puts("luafcgid.", name, "\\n") end
    end`);
  return body.trim().split('\n');
}

/** Modules that are required by names of their own; lua-cjson's settings are described together. */
const modules = ['json', 'crypto', 'template', 'router', 'validate', 'wsapi', 'cgilua', 'mod_lua', 'lapis', 'pegasus'];
/** Gives each module the name that the page does. */
const requireModules = modules.map((name) => `local ${name} = require("luafcgid.${name}")`).join(' ');
/** Methods that there are in other roles alone. */
const roles: Readonly<Record<string, RoleName>> = { 'con:variable': 'AUTHORIZER', 'con:data': 'FILTER' };
const isOfModule = (name: string) => modules.includes(name.split('.')[0] as string);

const SENDS_JSON = { CONTENT_TYPE: 'application/json' };

describe('docs/lua-api.md', () => {
  it('describes every function that scripts have, once', () => {
    const names = functions.map(({ name }) => name).filter((name) => !isOfModule(name));
    assert.deepEqual(names.sort(), namesAtRunTime().sort());
  });

  for (const { name } of functions.filter((one) => isOfModule(one.name))) {
    it(`describes ${name}, which there is`, () => {
      const [module, ...path] = name.split('.');
      const { body } = serveSource(`con:puts(type(require("luafcgid.${module}").${path.join('.')}))`);
      assert.equal(body, 'function');
    });
  }

  for (const { name, example } of functions) {
    it(`has an example of ${name} that runs`, () => {
      assert.ok(example.includes(`${name}(`), `the example is ${example}`);
      const run = () =>
        serveSource(
          `local luafcgid = require("luafcgid")\n${requireModules}\n${example}`,
          {
            params: { QUERY_STRING: 'page=2', REQUEST_METHOD: 'GET', ...(example.includes('con:json(') && SENDS_JSON) },
            body: '{}',
            role: roles[name] ?? 'RESPONDER',
          },
          {
            config: { sessions: { store: 'memory', name: 'session', path: '/', samesite: 'Lax' } },
          },
        );
      // There is no worker here that could wait.
      if (example.includes('luafcgid.sleep(')) assert.throws(run, /nothing can be waited for here/);
      else run();
    });
  }
});
