/** `luafcgid check --connect`: what it says of each data source, and what it never says (issue 13; design 3). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { startRedis } from '../support/redis.js';
import { runCommand } from '../support/server.js';
import { freePort } from '../support/web-server.js';

describe('luafcgid check --connect', async () => {
  const redis = await startRedis({ after }, ['--requirepass', 'open-sesame']);
  const nowhere = await freePort();

  it('tries each data source, and says what it found, without a password', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'password'), 'open-sesame\n', { mode: 0o600 });
    const cache = `cache = { "redis://127.0.0.1:${redis.port}", passwordfile = "password" }`;
    writeFileSync(join(cwd, 'good.lua'), `data = { ${cache}, files = "sqlite:files.db" }`);
    const good = await runCommand(['check', '--connect', 'good.lua'], { cwd });
    assert.deepEqual([good.code, good.stderr], [0, '']);
    assert.match(good.stdout, /data source cache \(127\.0\.0\.1:\d+, database 0\): Redis \d/);
    assert.match(good.stdout, /data source files \(.*files\.db\): SQLite 3\./);
    const main = `main = { "postgres://app@127.0.0.1:${nowhere}/app" }`;
    const wrong = `wrong = { "redis://127.0.0.1:${redis.port}", passwordenv = "WRONG" }`;
    writeFileSync(join(cwd, 'bad.lua'), `data = { ${main}, ${wrong}, ${cache} }`);
    const bad = await runCommand(['check', '--connect', 'bad.lua'], { cwd, env: { WRONG: 'not-it' } });
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /data source main .*ECONNREFUSED/);
    assert.match(bad.stderr, /data source wrong .*WRONGPASS/);
    assert.match(bad.stderr, /data source cache .*Redis \d/);
    assert.doesNotMatch(`${good.stdout}${bad.stdout}${bad.stderr}`, /sesame|not-it/);
  });

  it('says which servers scripts may send requests to, and asks none of them', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'http.lua'), `http = { allow = { "127.0.0.1:${nowhere}", "API.example.com:443" } }`);
    const { code, stdout, stderr } = await runCommand(['check', '--connect', 'http.lua'], { cwd });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, new RegExp(`http: requests to 127\\.0\\.0\\.1:${nowhere}, api\\.example\\.com:443`));
  });

  it('connects to nothing without the option', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'c.lua'), `data = { main = "postgres://app@127.0.0.1:${nowhere}/app" }`);
    const { code, stdout } = await runCommand(['check', 'c.lua'], { cwd });
    assert.deepEqual([code, /data source/.test(stdout)], [0, false]);
  });
});
