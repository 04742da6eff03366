/** The pool of the real process: limits at every moment, isolation and eviction. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Held, HOLD } from '../support/held.js';
import { startServer } from '../support/server.js';
import { ask, COUNT, eventually, served } from '../support/shared.js';

describe('the limits of the pool', () => {
  it('hold at every moment under load', async (t) => {
    const names = ['a.lua', 'b.lua', 'c.lua'];
    const server = await startServer(t, {
      files: Object.fromEntries(names.map((name) => [name, HOLD])),
      config: 'workers = 4 states = 3 clones = 2 bodymemory = 0',
    });
    const active = new Map<string, number>(names.map((name) => [name, 0]));
    let most = 0;
    const one = async (script: string): Promise<void> => {
      const held = await Held.ask(t, server, script);
      await held.running;
      active.set(script, active.get(script)! + 1);
      const counts = [...active.values()];
      const all = counts.reduce((sum, count) => sum + count, 0);
      most = Math.max(most, all);
      assert.ok(all <= 3, `${all} requests run in 3 states`);
      assert.ok(Math.max(...counts) <= 2, `${counts} requests run in 2 clones of a script`);
      // Whoever comes first keeps its state until all of them are in use.
      await eventually('all states in use at once', () => most === 3);
      await new Promise((resolve) => setImmediate(resolve));
      active.set(script, active.get(script)! - 1);
      const { status, text } = await held.release();
      assert.equal(status, 200);
      assert.match(text, /^running \d+ done$/);
    };
    await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        for (let round = 0; round < 5; round += 1) await one(names[(index + round) % 3]!);
      }),
    );
    assert.equal(most, 3, 'no more states than there may be');
  });

  it('let as many clones run as clones says, and no more', async (t) => {
    const server = await startServer(t, {
      files: { 'hold.lua': HOLD, 'count.lua': COUNT },
      config: 'workers = 4 states = 8 clones = 2 bodymemory = 0',
    });
    const held = await Promise.all(Array.from({ length: 5 }, () => Held.ask(t, server, 'hold.lua')));
    await eventually('two of them running', () => held.filter((each) => each.isRunning).length === 2);
    for (const each of held) await each.arrived();
    assert.equal(await served(server, 'count.lua'), 1, 'other scripts have the workers that are left');
    assert.equal(held.filter((each) => each.isRunning).length, 2);
    for (const left of [4, 3, 2, 1, 0]) {
      const next = held.find((each) => each.isRunning)!;
      held.splice(held.indexOf(next), 1);
      assert.equal((await next.release()).status, 200);
      await eventually('the next one', () => held.filter((each) => each.isRunning).length === Math.min(2, left));
    }
  });

  it('with clones = 1 make a script one truth whose requests follow each other', async (t) => {
    const server = await startServer(t, { files: { 'count.lua': COUNT }, config: 'workers = 4 clones = 1' });
    const numbers: number[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let round = 0; round < 25; round += 1) numbers.push(await served(server, 'count.lua'));
      }),
    );
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
  });

  it('keep scripts and clones apart', async (t) => {
    const script = `
      function main(env, con)
        local before = tostring(secret) .. tostring(string.secret) .. tostring(package.loaded.secret)
        secret, string.secret, package.loaded.secret = 1, 2, 3
        con:puts("running ", before) con:flush()
        con:gets()
      end`;
    const server = await startServer(t, {
      files: { 'a.lua': script, 'b.lua': script },
      config: 'workers = 3 clones = 2 bodymemory = 0',
    });
    const held = await Promise.all(['a.lua', 'a.lua', 'b.lua'].map((name) => Held.ask(t, server, name)));
    for (const each of held) await each.running;
    for (const each of held) assert.equal((await each.release()).text, 'running nilnilnil');
    // The states live on: what they were told is still there.
    // (A worker that has not said yet that it is free has the script cloned once more, and this clone knows nothing.)
    await eventually('what the state was told', async () => {
      const again = await Held.ask(t, server, 'b.lua');
      const { text } = await again.release();
      assert.match(text, /^running (?:nilnilnil|123)$/);
      return text === 'running 123';
    });
  });

  it('retire a state after maxcount requests', async (t) => {
    const server = await startServer(t, { files: { 'count.lua': COUNT }, config: 'maxcount = 3' });
    const numbers: number[] = [];
    for (let round = 0; round < 8; round += 1) numbers.push(await served(server, 'count.lua'));
    assert.deepEqual(numbers, [1, 2, 3, 1, 2, 3, 1, 2]);
  });
});

describe('a full pool', () => {
  it('gives up the least popular idle state, not the least recently used', async (t) => {
    const server = await startServer(t, {
      files: { 'popular.lua': COUNT, 'rare.lua': COUNT, 'new.lua': COUNT },
      config: 'workers = 1 states = 2',
    });
    for (let round = 1; round <= 5; round += 1) assert.equal(await served(server, 'popular.lua'), round);
    assert.equal(await served(server, 'rare.lua'), 1);
    assert.equal(await served(server, 'new.lua'), 1);
    assert.equal(await served(server, 'popular.lua'), 6, 'it is still there');
    assert.equal(await served(server, 'rare.lua'), 1, 'it was loaded again');
  });

  it('forgets popularity with time', async (t) => {
    const server = await startServer(t, {
      files: { 'was-popular.lua': COUNT, 'now.lua': COUNT, 'new.lua': COUNT },
      config: 'workers = 1 states = 2 halflife = 0.1',
    });
    for (let round = 1; round <= 8; round += 1) await served(server, 'was-popular.lua');
    // As long as it weighs more, the two others take each other's place, and each begins anew.
    await eventually('both newcomers staying', async () => {
      await served(server, 'now.lua');
      return (await served(server, 'new.lua')) > 1;
    });
    assert.equal(await served(server, 'was-popular.lua'), 1, 'the former favourite gave way');
  });

  it('never gives up a busy state', async (t) => {
    const server = await startServer(t, {
      files: { 'hold.lua': HOLD, 'count.lua': COUNT },
      config: 'workers = 2 states = 1 bodymemory = 0',
    });
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const other = served(server, 'count.lua');
    await held.arrived();
    assert.equal((await held.release()).text, 'running 1 done');
    assert.equal(await other, 1);
  });

  it('loses no place to scripts that fail to load', async (t) => {
    const server = await startServer(t, {
      files: { 'broken.lua': 'error("no")', 'no-main.lua': '', 'syntax.lua': 'function', 'count.lua': COUNT },
      config: 'workers = 2 states = 1 clones = 1 queue = 0',
    });
    for (let round = 0; round < 5; round += 1) {
      for (const name of ['broken.lua', 'no-main.lua', 'syntax.lua']) {
        assert.equal((await ask(server, name)).status, 500, name);
      }
      assert.equal(await served(server, 'count.lua'), 1);
    }
  });
});
