/** Requests that wait for a state: how many, how long, and in which order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FcgiConnection, PROTOCOL_STATUS, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { type Server, startServer } from '../support/server.js';
import { ask, COUNT, eventually, served } from '../support/shared.js';

describe('waiting for a state', () => {
  const start = (t: Parameters<typeof startServer>[0], settings: string): Promise<Server> =>
    startServer(t, {
      files: { 'hold.lua': HOLD, 'other.lua': HOLD, 'count.lua': COUNT },
      config: `workers = 1 bodymemory = 0 ${settings}`,
    });

  it('is bounded: past queue the answer is 503 with Retry-After, at once', async (t) => {
    const server = await start(t, 'queue = 2');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const waiting = [await Held.ask(t, server, 'hold.lua'), await Held.ask(t, server, 'other.lua')];
    for (const each of waiting) await each.arrived();
    for (const name of ['hold.lua', 'other.lua', 'count.lua']) {
      const refused = await ask(server, name);
      assert.equal(refused.status, 503);
      assert.match(refused.headers.find(([key]) => key === 'Retry-After')?.[1] ?? '', /^[1-9][0-9]*$/);
    }
    await server.logged(/LUAFCGID_POOL_FULL/);
    for (const each of [held, ...waiting]) assert.equal((await each.release()).status, 200);
    assert.equal(await served(server, 'count.lua'), 1);
  });

  it('with queue = 0 never happens', async (t) => {
    const server = await start(t, 'queue = 0');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    assert.equal((await ask(server, 'count.lua')).status, 503);
    await held.release();
    assert.equal(await served(server, 'count.lua'), 1);
  });

  it('ends after queuetimeout with 503 and Retry-After', async (t) => {
    const server = await start(t, 'queuetimeout = 1');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const late = await Held.ask(t, server, 'hold.lua');
    const answer = await late.answer();
    assert.equal(answer.status, 503);
    assert.ok(answer.retryAfter);
    await server.logged(/LUAFCGID_POOL_TIMEOUT/);
    assert.equal((await held.release()).text, 'running 1 done');
    assert.equal((await (await Held.ask(t, server, 'hold.lua')).release()).text, 'running 2 done');
  });

  it('with overload = "protocol" ends in OVERLOADED', async (t) => {
    const server = await start(t, 'queue = 0 overload = "protocol"');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const second = await Held.ask(t, server, 'hold.lua');
    assert.equal((await second.connection.response(1)).protocolStatus, PROTOCOL_STATUS.OVERLOADED);
    await held.release();
  });

  it('is given up when the client goes', async (t) => {
    const server = await start(t, 'queue = 1');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    /** Who gets the one place in the line; whoever had it before is out of it then. */
    const nextInLine = (): Promise<Held> =>
      eventually('a free place in the line', async () => {
        const each = await Held.ask(t, server, 'hold.lua');
        const isWaiting = await each.arrived().then(
          () => true,
          () => false, // refused: its connection was closed
        );
        return isWaiting ? each : undefined;
      });
    for (let round = 0; round < 10; round += 1) (await nextInLine()).connection.destroy();
    const patient = await nextInLine();
    await held.release();
    assert.equal((await patient.release()).text, 'running 2 done', 'none of those who went was served');
  });

  it('is fair: a flood on one script does not keep another waiting', async (t) => {
    const server = await start(t, 'clones = 1 queue = 200');
    for (const name of ['count.lua', 'other.lua']) assert.equal((await ask(server, name)).status, 200);
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const flood = Array.from({ length: 100 }, (_, index) => index + 1);
    const last = 101;
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    connection.send(
      ...flood.map((id) => requestBytes({ id, keepConn: true, params: scriptParams(server.path('count.lua')) })),
      requestBytes({ id: last, keepConn: true, params: scriptParams(server.path('other.lua')) }),
    );
    await connection.getValues();
    assert.equal((await held.release()).status, 200);
    for (const id of [...flood, last]) {
      assert.equal(parseCgiAnswer((await connection.response(id)).stdout).status, 200);
    }
    const order = connection.records.filter((entry) => entry.type === 3).map((entry) => entry.id);
    assert.ok(order.indexOf(last) <= 2, `it was answered as number ${order.indexOf(last) + 1}`);
    // Within a script: first come, first served.
    assert.deepEqual(
      order.filter((id) => id !== last),
      flood,
    );
  });
});
