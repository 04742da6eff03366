/** Log lines between two threads are bounded, and those that are lost are told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LineReceiver, LineSender, lineCredits } from '../../../src/front/logging/line-credits.js';

describe('log lines on their way to a thread that does not keep up', () => {
  const start = () => {
    const memory = lineCredits();
    const posted: string[] = [];
    const postedLines: Uint8Array[] = [];
    const sender = new LineSender(memory, {
      log: (_level, text) => posted.push(text),
      access: (lines) => postedLines.push(lines),
    });
    const receiver = new LineReceiver(memory);
    return { posted, postedLines, sender, receiver };
  };
  const LINE = 'x'.repeat(1000);

  it('are bounded; the others are counted, and told when it keeps up again', () => {
    const { posted, postedLines, sender, receiver } = start();
    for (let n = 0; n < 10_000; n += 1) sender.log('info', LINE);
    for (let n = 0; n < 10_000; n += 1) sender.access(Buffer.from(`${LINE}\n${LINE}\n`));
    const under = posted.length;
    // Those of one log take no room from the other.
    assert.ok(postedLines.length > 1000);
    assert.ok(under * LINE.length < 4 * 1024 * 1024 && under > 1000, `${under} lines are under way`);
    sender.flush(false);
    assert.equal(posted.length, under);

    for (const text of posted) receiver.arrived(text);
    sender.flush(false);
    const lost = 10_000 - under + 2 * (10_000 - postedLines.length);
    assert.match(posted.at(-1) ?? '', new RegExp(`^LUAFCGID_LOG_BEHIND: ${lost} lines were lost`));
    sender.log('info', 'after');
    assert.deepEqual([posted.length, posted.at(-1)], [under + 2, 'after']);
  });

  it('are told as lost at the end, too', () => {
    const { posted, sender } = start();
    for (let n = 0; n < 10_000; n += 1) sender.log('info', LINE);
    const under = posted.length;
    sender.flush(true);
    assert.match(posted.at(-1) ?? '', new RegExp(`: ${10_000 - under} lines were lost`));
  });

  it('flow for ever where it does', () => {
    const { posted, sender, receiver } = start();
    for (let n = 0; n < 20_000; n += 1) {
      sender.log('info', LINE);
      receiver.arrived(LINE);
    }
    assert.equal(posted.length, 20_000);
  });
});
