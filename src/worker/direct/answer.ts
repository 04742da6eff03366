/**
 * The answer to a request that came on a lent connection. As long as it is one plain piece it is sent from here, when
 * the script is over. All else (output before the end, a line in the log, a setting of its own, an error) makes the
 * request one like all others: it is handed over to the front, which then gets what is said about it.
 */

import type { Borrower } from '../../channel/lending.js';
import type { LogLevel } from '../../channel/messages.js';
import { AnswerEncoder, ProtocolStatus } from '../../fcgi/session.js';
import type { Outbox } from '../outbox.js';
import type { RequestOutlet } from '../script-request.js';

/** Where it came from. */
export interface Origin {
  readonly descriptor: number;
  /** It was accepted here, and the front does not know of it. */
  readonly isNew: boolean;
  /** The connection stays open after it. */
  readonly keepsConnection: boolean;
  /** Its id on that connection. */
  readonly fcgiId: number;
  readonly state: number;
  /** All its records. */
  readonly bytes: Uint8Array;
}

/** The connection that the request came on. */
export interface LentConnection {
  /** Sends the answer and leaves the connection. */
  send(origin: Origin, records: Uint8Array): void;
  /** It is not waited for here any more. */
  leave(descriptor: number): void;
}

export class DirectAnswer implements RequestOutlet {
  readonly #borrower: Borrower;
  readonly #outbox: Outbox;
  readonly #connection: LentConnection;
  readonly #encoder = new AnswerEncoder();
  #origin: Origin | undefined;
  #isSent = false;

  constructor(borrower: Borrower, outbox: Outbox, connection: LentConnection) {
    this.#borrower = borrower;
    this.#outbox = outbox;
    this.#connection = connection;
  }

  /** A request begins. */
  begin(origin: Origin): void {
    this.#origin = origin;
    this.#isSent = false;
  }

  /** Whether the answer was sent from here: the front knows nothing of the request. */
  get isSent(): boolean {
    return this.#isSent;
  }

  output(requestId: number, bytes: Uint8Array): void {
    this.#handOver(requestId);
    this.#outbox.output(requestId, bytes);
  }

  finish(requestId: number, appStatus: number): void {
    this.#handOver(requestId);
    this.#outbox.finish(requestId, appStatus);
  }

  log(requestId: number, level: LogLevel, text: string, isOfScript?: boolean): void {
    this.#handOver(requestId);
    this.#outbox.log(requestId, level, text, isOfScript);
  }

  limit(type: number, requestId: number, value: number): void {
    this.#handOver(requestId);
    this.#outbox.limit(type, requestId, value);
  }

  end(requestId: number, flags: number, appStatus: number, lastOutput: Uint8Array): void {
    const origin = this.#origin;
    if (flags !== 0) this.#handOver(requestId);
    this.#origin = undefined;
    // Who was taken over by the front is its own by now.
    if (flags !== 0 || origin === undefined || !this.#borrower.claim()) {
      return this.#outbox.end(requestId, flags, appStatus, lastOutput);
    }
    this.#isSent = true;
    this.#connection.send(
      origin,
      this.#encoder.end(origin.fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE),
    );
  }

  /** From now on the request is the front's. */
  #handOver(requestId: number): void {
    const origin = this.#origin;
    this.#origin = undefined;
    if (origin === undefined || !this.#borrower.claim()) return;
    if (origin.isNew) this.#borrower.announce();
    else this.#borrower.tell();
    // Before anybody hears of it: what its client does from now on, this worker must not take for another request.
    if (!origin.isNew) this.#connection.leave(origin.descriptor);
    this.#outbox.begun(requestId, origin.state, origin.descriptor, origin.bytes);
    this.#borrower.leave();
  }
}
