/**
 * The answer to a request that came on a lent connection. As long as it is one plain piece it is sent from here, when
 * the script is over. All else (output before the end, a line in the log, a setting of its own, an error) makes the
 * request one like all others: it is handed over to the front, which then gets what is said about it.
 */

import type { Borrower } from '../channel/loans.js';
import type { LogLevel } from '../channel/messages.js';
import { AnswerEncoder, ProtocolStatus } from '../fcgi/session.js';
import type { Outbox } from './outbox.js';
import type { RequestOutlet } from './script-request.js';

/** Where it came from. */
export interface Origin {
  readonly descriptor: number;
  /** Its id on that connection. */
  readonly fcgiId: number;
  readonly state: number;
  /** All its records. */
  readonly bytes: Uint8Array;
}

export class LentAnswer implements RequestOutlet {
  readonly #borrower: Borrower;
  readonly #outbox: Outbox;
  readonly #send: (origin: Origin, records: Uint8Array) => void;
  readonly #encoder = new AnswerEncoder();
  #origin: Origin | undefined;

  /** @param send sends the answer and leaves the connection */
  constructor(borrower: Borrower, outbox: Outbox, send: (origin: Origin, records: Uint8Array) => void) {
    this.#borrower = borrower;
    this.#outbox = outbox;
    this.#send = send;
  }

  /** A request begins. */
  begin(origin: Origin): void {
    this.#origin = origin;
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
    this.#send(origin, this.#encoder.end(origin.fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE));
  }

  /** From now on the request is the front's. */
  #handOver(requestId: number): void {
    const origin = this.#origin;
    this.#origin = undefined;
    if (origin === undefined || !this.#borrower.claim()) return;
    this.#borrower.tell();
    this.#outbox.begun(requestId, origin.state, origin.descriptor, origin.bytes);
    this.#borrower.leave();
  }
}
