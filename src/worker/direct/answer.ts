/**
 * The answers to requests that a worker has read by itself. As long as one is a plain piece it is sent from here, when
 * the script is over. All else (output before the end, a line in the log, a setting of its own, an error) makes the
 * request one like all others: it is promoted to the front, which then gets what is said about it. One executes at a time;
 * others may wait (`waiting-requests.ts`).
 */

import type { Borrower } from '../../channel/lending.js';
import type { LogLevel } from '../../channel/messages.js';
import { AnswerEncoder, ProtocolStatus } from '../../fcgi/session.js';
import type { Outbox } from '../outbox.js';
import type { RequestOutlet } from '../request-channels.js';
import type { AccessLines } from './access-lines.js';
import type { Origin } from './origin.js';
import type { WaitingRequests } from './waiting-requests.js';

/** The connection that the request came on. */
export interface DirectConnection {
  /** Sends the answer, and leaves the gate open. */
  send(origin: Origin, records: Uint8Array, startedMs: number): void;
  /** This worker does not wait for it any more. */
  stopWatching(descriptor: number): void;
}

/** Where that goes which is said about a promoted request. */
export type PromotedOutbox = RequestOutlet & Pick<Outbox, 'promoted'>;

export class DirectAnswer implements RequestOutlet {
  readonly #borrower: Borrower;
  readonly #outbox: PromotedOutbox;
  readonly #connection: DirectConnection;
  readonly #waiting: WaitingRequests;
  readonly #nowMs: () => number;
  readonly #access: AccessLines | undefined;
  readonly #encoder = new AnswerEncoder();
  /** The request that executes; undefined when that is the front's, or none does. */
  #origin: Origin | undefined;

  /** @param access has a line for each request; undefined: there is no access log */
  constructor(
    borrower: Borrower,
    outbox: PromotedOutbox,
    connection: DirectConnection,
    waiting: WaitingRequests,
    nowMs: () => number,
    access?: AccessLines,
  ) {
    this.#access = access;
    this.#waiting = waiting;
    this.#nowMs = nowMs;
    this.#borrower = borrower;
    this.#outbox = outbox;
    this.#connection = connection;
  }

  /** A request begins. */
  begin(origin: Origin): void {
    this.#origin = origin;
  }

  output(requestId: number, bytes: Uint8Array): void {
    this.#promote(requestId);
    this.#outbox.output(requestId, bytes);
  }

  tryOutput(requestId: number, bytes: Uint8Array): number {
    this.#promote(requestId);
    if (this.#outbox.tryOutput !== undefined) return this.#outbox.tryOutput(requestId, bytes);
    this.#outbox.output(requestId, bytes);
    return bytes.length;
  }

  /** The front tells it of requests that it knows. */
  isHeld(requestId: number): boolean {
    return this.#originOf(requestId) === undefined && this.#outbox.isHeld?.(requestId) === true;
  }

  finish(requestId: number, appStatus: number): void {
    this.#promote(requestId);
    this.#outbox.finish(requestId, appStatus);
  }

  log(requestId: number, level: LogLevel, text: string, isOfScript?: boolean): void {
    this.#promote(requestId);
    this.#outbox.log(requestId, level, text, isOfScript);
  }

  limit(type: number, requestId: number, value: number): void {
    this.#promote(requestId);
    this.#outbox.limit(type, requestId, value);
  }

  end(requestId: number, flags: number, appStatus: number, lastOutput: Uint8Array, startedMs: number): void {
    // The front has to hear of a state that is gone.
    if (flags !== 0) this.#promote(requestId);
    const own = this.#originOf(requestId);
    const access = own === undefined ? undefined : this.#access;
    // No line may be lost: where there is no room for it, the front writes it.
    if (own !== undefined && access?.prepare(requestId, own, lastOutput, appStatus) === false) this.#promote(requestId);
    const origin = this.#take(requestId);
    // A request that the front has taken over is the front's by now.
    if (origin === undefined || !this.#borrower.claim()) {
      return this.#outbox.end(requestId, flags, appStatus, lastOutput, startedMs);
    }
    access?.write();
    const records = this.#encoder.end(origin.fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE);
    this.#connection.send(origin, records, startedMs);
  }

  suspended(requestId: number, waitsFor: number): void {
    const origin = this.#take(requestId);
    if (origin === undefined || !this.#borrower.claim()) return this.#outbox.suspended(requestId, waitsFor);
    if (this.#waiting.enter(origin, waitsFor)) return this.#borrower.leave();
    this.#tellPromoted(origin, waitsFor);
  }

  resumed(requestId: number): void {
    this.#origin = this.#waiting.goOn(requestId);
    if (this.#origin === undefined) this.#outbox.resumed(requestId);
  }

  /** The request as this worker has read it; undefined when it is the front's, or does not execute. */
  #originOf(requestId: number): Origin | undefined {
    return this.#origin?.id === requestId ? this.#origin : undefined;
  }

  #take(requestId: number): Origin | undefined {
    const origin = this.#originOf(requestId);
    if (origin !== undefined) this.#origin = undefined;
    return origin;
  }

  /** From now on the request is the front's. */
  #promote(requestId: number): void {
    const origin = this.#take(requestId);
    if (origin !== undefined && this.#borrower.claim()) this.#tellPromoted(origin, 0);
  }

  #tellPromoted({ id, state, descriptor, bytes, beganMs, isNew }: Origin, waitsFor: number): void {
    // Before the front hears of it: what its client sends from now on, this worker must not take for another request.
    if (!isNew) this.#connection.stopWatching(descriptor);
    this.#outbox.promoted(id, state, descriptor, bytes, this.#nowMs() - beganMs, waitsFor);
    this.#borrower.leave();
  }
}
