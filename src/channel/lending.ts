/**
 * Connections lent to a worker: how it and the front agree, without a message for each request, on who is at one.
 *
 * An idle kept connection can be lent to a worker, which then reads the next request itself, runs it if that is short
 * and simple, and sends the answer itself. All else it gives back. The front lends, takes back, and takes over what
 * turns out to be long. Workers may also accept new connections; of one whose only request they serve the front never
 * hears. Both share a few words and the bytes of the request that runs. The gate says which side may use a connection
 * (`gate.ts`).
 *
 * Which side writes which word, and in which state of the gate:
 *
 *   DESCRIPTOR, REQUEST, STATE, REQUEST_BYTES, the bytes   worker, before a move that publishes them; read by the front after
 *                                                          `takeOver` or `shut`
 *   POSTED        worker, before it writes a counted message (`isCounted`), whatever the state: the front may not hold the
 *                 gate until it has handled that message, since its books are not true before
 *   BEGUN         worker, in `run`. The front only compares it
 *   UNKNOWN       set by the worker when it posts a connection that it has accepted, cleared by the front when it knows it
 *   WATCHED       set by the worker before its request may count on the front's looks, cleared by the front (`stopWatching`)
 *   uses          worker, in ANSWERING; cleared by the front when it has the connection
 *   RECALLS       front, in HELD (or when the worker is gone): a worker that begins later sees that its events are old
 *   LENT          front, at any time: a worker looks at it before it sleeps, and is woken when it becomes more than 0
 *   ROUTES_EPOCH  front, at any time: the worker compares it before each request. A request that has begun goes on
 *   WANTED        front, at any time. The worker looks at it after `begin`: it may be at one more connection after the front
 *                 has set it, so the front tries to hold the gate again afterwards
 *   THREAD        worker, once: the kernel's number of its thread
 *   LISTENERS, CEILING, EPOLL, BELL   front, at any time; EPOLL and BELL before the first loan
 *
 * All of them are read and written by Atomics, but for the bytes and the uses.
 */

import { FrontGate, WorkerGate } from './gate.js';
import { FromWorker } from './messages.js';
import { WAITING_RUNS_BYTES, WAITING_RUNS_WORDS, WaitingRuns, WaitingRunsView } from './waiting-runs.js';

/** 32-bit words. */
const GATE = 0;
const GATE_WAITS = 1;
const POSTED = 2;
const RECALLS = 3;
const WANTED = 4;
const LENT = 5;
const ROUTES_EPOCH = 6;
const WATCHED = 7;
const EPOLL = 8;
const BELL = 9;
const DESCRIPTOR = 10;
const REQUEST = 11;
const STATE = 12;
const REQUEST_BYTES = 13;
const BEGUN = 14;
const UNKNOWN = 15;
const CEILING = 16;
const LISTENERS = 17;
const THREAD = 18;
const WORDS = 19;
/** Behind the words: the requests that wait (`waiting-runs.ts`). */
const ALL_BYTES = (WORDS + WAITING_RUNS_WORDS) * 4;

/** The longest wait for the front to learn of a connection; it looks for other things to do then. */
const LONGEST_WAIT_MS = 1;

/** What the worker waits for is marked: a lent connection, a listening socket, its bell, or a connection to a data source. */
export const LentMark = { CONNECTION: 0, LISTENER: 1, BELL: 2, DATA: 3 } as const;

/** Only connections with descriptors below this are lent: a byte for each tells whether it was used. */
export const LENDABLE_DESCRIPTORS = 16 * 1024;
/** The longest request, in all its records, that is run on a lent connection. */
export const MAX_LENT_BYTES = 32 * 1024;

export function createLoans(): SharedArrayBuffer {
  return new SharedArrayBuffer(ALL_BYTES + LENDABLE_DESCRIPTORS + MAX_LENT_BYTES + WAITING_RUNS_BYTES);
}

class Shared {
  protected readonly words: Int32Array;
  protected readonly waitingWords: Int32Array;
  protected readonly waitingBytes: Uint8Array;
  protected readonly used: Uint8Array;
  /** Where the worker reads requests to. */
  readonly bytes: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.words = new Int32Array(shared, 0, WORDS);
    this.waitingWords = new Int32Array(shared, WORDS * 4, WAITING_RUNS_WORDS);
    this.used = new Uint8Array(shared, ALL_BYTES, LENDABLE_DESCRIPTORS);
    this.bytes = new Uint8Array(shared, ALL_BYTES + LENDABLE_DESCRIPTORS, MAX_LENT_BYTES);
    this.waitingBytes = new Uint8Array(shared, ALL_BYTES + LENDABLE_DESCRIPTORS + MAX_LENT_BYTES, WAITING_RUNS_BYTES);
  }

  /** Connections that are lent. */
  get lent(): number {
    return Atomics.load(this.words, LENT);
  }

  /** Listening sockets on which the worker may accept. */
  get listeners(): number {
    return Atomics.load(this.words, LISTENERS);
  }

  /** Descriptors of the worker's own epoll instance and of the eventfd that wakes it there; 0 as long as there are none. */
  get epoll(): number {
    return Atomics.load(this.words, EPOLL);
  }

  get bell(): number {
    return Atomics.load(this.words, BELL);
  }
}

/** The worker's end. */
export class Borrower extends Shared {
  readonly #gate: WorkerGate;
  /** The requests that it serves by itself and that wait. */
  readonly waiting: WaitingRuns;

  constructor(shared: SharedArrayBuffer) {
    super(shared);
    this.waiting = new WaitingRuns(this.waitingWords, this.waitingBytes);
    this.#gate = new WorkerGate(this.words, GATE, GATE_WAITS);
  }

  /** The kernel's number of this thread, for who looks at its processor time. */
  set thread(number: number) {
    Atomics.store(this.words, THREAD, number);
  }

  /** Changes whenever connections were taken back: events known from before may be of others by now. */
  get recalls(): number {
    return Atomics.load(this.words, RECALLS);
  }

  /** Changes whenever script names may lead elsewhere than the routes say. */
  get routesEpoch(): number {
    return Atomics.load(this.words, ROUTES_EPOCH);
  }

  /** The front has something for this worker to run: lent connections have to wait. */
  get isWanted(): boolean {
    return Atomics.load(this.words, WANTED) !== 0;
  }

  /** Goes to a lent connection; -1: to none yet, see `accepted`. Returns false while the front holds the gate. */
  begin(descriptor: number): boolean {
    // Having taken a request over, or shut the gate, the front may still look at DESCRIPTOR.
    if (!this.#gate.isOpen) return false;
    Atomics.store(this.words, DESCRIPTOR, descriptor);
    return this.#gate.tryBegin();
  }

  /** It has accepted this connection, and is at it; -1: it is at none any more. */
  accepted(descriptor: number): void {
    Atomics.store(this.words, DESCRIPTOR, descriptor);
  }

  /** Connections do not take descriptors from this number on. */
  get ceiling(): number {
    return Atomics.load(this.words, CEILING);
  }

  /** A message of this type, which the front has to handle before it may hold the gate, is about to be written. */
  post(type: number): void {
    Atomics.add(this.words, POSTED, 1);
    if (type === FromWorker.ACCEPTED || type === FromWorker.PROMOTED) Atomics.store(this.words, UNKNOWN, 1);
  }

  /** Whether the front may not know a connection yet that was accepted here: there may be one such, and no more. */
  get isAnnouncing(): boolean {
    return Atomics.load(this.words, UNKNOWN) !== 0;
  }

  /** Waits a moment for the front to know it. */
  waitUntilKnown(): void {
    Atomics.wait(this.words, UNKNOWN, 1, LONGEST_WAIT_MS);
  }

  /** Waits while the front holds the gate. */
  waitForGate(): void {
    this.#gate.waitUntilReleased();
  }

  /** Whether this worker must never begin again. */
  get isShut(): boolean {
    return this.#gate.isShut;
  }

  /** The request has been read and begins; `bytes` has all of it. From here on the front may take it over. */
  run(request: number, state: number, requestBytes: number): void {
    Atomics.store(this.words, REQUEST, request);
    Atomics.store(this.words, STATE, state);
    Atomics.store(this.words, REQUEST_BYTES, requestBytes);
    this.#gate.run((Atomics.add(this.words, BEGUN, 1) + 1) | 0);
  }

  /** The request is answered or promoted next. Returns false when the front has taken it over: it is one like all others then. */
  claim(): boolean {
    return this.#gate.claim();
  }

  /** Done with the connection, after `begin` or `claim`. */
  leave(): void {
    this.#gate.leave();
  }

  /** A request came on this connection and was answered. */
  noteUse(descriptor: number): void {
    this.used[descriptor] = 1;
  }

  /** Asks the front to look at what runs here every so often. Returns whether it has to be woken for that. */
  askToWatch(): boolean {
    return Atomics.load(this.words, WATCHED) === 0 && Atomics.exchange(this.words, WATCHED, 1) === 0;
  }
}

/** A request on a lent connection, as its worker has read it. */
export interface LentRequest {
  readonly descriptor: number;
  readonly request: number;
  readonly state: number;
  /** For how long it has been under way, as far as its worker has said. */
  readonly ageMs?: number;
  /** What it waits for, a `WaitsFor`; 0 or left out: it executes. */
  readonly waitsFor?: number;
  /** All its records. */
  readonly bytes: Uint8Array;
}

/** The front's end. */
export class Lender extends Shared {
  readonly #gate: FrontGate;
  #acknowledged = 0;
  /** The requests that its worker serves by itself and that wait. */
  readonly waiting: WaitingRunsView;

  constructor(shared: SharedArrayBuffer) {
    super(shared);
    this.waiting = new WaitingRunsView(this.waitingWords, this.waitingBytes);
    this.#gate = new FrontGate(this.words, GATE, GATE_WAITS);
  }

  /** Keeps the worker from lent connections, until `release`. Returns false while it is at one, or not all that it posted is handled. */
  hold(): boolean {
    if (!this.#gate.tryHold()) return false;
    if (this.isUpToDate) return true;
    this.#gate.release();
    return false;
  }

  release(): void {
    this.#gate.release();
  }

  /** Whether the worker shall begin with nothing more on its own, and ring when it is free. */
  get isWanted(): boolean {
    return Atomics.load(this.words, WANTED) !== 0;
  }

  set isWanted(isWanted: boolean) {
    Atomics.store(this.words, WANTED, isWanted ? 1 : 0);
  }

  /** The kernel's number of the worker's thread; 0: unknown. */
  get thread(): number {
    return Atomics.load(this.words, THREAD);
  }

  /** Requests that the worker has begun with so far; runs over. */
  get begun(): number {
    return Atomics.load(this.words, BEGUN);
  }

  /** Whether the gate is held here, for tests. */
  get isHeld(): boolean {
    return this.#gate.isHeld;
  }

  get isRunning(): boolean {
    return this.#gate.isRunning;
  }

  /**
   * The running request becomes the front's own; holds the gate until `release`. Undefined when there is none, or not all
   * that the worker posted is handled.
   * @param hasRead whether nothing is left of what the worker has posted: another request may have ended in its state
   */
  takeOver(hasRead: () => boolean = () => true): LentRequest | undefined {
    const { running } = this.#gate;
    if (running === undefined || !hasRead() || !this.isUpToDate || !this.#gate.takeOver(running)) return undefined;
    return {
      descriptor: Atomics.load(this.words, DESCRIPTOR),
      request: Atomics.load(this.words, REQUEST),
      state: Atomics.load(this.words, STATE),
      bytes: this.bytes.slice(0, Atomics.load(this.words, REQUEST_BYTES)),
    };
  }

  /**
   * The worker is given up: shuts the gate for ever.
   * @returns the descriptor of the connection that it was at, of which nobody knows how far it has come; undefined: of none
   */
  shut(): number | undefined {
    const wasAtOne = this.#gate.shut();
    const descriptor = Atomics.load(this.words, DESCRIPTOR);
    return wasAtOne && descriptor >= 0 ? descriptor : undefined;
  }

  /** Something that the worker posted is handled. */
  acknowledge(): void {
    this.#acknowledged = (this.#acknowledged + 1) | 0;
  }

  /** The connection that it has accepted is known. */
  acknowledgeAccepted(): void {
    Atomics.store(this.words, UNKNOWN, 0);
    Atomics.notify(this.words, UNKNOWN);
  }

  /** The worker may accept on so many sockets from now on, and takes no descriptors from this number on. */
  setListeners(count: number, ceiling: number): void {
    Atomics.store(this.words, CEILING, Math.min(ceiling, 0x7fffffff));
    Atomics.store(this.words, LISTENERS, count);
  }

  /** Whether all that the worker posted about connections is handled. */
  get isUpToDate(): boolean {
    return Atomics.load(this.words, POSTED) === this.#acknowledged;
  }

  /** Other connections are lent from now on. @param areTakenBack some were taken back, which is only allowed while the gate is held */
  noteLent(count: number, areTakenBack: boolean): void {
    if (areTakenBack) Atomics.add(this.words, RECALLS, 1);
    Atomics.store(this.words, LENT, count);
  }

  /** Script names may lead elsewhere by now than the routes say. */
  invalidateRoutes(): void {
    Atomics.add(this.words, ROUTES_EPOCH, 1);
  }

  /** Whether the worker counts on being looked at. */
  get isWatched(): boolean {
    return Atomics.load(this.words, WATCHED) !== 0;
  }

  /** After this the worker asks again. A request that began just before still saw WATCHED and did not ask: keep watching it. */
  stopWatching(): void {
    Atomics.store(this.words, WATCHED, 0);
    if (this.isRunning) Atomics.store(this.words, WATCHED, 1);
  }

  /** Whether a request came on this connection since the last look. */
  takeUse(descriptor: number): boolean {
    // Written only where there is something to take: the worker may note a use at this very moment.
    if (this.used[descriptor] !== 1) return false;
    this.used[descriptor] = 0;
    return true;
  }

  /** Where the worker waits from now on. */
  open(epoll: number, bell: number): void {
    Atomics.store(this.words, EPOLL, epoll);
    Atomics.store(this.words, BELL, bell);
  }
}
