/** A worker's inbox and outbox in this thread, and the front's ends of their rings. */
import { createInterrupts, Interrupter, Interrupts } from '../../../src/channel/interrupts.js';
import { FromWorker, LOG_LEVELS, typeOf } from '../../../src/channel/messages.js';
import { createRing, RingReader, RingWriter } from '../../../src/channel/ring.js';
import { Inbox } from '../../../src/worker/inbox.js';
import { Outbox } from '../../../src/worker/outbox.js';

export interface Said {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly argument: number;
  readonly payload: Buffer;
}

export class Ends {
  readonly toWorker: RingWriter;
  readonly toFront: RingReader;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly interrupts: Interrupts;
  readonly interrupter: Interrupter;
  bells = 0;

  constructor(ringBytes = 16 * 1024) {
    const down = createRing(ringBytes);
    const up = createRing(ringBytes);
    this.toWorker = new RingWriter(down);
    this.toFront = new RingReader(up);
    const ring = (): void => {
      this.bells += 1;
    };
    const interrupts = createInterrupts();
    this.interrupter = new Interrupter(interrupts);
    this.interrupts = new Interrupts(interrupts);
    const reason = (): Error => new Error('told to stop');
    this.inbox = new Inbox(new RingReader(down), ring, this.interrupts, reason);
    this.outbox = new Outbox({
      ring: new RingWriter(up),
      ringBell: ring,
      interrupts: this.interrupts,
      stopReason: reason,
    });
  }

  /** All that the worker has said since the last time. */
  heard(): Said[] {
    const said: Said[] = [];
    for (let frame = this.toFront.peek(); frame !== undefined; frame = this.toFront.peek()) {
      const { type, id, argument, payload } = frame;
      said.push({ type: typeOf(type), flags: type & 0xff00, id, argument, payload: Buffer.from(payload) });
      this.toFront.release();
    }
    return said;
  }

  /** The same as text: output as it is, others by name. */
  told(): string[] {
    return this.heard().map(({ type, argument, payload }) => {
      const text = payload.toString('latin1');
      switch (type) {
        case FromWorker.OUTPUT:
          return `output ${text}`;
        case FromWorker.FINISH:
          return `finish ${argument}${text}`;
        case FromWorker.END:
          return `end ${argument} ${text}`;
        case FromWorker.LOG:
          return `log ${LOG_LEVELS[argument]} ${text}`;
        default:
          return `type ${type}`;
      }
    });
  }
}
