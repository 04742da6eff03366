/** `luafcgid console`: what is typed, through a pipe and in a terminal. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { ROOT, runCommand } from '../support/server.js';

const typed = async (lines: readonly string[], args: readonly string[] = [], cwd = ROOT): Promise<string[]> => {
  const { code, stdout, stderr } = await runCommand(['console', ...args], { cwd, stdin: lines.join('\n') });
  assert.deepEqual([code, stderr], [0, '']);
  return stdout.trimEnd().split('\n');
};

describe('luafcgid console', () => {
  it('prints values so that they can be read, and errors without its own part of the stack', async () => {
    assert.deepEqual(
      await typed([
        '1 + 1',
        '=nothing',
        't = { 1, 2, name = "x", deep = { list = {} } }',
        't',
        '"a\\nb", nil, print ~= nil',
        'print("p", 1)',
        'error("oh")',
        'error({ code = 4 })',
        'nil + 1',
        'x x',
        'loop = {} loop.loop = loop return loop',
        'setmetatable({}, { __tostring = function() return "an object" end })',
        '_',
      ]),
      [
        '2',
        'nil',
        '{ 1, 2, deep = { list = {} }, name = "x" }',
        '"a\\nb"  nil  true',
        'p\t1',
        'console:1: oh',
        '{ code = 4 }',
        'console:1: attempt to perform arithmetic on a nil value',
        "console:1: '=' expected near 'x'",
        '{ loop = <the table around it> }',
        'an object',
        'an object',
      ],
    );
  });

  it('reads on where a line is not complete, and tells at the end what is not', async () => {
    assert.deepEqual(await typed(['for i = 1, 2 do', '  print(i)', 'end', '', '[[a', 'b]]', 'function f(']), [
      '1',
      '2',
      '"a\\nb"',
      "console:1: <name> or '...' expected near '<eof>'",
    ]);
  });

  it('has the globals and modules of its script, on another engine as well, and waits for results', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(
      join(cwd, 'page.lua'),
      'local lib = require("lib")\nhits = 41\nfunction hit() hits = hits + lib.step return hits end',
    );
    writeFileSync(join(cwd, 'lib.lua'), 'return { step = 1 }');
    writeFileSync(join(cwd, 'config.lua'), 'preload = "preload.lua"');
    writeFileSync(
      join(cwd, 'preload.lua'),
      '#!shebang\nsite = "from preload"\nfunction fail() error("second line") end\nreturn 1',
    );
    const lines = ['hit()', 'require("luafcgid").sleep(0.01) return hits', '_VERSION', 'site', 'require("lib").step'];
    assert.deepEqual(await typed(lines, ['page.lua', '--config', 'config.lua', '--engine', 'lua5.4'], cwd), [
      '42',
      '42',
      '"Lua 5.4"',
      '"from preload"',
      '1',
    ]);
    assert.deepEqual(await typed(['require("lib").step'], [], cwd), ['1'], 'modules of this folder without a script');
  });

  it('says why its script cannot be loaded, and ends with 1', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'page.lua'), 'x = = 1');
    const { code, stdout } = await runCommand(['console', 'page.lua'], { cwd, stdin: '1' });
    assert.equal(code, 1);
    assert.match(stdout, /page\.lua:1: unexpected symbol near '='/);
    const missing = await runCommand(['console', 'no.lua'], { cwd, stdin: '1' });
    assert.deepEqual([missing.code, missing.stdout], [1, '']);
    assert.match(missing.stderr, /^luafcgid: cannot read .*no\.lua: ENOENT: no such file or directory\n/);
  });
});

/** A console in a terminal. */
function openTerminal(t: TestContext, home: string) {
  const command = `${process.execPath} ${join(ROOT, 'bin/luafcgid')} console`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { ...process.env, XDG_STATE_HOME: home, TERM: 'dumb', TMPDIR: home },
  });
  t.after(() => child.kill());
  let seen = '';
  let wake = (): void => {};
  child.stdout.on('data', (bytes: Buffer) => {
    seen += bytes.toString();
    wake();
  });
  return {
    write: (text: string) => child.stdin.write(text),
    /** Resolves when the text has been shown since the last call. */
    async shown(text: string): Promise<void> {
      while (!seen.includes(text)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      seen = seen.slice(seen.indexOf(text) + text.length);
    },
    ended: new Promise<number | null>((resolve) => void child.on('close', resolve)),
  };
}

describe('luafcgid console in a terminal', () => {
  it('stops a loop at Ctrl-C and keeps its state, ends at Ctrl-D, and keeps its history', async (t) => {
    const home = tempDir(t);
    const terminal = openTerminal(t, home);
    await terminal.shown('Ctrl-D ends');
    terminal.write('kept = 6 * 7\n');
    await terminal.shown('> ');
    terminal.write('print("be" .. "gun") while true do end\n');
    await terminal.shown('begun');
    terminal.write('\x03');
    await terminal.shown('stopped');
    terminal.write('for i = 1, 2 do\n');
    await terminal.shown('>> ');
    terminal.write('\x03');
    terminal.write('"kept " .. kept\n');
    await terminal.shown('"kept 42"');
    terminal.write('\x04');
    assert.equal(await terminal.ended, 0);
    assert.match(readFileSync(join(home, 'luafcgid/console-history'), 'utf8'), /^"kept " \.\. kept\nfor i = 1, 2 do\n/);
  });
});
