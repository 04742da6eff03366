/** Files of the embedded engine: Lua's own io library, and nothing but what was granted. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { GrantedFiles } from '../../../src/scripts/file-grants.js';
import { tempDir } from '../../support/cleanup.js';
import { luaError, newState, serve } from '../support.js';
import { grantedFiles } from './granted.js';

/** A state that may read `in`, write `out`, and both in `both`; `secret` lies outside. */
function newGranted(t: TestContext) {
  const dir = tempDir(t);
  for (const folder of ['in', 'out', 'both', 'app']) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, 'secret'), 'secret');
  writeFileSync(join(dir, 'in/lines'), 'one\ntwo\r\n\nlast');
  const files = grantedFiles(
    { read: [join(dir, 'in'), join(dir, 'both')], write: [join(dir, 'out'), join(dir, 'both')] },
    join(dir, 'app'),
  );
  const made = newState({ files, directory: join(dir, 'app') });
  made.run(`dir = ${JSON.stringify(dir)}
    function all(...) local t = {} for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end return table.concat(t, "|") end`);
  t.after(() => made.state.close());
  return { ...made, dir };
}

/** Files of a folder that this process has open; the directories that were granted are held open on purpose. */
function openBelow(dir: string): string[] {
  const { stdout } = spawnSync('ls', ['-l', `/proc/${process.pid}/fd`], { encoding: 'utf8' });
  const isHeld = (line: string): boolean => /\/(in|out|both)$/.test(line);
  return stdout.split('\n').filter((line) => line.includes(dir) && !isHeld(line));
}

test('a file is read in all formats', (t) => {
  const { evaluate, dir } = newGranted(t);
  writeFileSync(join(dir, 'in/numbers'), ' 12 0x10 -1.5e2 x');
  writeFileSync(join(dir, 'in/big'), Buffer.alloc(100_000, 'ab\0c'));
  for (const [expression, expected] of [
    ['io.open(dir .. "/in/lines"):read("*a")', 'one\ntwo\r\n\nlast'],
    ['all(io.open(dir .. "/in/lines"):read("*l", "*l", "*l", "*l", "*l"))', 'one|two\r||last|nil'],
    ['all(io.open(dir .. "/in/lines"):read(2, 0, 3, "*a", 0))', 'on||e\nt|wo\r\n\nlast|nil'],
    ['all(io.open(dir .. "/in/numbers"):read("*n", "*n", "*n", "*n"))', '12|16|-150|nil'],
    ['#io.open(dir .. "/in/big", "rb"):read("*a")', '100000'],
    ['io.open(dir .. "/in/big"):read("*a"):sub(99997):byte(3)', '0'],
    ['io.open("../in/lines"):read()', 'one'],
    ['io.lines("../in/lines")()', 'one'],
    ['(function() local t = {} for line in io.lines(dir .. "/in/lines") do t[#t + 1] = line end return #t end)()', '4'],
    [
      '(function() local t = {} for l in io.open(dir .. "/in/lines"):lines() do t[#t + 1] = l end return #t end)()',
      '4',
    ],
    [
      '(function() io.input(dir .. "/in/lines") local a = io.read() io.close(io.input()) io.input(io.stdin) return a end)()',
      'one',
    ],
  ] as const) {
    assert.equal(evaluate(expression), expected, expression);
  }
});

test('a file is written, added to, changed in place and sought in', (t) => {
  const { evaluate, run, dir } = newGranted(t);
  const read = (name: string): string => readFileSync(join(dir, name), 'latin1');
  run(
    `local f = assert(io.open(dir .. "/out/a", "w")) assert(f:write("x", 1, "\\0\\255") == true) assert(f:close() == true)`,
  );
  assert.equal(read('out/a'), 'x1\0\xff');
  run(`local f = assert(io.open(dir .. "/out/a", "a")) f:write("more") f:close()
    f = assert(io.open(dir .. "/out/a", "a")) f:seek("set", 0) f:write("!") f:close()`);
  assert.equal(read('out/a'), 'x1\0\xffmore!');
  writeFileSync(join(dir, 'both/b'), '0123456789');
  assert.equal(
    evaluate(`(function() local f = assert(io.open(dir .. "/both/b", "r+"))
      local a, b = f:seek("end"), f:seek("set", 4)
      f:write("XY") f:flush()
      local c = f:seek() f:seek("cur", -3) local d = f:read(4) f:seek("end", 2) f:write("z") f:close()
      return all(a, b, c, d) end)()`),
    '10|4|6|3XY6',
  );
  assert.equal(read('both/b'), '0123XY6789\0\0z');
  assert.equal(evaluate('all(io.open(dir .. "/both/b"):seek("set", -1))'), 'nil|Invalid argument|28');
  run('local f = assert(io.open(dir .. "/both/b", "w+")) f:write("abc") f:seek("set") text = f:read("*a") f:close()');
  assert.equal(evaluate('text'), 'abc');
  run('local f = assert(io.open(dir .. "/both/b", "a+")) f:write("d") f:seek("set") text = f:read("*a") f:close()');
  assert.equal(evaluate('text'), 'abcd');
  run('local f = assert(io.open(dir .. "/out/big", "w")) for i = 1, 20000 do f:write("line ", i, "\\n") end f:close()');
  assert.equal(read('out/big').split('\n').length, 20_001);
  run('io.output(dir .. "/out/default") io.write("to the default") io.close() io.output(io.stdout)');
  assert.equal(read('out/default'), 'to the default');
  assert.equal(statSync(join(dir, 'out/default')).mode & 0o111, 0);
});

test('files are told apart, closed by hand and by garbage collection', (t) => {
  const { evaluate, run, dir } = newGranted(t);
  run('file = io.open(dir .. "/in/lines")');
  assert.equal(evaluate('all(io.type(file), io.type(io.stdout), io.type(5), type(file))'), 'file|file|nil|userdata');
  assert.match(evaluate('file'), /^file \(0x[0-9a-f]+\)$/);
  assert.equal(openBelow(dir).length, 1);
  assert.equal(evaluate('all(file:setvbuf("full", 1024), file:setvbuf("no"), file:setvbuf("line"))'), 'true|true|true');
  assert.equal(evaluate('all(file:close(), io.type(file), file)'), 'true|closed file|file (closed)');
  assert.match(luaError(() => evaluate('file:read()')).message, /attempt to use a closed file/);
  assert.deepEqual(openBelow(dir), []);
  run('for i = 1, 200 do assert(io.open(dir .. "/in/lines")) end collectgarbage()');
  assert.deepEqual(openBelow(dir), [], 'none of 200 forgotten files is open');
});

test('a state has at most 16 files open, and gives all back when it is closed', (t) => {
  const { evaluate, run, state, dir } = newGranted(t);
  run('kept = {} for i = 1, 20 do local f, m, n = io.open(dir .. "/in/lines") kept[i] = f message = m number = n end');
  assert.equal(openBelow(dir).length, 16);
  assert.equal(evaluate('#kept'), '16');
  assert.equal(evaluate('all(message, number)'), `${dir}/in/lines: No file descriptors available|24`);
  state.close();
  assert.deepEqual(openBelow(dir), []);
});

test('what was written and not closed is stored when the request ends, whichever way', (t) => {
  const { run, state, dir } = newGranted(t);
  run(`local f = io.open(dir .. "/out/log", "a") f:write("loaded ")
    function main() f:write("served ") end function fail() f:write("failed ") error("x") end
    function exit() f:write("left") os.exit() end`);
  const log = (): string => readFileSync(join(dir, 'out/log'), 'utf8');
  assert.equal(log(), 'loaded ');
  serve(state, 'main');
  assert.equal(log(), 'loaded served ');
  luaError(() => serve(state, 'fail'));
  serve(state, 'exit');
  assert.equal(log(), 'loaded served failed left');
});

test('a full disk is an error of the script, or a line in the log', (t) => {
  const { evaluate, run, log } = newGranted(t);
  const full = newState({ files: fullDisk() });
  t.after(() => full.state.close());
  full.run(
    'f = io.open("x", "w") function all(...) return table.concat({ tostring((...)), (select(2, ...)) }, "|") end',
  );
  assert.equal(full.evaluate('all(f:write(("x"):rep(5000)))'), 'nil|No space left on device');
  full.run('f:write("x")');
  assert.match(
    full.log.map(({ level, text }) => `${level} ${text}`).join('\n'),
    /error what the script wrote.*not be stored/,
  );
  run('ok = true');
  assert.deepEqual([evaluate('ok'), log.length], ['true', 0]);
});

/** Where every file is the one that takes nothing. */
function fullDisk(): GrantedFiles {
  const files = grantedFiles({ read: [], write: [] }, '/');
  return Object.assign(Object.create(files) as GrantedFiles, { open: () => openSync('/dev/full', 'w') });
}

test('files are removed, renamed and made where the state may write', (t) => {
  const { evaluate, dir } = newGranted(t);
  writeFileSync(join(dir, 'out/a'), 'a');
  mkdirSync(join(dir, 'out/empty'));
  assert.equal(evaluate('all(os.rename(dir .. "/out/a", dir .. "/out/b"))'), 'true');
  assert.equal(evaluate('all(os.remove(dir .. "/out/b"), os.remove(dir .. "/out/empty"))'), 'true|true');
  assert.deepEqual(readdirSync(join(dir, 'out')), []);
  assert.equal(evaluate('all(os.remove(dir .. "/out/b"))'), `nil|${dir}/out/b: No such file or directory|2`);
  const name = evaluate('os.tmpname()');
  assert.equal(name.slice(0, name.lastIndexOf('/')), join(dir, 'out'));
  assert.equal(statSync(name).size, 0);
  // The directory of temporary files may not be read here.
  assert.match(evaluate('all(io.tmpfile())'), /^nil\|.*Permission denied\|13$/);
  const both = newState({ files: grantedFiles({ read: [dir], write: [dir] }, dir) });
  t.after(() => both.state.close());
  both.run('f = io.tmpfile() f:write("abc") f:seek("set")');
  assert.equal(both.evaluate('f:read("*a")'), 'abc');
  assert.deepEqual(
    readdirSync(dir).filter((each) => each.startsWith('lua_')),
    [],
  );
});

test('everything else is denied, there or not', (t) => {
  const { evaluate, dir } = newGranted(t);
  writeFileSync(join(dir, 'out/written'), 'x');
  mkdirSync(join(dir, 'inner'));
  writeFileSync(join(dir, 'inner/x'), 'x');
  for (const folder of ['in', 'both']) symlinkSync(join(dir, 'secret'), join(dir, folder, 'link'));
  symlinkSync('../../secret', join(dir, 'app/away'));
  symlinkSync(dir, join(dir, 'both/up'));
  symlinkSync(join(dir, 'missing-outside'), join(dir, 'both/dangling'));
  symlinkSync('loop', join(dir, 'both/loop'));
  mkdirSync(join(dir, 'both/sub'));
  spawnSync('mkfifo', [join(dir, 'in/pipe')]);
  const denied = 'Permission denied|13';
  for (const [call, message] of [
    ['io.open("/etc/passwd")', denied],
    ['io.open("/etc/no-such-file")', denied],
    ['io.open("/no/such/folder/file")', denied],
    ['io.open("/proc/self/environ")', denied],
    ['io.open("/dev/null", "w")', denied],
    ['io.open("/", "r")', denied],
    ['io.open("")', denied],
    ['io.open(dir .. "/secret")', denied],
    ['io.open(dir .. "/in/../secret")', denied],
    ['io.open(dir .. "/inner/x")', denied],
    ['io.open(dir .. "/both/up/secret")', denied],
    ['io.open(dir .. "/both/up/in/../secret")', denied],
    ['io.open(dir .. "/in/link")', denied],
    ['io.open(dir .. "/both/link", "w")', denied],
    ['io.open(dir .. "/both/link", "a")', denied],
    ['io.open(dir .. "/both/dangling", "w")', denied],
    ['io.open("away")', denied],
    ['io.open(dir .. "/both/loop")', 'Symbolic link loop|40'],
    ['io.open(dir .. "/in/lines", "r+")', denied],
    ['io.open(dir .. "/in/lines", "w")', denied],
    ['io.open(dir .. "/in/lines", "a")', denied],
    ['io.open(dir .. "/in/new", "w")', denied],
    ['io.open(dir .. "/out/written")', denied],
    ['io.open(dir .. "/out/written", "r+")', denied],
    ['io.open(dir .. "/out/written", "w+")', denied],
    ['io.open(dir .. "/in/pipe")', denied],
    ['io.open(dir .. "/both/sub")', 'Is a directory|21'],
    ['io.open(dir .. "/both/sub/")', 'Is a directory|21'],
    ['io.open(dir .. "/both/sub", "w")', 'Is a directory|21'],
    ['io.open(dir .. "/both/..")', denied],
    ['io.open(dir .. "/in/none")', 'No such file or directory|2'],
    ['io.open(dir .. "/in/lines/more")', 'Not a directory|20'],
    ['io.open(dir .. "/in/lines\\0.txt")', 'No such file or directory|2'],
    ['io.open(dir .. "/in/lines", "x")', 'Invalid argument|22'],
    ['io.open(dir .. "/in/" .. ("x"):rep(300))', 'Filename too long|36'],
    ['os.remove(dir .. "/secret")', denied],
    ['os.remove(dir .. "/in/lines")', denied],
    ['os.remove(dir .. "/both/up/secret")', denied],
    ['os.remove(dir .. "/both")', denied],
    ['os.remove(dir .. "/out/../in/lines")', denied],
    ['os.rename(dir .. "/secret", dir .. "/both/secret")', denied],
    ['os.rename(dir .. "/both/sub", dir .. "/in/sub")', denied],
    ['os.rename(dir .. "/in/lines", dir .. "/both/lines")', denied],
    ['os.rename(dir .. "/out/written", dir .. "/both/written")', denied],
    ['os.rename(dir .. "/both/sub", dir .. "/both/x\\0y")', 'No such file or directory|2'],
  ] as const) {
    const told = evaluate(`all(${call})`);
    assert.ok(told.startsWith('nil|') && told.endsWith(`: ${message}`), `${call}: ${told}`);
  }
  assert.match(luaError(() => evaluate('io.lines("/etc/passwd")')).message, /passwd: Permission denied/);
  assert.match(luaError(() => evaluate('io.input("/etc/passwd")')).message, /passwd: Permission denied/);
  assert.match(luaError(() => evaluate('io.output(dir .. "/in/x")')).message, /Permission denied/);
  assert.equal(readFileSync(join(dir, 'secret'), 'utf8'), 'secret');
  assert.equal(existsSync(join(dir, 'missing-outside')), false);
  assert.deepEqual(openBelow(dir), []);
  // The link itself lies where the state may write.
  assert.equal(evaluate('os.remove(dir .. "/both/link")'), 'true');
  assert.equal(existsSync(join(dir, 'secret')), true);
});

test('links within what was granted are followed', (t) => {
  const { evaluate, dir } = newGranted(t);
  symlinkSync('lines', join(dir, 'in/alias'));
  symlinkSync(join(dir, 'in'), join(dir, 'both/inside'));
  symlinkSync('../in/lines', join(dir, 'app/data'));
  for (const name of ['in/alias', 'both/inside/alias', 'app/data']) {
    assert.equal(evaluate(`io.open(dir .. "/${name}"):read()`), 'one', name);
  }
  assert.equal(evaluate('io.open("data"):read()'), 'one');
  const alias = join(dir, 'alias');
  symlinkSync(join(dir, 'in'), alias);
  const other = newState({ files: grantedFiles({ read: [alias], write: [] }, dir) });
  t.after(() => other.state.close());
  assert.equal(other.evaluate(`io.open("${alias}/lines"):read()`), 'one');
  assert.equal(other.evaluate(`io.open("${dir}/in/lines"):read()`), 'one');
});

test('nothing outside is read or made while links are switched as fast as can be', async (t) => {
  const dir = tempDir(t);
  for (const folder of ['data', 'data/inside', 'outside']) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, 'outside/file'), 'outside');
  writeFileSync(join(dir, 'data/inside/file'), 'inside');
  writeFileSync(join(dir, 'data/plain'), 'inside');
  symlinkSync(join(dir, 'outside'), join(dir, 'data/folder'));
  const files = grantedFiles({ read: [join(dir, 'data')], write: [join(dir, 'data')] }, dir);
  const { state, evaluate, run } = newState({ files });
  run(`function try(name, mode)
    local f = io.open("${dir}/data/" .. name, mode) if not f then return "no" end
    local text = f:read("*a") if mode then f:write("+") end f:close() return text end
    function attack() local seen = {} for i = 1, 2000 do
      seen[try("folder/file")] = true seen[try("link")] = true seen[try("leaf")] = true
      local f = io.open("${dir}/data/folder/new", "w") if f then f:close() end
      os.remove("${dir}/data/folder/victim")
    end local list = {} for name in pairs(seen) do list[#list + 1] = name end table.sort(list) return table.concat(list, " ") end`);
  const switcher = new Worker(SWITCHER, { eval: true, workerData: { dir } });
  try {
    await once(switcher, 'message');
    writeFileSync(join(dir, 'outside/victim'), 'precious');
    assert.equal(evaluate('attack()'), 'inside no');
  } finally {
    await switcher.terminate();
    state.close();
  }
  assert.deepEqual(readdirSync(join(dir, 'outside')).sort(), ['file', 'victim']);
  assert.equal(existsSync(join(dir, 'data/inside/new')), true, 'the race was never won by the good side');
});

const SWITCHER = `
  const { renameSync, symlinkSync, writeFileSync } = require('node:fs');
  const { parentPort, workerData: { dir } } = require('node:worker_threads');
  const put = (target, name) => {
    symlinkSync(target, dir + '/data/next');
    renameSync(dir + '/data/next', dir + '/data/' + name);
  };
  put('plain', 'link');
  parentPort.postMessage('begins');
  for (;;) for (const [folder, link] of [['/outside', '/outside/file'], ['/data/inside', '/data/plain']]) {
    put(dir + folder, 'folder');
    put(dir + link, 'link');
    writeFileSync(dir + '/data/next', 'inside');
    renameSync(dir + '/data/next', dir + '/data/leaf');
    put(dir + '/outside/file', 'leaf');
  }`;

test('a file may change, shrink and vanish while it is open', (t) => {
  const { evaluate, run, dir } = newGranted(t);
  writeFileSync(join(dir, 'in/big'), 'x'.repeat(100_000));
  run('f = io.open(dir .. "/in/big") f:read(10)');
  truncateSync(join(dir, 'in/big'), 5);
  assert.equal(evaluate('#f:read("*a") < 100000'), 'true');
  renameSync(join(dir, 'in/big'), join(dir, 'gone'));
  assert.equal(evaluate('all(f:seek("set"), f:read("*a"))'), '0|xxxxx');
});
