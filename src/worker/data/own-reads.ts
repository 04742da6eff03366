/**
 * Short reads of databases of SQLite, which this worker does on a connection of its own while their script runs: no other thread has to
 * do with them. All else goes to the I/O thread, and so does what turned out to be wrong or to take long. Decision 0030.
 */
import type { Interrupts } from '../../channel/interrupts.js';
import type { SourceGrant } from '../../io/handle.js';
import type { OwnConnections } from '../../io/loan-words.js';
import { Action } from '../../io/protocol.js';
import type { ReadLimits } from '../../io/read-limits.js';
import type { Statement } from '../../io/sql/placeholders.js';
import type { ScannedStatement } from '../../io/sql/scanner.js';
import { Residue } from '../../io/sql/sql.js';
import { findSqlite } from '../../io/sql/sqlite-driver.js';
import type { OpenDatabase } from '../../io/sql/sqlite-engine.js';
import { residueOf } from '../../io/sql/sqlite-residue.js';
import { type ReadRows, SqliteShortReads } from '../../io/sql/sqlite-short-reads.js';
import { toSqliteValue } from '../../io/sql/sqlite-statement.js';
import { Statements } from '../../io/sql/statements.js';
import type { LuaValue, PostedOperation } from '../../lua/state.js';
import { readValues } from '../operation-values.js';
import type { DataOwner } from './direct-data.js';
import { toLuaRows } from './sqlite-rows.js';

/** What is larger goes to the I/O thread: SQLite has to be done with a statement before this worker can do anything else. */
const LONGEST_TEXT = 2048;
const MOST_VALUES = 100;
const MOST_VALUE_BYTES = 64 * 1024;
/** One within another: parts of more would be multiplied when they are put into each other. */
const MOST_SELECTS = 2;

/** After a connection could not be opened, or was lost. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 10_000;
/** A connection to a file that was replaced meanwhile is closed after this time at the latest. */
const MAX_AGE_MS = 3_600_000;

export interface OwnReadsParts {
  readonly open: OpenDatabase;
  readonly sources: readonly SourceGrant[];
  readonly connections: OwnConnections;
  readonly interrupts: Pick<Interrupts, 'beginCall' | 'endCall'>;
  readonly nowMs: () => number;
}

/** One database. */
interface Own {
  readonly limits: ReadLimits;
  reads: SqliteShortReads | undefined;
  openedMs: number;
  usedMs: number;
  retryMs: number;
  notBeforeMs: number;
}

/** Statements that this worker may read, and those by which a request leaves something that it counts on. */
const Use = { READS: 0, OTHER: 1, BINDS: 2 } as const;
type Use = (typeof Use)[keyof typeof Use];

export class OwnReads {
  readonly #parts: OwnReadsParts;
  readonly #sources = new Map<number, Own>();
  readonly #statements = new Statements('sqlite');
  readonly #uses = new WeakMap<ScannedStatement, Use>();

  constructor(parts: OwnReadsParts) {
    this.#parts = parts;
    for (const { id, reads: limits } of parts.sources) {
      if (limits === undefined) continue;
      this.#sources.set(id, { limits, reads: undefined, openedMs: 0, usedMs: 0, retryMs: 0, notBeforeMs: 0 });
    }
  }

  /** The result of an operation. Undefined: the I/O thread has to do it. */
  perform(operation: PostedOperation, owner: DataOwner): LuaValue | undefined {
    const own = this.#sources.get(operation.source);
    if (own === undefined || owner.boundSources?.has(operation.source) === true) return undefined;
    const statement = this.#statementOf(operation);
    if (statement === undefined) return undefined;
    const use = this.#useOf(statement.scanned);
    if (use === Use.BINDS) {
      owner.boundSources ??= new Set();
      owner.boundSources.add(operation.source);
    }
    const isRead = use === Use.READS && operation.action === Action.QUERY && operation.handle === 0;
    if (!isRead || statement.values.length > MOST_VALUES) return undefined;
    const found = this.#read(own, statement);
    return found && toLuaRows(found, own.limits.maxResultBytes);
  }

  /** This thread ends. */
  close(): void {
    for (const own of this.#sources.values()) this.#drop(own);
  }

  #statementOf({ action, shape, values }: PostedOperation): Statement | undefined {
    if (action !== Action.QUERY && action !== Action.EXECUTE && action !== Action.RUN) return undefined;
    let bytes = 0;
    for (const value of values) bytes += typeof value === 'number' ? 0 : value.length;
    if (bytes > MOST_VALUE_BYTES) return undefined;
    try {
      const [text, given = []] = readValues(shape, values);
      return this.#statements.bind(text, given);
    } catch {
      // The I/O thread knows what to say of it.
      return undefined;
    }
  }

  #useOf(scanned: ScannedStatement): Use {
    let use = this.#uses.get(scanned);
    if (use === undefined) {
      use = useOf(scanned);
      this.#uses.set(scanned, use);
    }
    return use;
  }

  #read(own: Own, { text, values }: Statement): ReadRows | undefined {
    const { interrupts, nowMs } = this.#parts;
    const atMs = nowMs();
    const isOld =
      own.reads !== undefined && (atMs - own.usedMs > own.limits.idleMs || atMs - own.openedMs > MAX_AGE_MS);
    interrupts.beginCall();
    try {
      if (isOld) this.#drop(own);
      own.reads ??= this.#open(own, atMs);
      own.usedMs = atMs;
      return own.reads?.read({ text, values: values.map(toSqliteValue) });
    } catch {
      // Whatever it is, the I/O thread finds it, too, and says so.
      this.#drop(own);
      this.#delay(own, atMs);
      return undefined;
    } finally {
      interrupts.endCall();
    }
  }

  #open(own: Own, atMs: number): SqliteShortReads | undefined {
    const { place, connections, file } = own.limits;
    if (atMs < own.notBeforeMs) return undefined;
    if (!this.#parts.connections.tryAdd(place, connections)) {
      own.notBeforeMs = atMs + FIRST_RETRY_MS;
      return undefined;
    }
    const reads = new SqliteShortReads(this.#parts.open, file, this.#parts.nowMs);
    own.openedMs = atMs;
    own.retryMs = 0;
    return reads;
  }

  #drop(own: Own): void {
    const { reads } = own;
    own.reads = undefined;
    try {
      reads?.close();
    } finally {
      this.#parts.connections.remove(own.limits.place);
    }
  }

  #delay(own: Own, atMs: number): void {
    own.retryMs = Math.min(MAX_RETRY_MS, Math.max(FIRST_RETRY_MS, 2 * own.retryMs));
    own.notBeforeMs = atMs + own.retryMs;
  }
}

function useOf(scanned: ScannedStatement): Use {
  const { text, words } = scanned;
  if (residueOf(scanned) === Residue.SESSION) return Use.BINDS;
  if (text.length > LONGEST_TEXT || words[0] !== 'select') return Use.OTHER;
  const selects = words.filter((word) => word === 'select' || word === 'values' || word === 'with');
  return selects.length <= MOST_SELECTS && !selects.includes('with') ? Use.READS : Use.OTHER;
}

/** Undefined where no source is read by workers, or there is no SQLite: the I/O thread says so when it is used. */
export async function findOwnReads(parts: Omit<OwnReadsParts, 'open'> | undefined): Promise<OwnReads | undefined> {
  if (parts?.sources.some(({ reads }) => reads !== undefined) !== true) return undefined;
  try {
    return new OwnReads({ ...parts, open: await findSqlite() });
  } catch {
    return undefined;
  }
}
