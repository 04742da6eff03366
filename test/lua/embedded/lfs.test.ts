/** The module that stands in for LuaFileSystem: directories and attributes, within what was granted (cases/users F5). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tempDir } from '../../support/cleanup.js';
import { luaError, newState } from '../support.js';
import { grantedFiles } from './granted.js';

/** A state that may read `in`, write `out`, and both in `both`; `secret` and `hidden` lie outside. */
function newGranted(t: TestContext, largestBytes?: number) {
  const dir = tempDir(t);
  for (const folder of ['in', 'out', 'both', 'app', 'hidden', 'in/sub']) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, 'secret'), 'secret');
  writeFileSync(join(dir, 'in/file'), '12345');
  symlinkSync('file', join(dir, 'in/link'));
  symlinkSync('../hidden', join(dir, 'in/out-link'));
  symlinkSync('../nothing', join(dir, 'in/dangling'));
  const files = grantedFiles(
    { read: [join(dir, 'in'), join(dir, 'both')], write: [join(dir, 'out'), join(dir, 'both')] },
    join(dir, 'app'),
    [],
    largestBytes,
  );
  const made = newState({ files, directory: join(dir, 'app') });
  made.run(`lfs, dir = require("lfs"), ${JSON.stringify(dir)}
    function all(...) local t = {} for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end return table.concat(t, "|") end
    function names(path) local t = {} for name in lfs.dir(path) do t[#t + 1] = name end table.sort(t) return table.concat(t, " ") end`);
  t.after(() => made.state.close());
  const check = (expected: Readonly<Record<string, string>>): void => {
    for (const [expression, value] of Object.entries(expected)) {
      assert.equal(made.evaluate(expression).replaceAll(dir, ''), value, expression);
    }
  };
  return { ...made, dir, check };
}

test('attributes tell kind, size, permissions and times, all or one of them', (t) => {
  const { check, evaluate, dir } = newGranted(t);
  check({
    'all(lfs.attributes(dir .. "/in/file", "mode"), lfs.attributes(dir .. "/in/file").size)': 'file|5',
    'lfs.attributes("../in", "mode")': 'directory',
    'lfs.attributes(dir .. "/in/sub/", "mode")': 'directory',
    'lfs.attributes(dir .. "/in/sub/..", "mode")': 'directory',
    'all(lfs.attributes(dir .. "/in/link", "mode"), lfs.symlinkattributes(dir .. "/in/link", "mode"), lfs.symlinkattributes(dir .. "/in/link").target)':
      'file|link|file',
    'all(lfs.attributes(dir .. "/in/none"))':
      "nil|cannot obtain information from file '/in/none': No such file or directory|2",
    '(function() local t = { own = 1 } local same = lfs.attributes(dir .. "/in/file", t) return all(t.size, t.own, same == t) end)()':
      '5|1|true',
    '#lfs.attributes(dir .. "/in/file", "permissions")': '9',
  });
  assert.equal(
    Number(evaluate('lfs.attributes(dir .. "/in/file", "modification")')),
    Math.floor(statSync(join(dir, 'in/file')).mtimeMs / 1000),
  );
  assert.match(
    luaError(() => evaluate('lfs.attributes(dir .. "/in/file", "nonsense")')).message,
    /bad argument #2 to 'attributes'/,
  );
});

test('directories are listed, made and removed', (t) => {
  const { check, dir } = newGranted(t);
  check({
    'names("../in")': '. .. dangling file link out-link sub',
    'names(dir .. "/in/")': '. .. dangling file link out-link sub',
    'all(lfs.mkdir(dir .. "/both/new"), lfs.mkdir(dir .. "/both/new"))': 'true|nil|File exists|17',
    'all(lfs.rmdir(dir .. "/both/new/"))': 'true',
    'all(lfs.rmdir(dir .. "/both/new"))': 'nil|No such file or directory|2',
    'all(lfs.mkdir(dir .. "/out/a"), lfs.mkdir(dir .. "/out/a/b"), lfs.rmdir(dir .. "/out/a"))':
      'true|true|nil|Directory not empty|39',
    'all(pcall(lfs.dir, dir .. "/in/none"))': 'false|cannot open /in/none: No such file or directory',
    'all(pcall(lfs.dir, dir .. "/in/file"))': 'false|cannot open /in/file: Not a directory',
    '(function() local _, d = lfs.dir(dir .. "/in") local first = d:next() d:close() return all(first, pcall(d.next, d)) end)()':
      '.|false|closed directory',
  });
  assert.ok(existsSync(join(dir, 'out/a/b')));
});

test('what was not granted is denied, there or not, whatever the way', (t) => {
  const { check, dir } = newGranted(t);
  const denied = (path: string): string => `nil|cannot obtain information from file '${path}': Permission denied|13`;
  check({
    'all(lfs.attributes(dir .. "/secret"))': denied('/secret'),
    'all(lfs.attributes(dir .. "/none"))': denied('/none'),
    'all(lfs.attributes(dir))': denied(''),
    'all(lfs.attributes(dir .. "/in/../secret"))': denied('/in/../secret'),
    'all(lfs.attributes(dir .. "/in/out-link"))': denied('/in/out-link'),
    'all(lfs.attributes(dir .. "/in/dangling"))': denied('/in/dangling'),
    'all(lfs.attributes("/"))': denied('/'),
    'all(lfs.attributes("."))': denied('.'),
    'lfs.symlinkattributes(dir .. "/in/out-link", "mode")': 'link',
    'all(pcall(lfs.dir, dir .. "/in/out-link"))': 'false|cannot open /in/out-link: Permission denied',
    'all(pcall(lfs.dir, dir .. "/out"))': 'false|cannot open /out: Permission denied',
    'all(pcall(lfs.dir, dir))': 'false|cannot open : Permission denied',
    'all(lfs.mkdir(dir .. "/in/new"))': 'nil|Permission denied|13',
    'all(lfs.mkdir(dir .. "/new"))': 'nil|Permission denied|13',
    'all(lfs.rmdir(dir .. "/in/sub"))': 'nil|Permission denied|13',
    'all(lfs.rmdir(dir .. "/both"))': 'nil|Permission denied|13',
    'all(lfs.rmdir(dir .. "/hidden"))': 'nil|Permission denied|13',
    'all(lfs.touch(dir .. "/in/file"))': 'nil|Permission denied|13',
    'all(lfs.mkdir(dir .. "/both/a\\0b"))': 'nil|No such file or directory|2',
    'all(lfs.mkdir(dir .. "/both/" .. ("x"):rep(5000)))': 'nil|File name too long|36',
  });
  assert.ok(existsSync(join(dir, 'in/sub')) && existsSync(join(dir, 'both')));
  const none = newState();
  none.run('lfs = require("lfs")');
  assert.equal(none.evaluate('select(2, lfs.mkdir("/tmp/x"))'), 'Permission denied');
  none.state.close();
});

test('touch sets times; what cannot be is refused with its reason', (t) => {
  const { check, dir } = newGranted(t);
  writeFileSync(join(dir, 'both/file'), '');
  check({
    'all(lfs.touch(dir .. "/both/file", 1000, 2000), lfs.attributes(dir .. "/both/file", "access"), lfs.attributes(dir .. "/both/file", "modification"))':
      'true|1000|2000',
    'all(lfs.touch(dir .. "/both/file", 0 / 0))': 'nil|Invalid argument|22',
    'all(lfs.touch(dir .. "/both/file", 1, 1 / 0))': 'nil|Invalid argument|22',
    'all(lfs.currentdir())': '/app',
    'all(lfs.chdir("."), lfs.chdir("/tmp"))':
      "true|nil|Unable to change working directory to '/tmp'\nluafcgid: relative names start at the script's directory\n",
    'all(lfs.lock_dir(dir .. "/both"))':
      'nil|luafcgid: lock_dir is not there: take a lock of the module luafcgid.lock, which ends with its request',
    'all(lfs.link("a", "b", true))':
      'nil|luafcgid: link is not there: links could lead out of what the setting files grants',
    'all(lfs.setmode(io.stdout, "binary"))': 'true|binary',
  });
});

test('a file grows no further than filesmax says', (t) => {
  const { evaluate, run, dir } = newGranted(t, 10_000);
  run(`function write(mode, bytes, at) local f = assert(io.open(dir .. "/both/f", mode)) f:setvbuf("no") if at then f:seek("set", at) end
    local ok, why = f:write(("x"):rep(bytes)) f:close() return all(ok and true, why) end`);
  assert.equal(evaluate('write("w", 10000)'), 'true|nil');
  assert.equal(evaluate('write("a", 1)'), 'nil|File too large');
  assert.equal(evaluate('write("r+", 1, 10000)'), 'nil|File too large');
  assert.equal(evaluate('write("r+", 100, 9900)'), 'true|nil');
  assert.equal(readFileSync(join(dir, 'both/f')).length, 10_000);
});
