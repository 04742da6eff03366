/** Who and what gets in, in the real process: which files are scripts, and what of the host scripts reach. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { runCommand, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const HELLO = 'function main(env, con) con:puts("hello") end';

describe('a script', () => {
  const server = shared((t) =>
    startServer(t, {
      config: ({ scripts }) => `root = ${JSON.stringify(scripts)}\nsweep = 20\nshowerrors = false`,
      files: {
        'hello.lua': HELLO,
        'upload/photo.jpg': HELLO,
        'upload/photo.lua.jpg': HELLO,
        'upload/PHOTO.LUA': HELLO,
        'modules.lua': `function main(env, con)
          for _, name in ipairs({ "evil", "link", "up.down" }) do con:puts(tostring((pcall(require, name))), " ") end
          con:puts(tostring(loadfile("/etc/passwd")), tostring(loadfile("upload/photo.jpg")))
        end`,
      },
    }),
  );

  it('with another extension never runs', async () => {
    for (const name of ['upload/photo.jpg', 'upload/photo.lua.jpg', 'upload/PHOTO.LUA']) {
      assert.equal((await ask(server(), name)).status, 403, name);
    }
    await server().logged(
      /LUAFCGID_SCRIPT_EXTENSION: file \S+photo\.jpg is no script: the names of scripts end with \.lua/,
    );
    assert.equal((await ask(server(), 'hello.lua')).text, 'hello');
  });

  it('outside of root never runs, however it is named (attacks F13.8)', async () => {
    const { dir, scripts } = server();
    writeFileSync(join(dir, 'outside.lua'), HELLO);
    mkdirSync(join(dir, 'scripts-too'));
    writeFileSync(join(dir, 'scripts-too/x.lua'), HELLO);
    symlinkSync(join(dir, 'outside.lua'), join(scripts, 'link.lua'));
    symlinkSync(dir, join(scripts, 'up'));
    for (const path of [
      `${dir}/outside.lua`,
      `${scripts}/../outside.lua`,
      `${scripts}/link.lua`,
      `${scripts}/up/outside.lua`,
      `${scripts}/up/scripts/../outside.lua`,
      `${dir}/scripts-too/x.lua`,
      `${scripts}/hello.lua/../../outside.lua`,
      scripts,
    ]) {
      const { status, text } = await ask(server(), path);
      assert.ok(status === 403 || status === 404, `${path}: ${status}`);
      assert.doesNotMatch(text, /hello/);
    }
    for (const path of [`${scripts}/hello.lua\0.jpg`, `${scripts}/hello.lua/`, `${scripts}/hello.lua/.`]) {
      assert.equal((await ask(server(), path)).status, 404, JSON.stringify(path));
    }
    for (const path of [`${scripts}/up/scripts/hello.lua`, `${scripts}//upload/../hello.lua`]) {
      assert.equal((await ask(server(), path)).text, 'hello', path);
    }
  });

  it('loads no module through a link that leads out of root', async () => {
    const { dir, scripts } = server();
    writeFileSync(join(dir, 'evil.lua'), 'return {}');
    symlinkSync(join(dir, 'evil.lua'), join(scripts, 'evil.lua'));
    const { text } = await ask(server(), 'modules.lua');
    // A file that the script names itself may have any extension.
    assert.match(text, /^false false false nilfunction: /);
  });

  it('that is switched for another file runs no more, once a sweep has seen it', async () => {
    const { dir, scripts } = server();
    const name = 'switched.lua';
    server().write(name, HELLO);
    assert.equal((await ask(server(), name)).text, 'hello');
    symlinkSync(join(dir, 'config.lua'), join(scripts, 'next'));
    renameSync(join(scripts, 'next'), join(scripts, name));
    await eventually('the refusal', async () => (await ask(server(), name)).status === 403);
  });
});

it('run takes a script of any name, and extensions may be widened', async (t) => {
  const server = await startServer(t, { config: 'extensions = { ".lua", ".lp" }', files: { 'a.lp': HELLO, b: HELLO } });
  assert.equal((await ask(server, 'a.lp')).text, 'hello');
  assert.equal((await ask(server, 'b')).status, 403);
  assert.match((await runCommand(['run', server.path('b')])).stdout, /hello/);
});

describe('what the configuration grants', () => {
  const FILES = `
    local function tell(...) local t = {} for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end return table.concat(t, "|") end
    function main(env, con)
      con:type("text/plain")
      local f = io.open("data/in.txt") con:puts(f and f:read("*a") or "no file", ";")
      local out = io.open("data/out.txt", "a") if out then out:write("visit\\n") end
      con:puts(tell(io.open("/etc/passwd")), ";", tell(os.getenv("GRANTED"), os.getenv("MODE"), os.getenv("SECRET"), os.getenv("PATH")))
      con:puts(";", tell(pcall(dofile, "data/code.lua")))
    end`;

  it('is what scripts of the embedded engine reach, and no more', async (t) => {
    const server = await startServer(t, {
      config: 'files = { read = "scripts/data", write = "scripts/data" } environment = { "GRANTED", MODE = "test" }',
      env: { GRANTED: 'granted', SECRET: 'secret' },
      files: { 'files.lua': FILES, 'data/in.txt': 'data', 'data/code.lua': 'return 42' },
    });
    const { text } = await ask(server, 'files.lua');
    assert.equal(text, 'data;nil|/etc/passwd: Permission denied|13;granted|test|nil|nil;true|42');
    assert.equal(readFileSync(server.path('data/out.txt'), 'utf8'), 'visit\n');
  });

  it('is nothing by default', async (t) => {
    const server = await startServer(t, { files: { 'files.lua': FILES, 'data/in.txt': 'x' }, env: { GRANTED: 'x' } });
    const { text } = await ask(server, 'files.lua');
    assert.match(
      text,
      /^no file;nil\|\/etc\/passwd: the embedded Lua engine gives scripts no files\|13;nil\|nil\|nil\|nil;/,
    );
  });

  it('starts no native engine, which would not keep to it', async (t) => {
    const file = join(tempDir(t), 'other.lua');
    writeFileSync(file, 'engine = "lua5.1" files = { read = "/" } environment = { "HOME" }');
    const { code, stderr } = await runCommand(['check', file]);
    assert.equal(code, 1);
    for (const name of ['files', 'environment'])
      assert.match(stderr, new RegExp(`${name} = .*left out with engine = "lua5.1"`));
  });

  it('lets precompiled scripts run where bytecode is allowed', async (t) => {
    const dump = `function main(env, con) con:puts(string.dump(loadstring("function main(env, con) con:puts('compiled') end"))) end`;
    for (const engine of ['embedded', 'lua5.1']) {
      const server = await startServer(t, {
        config: `engine = "${engine}" bytecode = true`,
        files: { 'dump.lua': dump },
      });
      server.write('compiled.lua', (await ask(server, 'dump.lua')).body);
      assert.equal((await ask(server, 'compiled.lua')).text, 'compiled');
      const strict = await startServer(t, { config: `engine = "${engine}"` });
      strict.write('compiled.lua', readFileSync(server.path('compiled.lua')));
      const refused = await ask(strict, 'compiled.lua');
      assert.deepEqual([refused.status, /precompiled Lua chunks are not loaded/.test(refused.text)], [500, true]);
    }
  });
});
