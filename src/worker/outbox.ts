/** The worker's end of the ring to the front. Writing blocks while the ring is full: that is the back-pressure. */

import { NOTHING } from '../base/bytes.js';
import { Abandoned, type Interrupts } from '../channel/interrupts.js';
import type { Borrower } from '../channel/lending.js';
import {
  encodeDependency,
  encodePromoted,
  encodeServed,
  encodeUsage,
  FromWorker,
  isCounted,
  LOG_LEVELS,
  LOG_OF_SCRIPT,
  type LogLevel,
  withTook,
} from '../channel/messages.js';
import type { RingWriter } from '../channel/ring.js';
import type { RequestOutlet } from './request-channels.js';
import type { UsageMeter } from './usage-meter.js';

/** Output goes out in pieces of this size while it is looked at whether the client reads. */
const TRIED_AT_ONCE_BYTES = 64 * 1024;
/** A thread that is about to sleep when the front says so does not notice: it looks again. */
const LOOK_AGAIN_MS = 20;

export interface OutboxParts {
  readonly ring: RingWriter;
  /** Wakes the front if it sleeps. */
  readonly ringBell: () => void;
  readonly interrupts: Interrupts;
  /** Why a script that writes has to stop instead, when `interrupts` wants that. */
  readonly stopReason: () => Error;
  /** Measures what requests take; left out: nobody wants to know. */
  readonly usage?: UsageMeter | undefined;
  /** Counts what is said about connections; left out where none are lent. */
  readonly borrower?: Pick<Borrower, 'post'> | undefined;
}

export class Outbox implements RequestOutlet {
  readonly #ring: RingWriter;
  readonly #ringBell: () => void;
  readonly #interrupts: Interrupts;
  readonly #stopReason: () => Error;
  readonly #usage: UsageMeter | undefined;
  readonly #borrower: Pick<Borrower, 'post'> | undefined;
  /** Requests of which the front has said that their clients read too slowly, while they were suspended. */
  readonly #held = new Set<number>();

  constructor({ ring, ringBell, interrupts, stopReason, usage, borrower }: OutboxParts) {
    this.#ring = ring;
    this.#ringBell = ringBell;
    this.#interrupts = interrupts;
    this.#stopReason = stopReason;
    this.#usage = usage;
    this.#borrower = borrower;
  }

  /**
   * Sends output to the client, now.
   * @throws the reason when the script has to stop
   */
  output(requestId: number, bytes: Uint8Array): void {
    this.#stream(requestId, bytes, 0, true);
    this.#ringBell();
  }

  /**
   * Sends output as long as it need not wait for the client to read.
   * @returns how many bytes were sent
   * @throws the reason when the script has to stop
   */
  tryOutput(requestId: number, bytes: Uint8Array): number {
    const isHeld = (): boolean => this.isHeld(requestId);
    let at = 0;
    while (at < bytes.length && !isHeld()) {
      const piece = bytes.subarray(at, at + Math.min(this.#ring.maxPayloadBytes, TRIED_AT_ONCE_BYTES));
      if (!this.#write(FromWorker.OUTPUT, requestId, 0, piece, true, isHeld)) break;
      at += piece.length;
    }
    this.#ringBell();
    return at;
  }

  /** Whether output of this request would have to wait for its client. */
  isHeld(requestId: number): boolean {
    return this.#interrupts.isHeld(requestId) || (this.#held.size > 0 && this.#held.has(requestId));
  }

  /** The front says that output of a request has to wait, or has not any more. */
  setHeld(requestId: number, isHeld: boolean): void {
    if (isHeld) this.#held.add(requestId);
    else this.#held.delete(requestId);
  }

  /** Ends the answer; the worker goes on with the request. */
  finish(requestId: number, appStatus: number): void {
    this.#write(FromWorker.FINISH, requestId, appStatus, NOTHING);
    this.#ringBell();
  }

  /**
   * Ends the request, with the last of its output.
   * @param flags `END_STATE_GONE` or 0
   * @param startedMs when the request began: the front is told how long it took
   */
  end(requestId: number, flags: number, appStatus: number, lastOutput: Uint8Array, startedMs: number): void {
    const sent = this.#stream(requestId, lastOutput, this.#ring.maxPayloadBytes, false);
    if (this.#usage !== undefined) this.#write(FromWorker.USAGE, requestId, 0, encodeUsage(this.#usage.end()));
    const type = withTook(FromWorker.END | flags, performance.now() - startedMs);
    this.#write(type, requestId, appStatus, lastOutput.subarray(sent));
    this.#ringBell();
  }

  /**
   * @param requestId 0 when the line belongs to no request
   * @param text one character per byte
   * @param isOfScript the text is a script's own
   */
  log(requestId: number, level: LogLevel, text: string, isOfScript = false): void {
    const bytes = Buffer.from(text, 'latin1');
    const { maxPayloadBytes } = this.#ring;
    const type = FromWorker.LOG | (isOfScript ? LOG_OF_SCRIPT : 0);
    // A line longer than a frame becomes several lines; nothing of it is lost.
    for (let at = 0; at === 0 || at < bytes.length; at += maxPayloadBytes) {
      this.#write(type, requestId, LOG_LEVELS.indexOf(level), bytes.subarray(at, at + maxPayloadBytes));
    }
    this.#ringBell();
  }

  /** The request waits for a result. @param waitsFor a `WaitsFor` */
  suspended(requestId: number, waitsFor: number): void {
    this.#write(FromWorker.SUSPENDED, requestId, waitsFor, NOTHING);
    this.#ringBell();
  }

  /** A suspended request goes on. */
  resumed(requestId: number): void {
    this.#write(FromWorker.RESUMED, requestId, 0, NOTHING);
  }

  /** The running request sets its own limits. @param type `WATCHDOG` or `ON_ABORT` */
  limit(type: number, requestId: number, value: number): void {
    this.#write(type, requestId, value, NOTHING);
  }

  /** The Lua stack of the running request. */
  trace(requestId: number, traceback: string): void {
    const bytes = Buffer.from(traceback, 'latin1').subarray(0, this.#ring.maxPayloadBytes);
    this.#write(FromWorker.TRACE, requestId, 0, bytes);
    this.#ringBell();
  }

  /** The state depends on this file, as it was when `fingerprint` was taken. */
  depends(stateId: number, path: string, fingerprint: string): void {
    const message = encodeDependency({ path, fingerprint });
    if (message.length > this.#ring.maxPayloadBytes) {
      this.log(0, 'error', `path too long to be watched for changes: ${path}`);
      return;
    }
    this.#write(FromWorker.DEPENDS, 0, stateId, message);
  }

  /** @param isLater its request waits: the state is closed when that is over */
  closed(stateId: number, isLater = false): void {
    this.#write(FromWorker.CLOSED, isLater ? 1 : 0, stateId, NOTHING);
    this.#ringBell();
  }

  /** A state that the front found busy is idle again. @param tookMs how long its request has executed */
  freed(stateId: number, tookMs: number): void {
    this.#write(withTook(FromWorker.FREED, tookMs), 0, stateId, NOTHING);
    this.#ringBell();
  }

  /** A step of garbage collection is done. */
  collected(stateId: number): void {
    this.#write(FromWorker.COLLECTED, 0, stateId, NOTHING);
    this.#ringBell();
  }

  /** An offer was claimed that cannot be served: its state is gone. */
  offerRejected(requestId: number, offer: number): void {
    this.#write(FromWorker.OFFER_REJECTED, requestId, offer, NOTHING);
    this.#ringBell();
  }

  /** A lent connection comes back. @param bytes what was read from it @param lacksState only an idle state was lacking */
  returned(descriptor: number, bytes: Uint8Array, lacksState = false): void {
    this.#write(FromWorker.RETURNED, descriptor, lacksState ? 1 : 0, bytes);
    this.#ringBell();
  }

  /**
   * A connection that was accepted here is the front's from now on.
   * @param descriptor -1: accepting has failed
   * @param isAnswered a request on it was answered
   * @param bytes what was read from it since
   */
  accepted(descriptor: number, isAnswered: boolean, bytes: Uint8Array): void {
    this.#write(FromWorker.ACCEPTED, descriptor, isAnswered ? 1 : 0, bytes);
    this.#ringBell();
  }

  /** It is to be closed when all is sent. */
  closeWhenSent(descriptor: number): void {
    this.#write(FromWorker.CLOSE_WHEN_SENT, descriptor, 0, NOTHING);
    this.#ringBell();
  }

  /** What of an answer is still to be sent on a lent connection. */
  rest(descriptor: number, bytes: Uint8Array): void {
    const { maxPayloadBytes } = this.#ring;
    for (let at = 0; at < bytes.length; at += maxPayloadBytes) {
      this.#write(FromWorker.ANSWER_REST, descriptor, 0, bytes.subarray(at, at + maxPayloadBytes));
    }
  }

  /**
   * A request on a lent connection is the front's from now on.
   * @param bytes all its records
   * @param ageMs since it has begun
   * @param waitsFor what it waits for, a `WaitsFor`; 0: it executes
   */
  promoted(
    requestId: number,
    stateId: number,
    descriptor: number,
    bytes: Uint8Array,
    ageMs: number,
    waitsFor: number,
  ): void {
    this.#write(FromWorker.PROMOTED, requestId, stateId, encodePromoted(descriptor, bytes, ageMs, waitsFor));
    this.#ringBell();
  }

  /** A state has served requests by itself, which usually take so long. Wakes nobody. */
  served(stateId: number, count: number, usualMs: number): void {
    this.#write(FromWorker.SERVED, count, stateId, encodeServed(usualMs));
  }

  /** Sends all but the last `keepBytes` bytes as output; returns how many that were. */
  #stream(requestId: number, bytes: Uint8Array, keepBytes: number, mayStop: boolean): number {
    const { maxPayloadBytes } = this.#ring;
    let at = 0;
    while (bytes.length - at > keepBytes) {
      const piece = bytes.subarray(at, at + maxPayloadBytes);
      this.#write(FromWorker.OUTPUT, requestId, 0, piece, mayStop);
      at += piece.length;
    }
    return at;
  }

  /**
   * @param isUseless asked while the ring is full: whether it will be for long
   * @returns whether it was written, which it always is without that
   */
  #write(
    type: number,
    id: number,
    argument: number,
    payload: Uint8Array,
    mayStop = false,
    isUseless?: () => boolean,
  ): boolean {
    const interrupts = this.#interrupts;
    // Before the message can be read: the front may not hold the gate from here on until it has handled it.
    if (isCounted(type)) this.#borrower?.post(type);
    while (!this.#ring.tryWrite(type, id, argument, payload)) {
      this.#ringBell();
      const isOver = (): boolean => interrupts.isAbandoned || (mayStop && interrupts.isStopWanted);
      if (isUseless === undefined) this.#ring.waitForRoom(isOver);
      else this.#ring.waitForRoom(() => isOver() || isUseless(), LOOK_AGAIN_MS);
      if (interrupts.isAbandoned) throw new Abandoned();
      if (mayStop && interrupts.isStopWanted) throw this.#stopReason();
      if (isUseless?.() === true) return false;
    }
    return true;
  }
}
