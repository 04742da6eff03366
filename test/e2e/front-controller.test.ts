/** An application with one script for all addresses: behind every web server with the lines of its example, and in serve (cases/users F15). */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { EXAMPLE_SERVERS } from '../support/example-servers.js';
import { fetchHttp } from '../support/http.js';
import { ROOT, startServer } from '../support/server.js';
import { shared } from '../support/shared.js';
import { findProgram } from '../support/web-server.js';

const FILES = {
  'index.lua': `local router = require("luafcgid.router")
    local app = router.new()
    app:get("/", function(env, con) con:puts("home [", router.base(env), "]") end)
    app:get("/users/:name", function(env, con, params) con:puts("user ", params.name, " ", env.QUERY_STRING or "", " [", router.base(env), "]") end)
    app:post("/users", function(env, con) con:puts("made ", con:param("name")) end)
    app:get("/files/*path", function(env, con, params) con:puts("file ", params.path) end)
    function main(env, con) app:run(env, con) end`,
  'other.lua': 'function main(env, con) con:puts("other ", env.PATH_INFO or "") end',
  'style.css': 'body {}',
};

/** The lines for a front controller in an example, each with what it is without its comment mark. */
function linesOf(file: string): [from: string, to: string][] {
  const lines = readFileSync(join(ROOT, 'examples', file), 'utf8').split('\n');
  const start = lines.findIndex((line) => line.includes('# An application with one script for all addresses'));
  assert.ok(start >= 0, file);
  const end = lines.findIndex((line, at) => at > start && !/^\s*#(?! )/.test(line));
  const commented = lines.slice(start + 1, end);
  assert.ok(commented.length > 0, file);
  return [[`${commented.join('\n')}\n`, `${commented.map((line) => line.replace('#', '')).join('\n')}\n`]];
}

async function check(port: number, servesFiles: boolean): Promise<void> {
  const get = async (path: string): Promise<string> => (await fetchHttp({ port, path })).text;
  assert.equal(await get('/'), 'home []');
  assert.equal(await get('/users/ann?a=b'), 'user ann a=b []');
  assert.equal(await get('/users/%C3%A4'), 'user ä  []');
  assert.equal(await get('/files/a/b.png'), 'file a/b.png');
  assert.equal(await get('/index.lua/users/bob'), 'user bob  [/index.lua]');
  assert.equal(await get('/other.lua'), 'other ');
  assert.equal(await get('/other.lua/x'), 'other /x');
  assert.equal((await fetchHttp({ port, path: '/nothing' })).status, 404);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  assert.equal((await fetchHttp({ port, path: '/users', method: 'POST', headers, body: 'name=eve' })).text, 'made eve');
  if (servesFiles) assert.equal(await get('/style.css'), 'body {}');
}

describe('a front controller', () => {
  const server = shared((t) => startServer(t, { files: FILES, config: 'workers = 1 socketmode = "0666"' }));

  for (const { name, file, program, start } of EXAMPLE_SERVERS) {
    const skip = findProgram(program) === undefined && `${program} is not installed`;
    it(`answers for all that is no file behind ${name} with the lines of examples/${file}`, { skip }, async (t) => {
      chmodSync(server().dir, 0o755);
      const { port } = await start(t, server(), linesOf(file));
      if (name !== 'HAProxy') return check(port, true);
      const get = async (path: string): Promise<string> => (await fetchHttp({ port, path })).text;
      assert.equal(await get('/users/ann?a=b'), 'user ann a=b [/index.lua]', 'HAProxy tells the changed address');
      assert.equal(await get('/'), 'home []');
    });
  }

  it('answers for all that is no file in luafcgid serve --front index.lua', async (t) => {
    const server = await startServer(t, {
      files: FILES,
      args: ({ scripts }) => ['serve', scripts, '--port', '0', '--front', 'index.lua'],
      ready: /http:\/\/127\.0\.0\.1:\d+\//,
    });
    await check(Number((await server.logged(/http:\/\/127\.0\.0\.1:(\d+)\//))[1]), true);
  });
});
