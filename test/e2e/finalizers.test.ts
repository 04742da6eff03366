/** Finalizers of scripts that never end, run by a worker between two requests (attacks F2, reports A8). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const ENDLESS = `function main(env, con)
  getmetatable(newproxy(true)).__gc = function() while true do end end
  con:puts("ok")
end`;
const HELLO = 'function main(env, con) con:puts("hello") end';

describe('an endless finalizer that runs in the collection of an idle state', () => {
  for (const io of process.platform === 'linux' ? ['epoll', 'node'] : ['node']) {
    it(`costs its worker, which is named, and not the server (io = ${io})`, async (t) => {
      const server = await startServer(t, {
        config: `io = "${io}"; workers = 1; sweep = 100`,
        files: { 'a.lua': ENDLESS, 'b.lua': HELLO },
      });
      assert.equal((await ask(server, 'a.lua')).text, 'ok');
      assert.equal((await ask(server, 'b.lua')).text, 'hello');
      await server.logged(/is replaced: it hangs in collecting the garbage of state \d+ of \S*a\.lua/);
      assert.equal((await ask(server, 'b.lua')).text, 'hello');
      await server.stop();
      assert.doesNotMatch(server.log(), /LUAFCGID_BUG/);
    });
  }

  it('does not keep requests of other scripts from the worker that is free', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 2; sweep = 100',
      files: { 'a.lua': ENDLESS, 'b.lua': HELLO },
    });
    await ask(server, 'a.lua');
    const lost = server.logged(/is replaced: it hangs in collecting the garbage/);
    let isLost = false;
    lost.then(() => {
      isLost = true;
    });
    let answered = 0;
    for (; !isLost; answered += 1) {
      assert.equal((await ask(server, 'b.lua')).text, 'hello');
      await pause(10);
    }
    // A single request that had to wait for the worker that hangs would be the last one before that is lost.
    assert.ok(answered > 3, `${answered} requests were answered meanwhile`);
    await server.stop();
  });
});

it('an endless finalizer that LuaJIT runs in a request costs it 504 and its worker, and nobody else (attacks F13.7)', async (t) => {
  const server = await startServer(t, {
    config: 'engine = "luajit"; workers = 2; watchdog = 1',
    files: { 'a.lua': `${ENDLESS.replace('con:puts("ok")', 'collectgarbage() collectgarbage()')}`, 'b.lua': HELLO },
  });
  assert.equal((await ask(server, 'a.lua')).status, 504);
  assert.equal((await ask(server, 'b.lua')).text, 'hello');
});
