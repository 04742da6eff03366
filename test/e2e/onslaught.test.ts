/** Many clients that break off at any moment, among others that behave: those lose nothing, and nothing is left of these. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams, type Target } from '../support/fcgi-client.js';
import { startServer } from '../support/server.js';
import { eventually } from '../support/shared.js';

const FILES = {
  'echo.lua': 'function main(env, con) con:puts(con:gets() or "") end',
  'large.lua': 'function main(env, con) for i = 1, 40 do con:puts(("x"):rep(50000)) con:flush() end end',
  'pieces.lua': 'function main(env, con) for piece in function() return con:gets(1000) end do con:puts(#piece) end end',
};

const RUDE_CLIENTS = 8;
const RUDE_VISITS = 40;
const POLITE_CLIENTS = 6;

/** Numbers that look random, and are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 0x7fffffff;
    return state % below;
  };
}

describe('clients that break off at any moment', () => {
  it('cost the others nothing, and leave nothing behind', async (t) => {
    const server = await startServer(t, {
      files: FILES,
      config: ({ socket }) =>
        `listen = {${JSON.stringify(socket)}, "127.0.0.1:0"} workers = 2 bodymemory = 2000 sendbuffer = 20000`,
    });
    const [, port] = await server.logged(/127\.0\.0\.1:([1-9][0-9]*)/);
    const targets: readonly Target[] = [server.socket, Number(port)];
    const params = (script: string, length: number) =>
      scriptParams(server.path(script), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(length) });

    const folder = `/proc/${server.pid}/fd`;
    assert.ok(existsSync(folder), 'this test needs /proc');
    const descriptors = (): number => readdirSync(folder).length;

    const ask = async (connection: FcgiConnection, body: string): Promise<string> => {
      connection.send(requestBytes({ keepConn: true, params: params('echo.lua', body.length), body }));
      return parseCgiAnswer((await connection.response(1)).stdout).body.toString();
    };
    const polite = await Promise.all(
      Array.from({ length: POLITE_CLIENTS }, (_, index) => FcgiConnection.connect(targets[index % 2] as Target)),
    );
    for (const connection of polite) assert.equal(await ask(connection, 'before'), 'before');
    const before = descriptors();

    let isOver = false;
    const behave = async (connection: FcgiConnection): Promise<number> => {
      let answered = 0;
      for (; !isOver || answered < 10; answered += 1) {
        const body = `${answered} `.repeat(answered % 900);
        assert.equal(await ask(connection, body), body);
      }
      return answered;
    };
    const misbehave = async (seed: number): Promise<void> => {
      const random = numbers(seed);
      for (let visit = 0; visit < RUDE_VISITS; visit += 1) {
        const target = targets[random(2)] as Target;
        const connection = await FcgiConnection.connect(target, { lenient: true });
        const script = ['echo.lua', 'large.lua', 'pieces.lua'][random(3)] as string;
        const body = 'y'.repeat(random(3) === 0 ? 0 : random(30_000));
        const bytes = requestBytes({ keepConn: random(2) === 0, params: params(script, body.length), body });
        const isWhole = random(2) === 0;
        const sent = bytes.subarray(0, isWhole ? bytes.length : random(bytes.length));
        const isDeaf = random(4) === 0;
        if (isDeaf) connection.pause();
        connection.send(sent);
        const isHalfClosed = random(4) === 0;
        if (isHalfClosed) connection.end();
        // Some see the beginning of an answer first, if there will be one.
        const seen = script === 'large.lua' ? 1 + random(3) * 100_000 : 1;
        if (isWhole && !isDeaf && random(2) === 0) await connection.received(seen);
        // Node.js cannot reset what it has half closed, nor a Unix socket.
        const canReset = target !== server.socket && !isHalfClosed && !connection.isClosed;
        connection.destroy({ reset: canReset && random(2) === 0 });
      }
    };
    const rude = Promise.all(Array.from({ length: RUDE_CLIENTS }, (_, index) => misbehave(index + 1))).finally(() => {
      isOver = true;
    });
    const [answered] = await Promise.all([Promise.all(polite.map(behave)), rude]);
    for (const count of answered) assert.ok(count >= 10);

    await eventually('the descriptors closed', () => descriptors() <= before);
    for (const connection of polite) assert.equal(await ask(connection, 'after'), 'after');
    for (const connection of polite) connection.destroy();
    await eventually('the last descriptors closed', () => descriptors() <= before - POLITE_CLIENTS);
    await server.stop();
    // A request that was lost would be waited for.
    assert.doesNotMatch(server.log(), /did not end within|LUAFCGID_BUG|ended and is replaced/);
  });
});
