/** Lines of the log: what they hold, and that text stays text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLine } from '../../src/logging/line.js';

const TIME = new Date('2026-11-23T10:15:02.113Z');
const ABOUT = { request: '8cd6a0-1', script: '/srv/a.lua', state: 3, worker: 0 };

describe('a line of text', () => {
  it('has time, level and what it is about', () => {
    assert.equal(
      formatLine('text', TIME, 'warn', 'late\n', ABOUT),
      '2026-11-23T10:15:02.113Z warn  [8cd6a0-1 state 3 worker 0 /srv/a.lua] late',
    );
    assert.equal(formatLine('text', TIME, 'info', 'ready', {}), '2026-11-23T10:15:02.113Z info  ready');
    assert.equal(
      formatLine('text', TIME, 'info', 'ready', { worker: 2 }),
      '2026-11-23T10:15:02.113Z info  [worker 2] ready',
    );
  });

  it('leaves the time to those who note it themselves', () => {
    assert.equal(formatLine('text', undefined, 'warn', 'late', {}), 'warn late');
  });

  it('cannot look like two, nor reach a terminal', () => {
    assert.equal(
      formatLine('text', undefined, 'info', 'a\nb\r\nc\x1b[2J\0', { script: '/x\ny' }),
      'info [/x\n    y] a\n    b\n    c\\x1b[2J\\x00',
    );
  });

  it('shows no character that nobody sees, or that turns text around (attacks F13.4)', () => {
    assert.equal(
      formatLine('text', undefined, 'info', 'a\x7f\x9b\u202eb\u2028c\td', {}),
      'info a\\x7f\\x9b\\u202eb\\u2028c\td',
    );
    const json = formatLine('json', TIME, 'info', 'a\x7f\x9b\u202eb\u2028c', { script: '/\x85' });
    assert.doesNotMatch(json, /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
    assert.equal((JSON.parse(json) as { message: string }).message, 'a\x7f\x9b\u202eb\u2028c');
  });

  it('has at most 64 KiB of text, and 4 KiB of a name (attacks F11)', () => {
    for (const format of ['text', 'json'] as const) {
      const line = formatLine(format, TIME, 'info', 'x'.repeat(2 ** 20), { script: 's'.repeat(2 ** 20) });
      assert.ok(line.length < 70_000, String(line.length));
      assert.match(line, /x\.\.\.\(\+983040\)/);
      assert.match(line, /s\.\.\.\(\+1044480\)/);
    }
  });

  it('tells for how many it stands', () => {
    const repeated = { count: 4312, seconds: 10 };
    assert.equal(
      formatLine('text', undefined, 'info', 'again', { repeated }),
      'info repeated 4312 times in 10 s: again',
    );
  });
});

describe('a line of JSON', () => {
  const parse = (level: 'info' | 'error', text: string, about = {}) =>
    JSON.parse(formatLine('json', TIME, level, text, about)) as unknown;

  it('has the code of an error apart from its message', () => {
    assert.deepEqual(parse('error', 'LUAFCGID_POOL_FULL: all are busy', { ...ABOUT, isOfScript: false }), {
      time: '2026-11-23T10:15:02.113Z',
      level: 'error',
      code: 'LUAFCGID_POOL_FULL',
      message: 'all are busy',
      ...ABOUT,
    });
  });

  it('takes no code from a script, and none that does not exist', () => {
    const own = parse('info', 'LUAFCGID_POOL_FULL: x', { isOfScript: true });
    assert.deepEqual(own, { time: TIME.toISOString(), level: 'info', message: 'LUAFCGID_POOL_FULL: x' });
    assert.deepEqual(parse('info', 'LUAFCGID_NO_SUCH: x'), {
      time: TIME.toISOString(),
      level: 'info',
      message: 'LUAFCGID_NO_SUCH: x',
    });
  });

  it('is one line whatever the text is, and gives it back', () => {
    const text = 'a\nb\u2028"\\\x1b\0 grün \ud800.';
    assert.doesNotMatch(formatLine('json', TIME, 'info', text, {}), /[\n\p{Cc}]/u);
    assert.equal((parse('info', text) as { message: string }).message, text);
  });

  it('tells for how many it stands', () => {
    const line = parse('info', 'LUAFCGID_SCRIPT_NOT_FOUND: no', { repeated: { count: 5, seconds: 10 } });
    assert.deepEqual(line, {
      time: TIME.toISOString(),
      level: 'info',
      code: 'LUAFCGID_SCRIPT_NOT_FOUND',
      message: 'no',
      repeated: 5,
      seconds: 10,
    });
  });
});
