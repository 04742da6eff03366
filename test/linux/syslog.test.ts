/** The system's log service: messages as it wants them, while it is there, busy, gone and back. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openChannel } from '../../src/logging/sinks/channel.js';
import { Log } from '../../src/logging/sinks/logs.js';
import { type Cleanup, tempDir } from '../support/cleanup.js';
import { LogService } from '../support/log-service.js';
import { eventually } from '../support/shared.js';

async function start(t: Cleanup, format: 'text' | 'json' = 'text') {
  const path = join(tempDir(t), 'log');
  const service = new LogService(t, path);
  const channel = await openChannel({ kind: 'syslog', facility: 'local3', socket: path });
  const log = new Log(channel, 'debug', format);
  t.after(() => log.close());
  return { path, service, log };
}

describe('a log to the log service', () => {
  it('is one message an event, with facility and severity, the local time, name and process', async (t) => {
    const { service, log } = await start(t);
    log.write('error', 'one\nstack', { request: 'r1', script: '/a', state: 1, worker: 2 });
    for (const level of ['warn', 'info', 'debug'] as const) log.write(level, 'two');
    const messages = service.take();
    const head = `[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d luafcgid\\[${process.pid}\\]: `;
    assert.match(messages[0] ?? '', new RegExp(`^<155>${head}error \\[r1 state 1 worker 2 /a\\] one\\n {4}stack$`));
    // local3 is 19: 19 * 8 and the severity.
    assert.deepEqual(
      messages.slice(1).map((text) => /^<(\d+)>/.exec(text)?.[1]),
      ['156', '158', '159'],
    );
  });

  it('has JSON if that is wanted', async (t) => {
    const { service, log } = await start(t, 'json');
    log.write('warn', 'LUAFCGID_POOL_FULL: full');
    const json = service.take()[0]?.replace(/^.*?: /, '') ?? '';
    assert.deepEqual(JSON.parse(json), { level: 'warn', code: 'LUAFCGID_POOL_FULL', message: 'full' });
  });

  it('sends a long event in several messages, and cuts no character', async (t) => {
    const { service, log } = await start(t);
    const text = 'ä€𝄞'.repeat(3000);
    log.write('info', text);
    const parts = service.take().map((message) => message.replace(/^<158>.*?\]: (info |\(continued\) )/, ''));
    assert.equal(parts.length, 4);
    assert.equal(parts.join(''), text);
  });

  it('does not wait for a service that is busy, and tells what it has lost', async (t) => {
    const { service, log } = await start(t);
    const count = 20_000;
    for (let n = 0; n < count; n += 1) log.pass('info', `line ${n}`);
    let lines = 0;
    const lost = await eventually('the count of lost lines', () => {
      for (const message of service.take()) {
        if (/: info line \d+$/.test(message)) lines += 1;
        const told = /LUAFCGID_LOG_LOST: (\d+) lines/.exec(message);
        if (told !== null) return Number(told[1]);
      }
      return undefined;
    });
    assert.equal(lines + lost, count);
  });

  it('goes on when the service is started anew', async (t) => {
    const { path, service, log } = await start(t);
    log.write('info', 'before');
    assert.equal(service.take().length, 1);
    service.stop();
    for (let n = 0; n < 3; n += 1) log.write('info', 'meanwhile');
    const next = new LogService(t, path);
    log.write('info', 'after');
    const messages = next.take();
    assert.equal(messages.length, 2);
    assert.match(messages[0] ?? '', /LUAFCGID_LOG_LOST: 3 lines could not be written to syslog at /);
    assert.match(messages[1] ?? '', /info after$/);
  });

  it('cannot be had where nobody listens', async (t) => {
    const socket = join(tempDir(t), 'none');
    await assert.rejects(openChannel({ kind: 'syslog', facility: 'daemon', socket }), /connect .*none ENOENT/);
  });
});
