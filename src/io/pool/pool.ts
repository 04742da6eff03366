/**
 * The connections to one data source for the whole server: how many there are, who gets one, who waits, and what happens
 * when the server at the other end cannot be reached. Pure: it opens nothing and reads no clock; a driver and a clock do.
 *
 * A connection counts from the moment it is begun until it has been closed, so that `connections` is never exceeded.
 *
 * **The circuit.** When connecting fails and no connection is open, the source is down: operations fail at once, and the
 * pool tries again in the background, after a delay that doubles. While other connections are open, a failed attempt only
 * delays the next one, and those who wait go on waiting for the connections that there are.
 */
import type { Clock, PoolDriver, PoolRefusal, PoolSettings, Taker } from './model.js';
import { WaitQueue } from './wait-queue.js';

export type { Clock, PoolDriver, PoolRefusal, PoolSettings, Taker } from './model.js';

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;
/** Connections of one age would all be replaced at once: each may become this part older or younger. */
const AGE_JITTER = 0.1;

/** Takes a connection to lend it. */
interface Lender<Connection> {
  got(connection: Connection): void;
  failed(): void;
}

interface Member<Connection> {
  readonly connection: Connection;
  readonly expiresMs: number;
  idleSinceMs: number;
}

interface Waiter<Connection> {
  readonly script: number;
  readonly taker: Taker<Connection>;
  cancelTimer: () => void;
}

export class Pool<Connection> {
  readonly #settings: PoolSettings;
  readonly #driver: PoolDriver<Connection>;
  readonly #clock: Clock;
  /** Those nobody uses; the one used last comes last. */
  readonly #idle: Member<Connection>[] = [];
  readonly #busy = new Map<Connection, Member<Connection>>();
  readonly #queue: WaitQueue<Waiter<Connection>>;
  /** A free connection goes to a lender first, and only then to an operation that waits here: lent connections do most of the work. */
  readonly #lenders: Lender<Connection>[] = [];
  #connecting = 0;
  #closing = 0;
  /** Failed attempts in a row. */
  #failures = 0;
  #lastError: Error | undefined;
  /** Takes back the next attempt; there is none while it is undefined. */
  #cancelRetry: (() => void) | undefined;
  #retryAtMs = 0;
  /** Whether the attempt under way is one of those in the background. */
  #isProbing = false;
  #cancelSweep: (() => void) | undefined;
  #isClosed = false;
  #whenEmpty: (() => void) | undefined;

  constructor(settings: PoolSettings, driver: PoolDriver<Connection>, clock: Clock) {
    this.#settings = settings;
    this.#driver = driver;
    this.#clock = clock;
    this.#queue = new WaitQueue(() => settings.queue - (settings.waitingElsewhere?.() ?? 0));
  }

  /** All connections, also those that are being opened or closed. */
  get open(): number {
    return this.#idle.length + this.#busy.size + this.#connecting + this.#closing;
  }

  get busy(): number {
    return this.#busy.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Why the source cannot be reached; undefined when it can, or when that is not known. */
  get down(): Error | undefined {
    return this.#isDown ? this.#lastError : undefined;
  }

  get #isDown(): boolean {
    return this.#failures > 0 && this.#idle.length + this.#busy.size === 0;
  }

  /** Whether operations fail at once: until the next attempt in the background has succeeded. */
  get #refusesAtOnce(): boolean {
    return this.#isDown && (this.#isProbing || (this.#cancelRetry !== undefined && this.#connecting === 0));
  }

  /**
   * Asks for a connection; `got` or `refused` is called once, now or later.
   * @returns gives up waiting; after `got` or `refused` it does nothing
   */
  acquire(taker: Taker<Connection>): () => void {
    if (this.#isClosed) {
      taker.refused({ why: 'closed' });
      return () => {};
    }
    const member = this.#queue.size === 0 ? this.#takeIdle() : undefined;
    if (member !== undefined) {
      this.#use(member, taker);
      return () => {};
    }
    if (this.#refusesAtOnce) {
      taker.refused(this.#downRefusal(false));
      return () => {};
    }
    const waiter: Waiter<Connection> = { script: taker.script, taker, cancelTimer: () => {} };
    const { waitMs } = this.#settings;
    const limitMs = taker.limitMs > 0 ? Math.min(taker.limitMs, waitMs) : waitMs;
    const refused = this.#queue.push(waiter);
    if (refused !== waiter) {
      waiter.cancelTimer = this.#clock.after(limitMs, () => {
        if (!this.#queue.remove(waiter)) return;
        taker.refused({ why: 'timeout', waitedMs: limitMs, busy: this.busy, opening: this.#connecting });
        this.#noteWaiting();
      });
    }
    if (refused !== undefined) this.#refuse(refused, { why: 'full' });
    if (refused !== waiter) this.#serve();
    this.#noteWaiting();
    return () => {
      if (!this.#queue.remove(waiter)) return;
      waiter.cancelTimer();
      this.#noteWaiting();
    };
  }

  /**
   * Gets a connection to lend it: one that is idle, or that is opened for it. While others wait also the next that comes back.
   * @returns false when there is none; then neither is called
   */
  takeToLend(lender: Lender<Connection>): boolean {
    if (this.#isClosed || this.#isDown) return false;
    const member = this.#takeIdle();
    if (member !== undefined) {
      this.#use(member, lender);
      return true;
    }
    const mayOpen = this.open < this.#settings.connections && this.#cancelRetry === undefined;
    if (!mayOpen && this.#queue.size === 0) return false;
    this.#lenders.push(lender);
    this.#serve();
    return true;
  }

  /** Closes the connections that nobody uses. */
  closeIdle(): void {
    for (const member of this.#idle.splice(0)) this.#close(member.connection);
  }

  /** There may be more connections than before. */
  serveAgain(): void {
    this.#serve();
  }

  #noteWaiting(): void {
    this.#driver.waitingChanged?.();
  }

  /** Gives a connection back that is fit for others. */
  release(connection: Connection): void {
    const member = this.#busy.get(connection);
    if (member === undefined) return;
    this.#busy.delete(connection);
    const nowMs = this.#clock.nowMs();
    if (this.#isClosed || nowMs >= member.expiresMs) this.#close(connection);
    else {
      member.idleSinceMs = nowMs;
      this.#idle.push(member);
      this.#planSweep();
    }
    this.#serve();
  }

  /** Gives a connection back that is not fit for others: it is closed. */
  discard(connection: Connection): void {
    if (!this.#busy.delete(connection)) return;
    this.#close(connection);
    this.#serve();
  }

  /**
   * A connection was lost, busy or idle. What the others are worth is not known then: all that are idle are closed.
   */
  lost(connection: Connection): void {
    const wasBusy = this.#busy.delete(connection);
    const at = this.#idle.findIndex((member) => member.connection === connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (!wasBusy && at < 0) return;
    this.#close(connection);
    for (const member of this.#idle.splice(0)) this.#close(member.connection);
    this.#serve();
  }

  /** The other side has closed a connection that nobody uses, as it may: this says nothing of others. */
  retire(connection: Connection): void {
    const at = this.#idle.findIndex((member) => member.connection === connection);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.#close(connection);
    this.#serve();
  }

  /** Refuses all who wait and all who come; resolves when every connection has been given back and closed. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const waiter of this.#queue.clear()) this.#refuse(waiter, { why: 'closed' });
    this.#failLenders();
    this.#noteWaiting();
    const emptied = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    for (const member of this.#idle.splice(0)) this.#close(member.connection);
    this.#noteEmpty();
    return emptied;
  }

  #takeIdle(): Member<Connection> | undefined {
    const nowMs = this.#clock.nowMs();
    for (;;) {
      const member = this.#idle.pop();
      if (member === undefined || nowMs < member.expiresMs) return member;
      this.#close(member.connection);
    }
  }

  #use(member: Member<Connection>, taker: Pick<Taker<Connection>, 'got'>): void {
    this.#busy.set(member.connection, member);
    taker.got(member.connection);
  }

  /** Gives connections to those who wait, and opens as many more as they need and may be. */
  #serve(): void {
    const before = this.#queue.size;
    while (this.#lenders.length > 0) {
      const member = this.#takeIdle();
      if (member === undefined) break;
      this.#use(member, this.#lenders.shift() as Lender<Connection>);
    }
    while (this.#queue.size > 0) {
      const member = this.#takeIdle();
      if (member === undefined) break;
      const waiter = this.#queue.shift() as Waiter<Connection>;
      waiter.cancelTimer();
      this.#use(member, waiter.taker);
    }
    while (this.#mayConnect) this.#connect();
    if (this.#queue.size !== before) this.#noteWaiting();
  }

  #failLenders(): void {
    for (const lender of this.#lenders.splice(0)) lender.failed();
  }

  get #mayConnect(): boolean {
    const isWanted = this.#queue.size + this.#lenders.length > this.#connecting;
    return isWanted && this.open < this.#settings.connections && this.#cancelRetry === undefined && !this.#isClosed;
  }

  #connect(): void {
    this.#connecting += 1;
    this.#driver.connect(
      (connection) => {
        this.#connecting -= 1;
        this.#isProbing = false;
        this.#failures = 0;
        this.#lastError = undefined;
        if (this.#isClosed) return this.#close(connection);
        const nowMs = this.#clock.nowMs();
        const ageMs = this.#settings.maxAgeMs * (1 + AGE_JITTER * (2 * this.#clock.random() - 1));
        this.#idle.push({ connection, expiresMs: nowMs + ageMs, idleSinceMs: nowMs });
        this.#planSweep();
        this.#serve();
      },
      (error) => {
        this.#connecting -= 1;
        this.#isProbing = false;
        this.#connectFailed(error);
        this.#noteEmpty();
      },
    );
  }

  #connectFailed(error: Error): void {
    this.#lastError = error;
    this.#failures += 1;
    if (this.#isClosed) return;
    if (this.#cancelRetry === undefined) {
      const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
      this.#retryAtMs = this.#clock.nowMs() + delayMs;
      this.#cancelRetry = this.#clock.after(delayMs, () => {
        this.#cancelRetry = undefined;
        this.#retry();
      });
    }
    // While others are on their way, one of them may succeed: a server that is full refuses only some.
    if (!this.#isDown || this.#connecting > 0) return;
    for (const waiter of this.#queue.clear()) this.#refuse(waiter, this.#downRefusal(true));
    this.#failLenders();
    this.#noteWaiting();
  }

  /** Tries again in the background: one connection, whether anybody waits or not. */
  #retry(): void {
    if (this.#isDown && this.#connecting === 0 && this.open < this.#settings.connections) {
      this.#isProbing = true;
      this.#connect();
    } else this.#serve();
  }

  #downRefusal(isFresh: boolean): PoolRefusal {
    const retryMs = Math.max(0, this.#retryAtMs - this.#clock.nowMs());
    return { why: 'down', error: this.#lastError as Error, isFresh, retryMs };
  }

  #refuse(waiter: Waiter<Connection>, refusal: PoolRefusal): void {
    waiter.cancelTimer();
    waiter.taker.refused(refusal);
  }

  #close(connection: Connection): void {
    this.#closing += 1;
    let isClosed = false;
    this.#driver.close(connection, () => {
      if (isClosed) return;
      isClosed = true;
      this.#closing -= 1;
      this.#serve();
      this.#noteEmpty();
    });
  }

  #noteEmpty(): void {
    if (this.#isClosed && this.open === 0) this.#whenEmpty?.();
  }

  /** Closes connections that nobody has used for long; the one used last stays. */
  #planSweep(): void {
    const { idleMs } = this.#settings;
    if (this.#cancelSweep !== undefined || this.#isClosed) return;
    this.#cancelSweep = this.#clock.after(idleMs, () => {
      this.#cancelSweep = undefined;
      const latestMs = this.#clock.nowMs() - idleMs;
      while (this.#idle.length > 1 && (this.#idle[0] as Member<Connection>).idleSinceMs <= latestMs) {
        this.#close((this.#idle.shift() as Member<Connection>).connection);
      }
      if (this.#idle.length > 1) this.#planSweep();
    });
  }
}
