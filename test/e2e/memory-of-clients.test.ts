/** The limit's worth of clients that each make the server hold as much as they can: what it holds stays within its settings. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import {
  beginRequest,
  FcgiConnection,
  parseCgiAnswer,
  record,
  requestBytes,
  scriptParams,
  stream,
  TYPE,
} from '../support/fcgi-client.js';
import { IO, type Server, startServer } from '../support/server.js';

const MIB = 1024 * 1024;
const TOTAL = 8;
const OF_EACH_KIND = 80;

const FILES = {
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'large.lua': 'function main(env, con) con:puts(("x"):rep(900000)) end',
};

function residentMiB(server: Server): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function connect(t: TestContext, server: Server): Promise<FcgiConnection> {
  const connection = await FcgiConnection.connect(server.socket, { lenient: true });
  t.after(() => connection.destroy());
  return connection;
}

async function assertServed(connection: FcgiConnection, server: Server): Promise<void> {
  connection.send(requestBytes({ keepConn: true, params: scriptParams(server.path('hello.lua')) }));
  const { status, body } = parseCgiAnswer((await connection.response(1)).stdout);
  assert.deepEqual([status, body.toString()], [200, 'hello']);
}

describe('clients that make the server hold all they can', () => {
  it('make it hold no more than its settings say, and others are served', async (t) => {
    const server = await startServer(t, {
      files: FILES,
      config: `workers = 2 bodytotal = ${TOTAL * MIB} sendtotal = ${TOTAL * MIB} spool = 0`,
    });
    const good = await connect(t, server);
    // With what scripts and states need in any case.
    const warm = await connect(t, server);
    warm.send(requestBytes({ keepConn: true, params: scriptParams(server.path('large.lua')) }));
    await warm.response(1);
    for (let round = 0; round < 20; round += 1) await assertServed(good, server);
    const beforeMiB = residentMiB(server);

    const params = stream(TYPE.PARAMS, 1, 'x'.repeat(MIB - 100), { end: false });
    const body = stream(TYPE.STDIN, 1, 'x'.repeat(MIB - 100), { end: false });
    const halfRecord = record(TYPE.GET_VALUES, 0, 'x'.repeat(65_000)).subarray(0, 60_000);
    const many = Buffer.concat(
      Array.from({ length: 127 }, (_, index) =>
        Buffer.concat([
          beginRequest(index + 1, { keepConn: true }),
          stream(TYPE.PARAMS, index + 1, 'x'.repeat(5_000), { end: false }),
        ]),
      ),
    );
    const upload = scriptParams(server.path('hello.lua'), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(MIB) });
    let offeredBytes = 0;
    const offer = async (...parts: Buffer[]): Promise<void> => {
      const connection = await connect(t, server);
      offeredBytes += Buffer.concat(parts).length;
      connection.send(...parts);
    };
    for (let index = 0; index < OF_EACH_KIND; index += 1) {
      await offer(beginRequest(1, { keepConn: true }), params);
      await offer(many);
      await offer(halfRecord);
      const uploader = await connect(t, server);
      uploader.begin(1, { keepConn: true });
      uploader.params(1, upload);
      uploader.send(body);
      offeredBytes += body.length;
      const deaf = await connect(t, server);
      deaf.pause();
      deaf.send(requestBytes({ keepConn: true, params: scriptParams(server.path('large.lua')) }));
      offeredBytes += 900_000;
      await assertServed(good, server);
    }
    for (let round = 0; round < 20; round += 1) await assertServed(good, server);
    const afterMiB = residentMiB(server);
    const offeredMiB = Math.round(offeredBytes / MIB);
    t.diagnostic(
      `io = ${IO}: ${5 * OF_EACH_KIND} clients offered ${offeredMiB} MiB; resident ${beforeMiB.toFixed()} MiB before, ${afterMiB.toFixed()} MiB after`,
    );
    assert.ok(offeredMiB > 250);
    await server.logged(/LUAFCGID_REQUEST_NO_ROOM/);
    // Both totals, bodies of two workers, and what the engine of JavaScript has not given back yet: it begins to collect
    // when some 64 MiB of buffers are done with, on each thread that has them.
    const boundMiB = 2 * TOTAL + 2 * 2 + 2 * 80;
    assert.ok(afterMiB - beforeMiB < boundMiB, `${afterMiB - beforeMiB} MiB more, ${boundMiB} allowed`);
  });
});
