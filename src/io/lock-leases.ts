/**
 * Locks of scripts that lie in a data source, so that other servers see them, too. A lock is a lease that the server of the source
 * ends by itself; it is renewed here as long as its request lasts, and given back when that ends, however it ends. Runs in
 * the I/O thread.
 */
import { randomBytes } from 'node:crypto';
import { LuafcgidError } from '../base/errors.js';
import { type LockServer, lockServerOf } from './lock-servers.js';
import { Action, DataError } from './protocol.js';
import type { Lending, Operation, Run, Source, SourceStatus } from './source.js';
import type { SourceKind } from './sources.js';
import { type Value, ValueReader, ValueWriter } from './values.js';

/** A server that is lost keeps its locks so long. */
const LEASE_MS = 15_000;
const RENEW_MS = 5_000;
/** A server that ends waits so long for its locks to be given back. */
const CLOSE_MS = 2_000;
/** Whoever waits looks so often; locks of this server are handed on at once. */
const LOOK_MS = 100;

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly lookMs: number;
}

interface Lease {
  readonly name: string;
  readonly owner: string;
  readonly token: number;
  readonly run: Run;
  readonly asked: Asked;
  readonly hold: { release(): void };
  timer: NodeJS.Timeout | undefined;
  /** Until then the server keeps it surely, as `performance.now()` counts. */
  validUntilMs: number;
}

/** A LOCK of a run that waits, or has been answered. */
interface Asked {
  /** The run's own number of it; 0: it has none. */
  readonly number: number;
  isForgotten: boolean;
  /** Ends the wait that is under way. */
  stop: () => void;
}

/** A data source that has locks, besides all that it is otherwise. */
export class LockingSource implements Source {
  readonly #source: Source;
  readonly #server: LockServer;
  readonly #times: LeaseTimes;
  /** By name, and the number of the lease. */
  readonly #leases = new Map<string, Lease>();
  /** Those that wait for a name, in their order: the first one looks, the others wait for it. */
  readonly #queues = new Map<string, (() => void)[]>();
  /** Wake those that wait for their next look at a name. */
  readonly #looks = new Map<string, () => void>();
  /** Those that wait. */
  readonly #asked = new Map<Run, Set<Asked>>();

  constructor(source: Source, kind: SourceKind, times: Partial<LeaseTimes> = {}) {
    this.#source = source;
    this.#server = lockServerOf(kind, source);
    this.#times = { leaseMs: LEASE_MS, renewMs: RENEW_MS, lookMs: LOOK_MS, ...times };
  }

  get name(): string {
    return this.#source.name;
  }

  get lending(): Lending | undefined {
    return this.#source.lending;
  }

  status(): SourceStatus {
    return this.#source.status();
  }

  probe(): Promise<string> {
    return this.#source.probe();
  }

  async close(): Promise<void> {
    const givenBack = Promise.allSettled([...this.#leases.values()].map((lease) => this.#giveBack(lease)));
    let timer: NodeJS.Timeout | undefined;
    // What cannot be given back ends by itself.
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([givenBack, late]);
    clearTimeout(timer);
    await this.#source.close();
  }

  start(operation: Operation): void {
    const perform = this.#performer(operation.action);
    if (perform === undefined) return this.#source.start(operation);
    perform(operation).then(
      (result) => operation.done(encode(result)),
      (error) => operation.fail(error),
    );
  }

  #performer(action: Action): ((operation: Operation) => Promise<Result>) | undefined {
    switch (action) {
      case Action.LOCK:
        return (operation) => this.#lock(operation);
      case Action.UNLOCK:
        return (operation) => this.#unlock(operation);
      case Action.HOLDS_LOCK:
        return async (operation) => this.#isHeld(this.#leaseOf(operation));
      case Action.FORGET_LOCK:
        return (operation) => this.#forget(operation);
      default:
        return undefined;
    }
  }

  async #lock({ run, body }: Operation): Promise<Result> {
    const reader = new ValueReader(body);
    const name = textOf(reader.read());
    const untilMs = performance.now() + Number(reader.read());
    for (const lease of this.#leases.values()) {
      if (lease.run !== run || lease.name !== name) continue;
      if (this.#isHeld(lease)) return 'deadlock';
      await this.#release(lease).catch(() => {}); // it was lost, so the request may ask for the name again
    }
    const asked: Asked = { number: reader.hasMore ? Number(reader.read()) : 0, isForgotten: false, stop: () => {} };
    const ofRun = this.#asked.get(run) ?? new Set();
    this.#asked.set(run, ofRun.add(asked));
    try {
      return await this.#waitFor(name, run, asked, untilMs);
    } finally {
      ofRun.delete(asked);
      if (ofRun.size === 0) this.#asked.delete(run);
    }
  }

  async #waitFor(name: string, run: Run, asked: Asked, untilMs: number): Promise<Result> {
    if (!(await this.#turnOf(name, run, asked, untilMs))) return 'timeout';
    try {
      for (;;) {
        if (run.isOver) throw new LuafcgidError('LUAFCGID_DATA_RUN_OVER');
        const lease = await this.#take(name, run, asked);
        if (asked.isForgotten) {
          if (lease !== undefined) await this.#release(lease);
          return 'timeout';
        }
        if (lease !== undefined) return { token: lease.token };
        const leftMs = untilMs - performance.now();
        if (leftMs <= 0) return 'timeout';
        await this.#nextLook(name, run, asked, Math.min(leftMs, this.#times.lookMs));
        if (asked.isForgotten) return 'timeout';
      }
    } finally {
      this.#endTurn(name);
    }
  }

  async #forget({ run, body }: Operation): Promise<Result> {
    const reader = new ValueReader(body);
    reader.read();
    const number = Number(reader.read());
    for (const asked of this.#asked.get(run) ?? []) {
      if (asked.number !== number) continue;
      asked.isForgotten = true;
      asked.stop();
    }
    for (const lease of this.#leases.values()) {
      if (lease.run === run && lease.asked.number === number && !lease.asked.isForgotten) await this.#release(lease);
    }
    return true;
  }

  async #take(name: string, run: Run, asked: Asked): Promise<Lease | undefined> {
    const owner = randomBytes(16).toString('hex');
    const askedMs = performance.now();
    let token: number | undefined;
    try {
      token = await this.#server.take(name, owner, this.#times.leaseMs);
    } catch (error) {
      // Two servers have asked at the same moment, and the database has broken one off.
      if (error instanceof DataError && error.sqlstate === '40001') return undefined;
      // The server may have done it, and not have come to say so.
      void this.#server.release(name, owner).catch(() => {});
      throw error;
    }
    if (token === undefined) return undefined;
    const lease: Lease = {
      name,
      owner,
      token,
      run,
      asked,
      hold: { release: () => void this.#giveBack(lease).catch(() => {}) },
      timer: undefined,
      validUntilMs: askedMs + this.#times.leaseMs,
    };
    this.#leases.set(keyOf(name, token), lease);
    lease.timer = setInterval(() => void this.#renew(lease), this.#times.renewMs);
    // Where the run has ended meanwhile, this gives it back at once.
    run.add(lease.hold);
    return lease;
  }

  async #renew(lease: Lease): Promise<void> {
    const askedMs = performance.now();
    try {
      const isOwn = await this.#server.renew(lease.name, lease.owner, this.#times.leaseMs);
      lease.validUntilMs = isOwn ? askedMs + this.#times.leaseMs : 0;
    } catch {
      // The server cannot be reached. It keeps the lease for a while, and the next renewal may come through.
    }
    if (!this.#isHeld(lease)) clearInterval(lease.timer);
  }

  #isHeld(lease: Lease | undefined): boolean {
    return lease !== undefined && performance.now() < lease.validUntilMs;
  }

  #leaseOf({ run, body }: Operation): Lease | undefined {
    const reader = new ValueReader(body);
    const name = textOf(reader.read());
    const lease = this.#leases.get(keyOf(name, Number(reader.read())));
    return lease?.run === run ? lease : undefined;
  }

  async #unlock(operation: Operation): Promise<Result> {
    const lease = this.#leaseOf(operation);
    return lease !== undefined && this.#release(lease);
  }

  /** Its run does not want it any more. */
  #release(lease: Lease): Promise<boolean> {
    lease.run.remove(lease.hold);
    return this.#giveBack(lease);
  }

  /** Returns whether it was still held. */
  async #giveBack(lease: Lease): Promise<boolean> {
    clearInterval(lease.timer);
    this.#leases.delete(keyOf(lease.name, lease.token));
    try {
      return await this.#server.release(lease.name, lease.owner);
    } finally {
      this.#looks.get(lease.name)?.();
    }
  }

  /** Waits until it is the first of this server that waits for the name. Returns false when the time is up before. */
  async #turnOf(name: string, run: Run, asked: Asked, untilMs: number): Promise<boolean> {
    const queue = this.#queues.get(name);
    if (queue === undefined) {
      this.#queues.set(name, []);
      return true;
    }
    let timer: NodeJS.Timeout | undefined;
    return new Promise<boolean>((resolve, reject) => {
      const goOn = (): void => {
        clearTimeout(timer);
        run.remove(hold);
        resolve(true);
      };
      const leave = (): void => {
        clearTimeout(timer);
        queue.splice(queue.indexOf(goOn), 1);
      };
      const hold = {
        release: () => {
          leave();
          reject(new LuafcgidError('LUAFCGID_DATA_RUN_OVER'));
        },
      };
      queue.push(goOn);
      run.add(hold);
      asked.stop = () => {
        if (!queue.includes(goOn)) return;
        leave();
        run.remove(hold);
        resolve(false);
      };
      timer = setTimeout(asked.stop, Math.max(0, untilMs - performance.now()));
    });
  }

  #endTurn(name: string): void {
    const next = this.#queues.get(name)?.shift();
    if (next === undefined) this.#queues.delete(name);
    else next();
  }

  /** Waits for a while, or until this server has given the name back, or the run is over. */
  #nextLook(name: string, run: Run, asked: Asked, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const goOn = (): void => {
        clearTimeout(timer);
        run.remove(hold);
        this.#looks.delete(name);
        resolve();
      };
      const timer = setTimeout(goOn, waitMs);
      const hold = { release: goOn };
      this.#looks.set(name, goOn);
      asked.stop = goOn;
      run.add(hold);
    });
  }
}

/** What an operation gives: the lock, a word for why there is none, or a truth. */
type Result = { readonly token: number } | string | boolean;

function encode(result: Result): Uint8Array {
  const writer = new ValueWriter();
  if (typeof result === 'boolean') writer.boolean(result);
  else if (typeof result === 'string') writer.text(result);
  else {
    writer.map(1);
    writer.text('token');
    writer.number(result.token);
  }
  return writer.take();
}

const textOf = (value: Value): string => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value));

const keyOf = (name: string, token: number): string => `${token}:${name}`;
