/** The transactions and cursors of runs on one source, by their handles. */
import { DataError } from '../protocol.js';
import type { Operation, Run } from '../source.js';
import type { Session } from './session.js';
import type { SqlCursor } from './sql.js';

/** What a handle stands for. */
export interface Held {
  readonly run: Run;
  readonly session: Session;
  /** undefined: a transaction. */
  readonly cursor: SqlCursor | undefined;
  /** Whether the session is a transaction's, which outlives the cursor. */
  readonly isShared: boolean;
  readonly release: () => void;
}

/** Numbers transactions and cursors. Sources that are one for scripts share it. */
export class Handles {
  #last = 0;

  next(): number {
    this.#last = (this.#last % 0x7fffffff) + 1;
    return this.#last;
  }
}

export class HeldByRuns {
  readonly #source: string;
  readonly #handles: Handles;
  readonly #held = new Map<number, Held>();

  constructor(source: string, handles: Handles) {
    this.#source = source;
    this.#handles = handles;
  }

  has(handle: number): boolean {
    return this.#held.has(handle);
  }

  /** The run holds it from now on, until `end` or its own end. @returns the handle */
  add(run: Run, session: Session, cursor: SqlCursor | undefined, isShared: boolean): number {
    const handle = this.#handles.next();
    const hold = { release: () => this.end(handle) };
    this.#held.set(handle, { run, session, cursor, isShared, release: () => run.remove(hold) });
    run.add(hold);
    return handle;
  }

  /** A transaction or cursor is no more. */
  end(handle: number): void {
    const held = this.#held.get(handle);
    if (held === undefined) return;
    this.#held.delete(handle);
    held.release();
    if (!held.isShared) void held.session.end();
  }

  /** @throws DataError when the run has no such transaction */
  transactionOf({ handle, run }: Operation): Held {
    const held = this.#held.get(handle);
    if (held !== undefined && held.run === run && held.cursor === undefined) return held;
    throw new DataError('LUAFCGID_DATA_TRANSACTION', { source: this.#source, reason: 'it is over' });
  }

  /** @throws DataError when the run has no such cursor */
  cursorOf({ handle, run }: Operation): Held & { readonly cursor: SqlCursor } {
    const held = this.#held.get(handle);
    if (held?.cursor !== undefined && held.run === run) return held as Held & { readonly cursor: SqlCursor };
    throw new DataError('LUAFCGID_DATA_CURSOR', { source: this.#source });
  }
}
