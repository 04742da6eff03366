/** A server that runs out of descriptors: whoever is connected is served on, and it recovers. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { IO, type Server, startServer } from '../support/server.js';
import { eventually } from '../support/shared.js';

const LIMIT = 96;
const FLOOD = 150;

const FILES = {
  'count.lua': 'n = 0\nfunction main(env, con) n = n + 1 con:puts(n) end',
  'new.lua': 'local words = require("words")\nfunction main(env, con) con:puts(words) end',
  'words.lua': 'return "loaded late"',
};

/** With so few descriptors that some dozens of connections take the last one. */
function startPoor(t: TestContext): Promise<Server> {
  return startServer(t, {
    files: FILES,
    config: 'workers = 1 sweep = 100',
    under: ['sh', '-c', `ulimit -n ${LIMIT} && exec "$@"`, 'sh'],
  });
}

async function askOn(connection: FcgiConnection, server: Server, script: string) {
  connection.send(requestBytes({ keepConn: true, params: scriptParams(server.path(script)) }));
  return parseCgiAnswer((await connection.response(1)).stdout);
}

interface Visitor {
  readonly connection: FcgiConnection;
  state: 'waits' | 'served' | 'closed';
}

/** Connections that each ask one thing, and stay. */
async function flood(t: TestContext, server: Server): Promise<Visitor[]> {
  const visitors: Visitor[] = [];
  for (let count = 0; count < FLOOD; count += 1) {
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    const visitor: Visitor = { connection, state: 'waits' };
    visitors.push(visitor);
    connection.getValues('FCGI_MPXS_CONNS').then(
      () => {
        visitor.state = 'served';
      },
      () => {
        visitor.state = 'closed';
      },
    );
  }
  return visitors;
}

function inState(visitors: readonly Visitor[], state: Visitor['state']): Visitor[] {
  return visitors.filter((visitor) => visitor.state === state);
}

function occurrences(log: string, pattern: RegExp): number {
  return [...log.matchAll(new RegExp(pattern, 'g'))].length;
}

describe('a server without free descriptors', () => {
  if (IO === 'node') {
    it('closes new connections, and serves those that are open', async (t) => {
      const server = await startPoor(t);
      const kept = await FcgiConnection.connect(server.socket);
      t.after(() => kept.destroy());
      assert.equal((await askOn(kept, server, 'count.lua')).body.toString(), '1');
      const visitors = await flood(t, server);
      await eventually('all served or closed', () => inState(visitors, 'waits').length === 0);
      assert.ok(inState(visitors, 'closed').length > 0);
      for (let round = 2; round < 20; round += 1) {
        assert.equal((await askOn(kept, server, 'count.lua')).body.toString(), String(round));
      }
      // There may be no descriptor to read it with: then it says so, and nothing else.
      const { status } = await askOn(kept, server, 'new.lua');
      assert.ok([200, 500, 503].includes(status), String(status));
      for (const { connection } of visitors) connection.destroy();
      const late = await eventually('a connection', async () => {
        const connection = await FcgiConnection.connect(server.socket);
        t.after(() => connection.destroy());
        const answer = await askOn(connection, server, 'new.lua').catch(() => undefined);
        return answer?.status === 200 && answer;
      });
      assert.equal(late.body.toString(), 'loaded late');
      // No sweep has taken the script for changed.
      assert.equal((await askOn(kept, server, 'count.lua')).body.toString(), '20');
    });
    return;
  }

  it('lets new connections wait, serves those that are open, loads scripts, and recovers', async (t) => {
    const server = await startPoor(t);
    const kept = await FcgiConnection.connect(server.socket);
    t.after(() => kept.destroy());
    assert.equal((await askOn(kept, server, 'count.lua')).body.toString(), '1');
    const visitors = await flood(t, server);
    await server.logged(/LUAFCGID_LISTEN_NO_ROOM.*; \d+ are open/);
    const served = (): Visitor[] => inState(visitors, 'served');
    await eventually('those served that are let in', () => served().length > 0);
    for (let round = 2; round < 20; round += 1) {
      assert.equal((await askOn(kept, server, 'count.lua')).body.toString(), String(round));
    }
    const late = await askOn(kept, server, 'new.lua');
    assert.deepEqual([late.status, late.body.toString()], [200, 'loaded late']);
    assert.equal(inState(visitors, 'closed').length, 0);
    assert.ok(inState(visitors, 'waits').length > 0);
    assert.equal(occurrences(server.log(), /LUAFCGID_LISTEN_NO_ROOM/), 1);

    // Who has been served goes; who waited comes in, until nobody waits.
    const gone = new Set<Visitor>();
    while (gone.size < FLOOD) {
      for (const visitor of served()) {
        visitor.connection.destroy();
        gone.add(visitor);
      }
      await eventually('more served', () => served().length > gone.size || gone.size === FLOOD);
    }
    await server.logged(/connections are accepted again/);
    assert.equal(occurrences(server.log(), /LUAFCGID_LISTEN_NO_ROOM/), 1);
    assert.equal(occurrences(server.log(), /connections are accepted again/), 1);
    // No sweep has taken the script for changed.
    assert.equal((await askOn(kept, server, 'count.lua')).body.toString(), '20');
  });
});
