/**
 * Where a worker waits, for all that it has to do at the same time: messages of the front, and sockets that it serves
 * itself. Messages come first.
 *
 * Without sockets it sleeps on its ring. With sockets it sleeps in the kernel's list, which also has a bell (an eventfd)
 * that the front rings for a message.
 */

import { Abandoned, type Interrupts } from '../channel/interrupts.js';
import type { RingReader } from '../channel/ring.js';
import type { Inbox, Message } from './inbox.js';
import type { ReadyEvents } from './ready-events.js';

/** A thread that sleeps in a call of the kernel cannot be ended: it comes back every so often. */
const LONGEST_SLEEP_MS = 1000;

/** What serves the sockets. */
export interface SocketService {
  /** Whether sockets may be served now. */
  readonly isOpen: boolean;
  /** Whether the front needs this worker, and waits until it is free. */
  readonly isNeeded: boolean;
  /** No event is left: what is done between two waits is done now. */
  beforeWait(): void;
  /** Serves the event that was taken last. */
  serve(): void;
}

export interface ReactorParts {
  readonly inbox: Pick<Inbox, 'nextUnless'>;
  readonly ring: Pick<RingReader, 'parkElsewhere' | 'unpark'>;
  readonly interrupts: Pick<Interrupts, 'isAbandoned'>;
  /** Wakes the front. */
  readonly ringBell: () => void;
  /** One word: how many of the workers sleep. */
  readonly sleepers: SharedArrayBuffer;
  /** Undefined where workers serve no sockets. */
  readonly sockets: { readonly service: SocketService; readonly events: ReadyEvents } | undefined;
}

const nothingElse = (): boolean => false;

export class Reactor {
  readonly #parts: ReactorParts;
  readonly #sleepers: Int32Array;
  readonly #hasSockets: () => boolean;

  constructor(parts: ReactorParts) {
    const service = parts.sockets?.service;
    this.#parts = parts;
    this.#sleepers = new Int32Array(parts.sleepers);
    this.#hasSockets = service === undefined ? nothingElse : () => service.isOpen;
  }

  /**
   * The next message of the front. Sockets are served as long as there is none.
   * @throws Abandoned when nobody listens to this thread any more
   */
  next(): Message {
    const { sockets } = this.#parts;
    for (;;) {
      const message = this.step();
      if (message !== undefined) return message;
      sockets?.service.serve();
    }
  }

  /** The next message; undefined: an event of a socket was taken, and has to be served. */
  step(): Message | undefined {
    const { inbox, interrupts, sockets, ringBell } = this.#parts;
    for (;;) {
      if (interrupts.isAbandoned) throw new Abandoned();
      if (sockets?.service.isNeeded === true) ringBell();
      const message = this.#hasSockets()
        ? inbox.nextUnless(this.#hasSockets)
        : this.#asleep(() => inbox.nextUnless(this.#hasSockets));
      if (message !== undefined) return message;
      if (sockets === undefined) continue;
      if (sockets.events.take()) return undefined;
      this.#waitForSockets(sockets.service, sockets.events);
    }
  }

  #waitForSockets(service: SocketService, events: ReadyEvents): void {
    service.beforeWait();
    if (!this.#parts.ring.parkElsewhere()) return;
    // What closed the service before the ring was parked rings no bell: look again, and do not sleep then.
    this.#asleep(() => events.wait(service.isOpen ? LONGEST_SLEEP_MS : 0));
    this.#parts.ring.unpark();
  }

  /** Does what may sleep; other workers see meanwhile that this one does. */
  #asleep<T>(sleep: () => T): T {
    Atomics.add(this.#sleepers, 0, 1);
    try {
      return sleep();
    } finally {
      Atomics.sub(this.#sleepers, 0, 1);
    }
  }
}
