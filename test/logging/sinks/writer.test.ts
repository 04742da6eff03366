/** Lines go to files, pipes and sockets that take them, and nobody waits for those that do not. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type LineChannel, openChannel } from '../../../src/logging/sinks/channel.js';
import { Log } from '../../../src/logging/sinks/logs.js';
import { LineWriter } from '../../../src/logging/sinks/writer.js';
import { type Cleanup, tempDir } from '../../support/cleanup.js';
import { eventually } from '../../support/shared.js';

/** Takes what `takes` says of each call: a number of bytes, or an error's code. */
class PlannedChannel implements LineChannel {
  readonly name = 'a channel of the test';
  text = '';
  calls = 0;
  takes: (call: number, bytes: number) => number | string = (_call, bytes) => bytes;
  reopen(): void {}
  close(): void {}

  send(bytes: Uint8Array): number {
    const taken = this.takes(this.calls, bytes.length);
    this.calls += 1;
    if (typeof taken === 'string') throw Object.assign(new Error(taken), { code: taken });
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  }
}

function lostLine(lines: number): string {
  return `LOST ${lines}`;
}

/** What is in the text, as lines, those lost counted in. */
function account(text: string): { readonly lines: number; readonly lost: number } {
  const all = text.split('\n').filter((line) => line !== '');
  const lost = all.map((line) => Number(/LOST (\d+)$/.exec(line)?.[1] ?? 0));
  const whole = all.filter((line) => /^line \d+$/.test(line)).length;
  return { lines: whole, lost: lost.reduce((sum, each) => sum + each, 0) };
}

/** A pipe with a name, and a reader that reads when it is asked to. */
function newPipe(t: Cleanup): { readonly path: string; read(): string } {
  const path = join(tempDir(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(fd));
  const bytes = Buffer.alloc(1 << 16);
  const read = (): string => {
    let text = '';
    for (;;) {
      try {
        const count = readSync(fd, bytes);
        if (count === 0) return text;
        text += bytes.toString('utf8', 0, count);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
        return text;
      }
    }
  };
  return { path, read };
}

describe('a writer of lines', () => {
  it('accounts for each line, whichever call fails, takes a part or nothing', async () => {
    for (const fault of ['ENOSPC', 'EAGAIN', 3]) {
      for (let first = 0; first < 12; first += 1) {
        for (const duration of [1, 3]) {
          const channel = new PlannedChannel();
          channel.takes = (call, bytes) => {
            if (call === first - 1) return Math.min(bytes, 4);
            return call >= first && call < first + duration ? fault : bytes;
          };
          const writer = new LineWriter(channel, { lostLine });
          for (let n = 0; n < 10; n += 1) writer.write('info', `line ${n}`);
          const untold = await writer.close();
          const { lines, lost } = account(channel.text);
          const place = `${fault} for ${duration} calls from the ${first}. on:\n${channel.text}`;
          assert.equal(lines + lost + untold, 10, place);
          if (fault !== 'ENOSPC') assert.equal(lines, 10, place);
        }
      }
    }
  });

  it('tells the lines of a batch that were not written', () => {
    const channel = new PlannedChannel();
    const reports: unknown[] = [];
    const writer = new LineWriter(channel, {
      failing: (error) => reports.push((error as Error).message),
      recovered: (lines) => reports.push(lines),
    });
    channel.takes = (call, bytes) => (call === 0 ? 10 : call < 3 ? 'ENOSPC' : bytes);
    writer.writeAll('info', Buffer.from('line 1\nline 2\nline 3\n'));
    writer.writeAll('info', Buffer.from('line 4\n'));
    writer.writeAll('info', Buffer.from('line 5\n'));
    assert.equal(channel.text, 'line 1\nlin\nline 5\n');
    assert.deepEqual(reports, ['ENOSPC', 3]);
  });

  it('of a full disk loses lines, counts them, and tells the count when there is room', async () => {
    const full = await openChannel({ kind: 'file', path: '/dev/full' });
    let channel: LineChannel = full;
    const after = new PlannedChannel();
    const switched: LineChannel = {
      name: 'switched',
      send: (bytes) => channel.send(bytes),
      reopen() {},
      close: () => full.close(),
    };
    const log = new Log(switched, 'info', 'text');
    for (let n = 0; n < 5; n += 1) log.write('info', `line ${n}`);
    channel = after;
    log.write('info', 'there is room');
    assert.match(
      after.text,
      /error LUAFCGID_LOG_LOST: 5 lines could not be written to switched, the logfile\..*\n.*there is room\n$/,
    );
    await log.close();
  });

  it('does not wait for a pipe that nobody reads: some lines wait, the others are counted', async (t) => {
    const pipe = newPipe(t);
    const writer = new LineWriter(await openChannel({ kind: 'file', path: pipe.path }), { lostLine });
    const count = 30_000;
    for (let n = 0; n < count; n += 1) writer.write('info', `line ${n}`);
    let text = '';
    const { lines, lost } = await eventually('the count of lost lines', () => {
      text += pipe.read();
      return text.includes('LOST') && account(text);
    });
    assert.equal(lines + lost, count);
    assert.ok(lost > 0 && lines > 1000 && lines < 20_000, `${lines} lines were kept`);
    assert.ok(text.startsWith('line 0\nline 1\n'));
    assert.equal(await writer.close(), 0);
  });

  it('gives up at its end on a pipe that nobody reads, and says how much that costs', async (t) => {
    const pipe = newPipe(t);
    const writer = new LineWriter(await openChannel({ kind: 'file', path: pipe.path }), { lostLine });
    for (let n = 0; n < 20_000; n += 1) writer.write('info', `line ${n}`);
    const untold = await writer.close();
    assert.ok(untold > 0);
    writer.write('info', 'after the end');
    // A line that had begun is cut where the pipe was full.
    assert.ok(Math.abs(account(pipe.read()).lines + untold - 20_000) <= 1);
  });

  it('does not wait for the reader of a pipe to come', async (t) => {
    const path = join(tempDir(t), 'pipe');
    execFileSync('mkfifo', [path]);
    await assert.rejects(openChannel({ kind: 'file', path }), /ENXIO/);
  });

  it('opens its file anew, and stays with the old one when it cannot', async (t) => {
    const dir = tempDir(t);
    const [path, old] = [join(dir, 'a.log'), join(dir, 'old.log')];
    writeFileSync(path, 'before\n');
    const log = new Log(await openChannel({ kind: 'file', path }), 'info', 'json');
    log.write('info', 'one');
    renameSync(path, old);
    mkdirSync(path);
    log.reopen();
    log.write('info', 'two');
    const moved = readFileSync(old, 'utf8').split('\n');
    assert.equal(moved[0], 'before');
    assert.deepEqual(
      moved.slice(1, 4).map((line) => (JSON.parse(line) as { message: string }).message.slice(0, 9)),
      ['one', 'cannot op', 'two'],
    );
    assert.match(moved[2] ?? '', /"code":"LUAFCGID_LOG_REOPEN".*EISDIR/);
    renameSync(path, join(dir, 'folder'));
    log.reopen();
    log.write('info', 'three');
    await log.close();
    assert.match(readFileSync(path, 'utf8'), /^\{.*"message":"three"\}\n$/);
    assert.equal(readFileSync(old, 'utf8').split('\n').length, 5);
  });
});

describe('the log', () => {
  it('tells what it counted when it is closed', async () => {
    const channel = new PlannedChannel();
    const log = new Log(channel, 'info', 'text');
    for (let n = 0; n < 30; n += 1) log.write('warn', 'again');
    for (let n = 0; n < 30; n += 1) log.write('debug', 'unheard');
    await log.close();
    const lines = channel.text.trimEnd().split('\n');
    assert.equal(lines.length, 11);
    assert.match(lines.at(-1) ?? '', / warn {2}repeated 20 times in 1 s: again$/);
  });
});
