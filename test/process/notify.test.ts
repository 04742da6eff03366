import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { serviceManager } from '../../src/process/notify.js';
import { eventually } from '../support/shared.js';

/** A manager whose socket does what the test says, one answer for each datagram. */
async function managed(answers: readonly (string | undefined)[] = [], watchdogMs?: number) {
  const sent: string[] = [];
  const warnings: string[] = [];
  const left = [...answers];
  const send = (path: string, bytes: Uint8Array): void => {
    assert.equal(path, '/manager');
    const code = left.shift();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    sent.push(Buffer.from(bytes).toString());
  };
  const warn = (text: string): void => void warnings.push(text);
  return { manager: await serviceManager({ notifySocket: '/manager', watchdogMs }, warn, send), sent, warnings };
}

describe('the service manager', () => {
  it('is told what happens, in its words', async () => {
    const { manager, sent } = await managed();
    manager.status('listening on\na.sock');
    manager.ready();
    manager.stopping();
    assert.deepEqual(sent, ['STATUS=listening on a.sock', 'READY=1', 'STOPPING=1']);
  });

  it('is told of a reload with the time of its clock', async () => {
    const { manager, sent } = await managed();
    const beforeUs = process.hrtime.bigint() / 1000n;
    manager.reloading();
    const us = BigInt(/^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(sent[0] ?? '')?.[1] ?? 0);
    assert.ok(us >= beforeUs && us <= process.hrtime.bigint() / 1000n);
  });

  it('is told again what its queue had no room for, in order', async () => {
    const { manager, sent, warnings } = await managed(['EAGAIN', 'EAGAIN']);
    manager.reloading();
    manager.ready();
    // The timer does not keep a process alive.
    const awake = setInterval(() => {}, 1000);
    await eventually('both', () => sent.length === 2);
    clearInterval(awake);
    assert.match(sent[0] ?? '', /^RELOADING/);
    assert.equal(sent[1], 'READY=1');
    assert.deepEqual(warnings, []);
  });

  it('that cannot be told costs one line, and is told again when it can be', async () => {
    const { manager, sent, warnings } = await managed(['ENOENT', 'ECONNREFUSED', undefined, 'ENOENT']);
    for (let n = 0; n < 4; n += 1) manager.ready();
    assert.deepEqual(sent, ['READY=1']);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /^LUAFCGID_SERVICE_MANAGER: .*\/manager: ENOENT/);
  });

  it('hears that the service lives as long as it does', async () => {
    const { manager, sent } = await managed([], 2);
    let questions = 0;
    const watch = manager.watch(async () => {
      questions += 1;
      if (questions % 2 === 0) throw new Error('the front does not answer');
    });
    await eventually('six questions', () => questions >= 6);
    watch.stop();
    assert.ok(sent.length >= 3 && sent.every((text) => text === 'WATCHDOG=1'), sent.join());
    assert.equal(sent.length, Math.ceil(questions / 2));
  });

  it('that nobody has named is told nothing', async () => {
    const warn = (): never => assert.fail();
    const manager = await serviceManager({ notifySocket: undefined, watchdogMs: 1 }, warn, warn);
    manager.ready();
    manager.watch(warn).stop();
  });
});
