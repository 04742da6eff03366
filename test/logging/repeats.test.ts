/** Floods of one message are counted; nothing is lost in silence. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LOG_LEVELS } from '../../src/channel/messages.js';
import type { LogSubject } from '../../src/logging/line.js';
import { MOST_LINES, MOST_LINES_OF_SCRIPTS, Repeats, WINDOW_MS } from '../../src/logging/repeats.js';

interface Line {
  readonly level: string;
  readonly text: string;
  readonly about: LogSubject;
}

function newRepeats() {
  const lines: Line[] = [];
  const repeats = new Repeats((level, text, about) => lines.push({ level, text, about }));
  /** Lines written, and lines that others stand for. */
  const told = (): number => lines.reduce((sum, { about }) => sum + (about.repeated?.count ?? 1), 0);
  return { repeats, lines, told };
}

describe('a flood', () => {
  it('is written a few times, then counted, and told with its last line when its window is over', () => {
    const { repeats, lines } = newRepeats();
    for (let n = 1; n <= 500; n += 1) repeats.take('warn', 'the disk is hot', { request: `r${n}` }, 1000);
    assert.equal(lines.length, MOST_LINES);
    assert.ok(repeats.isCounting);
    repeats.review(1000 + WINDOW_MS - 1);
    assert.equal(lines.length, MOST_LINES);
    repeats.review(1000 + WINDOW_MS);
    assert.deepEqual(lines.at(-1), {
      level: 'warn',
      text: 'the disk is hot',
      about: { request: 'r500', repeated: { count: 490, seconds: 10 } },
    });
    assert.ok(!repeats.isCounting);
  });

  it('that goes on is told window by window', () => {
    const { repeats, lines, told } = newRepeats();
    for (let ms = 0; ms < 3 * WINDOW_MS; ms += 10) repeats.take('error', 'again', {}, ms);
    assert.equal(lines.filter(({ about }) => about.repeated).length, 2);
    repeats.end(3 * WINDOW_MS);
    assert.equal(lines.length, 3 * (MOST_LINES + 1));
    assert.equal(told(), (3 * WINDOW_MS) / 10);
  });

  it('of long texts is told early: not more than some MiB of them are kept (attacks F6)', () => {
    const { repeats, lines, told } = newRepeats();
    const take = (name: string) => {
      for (let n = 0; n <= MOST_LINES; n += 1) repeats.take('error', name.repeat(60_000), { script: name }, 0);
    };
    take('a');
    for (let n = 0; n < 30; n += 1) take(String.fromCharCode(0x4e00 + n));
    assert.ok(!lines.some(({ about }) => about.repeated), 'less than 2 MiB is kept');
    for (let n = 30; n < 40; n += 1) take(String.fromCharCode(0x4e00 + n));
    assert.equal(lines.find(({ about }) => about.repeated)?.about.script, 'a');
    repeats.end(1000);
    assert.equal(told(), 41 * (MOST_LINES + 1));
    assert.ok(!repeats.isCounting);
  });

  it('does not hide another message, level or script', () => {
    const { repeats, lines } = newRepeats();
    for (let n = 0; n < 100; n += 1) repeats.take('error', 'flood', { script: '/a' }, 0);
    repeats.take('error', 'other', { script: '/a' }, 0);
    repeats.take('warn', 'flood', { script: '/a' }, 0);
    repeats.take('error', 'flood', { script: '/b' }, 0);
    assert.equal(lines.length, MOST_LINES + 3);
  });

  it('of errors that lie with the client is one, whatever values they have', () => {
    const { repeats, lines } = newRepeats();
    for (let n = 0; n < 100; n += 1) {
      repeats.take('info', `LUAFCGID_SCRIPT_NOT_FOUND: no script /${n}`, { script: `/${n}` }, 0);
    }
    repeats.end(0);
    assert.equal(lines.length, MOST_LINES + 1);
    assert.match(lines.at(-1)?.text ?? '', /no script \/99/);
  });

  it('of failing scripts is one for each script and text', () => {
    const { repeats, lines } = newRepeats();
    for (let n = 0; n < 100; n += 1) {
      repeats.take('error', 'LUAFCGID_SCRIPT_FAILED: /a:1: oh', { script: '/a' }, 0);
      repeats.take('error', 'LUAFCGID_SCRIPT_FAILED: /a:2: ah', { script: '/a' }, 0);
    }
    assert.equal(lines.length, 2 * MOST_LINES);
  });

  it('that a script writes itself is counted only at rates that nobody reads', () => {
    const { repeats, lines, told } = newRepeats();
    for (let n = 0; n < MOST_LINES_OF_SCRIPTS + 7; n += 1) repeats.take('info', 'visited', { isOfScript: true }, 0);
    assert.equal(lines.length, MOST_LINES_OF_SCRIPTS);
    repeats.end(0);
    assert.equal(told(), MOST_LINES_OF_SCRIPTS + 7);
  });

  it('is not begun by a script that writes what looks like an error of the server', () => {
    const { repeats, lines } = newRepeats();
    for (let n = 0; n < 100; n += 1) {
      repeats.take('info', `LUAFCGID_POOL_FULL: ${n}`, { isOfScript: true }, 0);
    }
    assert.equal(lines.length, 100);
  });
});

describe('messages of all kinds at once', () => {
  it('are each written or told, however many there are', () => {
    const { repeats, lines, told } = newRepeats();
    let seed = 7;
    const below = (limit: number): number => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed % limit;
    };
    const taken = 60_000;
    for (let n = 0; n < taken; n += 1) {
      // Some messages come often, thousands once: more than are remembered.
      const text = below(2) === 0 ? `often ${below(5)}` : `rarely ${below(4000)}`;
      repeats.take(LOG_LEVELS[below(4)] ?? 'info', text, {}, n);
      if (below(100) === 0) repeats.review(n);
    }
    assert.notEqual(told(), lines.length);
    repeats.end(taken);
    assert.equal(told(), taken);
    assert.ok(!repeats.isCounting);
  });
});
