/**
 * Where a worker waits, for all that it has to do at the same time: suspended runs whose operations are over come first,
 * then messages of the front, then sockets that it serves itself.
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
  /** When `review` has something to do, whatever happens; undefined: nobody knows. */
  readonly nextMs: number | undefined;
  /** Does what is due by now. */
  review(): void;
  /** No event is left: what is done between two waits is done now. */
  beforeWait(): void;
  /** Serves the event that was taken last. */
  serve(): void;
}

/** The runs that wait for results. */
export interface SuspendedRuns {
  /** Notes which of their operations are over. */
  poll(): void;
  /** Whether one can go on, or `poll` may find that. */
  readonly mayHaveNews: boolean;
  /** When it surely does; undefined: nobody knows. */
  readonly nextMs: number | undefined;
  /** Goes on with one of those whose operations are over. Returns false when there is none. */
  resumeNext(): boolean;
}

/** Resumed in a row before a message is looked for: scripts that are resumed again and again must not starve new ones. */
const RESUMED_IN_A_ROW = 8;

export interface ReactorParts {
  readonly inbox: Pick<Inbox, 'nextUnless'>;
  readonly ring: Pick<RingReader, 'parkElsewhere' | 'unpark'>;
  readonly interrupts: Pick<Interrupts, 'isAbandoned'>;
  /** Wakes the front. */
  readonly ringBell: () => void;
  readonly suspended: SuspendedRuns;
  readonly nowMs: () => number;
  /** Undefined where workers serve no sockets. */
  readonly sockets: { readonly service: SocketService; readonly events: ReadyEvents } | undefined;
}

export class Reactor {
  readonly #parts: ReactorParts;
  /** Whether there is something else to do than to wait for a message. */
  readonly #hasOther: () => boolean;
  readonly #sleepMs: () => number | undefined;
  #resumed = 0;

  constructor(parts: ReactorParts) {
    const service = parts.sockets?.service;
    this.#parts = parts;
    const { suspended, nowMs } = parts;
    const isReviewDue = (): boolean => service?.nextMs !== undefined && service.nextMs <= nowMs();
    this.#hasOther = () => suspended.mayHaveNews || service?.isOpen === true || isReviewDue();
    this.#sleepMs = () => {
      const nextMs = Math.min(
        suspended.nextMs ?? Number.POSITIVE_INFINITY,
        service?.nextMs ?? Number.POSITIVE_INFINITY,
      );
      return nextMs === Number.POSITIVE_INFINITY ? undefined : Math.max(0, nextMs - nowMs());
    };
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
    const { inbox, interrupts, sockets, suspended, ringBell } = this.#parts;
    for (;;) {
      if (interrupts.isAbandoned) throw new Abandoned();
      suspended.poll();
      sockets?.service.review();
      if (this.#resumed < RESUMED_IN_A_ROW && suspended.resumeNext()) {
        this.#resumed += 1;
        continue;
      }
      const isTurnOfOthers = this.#resumed > 0;
      this.#resumed = 0;
      if (sockets?.service.isNeeded === true) ringBell();
      const message =
        isTurnOfOthers || this.#hasOther()
          ? inbox.nextUnless(() => true)
          : inbox.nextUnless(this.#hasOther, this.#sleepMs);
      if (message !== undefined) return message;
      if (sockets?.service.isOpen !== true) continue;
      if (sockets.events.take()) return undefined;
      this.#waitForSockets(sockets.service, sockets.events);
    }
  }

  #waitForSockets(service: SocketService, events: ReadyEvents): void {
    service.beforeWait();
    if (!this.#parts.ring.parkElsewhere()) return;
    // What closed the service, or ended an operation, before the ring was parked rings no bell: look again.
    const mustNotSleep = !service.isOpen || this.#parts.suspended.mayHaveNews;
    const longestMs = Math.min(LONGEST_SLEEP_MS, Math.ceil(this.#sleepMs() ?? LONGEST_SLEEP_MS));
    events.wait(mustNotSleep ? 0 : longestMs);
    this.#parts.ring.unpark();
  }
}
