/** Scripts that make texts of 50 MB and give them to whatever takes a text: it costs their own request, on every engine. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type Server, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const main = (body: string): string => `function main(env, con)\n${body}\nend\n`;
/** Patterns find something in every second byte of it. */
const HUGE = 'local text = ("\\1<"):rep(2^10):rep(25 * 2^10)';

const SCRIPTS: readonly { readonly name: string; readonly source: string; readonly log: RegExp }[] = [
  {
    name: 'header',
    source: main(`${HUGE} pcall(con.header, con, text) pcall(con.status, con, text) con:header("X", text)`),
    log: /LUAFCGID_RESPONSE_HEAD_TOO_LARGE: /,
  },
  { name: 'error', source: main(`${HUGE} error(text, 0)`), log: /LUAFCGID_SCRIPT_FAILED: .*bytes left out/ },
];
/** These differ in nothing that an engine does. */
const MORE_SCRIPTS: typeof SCRIPTS = [
  { name: 'loading', source: `${HUGE} error(text)`, log: /LUAFCGID_SCRIPT_FAILED: .*bytes left out/ },
  {
    name: 'headers',
    source: main('for i = 1, 1e9 do con:header("X", ("v"):rep(1000)) end'),
    log: /LUAFCGID_RESPONSE_HEAD_TOO_LARGE: /,
  },
];

function residentBytes({ pid }: Server): number {
  const [, kib] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) as RegExpExecArray;
  return Number(kib) * 1024;
}

describe('a text of 50 MB', () => {
  // Native engines hand over texts in one way: test/lua/crossing.test.ts runs on each of them.
  for (const engine of ['embedded', 'lua5.4']) {
    it(`costs its own request, whatever it is given to (${engine}; attacks F1 and F6)`, async (t) => {
      const scripts = engine === 'embedded' ? [...SCRIPTS, ...MORE_SCRIPTS] : SCRIPTS;
      const server = await startServer(t, {
        config: `engine = "${engine}" workers = 1 memory = 512 * 2^20 showerrors = true`,
        files: {
          ...Object.fromEntries(scripts.map(({ name, source }) => [`${name}.lua`, source])),
          'good.lua': main('con:puts("good")'),
        },
      });
      for (const { name, log } of scripts) {
        const answer = await ask(server, `${name}.lua`);
        assert.match(answer.text, /<h1>500 /, name);
        assert.ok(answer.text.length < 150_000, `${name}: ${answer.text.length}`);
        await server.logged(log);
        assert.equal((await ask(server, 'good.lua')).text, 'good', name);
      }
      assert.doesNotMatch(server.log(), /is replaced|LUAFCGID_BUG/);
    });
  }
});

describe('a Lua source of 1 GiB', () => {
  const makeLarge = (file: string): void => {
    const fd = openSync(file, 'r+');
    ftruncateSync(fd, 2 ** 30);
    closeSync(fd);
  };

  it('is refused before it is read, as a script and as what a script loads (attacks F10)', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 showerrors = true',
      files: {
        'large.lua': main(''),
        'data.lua': '',
        'load.lua': main('local chunk, message = loadfile("data.lua") con:puts(tostring(chunk), " ", message)'),
        'require.lua': main('con:puts(select(2, pcall(require, "data")))'),
      },
    });
    for (const name of ['large.lua', 'data.lua']) makeLarge(server.path(name));
    const before = residentBytes(server);
    const answer = await ask(server, 'large.lua');
    assert.match(answer.text, /<h1>500 /);
    assert.match(answer.text, /large\.lua is larger than a Lua source may be, 16777216 bytes/);
    assert.match((await ask(server, 'load.lua')).text, /^nil .*data\.lua is larger than a Lua source may be/);
    assert.match((await ask(server, 'require.lua')).text, /error loading module 'data'.*is larger than a Lua source/s);
    assert.ok(residentBytes(server) - before < 64 * 2 ** 20, `${residentBytes(server) - before} bytes more`);
  });
});
