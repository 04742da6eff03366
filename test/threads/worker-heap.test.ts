/** The limit of JavaScript's own memory in each worker thread (attacks F6). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

/** Loaded at the start of each thread: one that finds the file takes all the memory it gets. */
const GREEDY = `const { isMainThread } = require('node:worker_threads');
const { rmSync } = require('node:fs');
const file = process.env.GREEDY_FILE;
let isMine = false;
try { rmSync(file); isMine = !isMainThread; } catch {}
const held = [];
while (isMine) held.push(new Array(1_000_000).fill(1));
`;

const MOST_TIMES = 5;

it('a worker whose JavaScript takes more than its limit ends alone, and the server serves on (attacks F6)', async (t) => {
  const dir = tempDir(t);
  const [program, file] = [join(dir, 'greedy.cjs'), join(dir, 'now')];
  writeFileSync(program, GREEDY);
  const server = await startServer(t, {
    files: { 'a.lua': 'function main(env, con) con:puts("served") end' },
    config: 'workers = 1',
    env: { NODE_OPTIONS: `--require=${program}`, GREEDY_FILE: file },
  });
  const refusals = (): string[] => server.log().match(/LUAFCGID_WORKER_START: a worker did not start: .*/g) ?? [];
  // On a busy machine the time to get ready in may be over before the memory is.
  for (let times = 1; !refusals().join('\n').includes('ERR_WORKER_OUT_OF_MEMORY'); times += 1) {
    assert.ok(times <= MOST_TIMES, refusals().join('\n'));
    writeFileSync(file, '');
    server.signal('SIGHUP');
    await eventually('the refusal', () => refusals().length === times);
  }
  assert.equal((await ask(server, 'a.lua')).text, 'served');
  server.signal('SIGHUP');
  await eventually('the reload', () => /reloaded: /.test(server.log()));
  assert.equal((await ask(server, 'a.lua')).text, 'served');
});
