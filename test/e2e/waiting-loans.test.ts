/**
 * Requests that wait on kept connections, which workers serve by themselves where the driver can lend: each is answered, and
 * what ends a request that waits ends these, too.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection, parseCgiAnswer, scriptParams } from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { eventually, shared } from '../support/shared.js';

const FILES = {
  'naps.lua': `local luafcgid = require("luafcgid")
function main(env, con)
  local times, seconds, tag = env.QUERY_STRING:match("^(%d+)x([%d.]+)(.*)")
  local slept = 0
  for i = 1, tonumber(times) do
    luafcgid.sleep(tonumber(seconds))
    slept = slept + 1
  end
  con:puts("slept ", slept, tag)
end`,
  'version.lua': `local luafcgid = require("luafcgid")
function main(env, con)
  luafcgid.sleep(0.02)
  con:puts("version 1")
end`,
};

async function open(t: Cleanup, server: Server): Promise<FcgiConnection> {
  const connection = await FcgiConnection.connect(server.socket);
  t.after(() => connection.destroy());
  return connection;
}

function begin(connection: FcgiConnection, server: Server, id: number, query: string, script = 'naps.lua'): void {
  connection.begin(id, { keepConn: true });
  connection.params(id, scriptParams(server.path(script), { QUERY_STRING: query }));
  connection.stdin(id, '');
}

async function bodyOf(connection: FcgiConnection, id: number): Promise<string> {
  const { stdout } = await connection.response(id);
  const { status, body } = parseCgiAnswer(stdout);
  return `${status} ${body.toString('latin1')}`;
}

async function get(connection: FcgiConnection, server: Server, id: number, query: string, script?: string) {
  begin(connection, server, id, query, script);
  return bodyOf(connection, id);
}

/** A connection on which many short requests were answered: it is lent by now, if any is. */
async function used(t: Cleanup, server: Server): Promise<FcgiConnection> {
  const connection = await open(t, server);
  for (let left = 40; left > 0; left -= 1) assert.equal(await get(connection, server, 1, '1x0.0001'), '200 slept 1');
  return connection;
}

describe('a request that waits on a kept connection', () => {
  const server = shared((t) =>
    startServer(t, { files: FILES, config: 'workers = 1 clones = 16 onabort = "stop" waiting = 8' }),
  );

  it('is answered there, and on it alone, whatever waits beside it', async (t) => {
    const kept = await Promise.all(Array.from({ length: 8 }, () => used(t, server())));
    await Promise.all(
      kept.map(async (connection, at) => {
        for (let round = 0; round < 30; round += 1) {
          const tag = `-${at}.${round}`;
          assert.equal(await get(connection, server(), 1, `2x0.002${tag}`), `200 slept 2${tag}`);
        }
      }),
    );
  });

  it('waits for as long as it likes', async (t) => {
    const connection = await used(t, server());
    assert.equal(await get(connection, server(), 1, '1x0.5'), '200 slept 1');
    assert.equal(await get(connection, server(), 1, '8x0.06'), '200 slept 8');
    assert.equal(await get(connection, server(), 1, '1x0.001'), '200 slept 1');
  });

  it('is stopped when its client goes away, and leaves its state to the next one', async (t) => {
    for (const kind of ['abort', 'end'] as const) {
      // As many as may wait at all.
      const all = await Promise.all(Array.from({ length: 8 }, () => used(t, server())));
      for (const connection of all) begin(connection, server(), 1, '1x1000');
      for (const connection of all) {
        if (kind === 'end') connection.destroy();
        else {
          void connection.abort(1);
          await connection.response(1);
        }
      }
      const other = await open(t, server());
      await eventually(
        'room for one that waits',
        async () => (await get(other, server(), 1, '1x0.001')) === '200 slept 1',
      );
    }
  });

  it('is answered by the state that it waits in, and the next one by the changed file', async (t) => {
    const connection = await open(t, server());
    for (let left = 40; left > 0; left -= 1)
      assert.equal(await get(connection, server(), 1, '', 'version.lua'), '200 version 1');
    server().write('version.lua', FILES['version.lua'].replace('version 1', 'version 2'));
    await eventually('the new version', async () => {
      const text = await get(connection, server(), 1, '', 'version.lua');
      assert.match(text, /^200 version [12]$/);
      return text.endsWith('2');
    });
  });
});

describe('requesttime of one that waits on a kept connection', () => {
  const server = shared((t) => startServer(t, { files: FILES, config: 'workers = 1 clones = 4 requesttime = 3' }));

  it('ends it, in however many pieces it waits', async (t) => {
    const queries = ['1x1000', '100000x0.01'];
    const connections = await Promise.all(queries.map(() => used(t, server())));
    await Promise.all(
      connections.map(async (connection, at) => {
        assert.match(await get(connection, server(), 1, queries[at] as string), /^504 /);
        assert.equal(await get(connection, server(), 1, '1x0.001'), '200 slept 1');
      }),
    );
  });
});
