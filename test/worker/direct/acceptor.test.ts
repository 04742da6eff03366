import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Borrower, createLoans, Lender } from '../../../src/channel/lending.js';
import { FromWorker } from '../../../src/channel/messages.js';
import { Errno } from '../../../src/linux/errno.js';
import { Acceptor } from '../../../src/worker/direct/acceptor.js';
import { ReadyEvents } from '../../../src/worker/ready-events.js';

const LISTENER = 9;

/** A listening socket on which connections wait; what comes on each is told by the test. */
class Setting {
  readonly loans = createLoans();
  readonly borrower = new Borrower(this.loans);
  readonly lender = new Lender(this.loans);
  /** What each connection that waits has sent: text; undefined: nothing for now. Or an error of accepting. */
  readonly waiting: (string | undefined | keyof typeof Errno)[] = [];
  readonly handedOn: [descriptor: number, bytes: string][] = [];
  readonly served: string[] = [];
  readonly closed: number[] = [];
  /** Connections that the front never knew. */
  counted = 0;
  /** How often it has waited for the first bytes. */
  waits = 0;
  serves = true;
  #lastFd = 100;
  #errorNumber = 0;
  readonly #sent = new Map<number, string | undefined>();
  readonly acceptor = new Acceptor({
    borrower: this.borrower,
    events: new ReadyEvents(() => assert.fail('nothing is waited for')),
    outbox: {
      accepted: (descriptor, _, bytes) => {
        this.borrower.post(FromWorker.ACCEPTED);
        this.handedOn.push([descriptor, Buffer.from(bytes).toString()]);
      },
    },
    sockets: {
      accept: () => {
        if (this.waiting.length === 0) return this.#fail('EAGAIN');
        const next = this.waiting.shift();
        if (next !== undefined && next in Errno) return this.#fail(next as keyof typeof Errno);
        this.#lastFd += 1;
        this.#sent.set(this.#lastFd, next);
        return this.#lastFd;
      },
      read: (fd, into) => {
        const text = this.#sent.get(fd);
        if (text === undefined) return this.#fail('EAGAIN');
        into.set(Buffer.from(text));
        return text.length;
      },
      send: () => assert.fail('nothing is sent'),
      close: (fd) => void this.closed.push(fd),
      waitForInput: () => {
        this.waits += 1;
        return false;
      },
      errorNumber: () => this.#errorNumber,
    },
    tellServed: () => {},
    closed: () => {
      this.counted += 1;
    },
    serveWhole: (_, bytes) => {
      this.served.push(Buffer.from(bytes).toString());
      if (this.serves) this.borrower.leave();
      return this.serves;
    },
  });

  constructor() {
    this.lender.setListeners(1, 1_000);
  }

  #fail(error: keyof typeof Errno): -1 {
    this.#errorNumber = Errno[error];
    return -1;
  }

  /** Accepts once; what was handed on before is known by now. */
  accept(): void {
    this.lender.acknowledgeAccepted();
    assert.ok(this.borrower.begin(-1), 'the gate is open');
    this.acceptor.accept(LISTENER);
  }
}

describe('a worker that accepts connections', () => {
  it('serves what it can, and hands the rest on with what was read', () => {
    const setting = new Setting();
    setting.waiting.push('first', 'second');
    setting.accept();
    setting.serves = false;
    setting.accept();
    assert.deepEqual(setting.served, ['first', 'second']);
    assert.deepEqual(setting.handedOn, [[102, 'second']]);
  });

  it('accepts no more before the front knows what was handed on last', () => {
    const setting = new Setting();
    setting.serves = false;
    setting.waiting.push('first', 'second');
    setting.accept();
    assert.ok(setting.borrower.begin(-1));
    setting.acceptor.accept(LISTENER);
    assert.deepEqual([setting.handedOn.length, setting.waiting.length], [1, 1]);
    setting.accept();
    assert.equal(setting.handedOn.length, 2);
  });

  it('leaves connections past the limit to the front, unread', () => {
    const setting = new Setting();
    setting.lender.setListeners(1, 101);
    setting.waiting.push('first');
    setting.accept();
    assert.deepEqual([setting.handedOn, setting.served], [[[101, '']], []]);
  });

  it('has the front look when accepting fails; not when only one connection was broken, or none waits', () => {
    const setting = new Setting();
    setting.waiting.push('EMFILE', 'ECONNABORTED');
    setting.accept();
    assert.deepEqual(setting.handedOn, [[-1, '']]);
    setting.accept();
    setting.accept();
    assert.equal(setting.handedOn.length, 1);
  });
});
