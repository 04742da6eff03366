/** README.md does what it says. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fetchHttp } from '../support/http.js';
import { startNginxWith } from '../support/nginx.js';
import { startServer } from '../support/server.js';
import { Walk } from './support/walk.js';

it('the first script of the README runs as it is shown', async (t) => {
  await new Walk(t).document('README.md');
});

it('the configuration and the nginx location of the README serve it', async (t) => {
  const walk = new Walk(t);
  walk.saveFiles('README.md');
  const root = /root = "(.*)"/.exec(walk.file('config.lua'))?.[1] as string;
  const server = await startServer(t, { args: () => [walk.path('config.lua')] });
  const location = walk.file('location.conf').replace('include fastcgi_params', 'include /etc/nginx/fastcgi_params');
  const nginx = await startNginxWith(t, (port) => `server { listen 127.0.0.1:${port}; root ${root}; ${location} }`);
  walk.save('/srv/www/hello.lua', walk.file('site/hello.lua'));
  const answer = await fetchHttp({ port: nginx.port, path: '/hello.lua?name=Ada' });
  assert.equal(answer.text, 'Hello, Ada!\nThis state has answered 1 so far.\n', server.log());
});
