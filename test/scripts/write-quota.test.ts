/** The quota of all files that scripts write (issue 14): in the state, over the memory that workers share, and in the server. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdGrants, releaseGrants } from '../../src/scripts/held-directory.js';
import { countWritten, createQuotaMemory, WriteQuota } from '../../src/scripts/write-quota.js';
import { grantedFiles } from '../lua/embedded/granted.js';
import { newState } from '../lua/support.js';
import { tempDir } from '../support/cleanup.js';
import { startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const ON_LINUX = process.platform === 'linux';

test('a quota is taken by all who share its memory, and given back', async () => {
  const memory = createQuotaMemory();
  const [one, other] = [new WriteQuota(memory, 100), new WriteQuota(memory, 100)];
  one.take(60);
  other.take(40);
  assert.throws(() => one.take(1), { code: 'EDQUOT' });
  other.take(-10);
  one.take(10);
  await one.count(async () => 200);
  assert.throws(() => other.take(1), { code: 'EDQUOT' });
  // Files can be removed while they have more bytes than the limit.
  other.take(-150);
  other.take(50);
});

test('what is written while files are counted is not forgotten, whether the count has seen it or not', async () => {
  const quota = new WriteQuota(createQuotaMemory(), 100);
  await quota.count(async () => {
    quota.take(30);
    assert.throws(() => quota.take(80), { code: 'EDQUOT' });
    return 50;
  });
  assert.throws(() => quota.take(21), { code: 'EDQUOT' });
  quota.take(20);
  await quota.count(async () => 100);
  assert.throws(() => quota.take(1), { code: 'EDQUOT' });
});

test('files are counted below the directories, each once, and no link is followed', async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'a/b'), { recursive: true });
  writeFileSync(join(dir, 'outside'), 'x'.repeat(1000));
  writeFileSync(join(dir, 'a/one'), 'x'.repeat(10));
  linkSync(join(dir, 'a/one'), join(dir, 'a/again'));
  writeFileSync(join(dir, 'a/b/two'), 'x'.repeat(5));
  symlinkSync(join(dir, 'outside'), join(dir, 'a/link'));
  symlinkSync(dir, join(dir, 'a/up'));
  const grants = holdGrants({ read: [], write: [join(dir, 'a'), join(dir, 'a/b')] });
  t.after(() => releaseGrants(grants));
  assert.equal(await countWritten(grants), 15);
});

test('what scripts append, overwrite, empty, remove and replace is counted as the files are', (t) => {
  const dir = tempDir(t);
  const memory = createQuotaMemory();
  const files = grantedFiles({ read: [dir], write: [dir] }, dir, [], undefined, new WriteQuota(memory, 100));
  const { evaluate, run } = newState({ files });
  run(`function write(name, mode, bytes, at) local f = assert(io.open("${dir}/" .. name, mode)) f:setvbuf("no") if at then f:seek("set", at) end
    local ok, why = f:write(("x"):rep(bytes)) f:close() return tostring(ok and true) .. " " .. tostring(why) end`);
  const used = (): number => Number(new BigInt64Array(memory)[0]);
  const steps: readonly (readonly [expression: string, result: string, used: number])[] = [
    ['write("a", "w", 60)', 'true nil', 60],
    ['write("b", "w", 41)', 'nil Quota exceeded', 60],
    ['write("b", "a", 30)', 'true nil', 90],
    ['write("a", "r+", 60)', 'true nil', 90],
    ['write("a", "r+", 20, 50)', 'true nil', 100],
    ['write("a", "a", 1)', 'nil Quota exceeded', 100],
    ['write("a", "w", 10)', 'true nil', 40],
    [`os.rename("${dir}/b", "${dir}/a")`, 'true', 30],
    [`os.remove("${dir}/a")`, 'true', 0],
    ['write("c", "w", 1, 99)', 'true nil', 100],
    [`os.rename("${dir}/c", "${dir}/./c")`, 'true', 100],
  ];
  for (const [expression, result, bytes] of steps) {
    assert.equal(evaluate(expression), result, expression);
    assert.equal(used(), bytes, expression);
  }
});

test('a file that was removed or replaced counts until nobody has it open', { skip: !ON_LINUX }, async (t) => {
  const dir = tempDir(t);
  const memory = createQuotaMemory();
  const files = grantedFiles({ read: [], write: [dir] }, dir, [], undefined, new WriteQuota(memory, 100));
  const { evaluate, run } = newState({ files });
  run(`function begin(name) local f = assert(io.open("${dir}/" .. name, "w")) f:write(("x"):rep(40)) f:flush() return f end
    a, b = begin("a"), begin("b") io.open("${dir}/c", "w"):close()`);
  evaluate(`tostring(os.remove("${dir}/a")) .. tostring(os.rename("${dir}/c", "${dir}/b"))`);
  const grants = holdGrants({ read: [], write: [dir] });
  t.after(() => releaseGrants(grants));
  const quota = new WriteQuota(memory, 100);
  const count = (): Promise<void> => quota.count(() => countWritten(grants, quota.hasOpen));
  assert.throws(() => quota.take(21), { code: 'EDQUOT' });
  await count();
  assert.throws(() => quota.take(21), { code: 'EDQUOT' });
  run('a:close() b:close()');
  assert.equal(quota.hasOpen, false);
  await count();
  quota.take(100);
});

test('filestotal counts what lies there at start, what all workers write, and with a sweep what others remove', async (t) => {
  const server = await startServer(t, {
    files: {
      'data/old': 'x'.repeat(50),
      'a.lua': `function main(env, con)
        local f = assert(io.open(env.QUERY_STRING, "w"))
        f:setvbuf("no")
        local _, why = f:write(("x"):rep(30))
        f:close()
        con:puts(tostring(why))
      end`,
    },
    config: ({ scripts }) =>
      `workers = 2 sweep = 50 filestotal = 100 files = { read = {}, write = { ${JSON.stringify(join(scripts, 'data'))} } }`,
  });
  const write = async (name: string): Promise<string> =>
    (await ask(server, 'a.lua', { params: { QUERY_STRING: join(server.path('data'), name) } })).text;
  assert.equal(await write('one'), 'nil');
  assert.equal(await write('two'), 'Quota exceeded');
  server.write('data/old', '');
  await eventually('the sweep counts again', async () => (await write('two')) === 'nil');
});
