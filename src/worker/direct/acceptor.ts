/**
 * New connections that a worker accepts by itself. One whose only request it serves, and that is closed then, the front
 * never hears of; each other one becomes the front's.
 */

import { NOTHING } from '../../base/bytes.js';
import type { Borrower } from '../../channel/lending.js';
import { acceptNow, type DirectSocketCalls, FAILED, readNow, TRY_LATER } from '../../linux/socket-calls.js';
import type { Outbox } from '../outbox.js';
import type { ReadyEvents } from '../ready-events.js';

/** New connections accepted one after the other without another look at the others. */
const ACCEPTED_AT_ONCE = 8;
/**
 * How long to wait for the first bytes of a new connection: clients usually send at once. After each wait in vain twice
 * as many further connections are not waited for.
 */
const WAIT_US = 200;
const MAX_UNWAITED = 1024;

/** There is no connection to be lost yet. */
export const NO_CONNECTION = -1;

export interface AcceptorParts {
  readonly borrower: Borrower;
  readonly events: ReadyEvents;
  readonly outbox: Pick<Outbox, 'accepted'>;
  readonly sockets: DirectSocketCalls;
  /** The front judges whether accepting here is worth while: what was served is told before what could not be. */
  readonly tellServed: () => void;
  /** A connection was served and closed here: the front never knew it. */
  readonly closed: () => void;
  /** Runs the request that the bytes are. Returns false when they are none for this worker. */
  readonly serveWhole: (descriptor: number, bytes: Uint8Array) => boolean;
}

export class Acceptor {
  readonly #parts: AcceptorParts;
  /** Accepted one after the other. */
  #accepted = 0;
  /** New connections that are not waited for, and how many that will be when the next has been waited for in vain. */
  #unwaited = 0;
  #waitMisses = 0;

  constructor(parts: AcceptorParts) {
    this.#parts = parts;
  }

  /** Accepts one connection and serves it. The gate is READING, and open afterwards. */
  accept(listener: number): void {
    const { borrower, events, sockets } = this.#parts;
    this.#accepted += 1;
    // The front does not know the last one yet: until then no more are accepted.
    if (borrower.isAnnouncing) {
      borrower.leave();
      if (events.left === 0) borrower.waitUntilKnown();
      return;
    }
    const descriptor = acceptNow(sockets, listener);
    if (descriptor < 0) {
      this.#accepted = 0;
      return descriptor === FAILED ? this.#handOn(NO_CONNECTION, NOTHING) : borrower.leave();
    }
    borrower.accepted(descriptor);
    if (this.#accepted < ACCEPTED_AT_ONCE) events.putBack();
    else this.#accepted = 0;
    if (descriptor >= borrower.ceiling) return this.#handOn(descriptor, NOTHING);
    let count = readNow(sockets, descriptor, borrower.bytes);
    if (count === TRY_LATER && this.#hasInputSoon(descriptor)) count = readNow(sockets, descriptor, borrower.bytes);
    const bytes = borrower.bytes.subarray(0, Math.max(0, count));
    if (count <= 0 || !this.#parts.serveWhole(descriptor, bytes)) this.#handOn(descriptor, bytes);
  }

  /** Closes a connection that the front does not know of. */
  close(descriptor: number): void {
    const { borrower, sockets } = this.#parts;
    // If this thread is given up just now, the front must not close the next connection of this number for it.
    borrower.accepted(NO_CONNECTION);
    sockets.close(descriptor);
    this.#parts.closed();
    borrower.leave();
  }

  /** To wait a moment is cheaper than to have the front wait for it. */
  #hasInputSoon(descriptor: number): boolean {
    if (this.#unwaited > 0) {
      this.#unwaited -= 1;
      return false;
    }
    const hasInput = this.#parts.sockets.waitForInput(descriptor, WAIT_US);
    this.#waitMisses = hasInput ? 0 : Math.min(MAX_UNWAITED, 2 * this.#waitMisses + 1);
    this.#unwaited = this.#waitMisses;
    return hasInput;
  }

  /** A new connection is for the front. */
  #handOn(descriptor: number, bytes: Uint8Array): void {
    this.#parts.tellServed();
    this.#parts.outbox.accepted(descriptor, false, bytes);
    this.#parts.borrower.leave();
  }
}
