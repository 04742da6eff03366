/** Shared dictionaries in the whole server: all workers see them, and they outlive workers and reloads (issue 13, 6). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { IO, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const ENGINES = IO === 'node' ? (['embedded'] as const) : (['embedded', 'lua5.1', 'lua5.4', 'luajit'] as const);

const FILES = {
  'count.lua': `local cache = require("luafcgid.shared").cache
function main(env, con)
  for _ = 1, 20 do cache:incr("hits", 1, 0) end
  con:puts(tostring(cache:get("hits")))
end`,
  'read.lua': 'function main(env, con) con:puts(tostring((require("luafcgid.shared").cache:get("hits")))) end',
  'hang.lua': 'function main() string.find(("a"):rep(3000), ".-.-.-.-.-b") end',
};

describe('a shared dictionary', () => {
  for (const engine of ENGINES) {
    it(`is one for all workers, and loses no change of any, without a configuration (${engine})`, async (t) => {
      const server = await startServer(t, { config: `workers = 3 clones = 3 engine = "${engine}"`, files: FILES });
      await Promise.all(Array.from({ length: 30 }, () => ask(server, 'count.lua')));
      assert.equal((await ask(server, 'read.lua')).text, '600');
    });
  }

  it('outlives a reload and a worker that is replaced; one whose size changes begins empty', async (t) => {
    const config = 'workers = 1 clones = 2 watchdog = 0.2';
    const server = await startServer(t, { config: `${config} shared = { cache = 2^20 }`, files: FILES });
    assert.equal((await ask(server, 'count.lua')).text, '20');
    assert.equal((await ask(server, 'hang.lua')).status, 504);
    assert.equal((await ask(server, 'read.lua')).text, '20', 'another worker');
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening/);
    assert.equal((await ask(server, 'read.lua')).text, '20', 'after a reload');
    writeFileSync(server.config, readFileSync(server.config, 'utf8').replace('2^20', '2^21'));
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening[\s\S]*reloaded: listening/);
    assert.equal((await ask(server, 'read.lua')).text, 'nil', 'of another size');
  });
});
