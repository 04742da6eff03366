/**
 * Requests that a worker has read by itself and that wait for a result. Each stays with the worker: its connection stays
 * lent, and the worker answers on it when the result is there. The front gets those that wait for long, and those whose
 * client sends more or is gone.
 */

import { Abandoned } from '../../channel/interrupts.js';
import type { Borrower } from '../../channel/lending.js';
import type { Outbox } from '../outbox.js';
import type { Origin } from './origin.js';

/** A request is promoted to the front when it has waited for so long. */
const LONGEST_WAIT_MS = 100;
/** The same, as a share of the time that a request may take in all. */
const SHARE_OF_REQUEST_TIME = 1 / 4;

/** Tries to get at the gate before it is waited for. */
const MAX_TRIES = 100;

export interface WaitingRequestsParts {
  readonly borrower: Borrower;
  readonly outbox: Pick<Outbox, 'promoted'>;
  readonly nowMs: () => number;
  /** The time that a request may take in all; 0: as long as it wants. */
  readonly requestTimeMs: number;
  /** Wakes the front. */
  readonly ringBell: () => void;
  /** This worker does not wait for the connection any more. */
  readonly stopWatching: (descriptor: number) => void;
}

interface Waiting {
  readonly origin: Origin;
  /** Its place in the table that the front sees. */
  readonly place: number;
  readonly waitsFor: number;
  readonly sinceMs: number;
}

export class WaitingRequests {
  readonly #parts: WaitingRequestsParts;
  readonly #longestMs: number;
  /** By number, the one that has waited for the longest first. */
  readonly #requests = new Map<number, Waiting>();
  readonly #byDescriptor = new Map<number, Waiting>();

  constructor(parts: WaitingRequestsParts) {
    const { requestTimeMs } = parts;
    this.#parts = parts;
    this.#longestMs =
      requestTimeMs > 0 ? Math.min(LONGEST_WAIT_MS, requestTimeMs * SHARE_OF_REQUEST_TIME) : LONGEST_WAIT_MS;
  }

  /**
   * A request waits from now on, if it may do so here. The gate is ANSWERING.
   * @param waitsFor a `WaitsFor`
   * @returns false when it has to be promoted: it has been under way for long, is large, or the front does not know its connection
   */
  enter(origin: Origin, waitsFor: number): boolean {
    const { borrower, nowMs } = this.#parts;
    const sinceMs = nowMs();
    // What waits again and again would else never be seen by the front, which ends what takes too long.
    if (origin.isNew || sinceMs - origin.beganMs >= this.#longestMs) return false;
    if (!borrower.waiting.hasRoomFor(origin.bytes.length)) return false;
    const kept = outliving(origin);
    const { id: request, descriptor, state, isKnown, bytes } = kept;
    const place = borrower.waiting.enter({ request, descriptor, state, isKnown, bytes, waitsFor });
    const waiting = { origin: kept, place, waitsFor, sinceMs };
    this.#requests.set(origin.id, waiting);
    this.#byDescriptor.set(origin.descriptor, waiting);
    return true;
  }

  /**
   * A request goes on. The gate is RUNNING afterwards.
   * @returns undefined when it is the front's
   * @throws Abandoned when this worker was given up
   */
  goOn(id: number): Origin | undefined {
    const waiting = this.#requests.get(id);
    if (waiting === undefined) return undefined;
    const { borrower, ringBell } = this.#parts;
    const { origin } = waiting;
    this.#begin(origin.descriptor);
    const isKnown = this.#leave(waiting);
    borrower.bytes.set(origin.bytes);
    borrower.run(id, origin.state, origin.bytes.length);
    if (borrower.askToWatch()) ringBell();
    return isKnown === origin.isKnown ? origin : { ...origin, isKnown };
  }

  /** Promotes the request that waits on this connection, whose client has sent more, or is gone. The gate is READING, and open afterwards. */
  promoteAt(descriptor: number): boolean {
    const waiting = this.#byDescriptor.get(descriptor);
    if (waiting === undefined) return false;
    this.#promote(waiting);
    return true;
  }

  /** Promotes the request that waits in this state. */
  promoteIn(state: number): void {
    for (const waiting of this.#requests.values()) if (waiting.origin.state === state) this.#beginAndPromote(waiting);
  }

  /** Promotes those that have waited for long. */
  promoteOverdue(): void {
    if (this.#requests.size === 0) return;
    const beforeMs = this.#parts.nowMs() - this.#longestMs;
    for (const waiting of this.#requests.values()) {
      if (waiting.sinceMs > beforeMs) return;
      this.#beginAndPromote(waiting);
    }
  }

  /** When `promoteOverdue` has something to do; undefined when there is nothing. */
  get nextMs(): number | undefined {
    for (const { sinceMs } of this.#requests.values()) return sinceMs + this.#longestMs;
    return undefined;
  }

  #beginAndPromote(waiting: Waiting): void {
    this.#begin(waiting.origin.descriptor);
    this.#promote(waiting);
  }

  /** Goes to a connection: the front holds the gate for a few microseconds only. */
  #begin(descriptor: number): void {
    const { borrower } = this.#parts;
    for (let tries = 1; !borrower.begin(descriptor); tries += 1) {
      if (borrower.isShut) throw new Abandoned();
      if (tries > MAX_TRIES) borrower.waitForGate();
    }
  }

  /** The gate is READING, and open afterwards. */
  #promote(waiting: Waiting): void {
    const { borrower, nowMs, outbox, stopWatching } = this.#parts;
    const { origin, waitsFor } = waiting;
    this.#leave(waiting);
    stopWatching(origin.descriptor);
    const { id, state, descriptor, bytes, beganMs } = origin;
    outbox.promoted(id, state, descriptor, bytes, nowMs() - beganMs, waitsFor);
    borrower.leave();
  }

  #leave({ origin, place }: Waiting): boolean {
    this.#requests.delete(origin.id);
    this.#byDescriptor.delete(origin.descriptor);
    return this.#parts.borrower.waiting.leave(place);
  }
}

/** The same request in memory of its own: what lies where the worker reads to is overwritten by the next one. */
function outliving(origin: Origin): Origin {
  const { bytes, cgi } = origin;
  // It has waited before.
  if (origin.isCopied) return origin;
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  const at = cgi.params.byteOffset - bytes.byteOffset;
  const isView = cgi.params.buffer === bytes.buffer;
  const params = isView ? copy.subarray(at, at + cgi.params.length) : cgi.params;
  return { ...origin, bytes: copy, cgi: { ...cgi, params }, isCopied: true };
}
