/**
 * How other threads interrupt the request that a worker executes: a few words that the worker shares with the main thread
 * and the front. Interrupts are asked for by the request's number, so that they never reach the next one.
 *
 * The embedded engine looks every so often whether it is interrupted. Native Lua is interrupted by a hook that the main
 * thread sets in the executing state (`lua_sethook` may be called for that); the lock keeps the state alive meanwhile.
 */

/** What can be asked of executing Lua code. */
export const InterruptRequest = {
  /** Tell the Lua stack, and go on. */
  TRACE: 1,
  /** Stop: it has run too long. */
  TIMEOUT: 2,
  /** Stop: nobody wants the answer any more. */
  UNWANTED: 4,
  /** Stop: the request has taken longer than `requesttime`. */
  OVERDUE: 8,
} as const;
export type InterruptRequest = (typeof InterruptRequest)[keyof typeof InterruptRequest];

/** Nobody listens to this thread any more: it has to end. */
export class Abandoned extends Error {}

const STOPS = InterruptRequest.TIMEOUT | InterruptRequest.UNWANTED | InterruptRequest.OVERDUE;

/** 32-bit words. */
const LOCK = 0;
const RUNNING = 1;
const REQUESTED = 2;
const ABANDONED = 3;
const THREAD = 4;
const HELD = 5;
/** 1 while the worker is inside of a call during which its thread must not be ended. */
const CALL = 6;
/** An even number: 64-bit ones follow. */
const WORDS = 8;
/** 64-bit numbers after them: addresses of the running state's main Lua thread and of the hook to set in it. */
const STATE = 0;
const HOOK = 1;
const BYTES = WORDS * 4 + 2 * 8;

/** A worker holds it for a few instructions; one that was ended while holding it never gives it back. */
const MOST_TRIES = 10_000_000;

export function createInterrupts(): SharedArrayBuffer {
  return new SharedArrayBuffer(BYTES);
}

class Shared {
  protected readonly words: Int32Array;
  protected readonly addresses: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.words = new Int32Array(shared, 0, WORDS);
    this.addresses = new Float64Array(shared, WORDS * 4, 2);
  }

  /** The request that the worker has begun with; negative when its script is over, and 0 for none yet. */
  get running(): number {
    return Atomics.load(this.words, RUNNING);
  }

  protected tryLock(): boolean {
    return Atomics.compareExchange(this.words, LOCK, 0, 1) === 0;
  }

  protected unlock(): void {
    Atomics.store(this.words, LOCK, 0);
  }
}

/** The end of the worker that is interrupted. */
export class Interrupts extends Shared {
  /** The kernel's number of this thread, for `Interrupter.thread`. */
  set thread(number: number) {
    Atomics.store(this.words, THREAD, number);
  }

  /** A request begins to execute. */
  begin(request: number): void {
    // REQUESTED is 0 here: `Interrupter.request` sets it only while a request executes.
    Atomics.store(this.words, RUNNING, request);
  }

  /** Where it runs in native Lua; until `end`, which comes before that state is closed. */
  setTarget(state: number, hook: number): void {
    this.#lock();
    this.addresses[STATE] = state;
    this.addresses[HOOK] = hook;
    this.unlock();
  }

  /** The request is over: what is asked of it from now on comes too late. */
  end(): void {
    this.#lock();
    Atomics.store(this.words, RUNNING, -Math.abs(this.running));
    Atomics.store(this.words, REQUESTED, 0);
    this.addresses[STATE] = 0;
    this.unlock();
  }

  /** The request waits for a result: what is asked of it is asked in another way until it executes again. */
  suspend(): void {
    this.#lock();
    Atomics.store(this.words, RUNNING, 0);
    Atomics.store(this.words, REQUESTED, 0);
    this.addresses[STATE] = 0;
    this.unlock();
  }

  /** An interrupting thread holds it for a few instructions, and lives as long as this thread. */
  #lock(): void {
    while (!this.tryLock());
  }

  /** What is asked of the executing request: bits of `InterruptRequest`. */
  get requested(): number {
    return Atomics.load(this.words, REQUESTED);
  }

  /** Whether the executing request has to end. */
  get isStopWanted(): boolean {
    return (this.requested & STOPS) !== 0;
  }

  /** Whether the Lua stack is asked for; true once for each time. */
  takeTrace(): boolean {
    return (Atomics.and(this.words, REQUESTED, ~InterruptRequest.TRACE) & InterruptRequest.TRACE) !== 0;
  }

  /** Whether nobody listens to this thread any more: it has to end. */
  get isAbandoned(): boolean {
    return Atomics.load(this.words, ABANDONED) !== 0;
  }

  /**
   * The worker is about to call what does not survive the end of its thread. Either whoever ends threads sees that, or this sees
   * that the thread is to end.
   * @throws Abandoned when it is
   */
  beginCall(): void {
    Atomics.store(this.words, CALL, 1);
    if (!this.isAbandoned) return;
    this.endCall();
    throw new Abandoned();
  }

  endCall(): void {
    Atomics.store(this.words, CALL, 0);
  }

  /** Whether the front has said that this request's client reads too slowly for more output. */
  isHeld(request: number): boolean {
    return Atomics.load(this.words, HELD) === request;
  }
}

/** The end of the threads that interrupt. */
export class Interrupter extends Shared {
  readonly #setHook: ((state: number, hook: number) => void) | undefined;

  /** @param setHook lets native Lua call `hook` before its next instruction */
  constructor(shared: SharedArrayBuffer, setHook?: (state: number, hook: number) => void) {
    super(shared);
    this.#setHook = setHook;
  }

  /** @returns false when the request does not run any more (or not yet) */
  request(request: number, what: InterruptRequest): boolean {
    if (!this.#lock()) return false;
    try {
      if (this.running !== request) return false;
      Atomics.or(this.words, REQUESTED, what);
      const [state = 0, hook = 0] = this.addresses;
      if (state !== 0) this.#setHook?.(state, hook);
      return true;
    } finally {
      this.unlock();
    }
  }

  /** The output of the executing request has to wait for its client. */
  hold(request: number): void {
    Atomics.store(this.words, HELD, request);
  }

  /** It has not any more. */
  letGo(request: number): void {
    Atomics.compareExchange(this.words, HELD, request, 0);
  }

  #lock(): boolean {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) if (this.tryLock()) return true;
    return false;
  }

  /** The kernel's number of the thread; 0 where it has told none. */
  get thread(): number {
    return Atomics.load(this.words, THREAD);
  }

  /** Tells the thread to end as soon as it can. */
  abandon(): void {
    Atomics.store(this.words, ABANDONED, 1);
  }

  /** Whether the thread must not be ended now. Once it was told to end, this becomes false for good. */
  get isInCall(): boolean {
    return Atomics.load(this.words, CALL) !== 0;
  }
}
