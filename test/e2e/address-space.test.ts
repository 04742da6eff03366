/** A server whose address space is limited (`ulimit -v`), of which V8 reserves 10 GiB for each state: reports A11. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const GIB_KIB = 1024 * 1024;
const SCRIPTS = Array.from({ length: 8 }, (_, index) => `page${index}.lua`);
const FILES = Object.fromEntries(
  SCRIPTS.map((name) => [name, `count = 0 function main(env, con) count = count + 1 con:puts("${name} ", count) end`]),
);

/** Some GiB more than states take: where nothing is left, Node.js itself ends. */
function under(limitGib: number): readonly string[] {
  return ['sh', '-c', `ulimit -v ${limitGib * GIB_KIB} && exec "$@"`, 'sh'];
}

describe('with little address space (reports A11)', () => {
  it('idle states make room for those of other scripts', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'workers = 1', under: under(58) });
    for (let round = 0; round < 2; round += 1) {
      for (const name of SCRIPTS) assert.match((await ask(server, name)).text, new RegExp(`^${name} \\d$`));
    }
    assert.match((await ask(server, 'page7.lua')).text, /^page7\.lua [23]$/, 'what was used last is kept');
    await server.logged(/no (address space|memory) for another Lua state.*; idle states are closed for others/);
  });

  it('for less than one state for each worker the server does not start, and says why', async (t) => {
    await assert.rejects(startServer(t, { files: FILES, config: 'workers = 2', under: under(16) }), (error: Error) => {
      assert.match(error.message, /LUAFCGID_LUA_ADDRESS_SPACE/);
      return true;
    });
  });
});
