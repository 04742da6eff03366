/** Scripts that are loaded before the first request, at the start, by a reload and by check (issue 16; cases/users F16). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand, type Server, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const page = (version: number): string => `
print("loaded version ${version}", math.random(1e9))
require("luafcgid").sleep(0.001)
function main(env, con) con:puts("version ${version}") end`;

const LOADED = /loaded version \d/g;

/** Loads of scripts that the log tells of. */
function loads(server: Server): number {
  return server.log().match(LOADED)?.length ?? 0;
}

const named = (...names: readonly string[]) => {
  return ({ scripts }: { scripts: string }): string =>
    `preloadscripts = { ${names.map((name) => JSON.stringify(join(scripts, name))).join(', ')} }\n`;
};

async function askAtOnce(server: Server, count: number): Promise<Set<string>> {
  return new Set(
    (await Promise.all(Array.from({ length: count }, () => ask(server, 'a.lua')))).map(({ text }) => text),
  );
}

describe('scripts of preloadscripts', () => {
  it('are loaded by each worker before the server is ready, and not again', async (t) => {
    const server = await startServer(t, {
      files: { 'a.lua': page(1) },
      config: (paths) => `workers = 2 clones = 4 ${named('a.lua')(paths)}`,
    });
    const ready = server.log().indexOf('ready:');
    assert.equal(server.log().slice(0, ready).match(LOADED)?.length, 2, server.log());
    assert.deepEqual(await askAtOnce(server, 16), new Set(['version 1']));
    await server.stop();
    assert.equal(loads(server), 2, server.log());
  });

  it('that fail, or never end, are named, and keep nothing else from being served', async (t) => {
    const server = await startServer(t, {
      files: {
        'a.lua': page(1),
        'syntax.lua': 'function main(',
        'none.lua': 'print("nothing")',
        'loop.lua': 'while true do end',
        'sleep.lua': 'require("luafcgid").sleep(1000)',
        'file.lua': 'f = io.open("a.lua") function main() end',
        'page.txt': 'text',
      },
      config: (paths) => `workers = 1 watchdog = 1 files = { read = { ${JSON.stringify(paths.scripts)} } }
        ${named('syntax.lua', 'none.lua', 'loop.lua', 'sleep.lua', 'file.lua', 'page.txt', 'a.lua')(paths)}`,
    });
    const log = server.log();
    for (const [name, reason] of [
      ['syntax.lua', 'expected'],
      ['none.lua', 'LUAFCGID_SCRIPT_NO_HANDLER'],
      ['loop.lua', 'LUAFCGID_SCRIPT_TIMEOUT'],
      ['sleep.lua', 'LUAFCGID_SCRIPT_TIMEOUT'],
      ['page.txt', 'LUAFCGID_SCRIPT_EXTENSION'],
    ] as const) {
      const line = log
        .split('\n')
        .find((each) => each.includes('LUAFCGID_PRELOAD_FAILED') && each.includes(`/${name} `));
      assert.ok(line?.includes(reason), `${name}: ${line}\n${log}`);
    }
    assert.match(log, /LUAFCGID_IMAGE_NONE: each new state loads .*file\.lua anew.*it has files open/);
    assert.deepEqual(await askAtOnce(server, 4), new Set(['version 1']));
    assert.equal(loads(server), 1);
  });

  it('are loaded by the new workers of a reload before these take over', async (t) => {
    const server = await startServer(t, {
      files: { 'a.lua': page(1) },
      config: (paths) => `workers = 1 clones = 4 sweep = 3600000 ${named('a.lua')(paths)}`,
    });
    assert.deepEqual(await askAtOnce(server, 4), new Set(['version 1']));
    server.write('a.lua', page(2));
    server.signal('SIGHUP');
    await server.logged(/reloaded:/);
    const reloaded = server.log().indexOf('reloaded:');
    assert.equal(server.log().slice(0, reloaded).match(LOADED)?.length, 2, server.log());
    await eventually('the new workers', async () => [...(await askAtOnce(server, 4))].join() === 'version 2');
    await server.stop();
    assert.equal(loads(server), 2, server.log());
  });

  it('are shown by check with their time and memory, and a failing one fails it', async (t) => {
    const server = await startServer(t, { files: { 'a.lua': page(1), 'bad.lua': 'error("as written")' } });
    const file = join(server.dir, 'checked.lua');
    writeFileSync(file, named('a.lua')(server));
    const good = await runCommand(['check', file]);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /script \/.*a\.lua: loaded in \d+\.\d ms, \d+ KiB of memory, its image \d+ KiB\n/);
    writeFileSync(file, named('a.lua', 'bad.lua')(server));
    const bad = await runCommand(['check', file]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /script \/.*bad\.lua: could not be loaded: .*as written/);
    writeFileSync(file, `engine = "lua5.4" ${named('a.lua')(server)}`);
    const native = await runCommand(['check', file]);
    assert.equal(native.code, 1);
    assert.match(native.stderr, /preloadscripts = .*left out with engine = "lua5\.4", whose states cannot be copied/);
  });
});

describe('the file preload', () => {
  it('is run by check, which fails when each state would fail (users D7)', async (t) => {
    const server = await startServer(t, { files: { 'a.lua': page(1) } });
    const [file, preload] = [join(server.dir, 'checked.lua'), join(server.dir, 'pre.lua')];
    for (const engine of ['embedded', 'lua5.4']) {
      writeFileSync(file, `engine = "${engine}" root = "/" preload = "pre.lua" watchdog = 2`);
      for (const [text, wanted] of [
        ['error("as written")', /preload \/.*pre\.lua: each state would fail: .*pre\.lua:1: as written/],
        ['this is no Lua', /each state would fail: .*pre\.lua:1: /],
        ['while true do end', /each state would fail: LUAFCGID_SCRIPT_TIMEOUT/],
      ] as const) {
        writeFileSync(preload, text);
        const { code, stderr } = await runCommand(['check', file]);
        assert.equal(code, 1, text);
        assert.match(stderr, wanted);
      }
      writeFileSync(preload, 'function helper() return 1 end');
      const good = await runCommand(['check', file]);
      assert.equal(good.code, 0, good.stderr);
    }
  });
});
