/**
 * A server of a data source that answers more than it was asked, on a connection that was lent to a worker: nothing that it had sent before
 * an operation is taken for the answer to that, whoever's request it is of. Without a server: the bytes come from here.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLoanWords, LoanState, LoanWords } from '../../../src/io/loan-words.js';
import { Action } from '../../../src/io/protocol.js';
import { plainStatement } from '../../../src/io/sql/placeholders.js';
import type { LuaValue } from '../../../src/lua/state.js';
import type { LineParts } from '../../../src/worker/data/line.js';
import { PostgresLine } from '../../../src/worker/data/postgres-line.js';
import { RedisLine } from '../../../src/worker/data/redis-line.js';
import type { Task } from '../../../src/worker/data/task.js';

const LIMITS = { name: 'main', maxResultBytes: 10_000 };
const operation = { source: 1, action: Action.COMMAND, handle: 0, limitMs: 0, shape: '', values: [] };
const task = (token: number): Task => ({ token, operation, run: token, script: 1, limitMs: 60_000, dueMs: 0 });

/** The surroundings of a line: what it reads is put into `input`, and what it has told is in `results`. */
class Surroundings {
  readonly input: Buffer[] = [];
  readonly results = new Map<number, LuaValue>();
  readonly words = new LoanWords(createLoanWords());
  /** What waits for a line with room. */
  next: (() => void) | undefined;
  reason = '';

  readonly parts: LineParts = {
    words: this.words,
    sockets: {
      read: (_, into) => {
        const bytes = this.input.shift();
        if (bytes === undefined) return -1;
        into.set(bytes);
        return bytes.length;
      },
      send: (_, bytes) => bytes.length,
      close: () => {},
      errorNumber: () => 11,
    },
    nowMs: () => 0,
    tasks: {
      done: ({ token }, value) => void this.results.set(token, value),
      failed: ({ token }) => void this.results.set(token, 'failed'),
    },
    watch: () => {},
    unwatch: () => {},
    giveBack: (_, __, reason) => {
      this.reason = reason;
    },
    cancelOn: () => {},
    planLook: () => {},
    changed: (line) => {
      if (!line.hasRoom || line.isGone) return;
      const { next } = this;
      this.next = undefined;
      next?.();
    },
  };

  constructor() {
    this.words.set(0, LoanState.USED);
  }
}

const message = (type: string, ...body: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.set(body, 5);
  return bytes;
};
const text = (value: string): number[] => [...Buffer.from(`${value}\0`)];
/** A column `v` of type text, a row of one letter, and the end of a statement. */
const COLUMNS = message('T', 0, 1, ...text('v'), 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0);
const row = (letter: string): Buffer => message('D', 0, 1, 0, 0, 0, 1, letter.charCodeAt(0));
const END = Buffer.concat([message('C', ...text('SELECT 1')), message('Z', 0x49)]);
const first = (letter: string): Buffer => Buffer.concat([message('1'), COLUMNS, message('2'), row(letter), END]);
const further = (letter: string): Buffer => Buffer.concat([message('2'), row(letter), END]);

describe('a line to PostgreSQL', () => {
  const start = () => {
    const around = new Surroundings();
    const line = new PostgresLine(0, 7, LIMITS, around.parts);
    const begin = (token: number): void =>
      line.start(
        Object.assign(task(token), { statement: plainStatement('select v', 'postgres'), wantsRows: true } as const),
      );
    const receive = (bytes: Buffer): void => {
      around.input.push(bytes);
      line.ready();
    };
    begin(1);
    around.next = () => begin(2);
    return { around, line, receive, begin };
  };
  const letterOf = (value: LuaValue | undefined): unknown =>
    (value as { rows: readonly { v: string }[] } | undefined)?.rows.map(({ v }) => v).join();

  it('begins what waits when all that has come was read', () => {
    const { around, line, receive } = start();
    receive(first('a'));
    receive(Buffer.concat([further('b'), message('N', 0)]));
    assert.deepEqual(
      [1, 2].map((token) => letterOf(around.results.get(token))),
      ['a', 'b'],
    );
    assert.ok(!line.isGone && line.isUnused);
  });

  for (const [what, more] of Object.entries({
    'a whole answer': further('x'),
    'a part of an answer': further('x').subarray(0, 3),
  })) {
    it(`is given up with ${what} too many, which nobody gets`, () => {
      const { around, line, receive } = start();
      receive(Buffer.concat([first('a'), more]));
      assert.deepEqual([letterOf(around.results.get(1)), around.results.get(2)], ['a', undefined]);
      assert.ok(line.isGone && around.next !== undefined, 'the second one waits for another connection');
      assert.match(around.reason, /not expected/);
    });
  }

  it('is given up when columns are told again, by which rows would count anew', () => {
    const { around, line, receive } = start();
    receive(Buffer.concat([message('1'), COLUMNS, message('2'), row('a'), COLUMNS]));
    assert.ok(line.isGone);
    assert.equal(around.results.get(1), 'failed');
  });
});

describe('a line to Redis', () => {
  const start = () => {
    const around = new Surroundings();
    const line = new RedisLine(0, 7, LIMITS, around.parts);
    const begin = (token: number): void =>
      line.start(Object.assign(task(token), { bytes: Buffer.from('GET\r\n'), replies: 1, gives: 'command' } as const));
    const { tasks } = around.parts;
    // The script that gets its answer asks at once for more.
    Object.assign(tasks, {
      done: ({ token }: Task, value: LuaValue) => {
        around.results.set(token, value);
        around.next?.();
        around.next = undefined;
      },
    });
    begin(1);
    line.flush();
    around.next = () => begin(2);
    const receive = (bytes: string): void => {
      around.input.push(Buffer.from(bytes));
      line.ready();
    };
    return { around, line, receive };
  };

  it('answers each operation', () => {
    const { around, line, receive } = start();
    receive('+a\r\n>1\r\n+p');
    line.flush();
    receive('ush\r\n+b\r\n');
    assert.deepEqual(
      [1, 2].map((token) => around.results.get(token)),
      ['a', 'b'],
    );
    assert.ok(!line.isGone);
  });

  for (const more of ['+x\r\n', '*2\r\n+x\r\n', '$99999\r\nx', '+x']) {
    it(`is given up with ${JSON.stringify(more)} too many, which nobody gets`, () => {
      const { around, line, receive } = start();
      receive(`+a\r\n${more}`);
      assert.deepEqual([around.results.get(1), around.results.get(2)], ['a', 'failed']);
      assert.ok(line.isGone);
      assert.match(around.reason, /was not asked/);
    });
  }

  for (const answer of ['*2\r\n:1\r\n>1\r\n:2\r\n', '!2000000\r\n']) {
    it(`is given up on ${JSON.stringify(answer)}, by which a reply would have no limit`, () => {
      const { around, line, receive } = start();
      receive(answer);
      assert.ok(line.isGone);
      assert.equal(around.results.get(1), 'failed');
    });
  }
});
