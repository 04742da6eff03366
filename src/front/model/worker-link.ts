/**
 * The front's end of one worker's two rings. It never blocks: messages that do not fit wait here (a START and a few short
 * ones at most, since a worker executes one request at a time), and bodies wait with their request.
 */

import { NOTHING } from '../../base/bytes.js';
import type { Interrupter } from '../../channel/interrupts.js';
import type { Lender } from '../../channel/lending.js';
import {
  type BodyFault,
  encodeStartHead,
  MORE,
  START_OFFER,
  startBytes,
  startRole,
  ToWorker,
  WaitsFor,
} from '../../channel/messages.js';
import type { OfferSlots } from '../../channel/offer-slots.js';
import type { Frame, RingReader, RingWriter } from '../../channel/ring.js';
import type { CountersView } from '../../metrics/counters.js';
import { Duties } from './duties.js';
import { LoanBook } from './loan-book.js';
import type { FrontRequest, RequestWorker } from './request.js';
import type { Run } from './run.js';

interface Unsent {
  readonly type: number;
  readonly id: number;
  readonly argument: number;
  payload: Uint8Array;
}

const REVOCABLE_STARTS = 0x40000000;

export class WorkerLink implements RequestWorker {
  readonly id: number;
  /** Its place among the workers, which it has from its predecessor and leaves to its successor. */
  place = 0;
  /** The requests that it was given and has not ended, by number. One executes, the others are suspended or wait for it. */
  readonly runs = new Map<number, Run>();
  /** It is to end after the requests that it has begun with. */
  isRetired = false;
  /** It was told to end. */
  isStopped = false;
  /** Its duties between two requests. */
  readonly duties = new Duties();
  /** What it counts; undefined where nobody counts. */
  counters: CountersView | undefined;
  /** The connections that it is lent. */
  readonly lending: LoanBook;
  /** Suspended runs that wait for more of their body, or may. */
  readonly #reading = new Set<Run>();
  /** The runs that are not suspended, in the order in which the worker comes to them. */
  readonly #active: Run[] = [];
  readonly #out: RingWriter;
  readonly #interrupter: Interrupter;
  readonly #in: RingReader;
  readonly #unsent: Unsent[] = [];
  readonly #slots: OfferSlots;
  /** Slots of offers and revocable STARTs that were not found claimed yet, by number. */
  readonly #offered = new Map<number, number>();

  /** @param slots of the ring that `out` writes */
  constructor(
    id: number,
    out: RingWriter,
    incoming: RingReader,
    slots: OfferSlots,
    interrupter: Interrupter,
    lender: Lender,
  ) {
    this.id = id;
    this.lending = new LoanBook(lender);
    this.#interrupter = interrupter;
    this.#out = out;
    this.#in = incoming;
    this.#slots = slots;
  }

  /** The run that it executes; undefined between two. */
  get executing(): Run | undefined {
    return this.#active[0];
  }

  /** Whether it has something to do that the front knows of: a request, or duties. */
  get isBusy(): boolean {
    return this.executing !== undefined || !this.duties.isEmpty;
  }

  /** Since when it has been busy with that, as far as it was seen. */
  get busySinceMs(): number | undefined {
    return this.executing?.executingSinceMs ?? this.duties.sinceMs;
  }

  /** Whether it does something without a request, so that none may be started on it: it would stand behind that. */
  get isOccupied(): boolean {
    const hasDuties = !this.duties.isEmpty && this.executing === undefined && !this.isRetired;
    return this.lending.isServingDirect || hasDuties;
  }

  /** It was given this run. @param isFirst it has begun by itself, before it has come to what it was given */
  begin(run: Run, isFirst = false): void {
    this.runs.set(run.request.id, run);
    if (isFirst) this.#active.unshift(run);
    else this.#active.push(run);
  }

  /** A run is over. */
  end(run: Run, nowMs: number): void {
    this.runs.delete(run.request.id);
    this.#reading.delete(run);
    this.#offered.delete(numberOfStart(run.request));
    this.#leave(run, nowMs);
  }

  /** A run waits for a result. @param waitsFor a `WaitsFor` */
  suspend(run: Run, waitsFor: number, nowMs: number): void {
    run.waitsFor = waitsFor;
    if (waitsFor === WaitsFor.BODY || waitsFor === WaitsFor.SEVERAL) this.#reading.add(run);
    this.#leave(run, nowMs);
  }

  /** A suspended run goes on, before those that the worker was given meanwhile. */
  resume(run: Run, nowMs: number): void {
    run.waitsFor = 0;
    this.#reading.delete(run);
    run.executesFrom(nowMs);
    this.#active.unshift(run);
  }

  #leave(run: Run, nowMs: number): void {
    const at = this.#active.indexOf(run);
    if (at < 0) return;
    this.#active.splice(at, 1);
    // Only now can the worker come to the next one.
    if (at === 0) this.#active[0]?.executesFrom(nowMs);
  }

  /**
   * Whether a request can be posted behind the running one: it has no body, since that could not follow the running one's,
   * and there is room for it.
   */
  mayOffer(request: FrontRequest): boolean {
    if (this.executing?.request.isInputSent !== true) return false;
    if (request.isInputToBeSent || this.#unsent.length > 0 || !this.duties.isEmpty) return false;
    const bytes = startBytes(request.cgi.params);
    return bytes <= this.#out.maxPayloadBytes && this.#out.hasRoom(bytes) && this.#slots.findFree() >= 0;
  }

  /** Posts a request that `mayOffer` allows behind the running one; the worker has to be woken. @param flags of its START */
  offer(number: number, request: FrontRequest, state: number, flags: number): void {
    const slot = this.#slots.findFree();
    this.#slots.lay(slot, number);
    this.#offered.set(number, slot);
    this.#start(START_OFFER | flags, request, state, encodeStartHead(number, slot, NOTHING));
  }

  /** Whether the worker's thread has begun with a request that it was given. */
  hasBegun(request: FrontRequest): boolean {
    return this.#interrupter.running === request.id;
  }

  /**
   * Whether the worker has left a request that it has begun with, since that waits: what it says about it is in its ring, or
   * about to be.
   */
  hasLeft(request: FrontRequest): boolean {
    return Math.abs(this.#interrupter.running) !== request.id;
  }

  /** The output of the executing run has to wait for its client, or has not any more. */
  holdOutput({ request }: Run, isHeld: boolean): void {
    if (!isHeld) return this.#interrupter.letGo(request.id);
    this.#interrupter.hold(request.id);
    // It may wait for room in the ring, which there will not be before the client has read.
    this.#in.disturbWriter();
  }

  /** Whether the script of a request is over: the worker has yet to post its END, and perhaps to close its state. */
  isOver(request: FrontRequest): boolean {
    return this.#interrupter.running === -request.id;
  }

  /** Whether the script of a run waits for more of its body, or until its output is read. */
  isWaitingForClient({ isOutputHeld, request }: Run): boolean {
    return (isOutputHeld && this.#in.isWriterWaiting) || (!request.isInputSent && this.#out.isReaderAsleep);
  }

  /** Wakes the worker if it sleeps: it has something to find. */
  wake(): void {
    this.#out.wakeReader(this.lending.ringElsewhere);
  }

  /** Most bytes of one message from the worker. */
  get maxFrameBytes(): number {
    return this.#out.maxPayloadBytes;
  }

  /**
   * Has the worker run a request, as soon as there is room. It has to be woken for it.
   * @param evicted state to close before, 0 for none
   */
  start(flags: number, request: FrontRequest, state: number, evicted: number, path: Uint8Array): void {
    this.#start(flags, request, state, encodeStartHead(evicted, 0, path));
  }

  /** Whether `startRevocably` can be called now. */
  get canStartRevocably(): boolean {
    return this.#slots.findFree() >= 0;
  }

  /** The same, in a way that `revokeStart` can take back as long as the worker has not come to it. */
  startRevocably(flags: number, request: FrontRequest, state: number, path: Uint8Array): void {
    const slot = this.#slots.findFree();
    const number = numberOfStart(request);
    this.#slots.lay(slot, number);
    this.#offered.set(number, slot);
    this.#start(START_OFFER | flags, request, state, encodeStartHead(number, slot, path));
  }

  /** Takes a request back that was started revocably. Returns false when the worker has claimed it before. */
  revokeStart(request: FrontRequest): boolean {
    return this.revoke(numberOfStart(request));
  }

  #start(flags: number, request: FrontRequest, state: number, head: Uint8Array): void {
    const { params } = request.cgi;
    const type = ToWorker.START | flags | startRole(request.role);
    const isWhole = head.length + params.length <= this.#out.maxPayloadBytes;
    if (isWhole && this.#unsent.length === 0 && this.#out.tryWrite(type, request.id, state, head, params)) return;
    this.send(type, request.id, state, Buffer.concat([head, params]));
  }

  /** Takes an offer back. Returns false when the worker has claimed it before. */
  revoke(number: number): boolean {
    const slot = this.#offered.get(number);
    if (slot === undefined || !this.#slots.claim(slot, number)) return false;
    this.#offered.delete(number);
    return true;
  }

  /** An offer is settled: the worker has it, or could not begin with it. */
  forgetOffer(number: number): void {
    this.#offered.delete(number);
  }

  /** The oldest frame from the worker. */
  peek(): Frame | undefined {
    return this.#in.peek();
  }

  release(): void {
    this.#in.release();
  }

  /** Sends a whole message, now or as soon as there is room; `payload` must stay as it is until then. */
  send(type: number, id: number, argument: number, payload: Uint8Array = NOTHING): void {
    this.#unsent.push({ type, id, argument, payload });
    this.flush();
  }

  /** Sends the messages that wait, as far as there is room. */
  flush(): void {
    let wrote = false;
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const { maxPayloadBytes } = this.#out;
      const isLast = first.payload.length <= maxPayloadBytes;
      const piece = isLast ? first.payload : first.payload.subarray(0, maxPayloadBytes);
      if (!this.#tryWrite(isLast ? first.type : first.type | MORE, first.id, first.argument, piece)) break;
      wrote = true;
      if (isLast) this.#unsent.shift();
      else first.payload = first.payload.subarray(maxPayloadBytes);
    }
    if (wrote) this.wake();
  }

  /** Hands on what there is room for of the bodies that scripts read now. @param pass see `passBody` */
  passBodies(pass: (request: FrontRequest) => void): void {
    if (this.executing !== undefined) pass(this.executing.request);
    for (const { request } of this.#reading) pass(request);
  }

  /**
   * Hands on what there is room for of a running request's body, and its end; then the same of a Filter's file. A suspended one
   * that waits for something else gets none: the worker would have to keep it, in memory that nobody counts.
   */
  passBody({ id, body, data }: FrontRequest): void {
    const run = this.runs.get(id);
    if (run?.isSuspended === true && !this.#reading.has(run)) return;
    if (!body.isEndSent) {
      body.handOn(
        (bytes) => this.#sendStream(ToWorker.BODY, id, bytes),
        (fault) => this.send(ToWorker.BODY_END, id, fault),
      );
    }
    if (data === undefined || !body.isEndSent || data.isEndSent) return;
    data.handOn(
      (bytes) => this.#sendStream(ToWorker.DATA, id, bytes),
      (fault) => this.send(ToWorker.DATA_END, id, fault),
    );
  }

  /** Tells the running script that its request's input will never be complete. What is not handed on yet is dropped. */
  failBody({ id, body, data }: FrontRequest, fault: BodyFault): void {
    if (!body.isComplete) body.fail(fault, () => this.send(ToWorker.BODY_END, id, fault));
    if (data?.isComplete === false) data.fail(fault, () => this.send(ToWorker.DATA_END, id, fault));
  }

  /** Sends as much of a stream as fits now; returns how many bytes that was. */
  #sendStream(type: number, id: number, bytes: Uint8Array): number {
    if (this.#unsent.length > 0) return 0;
    let sent = 0;
    while (sent < bytes.length) {
      const piece = bytes.subarray(sent, sent + this.#out.maxPayloadBytes);
      if (!this.#tryWrite(type, id, 0, piece)) break;
      sent += piece.length;
    }
    if (sent > 0) this.wake();
    return sent;
  }

  /** Where there is no room now, the worker will ring when there is. */
  #tryWrite(type: number, id: number, argument: number, payload: Uint8Array): boolean {
    for (;;) {
      if (this.#out.tryWrite(type, id, argument, payload)) return true;
      if (this.#out.askForRoom()) return false;
    }
  }
}

/** The number in the slot of a revocable START. It lies above the numbers of offers: the pool never makes so many. */
function numberOfStart({ id }: FrontRequest): number {
  return REVOCABLE_STARTS | (id & (REVOCABLE_STARTS - 1));
}
