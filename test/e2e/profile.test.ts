/** Profiles of pages, by `luafcgid run --profile` and under `luafcgid serve`. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { fetchHttp } from '../support/http.js';
import { runCommand, startServer } from '../support/server.js';

const PAGE = `local luafcgid = require("luafcgid")
local function busy(seconds)
  local until_clock = os.clock() + seconds
  while os.clock() < until_clock do end
end
local function idle(seconds) luafcgid.sleep(seconds / 2) end
function main(env, con)
  busy(tonumber(env.QUERY_STRING))
  idle(tonumber(env.QUERY_STRING))
  con:puts("answer of ", env.REQUEST_METHOD)
end
`;

describe('a profile', () => {
  for (const engine of ['embedded', 'lua5.1', 'lua5.4', 'luajit']) {
    it(`of a page on ${engine} has the functions in which it runs and waits: users.md section 3`, async (t) => {
      const cwd = tempDir(t);
      writeFileSync(join(cwd, 'page.lua'), PAGE);
      const wanted = ['busy (page.lua)', 'page.lua:', '["waiting"'];
      let html = '';
      // On a machine that is busy otherwise the page has to run for longer, so that somebody looks at it meanwhile.
      for (const seconds of ['0.2', '2', '20']) {
        if (wanted.every((part) => html.includes(part))) break;
        const args = ['run', 'page.lua', '--engine', engine, '--method', 'POST', '--query', seconds, '--profile'];
        const { code, stdout, stderr } = await runCommand(args, { cwd });
        assert.deepEqual([code, stderr], [0, 'luafcgid: the profile is in profile.html\n']);
        assert.match(stdout, /answer of POST$/);
        html = readFileSync(join(cwd, 'profile.html'), 'utf8');
        assert.match(html, /samples of 1 request in/, 'a POST is not repeated');
      }
      for (const part of wanted) assert.ok(html.includes(part), part);
    });
  }

  it('of an address is a page under serve, which requests it again and again', async (t) => {
    const server = await startServer(t, {
      files: {
        'page.lua':
          'function main(env, con) local s = "" for i = 1, 3000 do s = s .. i end con:puts(env.QUERY_STRING) end',
      },
      args: ({ scripts }) => ['serve', scripts],
      env: { PORT: '0' },
      ready: /Ctrl-C/,
    });
    const [, port] = await server.logged(/http:\/\/127\.0\.0\.1:([1-9]\d*)\//);
    const { status, text } = await fetchHttp({ port: Number(port), path: '/.luafcgid/profile/page.lua?a=b' });
    assert.equal(status, 200);
    assert.match(text, /<h1>GET \/page\.lua\?a=b<\/h1>/);
    assert.match(text, /page\.lua:1</);
    await server.logged(/GET \/page\.lua\?a=b/);
    const posted = await fetchHttp({ port: Number(port), path: '/.luafcgid/profile/page.lua', method: 'POST' });
    assert.equal(posted.status, 405);
  });
});
