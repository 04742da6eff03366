/**
 * The answer to a request that a worker has read by itself. As long as it is one plain piece it is sent from here, when
 * the script is over. All else (output before the end, a line in the log, a setting of its own, an error) makes the
 * request one like all others: it is promoted to the front, which then gets what is said about it.
 */

import type { Borrower } from '../../channel/lending.js';
import type { LogLevel } from '../../channel/messages.js';
import { AnswerEncoder, ProtocolStatus } from '../../fcgi/session.js';
import type { Outbox } from '../outbox.js';
import type { RequestOutlet } from '../request-channels.js';
import type { AccessLines } from './access-lines.js';
import type { Origin } from './origin.js';

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
  readonly #access: AccessLines | undefined;
  readonly #encoder = new AnswerEncoder();
  /** Undefined when the request is the front's, or over. */
  #origin: Origin | undefined;

  /** @param access has a line for each request; undefined: there is no access log */
  constructor(borrower: Borrower, outbox: PromotedOutbox, connection: DirectConnection, access?: AccessLines) {
    this.#access = access;
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
    return this.#origin === undefined && this.#outbox.isHeld?.(requestId) === true;
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
    const access = this.#origin === undefined ? undefined : this.#access;
    const line = access?.lineFor(requestId, this.#origin as Origin, lastOutput, appStatus);
    // No line may be lost: where there is no room for it, the front writes it.
    if (access !== undefined && line === undefined) this.#promote(requestId);
    const origin = this.#origin;
    this.#origin = undefined;
    // A request that the front has taken over is the front's by now.
    if (origin === undefined || !this.#borrower.claim()) {
      return this.#outbox.end(requestId, flags, appStatus, lastOutput, startedMs);
    }
    if (line !== undefined) access?.write(line);
    const records = this.#encoder.end(origin.fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE);
    this.#connection.send(origin, records, startedMs);
  }

  /** The request is suspended, which only the front can follow. */
  suspend(requestId: number): void {
    this.#promote(requestId);
  }

  /** From now on the request is the front's. */
  #promote(requestId: number): void {
    const origin = this.#origin;
    this.#origin = undefined;
    if (origin === undefined || !this.#borrower.claim()) return;
    // Before the front hears of it: what its client sends from now on, this worker must not take for another request.
    if (!origin.isNew) this.#connection.stopWatching(origin.descriptor);
    this.#outbox.promoted(requestId, origin.state, origin.descriptor, origin.bytes, this.#access?.ageMs ?? 0);
    this.#borrower.leave();
  }
}
