/**
 * Where a worker waits, for all that it has to do at the same time: suspended runs whose operations are over come first,
 * then messages of the front, then sockets that it serves itself.
 *
 * Without sockets it sleeps on its ring. With sockets it sleeps in the kernel's list, which also has a bell (an eventfd)
 * that the front rings for a message.
 */

import { Abandoned, type Interrupts } from '../channel/interrupts.js';
import { LentMark } from '../channel/lending.js';
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

/** Connections to data sources that were lent to this worker. */
export interface DataConnections {
  /** Whether there are any: this worker waits where it hears of them. */
  readonly hasLines: boolean;
  /** Writes what is to be written. */
  flush(): void;
  /** Something has happened on one of them. */
  serve(descriptor: number): void;
  /** Waits for them, and for the bell of the front, where sockets are not served. */
  wait(timeoutMs: number): void;
}

/** Events of sockets between two looks whether something is to be written to data sources. */
const EVENTS_BETWEEN_FLUSHES = 4;

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
  /** Left out where no connections to data sources are lent. */
  readonly data?: DataConnections | undefined;
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
    const { data, suspended, nowMs } = parts;
    const isReviewDue = (): boolean => service?.nextMs !== undefined && service.nextMs <= nowMs();
    this.#hasOther = () =>
      suspended.mayHaveNews || service?.isOpen === true || data?.hasLines === true || isReviewDue();
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
    const { data, inbox, interrupts, sockets, suspended, ringBell } = this.#parts;
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
      if (sockets?.service.isOpen !== true) {
        if (data?.hasLines === true) this.#waitForData(data);
        continue;
      }
      if (sockets.events.take()) {
        if (sockets.events.left % EVENTS_BETWEEN_FLUSHES === 0) data?.flush();
        if (sockets.events.mark !== LentMark.DATA) return undefined;
        data?.serve(sockets.events.fd);
        continue;
      }
      data?.flush();
      this.#waitForSockets(sockets.service, sockets.events);
    }
  }

  /** The front is served first, or has nothing lent: only data sources and messages are waited for. */
  #waitForData(data: DataConnections): void {
    data.flush();
    if (!this.#parts.ring.parkElsewhere()) return;
    const mustNotSleep = this.#parts.sockets?.service.isOpen === true || this.#parts.suspended.mayHaveNews;
    data.wait(mustNotSleep ? 0 : Math.min(LONGEST_SLEEP_MS, Math.ceil(this.#sleepMs() ?? LONGEST_SLEEP_MS)));
    this.#parts.ring.unpark();
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
