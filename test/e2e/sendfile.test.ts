/** con:sendfile: from here, and handed over to web servers. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { NGINX_EXAMPLE } from '../support/example-servers.js';
import { headerValue } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import { type Server, startServer } from '../support/server.js';
import { type AskOptions, ask, shared } from '../support/shared.js';
import { findProgram } from '../support/web-server.js';

const CONTENT = Buffer.from(Array.from({ length: 700_000 }, (_, at) => at % 251));
const SCRIPT = `function main(env, con)
  local ok, why = con:sendfile(env.HTTP_X_PATH, { download = env.HTTP_X_AS, type = env.HTTP_X_TYPE })
  if not ok then con:status(404) con:puts("no: ", why) end
end`;

function start(t: Cleanup, engine: string, sendfile: (dir: string) => string): Promise<Server> {
  return startServer(t, {
    config: ({ dir }) => {
      mkdirSync(join(dir, 'files/a b'), { recursive: true });
      writeFileSync(join(dir, 'files/large.png'), CONTENT);
      writeFileSync(join(dir, 'files/a b/c.txt'), 'small');
      writeFileSync(join(dir, 'files/empty.txt'), '');
      writeFileSync(join(dir, 'secret.txt'), 'secret');
      const files = engine === 'embedded' ? 'files = { read = { "files" } }' : '';
      return `workers = 1 engine = "${engine}" ${files} socketmode = "0666" ${sendfile(dir)}`;
    },
    files: { 'send.lua': SCRIPT },
  });
}

describe('con:sendfile', () => {
  for (const engine of ['embedded', 'lua5.4'] as const) {
    const server = shared((t) => start(t, engine, () => ''));
    const send = (path: string, params: AskOptions['params'] = {}, method = 'GET') =>
      ask(server(), 'send.lua', { method, params: { HTTP_X_PATH: join(server().dir, path), ...params } });

    it(`sends a file with its type and length, with ${engine}`, async () => {
      const { status, headers, body } = await send('files/large.png');
      assert.equal(status, 200);
      assert.ok(Buffer.from(body).equals(CONTENT));
      assert.equal(headerValue(headers, 'content-type'), 'image/png');
      assert.equal(headerValue(headers, 'content-length'), '700000');
      assert.equal(headerValue(headers, 'x-content-type-options'), 'nosniff');
      assert.equal((await send('files/empty.txt')).text, '');
      const named = await send('files/a b/c.txt', { HTTP_X_AS: 'a/"\u00c3\u00a4".txt', HTTP_X_TYPE: 'text/x' });
      assert.equal(
        headerValue(named.headers, 'content-disposition'),
        "attachment; filename*=UTF-8''a%2F%22%C3%A4%22.txt",
      );
      assert.equal(headerValue(named.headers, 'content-type'), 'text/x');
      const head = await send('files/large.png', {}, 'HEAD');
      assert.deepEqual([headerValue(head.headers, 'content-length'), head.text], ['700000', '']);
    });

    it(`sends the part that is asked for, with ${engine}`, async () => {
      for (const [range, first, last] of [
        ['bytes=0-9', 0, 9],
        ['bytes=699990-', 699_990, 699_999],
        ['bytes=-10', 699_990, 699_999],
        ['bytes=5-9999999', 5, 699_999],
      ] as const) {
        const { status, headers, body } = await send('files/large.png', { HTTP_RANGE: range });
        assert.deepEqual(
          [status, headerValue(headers, 'content-range')],
          [206, `bytes ${first}-${last}/700000`],
          range,
        );
        assert.ok(Buffer.from(body).equals(CONTENT.subarray(first, last + 1)), range);
      }
      for (const range of ['bytes=700000-', 'bytes=-0']) {
        const { status, headers } = await send('files/large.png', { HTTP_RANGE: range });
        assert.deepEqual([status, headerValue(headers, 'content-range')], [416, 'bytes */700000'], range);
      }
      for (const range of ['bytes=1-2,4-5', 'bytes=-', 'lines=1-2', 'bytes=9-1', `bytes=${'9'.repeat(400)}-`]) {
        assert.equal((await send('files/large.png', { HTTP_RANGE: range })).status, 200, range);
      }
    });

    it(`tells that there is no such file, with ${engine}`, async () => {
      for (const path of ['files/nothing', 'files', 'files/a b']) assert.equal((await send(path)).status, 404, path);
    });
  }

  it('sends nothing that `files` does not grant', async (t) => {
    const server = await start(t, 'embedded', () => '');
    for (const path of ['secret.txt', 'files/../secret.txt', 'config.lua']) {
      const params = { HTTP_X_PATH: join(server.dir, 'files').replace(/files$/, path) };
      assert.equal((await ask(server, 'send.lua', { params })).status, 404, path);
    }
  });

  it('names the file to the web server with X-Sendfile', async (t) => {
    const server = await start(t, 'embedded', () => 'sendfile = "x-sendfile"');
    const path = join(server.dir, 'files/a b/c.txt');
    const { headers, text } = await ask(server, 'send.lua', { params: { HTTP_X_PATH: path } });
    assert.deepEqual([headerValue(headers, 'x-sendfile'), text], [path.replace(' ', '%20'), '']);
    const roundabout = { HTTP_X_PATH: `${server.dir}/files/../files/a b/c.txt` };
    assert.equal(
      (await ask(server, 'send.lua', { params: roundabout })).text,
      'small',
      'what is not plain is sent from here',
    );
  });

  const skip = findProgram('nginx') === undefined && 'nginx is not installed';
  it('lets nginx send it with X-Accel-Redirect', { skip }, async (t) => {
    const server = await start(t, 'embedded', (dir) => `sendfile = { ["${dir}/files"] = "/kept/" }`);
    chmodSync(server.dir, 0o755);
    const { port } = await NGINX_EXAMPLE.start(t, server, [
      [
        'index index.lua index.html;',
        `index index.lua index.html; location /kept/ { internal; alias ${server.dir}/files/; }`,
      ],
    ]);
    for (const [name, content] of [
      ['large.png', CONTENT],
      ['a b/c.txt', Buffer.from('small')],
    ] as const) {
      const answer = await fetchHttp({
        port,
        path: '/send.lua',
        headers: { 'x-path': join(server.dir, 'files', name) },
      });
      assert.ok(answer.body.equals(content), name);
      assert.ok(answer.header('etag'), 'nginx has sent it');
    }
    assert.equal((await fetchHttp({ port, path: '/kept/large.png' })).status, 404);
  });
});
