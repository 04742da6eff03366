/** Apache and lighttpd that ask an Authorizer, with the configurations in examples/authorizer (fidelity D-C1). */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { APACHE } from '../support/apache.js';
import { FILES, HOLD, REFUSALS } from '../support/authorizers.js';
import type { Cleanup } from '../support/cleanup.js';
import { APACHE_EXAMPLE, exampleWith, LIGHTTPD_EXAMPLE } from '../support/example-servers.js';
import { FcgiConnection, scriptParams } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import { LIGHTTPD } from '../support/lighttpd.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';
import { findProgram, freePort } from '../support/web-server.js';

interface Asking {
  readonly name: string;
  readonly program: string;
  start(t: Cleanup, server: Server, tcpPort: number): Promise<{ readonly port: number }>;
}

/** The example of a web server, with the lines of the example in authorizer/. */
const WEB_SERVERS: readonly Asking[] = [
  {
    name: 'lighttpd with examples/authorizer/lighttpd.conf',
    program: LIGHTTPD,
    start: (t, server) => {
      const lines = exampleWith('authorizer/lighttpd.conf', [['/run/luafcgid/luafcgid.sock', server.socket]]);
      return LIGHTTPD_EXAMPLE.start(t, server, [
        ['fastcgi.server += ( ".lua"', `${lines}\nfastcgi.server += ( ".lua"`],
      ]);
    },
  },
  {
    name: 'Apache with examples/authorizer/apache.conf',
    program: APACHE,
    start: (t, server, tcpPort) => {
      const lines = exampleWith('authorizer/apache.conf', [
        ['127.0.0.1:9000/', `127.0.0.1:${tcpPort}/`],
        ['/srv/www', server.scripts],
      ]);
      return APACHE_EXAMPLE.start(t, server, [
        ['</VirtualHost>', `</VirtualHost>\n${lines}`],
        ['CGIPassAuth On', ''],
      ]);
    },
  },
];

for (const { name, program, start: startWeb } of WEB_SERVERS) {
  const skip = findProgram(program) === undefined && `${program} is not installed`;

  describe(`${name} lets in`, { skip }, () => {
    const startBoth = async (t: Cleanup, config = '') => {
      const tcpPort = await freePort();
      const server = await startServer(t, {
        files: { ...FILES, 'open.txt': 'open\n', 'hold.lua': HOLD },
        config: ({ scripts, socket }) => `
          listen = { ${JSON.stringify(socket)}, "127.0.0.1:${tcpPort}" } socketmode = "0666" showerrors = false
          workers = 1 watchdog = 1 memory = 32 * 2^20 ${config}
          authscript = ${JSON.stringify(join(scripts, 'authorize.lua'))}`,
      });
      chmodSync(server.dir, 0o755);
      return { server, web: await startWeb(t, server, tcpPort) };
    };
    const both = shared(startBoth);
    const fetch = (path: string, body?: string, { port } = both().web) =>
      fetchHttp({ port, path, ...(body !== undefined && { method: 'POST', body: Buffer.from(body) }) });

    it('who the function lets in: to files, and to scripts, which find its variables in env', async () => {
      assert.equal((await fetch('/open.txt')).body.toString(), 'open\n');
      assert.equal((await fetch('/private/secret.txt?do=grant')).body.toString(), 'the secret\n');
      assert.equal((await fetch('/private/secret.txt?do=slept')).body.toString(), 'the secret\n');
      const get = await fetch('/private/page.lua?do=grant');
      assert.equal(get.body.toString(), 'page for bob, hi, GET ');
      assert.equal(get.header('x-powered-by'), (await fetch('/private/page.lua?do=grant')).header('x-powered-by'));
      assert.equal(
        (await fetch('/private/page.lua?do=grant', 'a body')).body.toString(),
        'page for bob, hi, POST a body',
      );
    });

    it('nobody else: its status goes to the client, also for what does not exist', async () => {
      for (const what of [
        'silent',
        'login',
        'accepted',
        'flushed',
        'error',
        'endless',
        'unheard',
        'statusline',
        'forged',
        'told',
      ]) {
        const paths = ['/private/secret.txt', '/private/page.lua', '/private/missing.txt'];
        for (const path of what === 'endless' ? paths.slice(0, 1) : paths) {
          const answer = await fetch(`${path}?do=${what}`);
          const text = answer.body.toString();
          assert.equal(answer.status, REFUSALS[what], `${path} ${what}: ${text}`);
          assert.doesNotMatch(text, /the secret|page for/, `${path} ${what}`);
        }
      }
      assert.equal((await fetch('/private/missing.txt?do=grant')).status, 404);
    });

    it('nobody else, and the client learns what the script says', async () => {
      const unauthorized = await fetch('/private/secret.txt?do=unauthorized');
      assert.match(unauthorized.header('www-authenticate') ?? '', /Basic realm="?x"?/);
      assert.match(unauthorized.body.toString(), /who are you\?/);
      assert.match((await fetch('/private/secret.txt?do=login')).header('location') ?? '', /\/login$/);
    });

    it('nobody while the server is overloaded, with overload = "protocol" too', async (t) => {
      const { server, web } = await startBoth(t, 'states = 1 queue = 0 bodymemory = 0 overload = "protocol"');
      const fetchThere = () => fetch('/private/secret.txt?do=grant', undefined, web);
      const holder = await FcgiConnection.connect(server.socket);
      holder.begin(1, { keepConn: true });
      holder.params(1, { ...scriptParams(server.path('hold.lua')), REQUEST_METHOD: 'POST', CONTENT_LENGTH: '3' });
      // It has the only state from now on.
      await holder.nextRecord();
      for (let round = 0; round < 3; round += 1) {
        const answer = await fetchThere();
        assert.equal(answer.status, 503);
        assert.doesNotMatch(answer.body.toString(), /the secret/);
      }
      holder.stdin(1, 'end');
      await holder.response(1);
      holder.destroy();
      await eventually('the end of the overload', async () => (await fetchThere()).status === 200);
    });
  });
}

describe('examples/authorizer/authorize.lua', () => {
  for (const { name, program, start: startWeb } of WEB_SERVERS) {
    const skip = findProgram(program) === undefined && `${program} is not installed`;

    it(`lets in who knows the password, and asks others for it, behind ${name}`, { skip }, async (t) => {
      const port = await freePort();
      const server = await startServer(t, {
        files: {
          ...FILES,
          'hash.lua': 'function main(env, con) con:puts(require("luafcgid.crypto").password.hash("open sesame")) end',
        },
        config: ({ scripts, socket }) => `
          listen = { ${JSON.stringify(socket)}, "127.0.0.1:${port}" } socketmode = "0666"
          authscript = ${JSON.stringify(join(scripts, 'authorize.lua'))}`,
      });
      chmodSync(server.dir, 0o755);
      const hash = (await ask(server, 'hash.lua')).text;
      const users = `local users = {\n  ali = ${JSON.stringify(hash)},`;
      server.write('authorize.lua', exampleWith('authorizer/authorize.lua', [['local users = {', users]]));
      const web = await startWeb(t, server, port);
      const fetch = (user?: string) =>
        fetchHttp({
          port: web.port,
          path: '/private/page.lua',
          headers: user === undefined ? {} : { Authorization: `Basic ${Buffer.from(user).toString('base64')}` },
        });
      for (const user of [undefined, 'ali:wrong', 'baba:open sesame']) {
        const answer = await fetch(user);
        assert.equal(answer.status, 401, user);
        assert.match(answer.header('www-authenticate') ?? '', /Basic realm="private"/);
      }
      const granted = await fetch('ali:open sesame');
      assert.equal(granted.body.toString(), 'page for ali, -, GET ');
    });
  }
});
