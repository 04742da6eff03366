/**
 * Connections lent to a worker: how it and the front agree, without a message for each request, on who is at one.
 *
 * An idle kept connection can be lent to a worker, which then reads the next request itself, runs it if that is short
 * and simple, and sends the answer itself. All else it gives back. The front lends, takes back, and takes over what
 * turns out to be long. Workers can be let accept new connections, too: one whose only request they serve the front never
 * hears of. They share a few words and the bytes of the request that runs.
 *
 * The gate says who may do what; both move it by compare-and-exchange only:
 *
 *   OPEN       nobody is at a lent connection
 *   READING    the worker accepts or reads from one, or gives it back
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

/**
 * A gate that is RUNNING has in its upper bits which request that is: who has found one to run for long must not take
 * over the next one, which began, and perhaps followed on news that was not heard, in between.
 */
const PLACE_BITS = 3;
const PLACE_MASK = (1 << PLACE_BITS) - 1;

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
const PROMOTED = 13;
const ACCEPTED = 14;
const CEILING = 15;
const LISTENERS = 16;
const WORDS = 18;

/** What the worker waits for is marked: a lent connection, a listening socket, or its bell. */
export const LentMark = { CONNECTION: 0, LISTENER: 1, BELL: 2 } as const;

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

  protected move(from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, GATE, from, to) === from;
  }

  protected get gate(): number {
    return Atomics.load(this.words, GATE);
  }

  /** How the gate stands, whichever request runs. */
  protected get place(): number {
    return this.gate & PLACE_MASK;
  }
}

/** The worker's end. */
export class Borrower extends Shared {
  /** The gate while the request runs that began last. */
  #running = RUNNING;

  /** Changes whenever connections were taken back: events known from before may be of others by now. */
  get recalls(): number {
    return Atomics.load(this.words, RECALLS);
  }

  /** Changes whenever script names that were routes may lead elsewhere. */
  get names(): number {
    return Atomics.load(this.words, NAMES);
  }

  /** The front has something for this worker to run: lent connections have to wait. */
  get isWanted(): boolean {
    return Atomics.load(this.words, WANTED) !== 0;
  }

  /** Goes to a lent connection; -1: to none yet, see `accepted`. Returns false while the front is there. */
  begin(descriptor: number): boolean {
    // Who has taken over, or shut the gate, may still look at what is written here.
    if (this.gate !== OPEN) return false;
    // Before the gate is moved: who shuts it then looks here.
    Atomics.store(this.words, DESCRIPTOR, descriptor);
    return this.move(OPEN, READING);
  }

  /** It has accepted this connection, and is at it. */
  accepted(descriptor: number): void {
    Atomics.store(this.words, DESCRIPTOR, descriptor);
  }

  /** Connections do not take descriptors from this number on. */
  get ceiling(): number {
    return Atomics.load(this.words, CEILING);
  }

  /** The front is about to be told of a connection that it does not know. */
  announce(): void {
    this.tell();
    Atomics.store(this.words, ACCEPTED, 1);
  }

  /** Whether it has not heard of that yet: so many connections may be open without its knowledge, and no more. */
  get isAnnouncing(): boolean {
    return Atomics.load(this.words, ACCEPTED) !== 0;
  }

  /** Waits a moment for the front to hear of it. */
  waitUntilKnown(): void {
    Atomics.wait(this.words, ACCEPTED, 1, 1);
  }

  /** Waits a moment while the front holds the gate. */
  waitForGate(): void {
    Atomics.wait(this.words, GATE, HELD, 1);
  }

  /** Whether this worker must never begin again. */
  get isShut(): boolean {
    return this.place === SHUT;
  }

  /** The request has been read and begins; `bytes` has all of it. From here on the front may take it over. */
  run(request: number, state: number, requestBytes: number): void {
    Atomics.store(this.words, REQUEST, request);
    Atomics.store(this.words, STATE, state);
    Atomics.store(this.words, REQUEST_BYTES, requestBytes);
    const begun = (Atomics.add(this.words, PROMOTED, 1) + 1) | 0;
    this.#running = RUNNING | (begun << PLACE_BITS);
    this.move(READING, this.#running);
  }

  /** The request is answered or handed over next. Returns false when the front has taken it over: it is one like all others then. */
  claim(): boolean {
    return this.move(this.#running, ANSWERING);
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
    if (this.isUpToDate) return true;
    this.move(HELD, OPEN);
    return false;
  }

  release(): void {
    this.move(HELD, OPEN);
  }

  /** Whether the worker shall begin with nothing more on its own, and ring when it is free. */
  get isWanted(): boolean {
    return Atomics.load(this.words, WANTED) !== 0;
  }

  set isWanted(isWanted: boolean) {
    Atomics.store(this.words, WANTED, isWanted ? 1 : 0);
  }

  /** Requests that the worker has begun with so far; runs over. */
  get begun(): number {
    return Atomics.load(this.words, PROMOTED);
  }

  /** Whether the gate is held here, for tests. */
  get isHeld(): boolean {
    return this.place === HELD;
  }

  get isRunning(): boolean {
    return this.place === RUNNING;
  }

  /**
   * The running request becomes the front's own; holds the gate until `release`. Undefined when there is none, or not all
   * that the worker said is heard.
   */
  takeOver(): LentRequest | undefined {
    const { gate } = this;
    if ((gate & PLACE_MASK) !== RUNNING || !this.isUpToDate || !this.move(gate, HELD)) return undefined;
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
    const place = Atomics.exchange(this.words, GATE, SHUT) & PLACE_MASK;
    const descriptor = Atomics.load(this.words, DESCRIPTOR);
    const isAt = place === READING || place === RUNNING || place === ANSWERING;
    return isAt && descriptor >= 0 ? descriptor : undefined;
  }

  /** Something that the worker told was heard. */
  noteHeard(): void {
    this.#heard = (this.#heard + 1) | 0;
  }

  /** The connection that it announced is known. */
  noteNewcomer(): void {
    Atomics.store(this.words, ACCEPTED, 0);
    Atomics.notify(this.words, ACCEPTED);
  }

  /** The worker may accept on so many sockets from now on, and takes no descriptors from this number on. */
  setListeners(count: number, ceiling: number): void {
    Atomics.store(this.words, CEILING, Math.min(ceiling, 0x7fffffff));
    Atomics.store(this.words, LISTENERS, count);
  }

  /** Whether all that the worker said about connections is heard. */
  get isUpToDate(): boolean {
    return Atomics.load(this.words, TOLD) === this.#heard;
  }

  /** Other connections are lent from now on. @param areTakenBack some were taken back, which is only allowed while the gate is held */
  noteLent(count: number, areTakenBack: boolean): void {
    if (areTakenBack) Atomics.add(this.words, RECALLS, 1);
    Atomics.store(this.words, LENT, count);
  }

  /** Names that were routes may lead elsewhere by now. */
  invalidateRoutes(): void {
    Atomics.add(this.words, NAMES, 1);
  }

  /** Whether the worker counts on being looked at. */
  get isWatched(): boolean {
    return Atomics.load(this.words, WATCHED) !== 0;
  }

  /** From here on the worker asks again. Who has begun just before this may not have asked: then it is watched on. */
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
