/** The slow log: one record a request, as text or JSON. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openChannel } from '../../../src/logging/sinks/channel.js';
import { SlowLog, type SlowRecord } from '../../../src/logging/sinks/logs.js';
import { LineWriter } from '../../../src/logging/sinks/writer.js';
import { tempDir } from '../../support/cleanup.js';

const RECORD: SlowRecord = {
  request: '8cd6a0-1',
  script: '/srv/a.lua',
  state: 3,
  worker: 0,
  role: 'RESPONDER',
  runningMs: 5012.345,
  queuedMs: 0,
  asked: { method: 'GET', path: '/a.lua', client: '192.0.2.7' },
  traceback: 'stack traceback:\n\t/srv/a.lua:7: in function "\x1b"\n',
};

describe('the slow log', () => {
  it('has who ran, for how long, and what was running', async (t) => {
    const path = join(tempDir(t), 'slow.log');
    const writer = new LineWriter(await openChannel({ kind: 'file', path }), {});
    new SlowLog(writer, 'text').write(RECORD);
    new SlowLog(writer, 'json').write({ ...RECORD, state: undefined, traceback: undefined });
    await writer.close();
    const [head = '', ...rest] = readFileSync(path, 'utf8').split('\n');
    assert.match(
      head,
      /^\d{4}-.*Z \[8cd6a0-1 state 3 worker 0 GET \/a\.lua 192\.0\.2\.7 \/srv\/a\.lua\] has run for 5\.012 s$/,
    );
    assert.deepEqual(rest.slice(0, 2), ['    stack traceback:', '    \t/srv/a.lua:7: in function "\\x1b"']);
    const { time, ...record } = JSON.parse(rest[2] ?? '') as Record<string, unknown>;
    assert.match(String(time), /^\d{4}-.*Z$/);
    assert.deepEqual(record, {
      request: '8cd6a0-1',
      script: '/srv/a.lua',
      worker: 0,
      role: 'responder',
      method: 'GET',
      path: '/a.lua',
      client: '192.0.2.7',
      seconds: 5.012,
      queued: 0,
    });
  });

  it('names the role in which a script runs that is no responder', async (t) => {
    const path = join(tempDir(t), 'slow.log');
    const writer = new LineWriter(await openChannel({ kind: 'file', path }), {});
    new SlowLog(writer, 'text').write({ ...RECORD, role: 'AUTHORIZER' });
    await writer.close();
    assert.match(readFileSync(path, 'utf8'), /has run for 5\.012 s as authorizer\n/);
  });
});
