/**
 * The gate between a worker and the front: one word of shared memory that says who may be at the worker's connections.
 * The state moves by compare-and-exchange only (`shut` exchanges), and only as this table says:
 *
 *   from        to          who     method      required, or stored, before
 *   OPEN        READING     worker  tryBegin    DESCRIPTOR is stored, for `shut`
 *   READING     RUNNING+n   worker  run         REQUEST, STATE, REQUEST_BYTES and the bytes are stored; n is new. Also when a
 *                                               request goes on that has waited
 *   RUNNING+n   ANSWERING   worker  claim       fails when the front has taken n over
 *   READING     OPEN        worker  leave       all that the front has to know about the connection is posted
 *   ANSWERING   OPEN        worker  leave       the same; or the request waits, and is in the table of `waiting-runs.ts`
 *   OPEN        HELD        front   tryHold     `Lender.hold` then compares posted and acknowledged, or releases
 *   HELD        OPEN        front   release     wakes a worker that waits for it
 *   RUNNING+n   HELD        front   takeOver    posted and acknowledged are equal, looked at after n was read
 *   any         SHUT        front   shut        final: the worker was given up
 *
 * OPEN: nobody is at a connection. READING: the worker accepts or reads, or gives a connection back. RUNNING: it runs the
 * request that lies in the shared bytes. ANSWERING: it sends the answer, or promotes the request to the front. HELD: the
 * front takes connections back, or gives the worker something to run, for a few microseconds.
 *
 * The number n keeps a later request out: the front, having found n to run for long, must not take over request n+1,
 * which began (and perhaps followed on news that was not heard) in between.
 */

const OPEN = 0;
const READING = 1;
const RUNNING = 2;
const ANSWERING = 3;
const HELD = 4;
const SHUT = 5;

/** A RUNNING gate has the number of its request in the upper bits. */
const PLACE_BITS = 3;
const PLACE_MASK = (1 << PLACE_BITS) - 1;

/** A thread that sleeps in a call cannot be ended: it comes back every so often. */
const LONGEST_WAIT_MS = 1000;

class GateEnd {
  protected readonly words: Int32Array;
  protected readonly state: number;
  protected readonly waits: number;

  /**
   * @param state where the state lies in `words`
   * @param waits where it is said that the worker waits for the front to release the gate
   */
  constructor(words: Int32Array, state: number, waits: number) {
    this.words = words;
    this.state = state;
    this.waits = waits;
  }

  protected move(from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, this.state, from, to) === from;
  }

  protected get value(): number {
    return Atomics.load(this.words, this.state);
  }

  /** The state without the number of the request. */
  protected get place(): number {
    return this.value & PLACE_MASK;
  }
}

export class WorkerGate extends GateEnd {
  /** The gate while the request runs that began last. */
  #running = RUNNING;

  /** Whether `tryBegin` may succeed: what is stored for it may be looked at by the front otherwise. */
  get isOpen(): boolean {
    return this.value === OPEN;
  }

  tryBegin(): boolean {
    return this.move(OPEN, READING);
  }

  /** @param n unlike that of the requests before */
  run(n: number): void {
    this.#running = RUNNING | (n << PLACE_BITS);
    this.move(READING, this.#running);
  }

  claim(): boolean {
    return this.move(this.#running, ANSWERING);
  }

  leave(): void {
    if (!this.move(READING, OPEN)) this.move(ANSWERING, OPEN);
  }

  get isShut(): boolean {
    return this.place === SHUT;
  }

  /** Sleeps as long as the front holds the gate. */
  waitUntilReleased(): void {
    Atomics.store(this.words, this.waits, 1);
    Atomics.wait(this.words, this.state, HELD, LONGEST_WAIT_MS);
    Atomics.store(this.words, this.waits, 0);
  }
}

export class FrontGate extends GateEnd {
  tryHold(): boolean {
    return this.move(OPEN, HELD);
  }

  release(): void {
    // A worker says that it waits, then looks at the state: it sees OPEN, or is seen here.
    if (this.move(HELD, OPEN)) this.#wake();
  }

  get isHeld(): boolean {
    return this.place === HELD;
  }

  get isRunning(): boolean {
    return this.place === RUNNING;
  }

  /** The request that runs, for `takeOver`; undefined when none does. */
  get running(): number | undefined {
    const { value } = this;
    return (value & PLACE_MASK) === RUNNING ? value : undefined;
  }

  /** @param running as it was found; another one that began since is not taken over */
  takeOver(running: number): boolean {
    return this.move(running, HELD);
  }

  /** @returns whether the worker was at a connection */
  shut(): boolean {
    const place = Atomics.exchange(this.words, this.state, SHUT) & PLACE_MASK;
    this.#wake();
    return place === READING || place === RUNNING || place === ANSWERING;
  }

  #wake(): void {
    if (Atomics.load(this.words, this.waits) !== 0) Atomics.notify(this.words, this.state);
  }
}
