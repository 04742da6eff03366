/** Requests that no script can answer as they are: each gets a page, through nginx never a 502, and the server goes on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Bytes,
  FcgiConnection,
  headerValue,
  parseCgiAnswer,
  request,
  requestBytes,
  scriptParams,
  TYPE,
} from '../support/fcgi-client.js';
import { fetchHttp, HttpExchange } from '../support/http.js';
import { startNginx } from '../support/nginx.js';
import { startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

const FILES = {
  'good.lua': 'n = 0\nfunction main(env, con) n = n + 1 con:puts("good ", n) end',
  'read.lua': 'function main(env, con) local body = con:gets() con:puts(body and #body or "none") end',
  'pieces.lua': `
    function main(env, con)
      con:puts("begun ") con:flush()
      local n = 0
      for piece in function() return con:gets(1000) end do n = n + #piece end
      con:puts(n)
    end`,
  'caught.lua': `
    function main(env, con)
      con:puts("begun ") con:flush()
      local ok, message = pcall(con.gets, con)
      con:puts(ok and "whole" or message)
    end`,
};

const MAX = 20_000;

for (const showErrors of [true, false]) {
  describe(`with showerrors = ${showErrors}, a request`, () => {
    const server = shared((t) =>
      startServer(t, {
        files: FILES,
        config: `workers = 1 states = 1 clones = 1 maxpost = ${MAX} showerrors = ${showErrors} bodymemory = 4096`,
      }),
    );

    const assertGoesOn = async (): Promise<void> => {
      for (const keepConn of [true, false]) {
        const connection = await FcgiConnection.connect(server().socket);
        connection.send(requestBytes({ keepConn, params: scriptParams(server().path('good.lua')) }));
        assert.match(parseCgiAnswer((await connection.response(1)).stdout).body.toString(), /^good \d+$/);
        connection.destroy();
      }
    };

    const assertRefused = async (
      options: { readonly params: Readonly<Record<string, Bytes>>; readonly body?: Bytes },
      status: number,
      code: string,
    ): Promise<void> => {
      const answer = await request({ socket: server().socket, ...options });
      assert.equal(answer.status, status);
      const text = answer.body.toString();
      const id = /Request ([0-9a-z]+-[0-9a-z]+)</.exec(text)?.[1];
      assert.ok(id, text);
      const [line] = await server().logged(new RegExp(`\\[${id}[^\\n]*${code}[^\\n]*`));
      const message = line.slice(line.indexOf(code) + code.length + 2).split('. ', 1)[0]!;
      const shown = text
        .replaceAll('&quot;', '"')
        .replaceAll('&#39;', "'")
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>');
      assert.equal(shown.includes(message), showErrors, `${message} in ${text}`);
      await assertGoesOn();
    };

    const without = (...names: readonly string[]): Record<string, Bytes> => {
      const params = scriptParams(server().path('good.lua'));
      return Object.fromEntries(Object.entries(params).filter(([name]) => !names.includes(name)));
    };

    it('without SCRIPT_FILENAME gets 404 when nothing else names the script', async () => {
      await assertRefused({ params: without('SCRIPT_FILENAME', 'SCRIPT_NAME') }, 404, 'LUAFCGID_REQUEST_NO_SCRIPT');
      await assertRefused(
        { params: { ...without('SCRIPT_NAME'), SCRIPT_FILENAME: '' } },
        404,
        'LUAFCGID_REQUEST_NO_SCRIPT',
      );
      await assertRefused({ params: {} }, 404, 'LUAFCGID_REQUEST_NO_SCRIPT');
    });

    it('without SCRIPT_FILENAME is served when root and name tell the script', async () => {
      const answer = await request({ socket: server().socket, params: without('SCRIPT_FILENAME') });
      assert.equal(answer.status, 200);
    });

    it('with a relative SCRIPT_FILENAME gets 404', async () => {
      for (const SCRIPT_FILENAME of ['good.lua', './good.lua', '../scripts/good.lua', 'proxy:fcgi:good.lua']) {
        const params = { ...without(), SCRIPT_FILENAME };
        await assertRefused({ params }, 404, 'LUAFCGID_REQUEST_RELATIVE_SCRIPT');
      }
    });

    it('with NUL in SCRIPT_FILENAME gets 404', async () => {
      const params = scriptParams(`${server().path('good.lua')}\0.txt`);
      await assertRefused({ params }, 404, 'LUAFCGID_REQUEST_NUL');
    });

    it('with a name as long as no file may have gets 404', async () => {
      await assertRefused({ params: scriptParams(`/${'x'.repeat(300)}.lua`) }, 404, 'LUAFCGID_SCRIPT_NOT_FOUND');
      await assertRefused({ params: scriptParams(`/${'x/'.repeat(5000)}.lua`) }, 404, 'LUAFCGID_SCRIPT_NOT_FOUND');
    });

    it('with a name that is HTML gets it back escaped or not at all', async () => {
      await assertRefused({ params: scriptParams('/<script>alert(1)</script>') }, 404, 'LUAFCGID_SCRIPT_NOT_FOUND');
      const { text } = await ask(server(), '/<script>alert(1)</script>');
      assert.ok(!text.includes('<script>'), text);
    });

    it('of a method that is not served gets 405', async () => {
      for (const REQUEST_METHOD of ['TRACE', 'CONNECT', 'G T', 'GET\r\nX: y', '<b>']) {
        await assertRefused({ params: { ...without(), REQUEST_METHOD } }, 405, 'LUAFCGID_REQUEST_METHOD');
      }
    });

    it('whose body is shorter than CONTENT_LENGTH gets 400', async () => {
      for (const body of ['', 'x', 'x'.repeat(9)]) {
        const params = scriptParams(server().path('read.lua'), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '10' });
        await assertRefused({ params, body }, 400, 'LUAFCGID_REQUEST_BODY_SHORT');
      }
    });

    it('whose body is shorter than CONTENT_LENGTH, found after its start, is an error where the script reads', async () => {
      const broken = async (name: string) => {
        const connection = await FcgiConnection.connect(server().socket);
        connection.begin(1, { keepConn: true });
        connection.params(1, scriptParams(server().path(name), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '10000' }));
        connection.stdin(1, 'x'.repeat(5000), { end: false });
        await connection.stdoutUntil(1, 'begun ');
        connection.stdin(1);
        const response = await connection.response(1);
        connection.destroy();
        return { ...response, text: parseCgiAnswer(response.stdout).body.toString() };
      };
      assert.match((await broken('caught.lua')).text, /ended before its announced length/);
      const uncaught = await broken('pieces.lua');
      assert.match(uncaught.text, /^begun /);
      assert.notEqual(uncaught.appStatus, 0);
      await assertGoesOn();
    });

    it('whose body is longer than CONTENT_LENGTH gives the script what was announced, and the log a line', async () => {
      for (const [announced, body] of [
        [0, 'xyz'],
        [3, 'abcdef'],
        [5000, 'x'.repeat(200_000)],
      ] as const) {
        const answer = await request({
          socket: server().socket,
          params: scriptParams(server().path('read.lua'), {
            REQUEST_METHOD: 'POST',
            CONTENT_LENGTH: String(announced),
          }),
          body,
        });
        assert.deepEqual([answer.status, answer.body.toString()], [200, announced === 0 ? 'none' : String(announced)]);
        await server().logged(new RegExp(`longer than its CONTENT_LENGTH of ${announced} bytes`));
      }
      await assertGoesOn();
    });

    it('without a usable CONTENT_LENGTH has the body that comes', async () => {
      for (const CONTENT_LENGTH of ['', '-1', 'many', '1e3', '99999999999999999999', ' 3']) {
        const params = scriptParams(server().path('read.lua'), { REQUEST_METHOD: 'POST', CONTENT_LENGTH });
        const answer = await request({ socket: server().socket, params, body: 'x'.repeat(6000) });
        assert.deepEqual([answer.status, answer.body.toString()], [200, '6000'], JSON.stringify(CONTENT_LENGTH));
      }
    });

    it('announcing more than maxpost gets 413 before its body has come, and keeps the connection', async () => {
      const connection = await FcgiConnection.connect(server().socket);
      const params = scriptParams(server().path('read.lua'), {
        REQUEST_METHOD: 'POST',
        CONTENT_LENGTH: String(MAX + 1),
      });
      connection.begin(1, { keepConn: true });
      connection.params(1, params);
      assert.equal(parseCgiAnswer((await connection.response(1)).stdout).status, 413);
      connection.stdin(1, 'x'.repeat(MAX + 1)); // the web server had it under way already
      connection.send(requestBytes({ id: 2, keepConn: true, params: scriptParams(server().path('good.lua')) }));
      assert.equal(parseCgiAnswer((await connection.response(2)).stdout).status, 200);
      connection.destroy();
      await assertRefused({ params, body: 'x'.repeat(MAX + 1) }, 413, 'LUAFCGID_REQUEST_BODY_TOO_LARGE');
      const fits = await ask(server(), 'read.lua', { body: 'x'.repeat(MAX) });
      assert.deepEqual([fits.status, fits.text], [200, String(MAX)]);
    });

    it('that turns out longer than maxpost gets 413, wherever that is found', async () => {
      const params = scriptParams(server().path('read.lua'), { REQUEST_METHOD: 'POST' });
      for (const bytes of [MAX + 1, 3_000_000]) {
        const answer = await request({ socket: server().socket, params, body: 'x'.repeat(bytes) });
        assert.equal(answer.status, 413, String(bytes));
      }
      await assertGoesOn();
    });

    it('with trailing path parts of another script is not that script', async () => {
      await assertRefused(
        { params: scriptParams(`${server().path('good.lua')}/more`) },
        404,
        'LUAFCGID_SCRIPT_NOT_FOUND',
      );
    });

    it('with a DATA stream, which belongs to another role, is served', async () => {
      const connection = await FcgiConnection.connect(server().socket);
      connection.begin(1);
      connection.params(1, scriptParams(server().path('good.lua')));
      connection.send(Buffer.from([1, TYPE.DATA, 0, 1, 0, 1, 0, 0, 88]));
      connection.stdin(1);
      assert.equal(parseCgiAnswer((await connection.response(1)).stdout).status, 200);
    });
  });
}

describe('behind nginx, a request', () => {
  const server = shared((t) =>
    startServer(t, { files: FILES, config: `workers = 1 states = 1 maxpost = ${MAX} showerrors = false` }),
  );
  const buffering = shared((t) => startNginx(t, { fastcgi: server().socket, root: server().scripts, keepConn: true }));
  const passing = shared((t) =>
    startNginx(t, {
      fastcgi: server().socket,
      root: server().scripts,
      requestBuffering: false,
      location: [
        'if ($arg_mode = relative) { set $file good.lua; }',
        'if ($arg_mode = "") { set $file $document_root$fastcgi_script_name; }',
        'fastcgi_param SCRIPT_FILENAME $file;',
      ],
    }),
  );

  it('with a body over maxpost gets 413, of known length or not', async () => {
    for (const { port } of [buffering(), passing()]) {
      for (const bytes of [MAX + 1, 2_000_000]) {
        const known = await fetchHttp({ port, method: 'POST', path: '/read.lua', body: 'x'.repeat(bytes) });
        assert.equal(known.status, 413);
        const exchange = new HttpExchange({ port, method: 'POST', path: '/read.lua' });
        exchange.write('x'.repeat(bytes)).catch(() => {}); // refused before it is all sent
        exchange.end();
        assert.equal((await exchange.head()).status, 413);
        exchange.destroy();
      }
      const fits = await fetchHttp({ port, method: 'POST', path: '/read.lua', body: 'x'.repeat(MAX) });
      assert.equal(fits.text, String(MAX));
    }
  });

  it('with a chunked body gives it to the script', async () => {
    for (const { port } of [buffering(), passing()]) {
      const exchange = new HttpExchange({ port, method: 'POST', path: '/read.lua' });
      await exchange.write('one ');
      await exchange.write('two');
      exchange.end();
      assert.equal((await exchange.body()).toString(), '7');
    }
  });

  it('whose script nginx names badly gets 404, not 502', async () => {
    const answer = await fetchHttp({ port: passing().port, path: '/good.lua?mode=relative' });
    assert.equal(answer.status, 404);
    assert.ok(answer.text.includes('Request '), 'a page of this server');
  });

  it('that is refused has the server of nginx, a type, and no header twice', async () => {
    const answer = await fetchHttp({ port: buffering().port, path: '/no-such.lua' });
    assert.equal(answer.status, 404);
    assert.equal(answer.header('content-type'), 'text/html; charset=utf-8');
    assert.equal(answer.header('status'), undefined);
    assert.equal(headerValue(answer.headers, 'content-length'), String(answer.body.length));
  });

  it('is answered after all that', async () => {
    for (const { port } of [buffering(), passing()]) {
      assert.match((await fetchHttp({ port, path: '/good.lua' })).text, /^good \d+$/);
    }
    assert.doesNotMatch(buffering().errorLog() + passing().errorLog(), /prematurely closed|invalid header|too big/);
  });
});
