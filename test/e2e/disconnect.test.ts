/** Clients that go away, at every possible point: each costs its own request, and no state, worker or place is lost. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FcgiConnection, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { HttpExchange } from '../support/http.js';
import { startNginx } from '../support/nginx.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const FILES = {
  'read.lua':
    'n = 0\nfunction main(env, con) n = n + 1 local body = con:gets() con:puts(body and #body or 0, " of ", n) end',
  'pieces.lua': `
    function main(env, con)
      local n = 0
      for piece in function() return con:gets(100) end do n = n + #piece con:puts(n) con:flush() end
    end`,
  'large.lua': `
    function main(env, con)
      local piece = ("x"):rep(60000)
      for i = 1, 40 do con:puts(piece) con:flush() end
      con:log("large answer made")
    end`,
  'endless.lua': `
    function main(env, con)
      con:puts("begun") con:flush()
      while not loadfile("enough.lua") do con:puts(("x"):rep(100)) con:flush() end
      con:log("endless answer ended")
    end`,
};

/** Everything the server could lose to clients that went: one worker, one state, one place in the line. */
const TIGHT = 'workers = 1 states = 1 clones = 1 queue = 4 bodymemory = 100 ring = 1024 sendbuffer = 1024';

async function assertGoesOn(server: Server): Promise<void> {
  await eventually('an answer', async () => {
    const { status, text } = await ask(server, 'read.lua', { body: 'x'.repeat(5000) });
    assert.ok(status === 200 || status === 503, text);
    return status === 200 && /^5000 of \d+$/.test(text);
  });
}

describe('a client that closes its connection', () => {
  const server = shared((t) => startServer(t, { files: FILES, config: TIGHT }));

  for (const reset of [false, true]) {
    it(`after any byte of its request costs nothing${reset ? ', also by a reset' : ''}`, async (t) => {
      const target = reset
        ? await startServer(t, { files: FILES, config: `${TIGHT} listen = "127.0.0.1:0"` })
        : server();
      const socket = reset ? Number((await target.logged(/ready: listening on 127\.0\.0\.1:(\d+)/))[1]) : target.socket;
      const open = (): Promise<unknown> => ask(target, 'read.lua', { socket });
      await open();
      const body = 'x'.repeat(300);
      for (const script of ['read.lua', 'pieces.lua']) {
        const params = scriptParams(target.path(script), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '300' });
        const bytes = requestBytes({ keepConn: true, params, body, stream: { recordBytes: 200 } });
        for (let at = 0; at <= bytes.length; at += 7) {
          const connection = await FcgiConnection.connect(socket, { lenient: true });
          await connection.send(bytes.subarray(0, at));
          connection.destroy({ reset });
        }
      }
      await eventually('an answer', async () => {
        const { status, text } = await ask(target, 'read.lua', { socket, body });
        return status === 200 && text.startsWith('300 of ');
      });
    });
  }

  it('while its answer is made, at any point of it, costs nothing', async () => {
    for (const bytes of [0, 1, 8, 100, 1000, 10_000, 70_000, 100_000, 1_000_000]) {
      const connection = await FcgiConnection.connect(server().socket, { lenient: true, sink: () => {} });
      connection.send(requestBytes({ params: scriptParams(server().path('large.lua')) }));
      await connection.received(bytes);
      connection.destroy();
    }
    await assertGoesOn(server());
  });

  it('and has not read anything costs nothing', async () => {
    for (let round = 0; round < 5; round += 1) {
      const connection = await FcgiConnection.connect(server().socket, { lenient: true });
      connection.pause();
      await connection.send(requestBytes({ params: scriptParams(server().path('large.lua')) }));
      connection.destroy();
    }
    await assertGoesOn(server());
  });

  it('lets its script run to its end, unheard', async () => {
    const connection = await FcgiConnection.connect(server().socket, { lenient: true });
    connection.send(requestBytes({ params: scriptParams(server().path('endless.lua')) }));
    await connection.stdoutUntil(1, 'begun');
    connection.destroy();
    server().write('enough.lua', '');
    await server().logged(/endless answer ended/);
    await assertGoesOn(server());
  });

  it('with many requests on it costs only those', async () => {
    for (let round = 0; round < 20; round += 1) {
      const connection = await FcgiConnection.connect(server().socket, { lenient: true });
      connection.send(
        ...[1, 2, 3, 4, 5, 6].map((id) =>
          requestBytes({ id, keepConn: true, params: scriptParams(server().path('large.lua')) }),
        ),
      );
      if (round % 2 === 0) await connection.received(1);
      connection.destroy();
    }
    await assertGoesOn(server());
  });

  it('leaves no descriptor open', async () => {
    // A kernel that tells which descriptors a process has.
    const folder = `/proc/${server().pid}/fd`;
    assert.ok(existsSync(folder), 'this test needs /proc');
    await assertGoesOn(server());
    const before = readdirSync(folder).length;
    for (let round = 0; round < 200; round += 1) {
      const connection = await FcgiConnection.connect(server().socket);
      connection.send(Buffer.from([1, 1, 0, 1, 0, 8].slice(0, round % 7)));
      connection.destroy();
    }
    await assertGoesOn(server());
    await eventually('the descriptors closed', () => readdirSync(folder).length <= before);
  });
});

describe('a browser that goes away behind nginx', () => {
  const server = shared((t) => startServer(t, { files: FILES, config: TIGHT }));
  const nginx = shared((t) =>
    startNginx(t, {
      fastcgi: server().socket,
      root: server().scripts,
      keepConn: true,
      buffering: false,
      requestBuffering: false,
    }),
  );

  it('in the middle of its body or of its answer costs its own request', async () => {
    for (let round = 0; round < 10; round += 1) {
      const upload = new HttpExchange({
        port: nginx().port,
        method: 'POST',
        path: '/pieces.lua',
        headers: { 'content-length': 5000 },
      });
      await upload.write('x'.repeat(100 + round * 300));
      await upload.bodyUntil('100');
      upload.destroy();
      const download = new HttpExchange({ port: nginx().port, path: '/large.lua' });
      download.end();
      await download.bodyUntil('x'.repeat(1000));
      download.destroy();
    }
    await assertGoesOn(server());
  });
});

describe('a client that goes away while its script runs', () => {
  // How a script is stopped on each engine: test/lua/stops.test.ts.
  for (const engine of ['embedded', 'lua5.1']) {
    it(`has its script stopped when that asks for it (${engine})`, async (t) => {
      const server = await startServer(t, {
        config: `engine = "${engine}"; workers = 1; bodymemory = 0`,
        files: {
          'wait.lua': `if jit then jit.off() end
          function main(env, con)
            con:config("onabort", "stop")
            con:puts("running") con:flush()
            if env.QUERY_STRING == "loop" then while true do end end
            if env.QUERY_STRING == "write" then while true do con:puts(("x"):rep(65536)) con:flush() end end
            con:gets()
          end`,
        },
      });
      for (const work of ['loop', 'write', 'read']) {
        const connection = await FcgiConnection.connect(server.socket);
        t.after(() => connection.destroy());
        await connection.begin(1);
        const params = { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '1', QUERY_STRING: work };
        await connection.params(1, scriptParams(server.path('wait.lua'), params));
        await connection.stdoutUntil(1, 'running');
        connection.destroy();
        const stopped = () => server.log().split('LUAFCGID_SCRIPT_UNWANTED').length - 1;
        const wanted = ['loop', 'write', 'read'].indexOf(work) + 1;
        if (work !== 'read') await eventually('the stop', () => stopped() === wanted);
      }
    });
  }
});
