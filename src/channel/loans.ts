/**
 * Connections lent to a worker: how it and the front agree, without a message for each request, on who is at one.
 *
 * An idle kept connection can be lent to a worker, which then reads the next request itself, runs it if that is short
 * and simple, and sends the answer itself. All else it gives back. The front lends, takes back, and takes over what
 * turns out to be long. They share a few words and the bytes of the request that runs.
 *
 * The gate says who may do what; both move it by compare-and-exchange only:
 *
 *   OPEN       nobody is at a lent connection
 *   READING    the worker reads from one, or gives it back
 *   RUNNING    the worker runs the request that lies in the shared bytes; the front may take it over
 *   ANSWERING  the worker sends its answer, or hands the request over to the front
 *   HELD       the front takes connections back, or gives the worker something to run: for a few microseconds
 *   SHUT       the worker was given up: it begins with nothing any more
 *
 * What the worker says in its ring about connections (`told`) has to be heard before the front may hold the gate: until
 * then its books are not true.
 */

const OPEN = 0;
const READING = 1;
const RUNNING = 2;
const ANSWERING = 3;
const HELD = 4;
const SHUT = 5;

/** 32-bit words. */
const GATE = 0;
const TOLD = 1;
const RECALLS = 2;
const WANTED = 3;
const LENT = 4;
const NAMES = 5;
const WATCHED = 6;
const EPOLL = 7;
const BELL = 8;
const DESCRIPTOR = 9;
const REQUEST = 10;
const STATE = 11;
const REQUEST_BYTES = 12;
const BEGUN = 13;
const WORDS = 16;

/** Only connections with descriptors below this are lent: a byte for each tells whether it was used. */
export const LENDABLE_DESCRIPTORS = 16 * 1024;
/** The longest request, in all its records, that is run on a lent connection. */
export const MAX_LENT_BYTES = 32 * 1024;

export function createLoans(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * 4 + LENDABLE_DESCRIPTORS + MAX_LENT_BYTES);
}

class Shared {
  protected readonly words: Int32Array;
  protected readonly used: Uint8Array;
  /** Where the worker reads requests to. */
  readonly bytes: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.words = new Int32Array(shared, 0, WORDS);
    this.used = new Uint8Array(shared, WORDS * 4, LENDABLE_DESCRIPTORS);
    this.bytes = new Uint8Array(shared, WORDS * 4 + LENDABLE_DESCRIPTORS, MAX_LENT_BYTES);
  }

  /** Connections that are lent. */
  get lent(): number {
    return Atomics.load(this.words, LENT);
  }

  /** Descriptors of the worker's own epoll instance and of the eventfd that wakes it there; 0 as long as there are none. */
  get epoll(): number {
    return Atomics.load(this.words, EPOLL);
  }

  get bell(): number {
    return Atomics.load(this.words, BELL);
  }

  protected move(from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, GATE, from, to) === from;
  }

  protected get gate(): number {
    return Atomics.load(this.words, GATE);
  }
}

/** The worker's end. */
export class Borrower extends Shared {
  /** Changes whenever connections were taken back: events known from before may be of others by now. */
  get recalls(): number {
    return Atomics.load(this.words, RECALLS);
  }

  /** Changes whenever script names that were taught may lead elsewhere. */
  get names(): number {
    return Atomics.load(this.words, NAMES);
  }

  /** The front has something for this worker to run: lent connections have to wait. */
  get isWanted(): boolean {
    return Atomics.load(this.words, WANTED) !== 0;
  }

  /** Goes to a lent connection. Returns false while the front is there. */
  begin(descriptor: number): boolean {
    // Before the gate is moved: who shuts it then looks here.
    Atomics.store(this.words, DESCRIPTOR, descriptor);
    return this.move(OPEN, READING);
  }

  /** Waits a moment while the front holds the gate. */
  waitForGate(): void {
    Atomics.wait(this.words, GATE, HELD, 1);
  }

  /** Whether this worker must never begin again. */
  get isShut(): boolean {
    return this.gate === SHUT;
  }

  /** The request has been read and begins; `bytes` has all of it. From here on the front may take it over. */
  run(request: number, state: number, requestBytes: number): void {
    Atomics.store(this.words, REQUEST, request);
    Atomics.store(this.words, STATE, state);
    Atomics.store(this.words, REQUEST_BYTES, requestBytes);
    Atomics.add(this.words, BEGUN, 1);
    this.move(READING, RUNNING);
  }

  /** The request is answered or handed over next. Returns false when the front has taken it over: it is one like all others then. */
  claim(): boolean {
    return this.move(RUNNING, ANSWERING);
  }

  /** Something about a connection is about to be written to the ring. */
  tell(): void {
    Atomics.add(this.words, TOLD, 1);
  }

  /** Done with the connection, after `begin` or `claim`. */
  leave(): void {
    if (!this.move(READING, OPEN)) this.move(ANSWERING, OPEN);
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
  /** All its records. */
  readonly bytes: Uint8Array;
}

/** The front's end. */
export class Lender extends Shared {
  #heard = 0;

  /** Has the worker keep away from lent connections, until `release`. Returns false while it is at one, or not all that it said is heard. */
  hold(): boolean {
    if (!this.move(OPEN, HELD)) return false;
    if (this.#isUpToDate) return true;
    this.move(HELD, OPEN);
    return false;
  }

  release(): void {
    this.move(HELD, OPEN);
  }

  /** Whether the worker shall begin with nothing more on its own, and ring when it is free. */
  set isWanted(isWanted: boolean) {
    Atomics.store(this.words, WANTED, isWanted ? 1 : 0);
  }

  /** Requests that the worker has begun with so far; runs over. */
  get begun(): number {
    return Atomics.load(this.words, BEGUN);
  }

  get isRunning(): boolean {
    return this.gate === RUNNING;
  }

  /** The running request becomes the front's own; holds the gate until `release`. Undefined when there is none. */
  takeOver(): LentRequest | undefined {
    if (!this.#isUpToDate || !this.move(RUNNING, HELD)) return undefined;
    return {
      descriptor: Atomics.load(this.words, DESCRIPTOR),
      request: Atomics.load(this.words, REQUEST),
      state: Atomics.load(this.words, STATE),
      bytes: this.bytes.slice(0, Atomics.load(this.words, REQUEST_BYTES)),
    };
  }

  /**
   * The worker is given up: holds the gate for ever.
   * @returns the descriptor of the connection that it was at, of which nobody knows how far it has come; undefined: of none
   */
  shut(): number | undefined {
    const gate = Atomics.exchange(this.words, GATE, SHUT);
    return gate === READING || gate === RUNNING || gate === ANSWERING
      ? Atomics.load(this.words, DESCRIPTOR)
      : undefined;
  }

  /** Something that the worker told was heard. */
  noteHeard(): void {
    this.#heard = (this.#heard + 1) | 0;
  }

  get #isUpToDate(): boolean {
    return Atomics.load(this.words, TOLD) === this.#heard;
  }

  /** Other connections are lent from now on. @param areTakenBack some were taken back, which is only allowed while the gate is held */
  noteLent(count: number, areTakenBack: boolean): void {
    if (areTakenBack) Atomics.add(this.words, RECALLS, 1);
    Atomics.store(this.words, LENT, count);
  }

  /** Names that were taught may lead elsewhere by now. */
  forgetNames(): void {
    Atomics.add(this.words, NAMES, 1);
  }

  /** Whether the worker counts on being looked at. */
  get isWatched(): boolean {
    return Atomics.load(this.words, WATCHED) !== 0;
  }

  stopWatching(): void {
    Atomics.store(this.words, WATCHED, 0);
  }

  /** Whether a request came on this connection since the last look. */
  takeUse(descriptor: number): boolean {
    const isUsed = this.used[descriptor] === 1;
    this.used[descriptor] = 0;
    return isUsed;
  }

  /** Where the worker waits from now on. */
  open(epoll: number, bell: number): void {
    Atomics.store(this.words, EPOLL, epoll);
    Atomics.store(this.words, BELL, bell);
  }
}
