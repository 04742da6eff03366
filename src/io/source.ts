/**
 * Where a kind of data source plugs into the I/O thread: `Source` is what the thread asks of one. `sources-by-kind.ts` names
 * the kinds. Runs in the I/O thread.
 */
import { LuafcgidError } from '../base/errors.js';
import type { Action, Return } from './protocol.js';

/** What a source has to tell the operator. */
export type Log = (level: 'info' | 'warn' | 'error', text: string) => void;

/** Something that a run holds and that its end releases: a transaction, a cursor, an operation under way. */
export interface Hold {
  /** The run is over. Called once; nobody waits for what it still does. */
  release(): void;
}

/** A request as the I/O thread knows it: what it holds, and whether it is over. */
export class Run {
  readonly id: number;
  readonly #holds = new Set<Hold>();
  #isOver = false;

  constructor(id: number) {
    this.id = id;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it holds anything. */
  get isHolding(): boolean {
    return this.#holds.size > 0;
  }

  add(hold: Hold): void {
    if (this.#isOver) hold.release();
    else this.#holds.add(hold);
  }

  remove(hold: Hold): void {
    this.#holds.delete(hold);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const holds = [...this.#holds];
    this.#holds.clear();
    for (const hold of holds) hold.release();
  }
}

/** An operation as a source gets it. Exactly one of `done` and `fail` is called, once. */
export interface Operation {
  readonly run: Run;
  readonly action: Action;
  /** What tells scripts apart. */
  readonly script: number;
  /** What is left of the request's time; 0: no limit of its own. */
  readonly limitMs: number;
  readonly handle: number;
  readonly body: Buffer;
  /** @param result one encoded value */
  done(result: Uint8Array): void;
  fail(error: unknown): void;
}

/** What a source says of itself. */
export interface SourceStatus {
  readonly name: string;
  readonly kind: string;
  /** Connections that are open, and of them those in use. */
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
  /** Most connections, and most operations that may wait for one. */
  readonly connections: number;
  readonly queue: number;
  /** Why it is not reachable; undefined when it is, or was not tried. */
  readonly down: string | undefined;
}

/** A connection that another thread of this process may use for a while. */
export interface Lendable {
  /** The descriptor of its socket. */
  readonly descriptor: number;
  /** Breaks off what that thread does on it. */
  cancel(): void;
  /** That thread uses it no more. @param reason why it is lost; `''` when it is not */
  comeBack(how: Return, reason: string): void;
}

/** What lends the connections of a source. */
export interface Lending {
  /** The two parts of the queue: operations that wait in workers, and those that wait in the I/O thread. */
  counts: LendingCounts;
  /** A worker could use one. */
  ask(borrower: LoanTaker): void;
  /** A worker is gone; what it had has come back by itself. */
  forget(borrower: LoanTaker): void;
}

export interface LendingCounts {
  /** How many operations wait in workers for connections of the source. */
  readonly inWorkers: () => number;
  /** Tells the workers how many wait in the I/O thread. */
  readonly tell: (waiting: number) => void;
}

/** A worker that connections are lent to. */
export interface LoanTaker {
  /** Lends it a connection. @returns undefined when that cannot be */
  lend(connection: Lendable, over: () => void): Loan | undefined;
  /** Operations that wait in the worker for connections of the source. */
  readonly waiting: number;
}

/** A connection that is lent. */
export interface Loan {
  readonly borrower: LoanTaker;
  /** Whether something is under way on it. */
  readonly isUsed: boolean;
  /** Changes with each use. */
  readonly uses: number;
  /** Takes it back, if nothing is under way on it. */
  tryTake(): boolean;
  /** It is to come back when nothing is under way on it. */
  want(): void;
}

/** One data source, with its connections. */
export interface Source {
  readonly name: string;
  /** Begins an operation. Never throws. */
  start(operation: Operation): void;
  status(): SourceStatus;
  /** Connects once, and tells what is at the other end. @throws the error that an operation would get */
  probe(): Promise<string>;
  /** Left out: it lends no connections. */
  readonly lending?: Lending | undefined;
  /** No further operations come. Resolves when those under way have ended and all connections are closed. */
  close(): Promise<void>;
}

/** Loads a package that is not installed with every server. @throws LuafcgidError naming it, when it is not there */
export async function loadDriver<Module>(
  kind: string,
  packageName: string,
  load: () => Promise<Module>,
  errorCode: 'LUAFCGID_DATA_DRIVER' | 'LUAFCGID_HTTP_DRIVER' = 'LUAFCGID_DATA_DRIVER',
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    const reason = isMissing ? 'it is not installed' : error instanceof Error ? error.message : String(error);
    throw new LuafcgidError(errorCode, { kind, package: packageName, reason }, error);
  }
}
