/**
 * Short reads of a database of SQLite in the thread that asks for them, on a connection of its own. What is not known to be short, what
 * turns out not to be, and all that goes wrong is left to somebody else: a read can be done again.
 *
 * A read runs between BEGIN and COMMIT, with a look at the number of the schema: what was found out about the program of a
 * statement holds for this schema only.
 */
import { RecentMap } from './recent-map.js';
import { codeOf, type Database, type OpenDatabase, type PreparedStatement } from './sqlite-engine.js';
import { shapeOf } from './sqlite-program.js';
import { Schema } from './sqlite-schema.js';
import type { SqliteStatement } from './sqlite-statement.js';

/** Rows and columns as they come from SQLite. */
export interface ReadRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** A read that takes longer, or gives more rows, is left to others. */
const LONGEST_MS = 3;
const MOST_ROWS = 1000;
/** Values and rows that are larger are left to others. */
const MOST_BYTES = 1024 * 1024;
/** Instructions of a program, where SQLite can be told. */
const MOST_INSTRUCTIONS = 5000;
/** A statement that was left to others is tried again after this time: an index may have been made for it. */
const AGAIN_MS = 10_000;
/** Reads of a statement in a row that took too long. After that it is left to others. */
const MOST_LATE = 3;
const PREPARED_AT_MOST = 100;

/** Result codes (sqlite3.h) after which the connection is as good as before. */
const HARMLESS = new Set([1, 5, 6, 18]);

interface Known {
  /** Undefined: it is left to others until `againMs`. */
  readonly prepared: PreparedStatement | undefined;
  readonly columns: readonly string[];
  readonly isSingle: boolean;
  readonly againMs: number;
  /** How many of its reads in a row took too long. */
  late: number;
}

export class SqliteShortReads {
  readonly #database: Database;
  readonly #nowMs: () => number;
  readonly #begin: PreparedStatement;
  readonly #commit: PreparedStatement;
  readonly #version: PreparedStatement;
  readonly #known = new RecentMap<string, Known>(PREPARED_AT_MOST);
  #schema: Schema | undefined;

  /** @throws the error of SQLite when the file cannot be read */
  constructor(open: OpenDatabase, file: string, nowMs: () => number) {
    this.#nowMs = nowMs;
    // Whoever waits for another process does so elsewhere.
    this.#database = open(file, { readOnly: true, timeout: 0 });
    try {
      const { limits } = this.#database;
      if (limits !== undefined) {
        limits.length = MOST_BYTES;
        limits.vdbeOp = MOST_INSTRUCTIONS;
      }
      this.#begin = this.#database.prepare('begin');
      this.#commit = this.#database.prepare('commit');
      this.#version = this.#database.prepare('pragma schema_version');
      this.#version.setReturnArrays(true);
      this.#version.get();
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /**
   * Reads. Undefined: it is for somebody else to do.
   * @throws when the connection cannot be used any more
   */
  read({ text, values }: Pick<SqliteStatement, 'text' | 'values'>): ReadRows | undefined {
    const refused = this.#known.get(text);
    if (refused !== undefined && refused.againMs > this.#nowMs()) return undefined;
    try {
      this.#begin.get();
      const read = this.#readNow(text, values);
      this.#commit.get();
      return read;
    } catch (error) {
      if (this.#database.isTransaction) this.#commit.get();
      const code = codeOf(error);
      if (code === undefined || !HARMLESS.has(code & 0xff)) throw error;
      this.#leaveToOthers(text);
      return undefined;
    }
  }

  close(): void {
    this.#database.close();
  }

  #readNow(text: string, values: readonly unknown[]): ReadRows | undefined {
    const version = this.#version.get()?.[0];
    if (version !== this.#schema?.version) {
      this.#known.clear();
      this.#schema = new Schema(this.#database, version);
    }
    const found = this.#known.get(text);
    const known = found?.prepared === undefined ? this.#look(text) : found;
    const { prepared, columns, isSingle } = known;
    if (prepared === undefined) return undefined;
    if (isSingle) {
      const row = prepared.get(...values);
      return { columns, rows: row === undefined ? [] : [row] };
    }
    const rows = this.#rowsOf(prepared.iterate(...values));
    known.late = rows === undefined ? known.late + 1 : 0;
    if (known.late >= MOST_LATE) this.#leaveToOthers(text);
    return rows && { columns, rows };
  }

  /** All rows; undefined when that takes too long. */
  #rowsOf(iterator: Iterator<readonly unknown[]>): (readonly unknown[])[] | undefined {
    const endMs = this.#nowMs() + LONGEST_MS;
    const rows: (readonly unknown[])[] = [];
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      rows.push(next.value);
      if (rows.length < MOST_ROWS && this.#nowMs() < endMs) continue;
      iterator.return?.();
      return undefined;
    }
    return rows;
  }

  /** Finds out whether a statement is short. */
  #look(text: string): Known {
    if (this.#schema?.mayRead(text) !== true) return this.#leaveToOthers(text);
    const explain = this.#database.prepare(`explain ${text}`);
    explain.setReturnArrays(true);
    const program: Parameters<typeof shapeOf>[0][number][] = [];
    const rows = explain.iterate();
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      const [, opcode, p1, p2, p3, p4] = next.value;
      program.push({
        opcode: String(opcode),
        p1: Number(p1),
        p2: Number(p2),
        p3: Number(p3),
        p4: String(p4 ?? ''),
      });
    }
    const { isShort, isSingle } = shapeOf(program);
    if (!isShort) return this.#leaveToOthers(text);
    const prepared = this.#database.prepare(text);
    prepared.setReadBigInts(true);
    prepared.setReturnArrays(true);
    const columns = prepared.columns().map(({ name }) => name);
    const known: Known = { prepared, columns, isSingle, againMs: 0, late: 0 };
    this.#known.set(text, known);
    return known;
  }

  #leaveToOthers(text: string): Known {
    const againMs = this.#nowMs() + AGAIN_MS;
    const known: Known = { prepared: undefined, columns: [], isSingle: false, againMs, late: 0 };
    this.#known.set(text, known);
    return known;
  }
}
