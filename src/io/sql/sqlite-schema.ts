/**
 * The schema of a database of SQLite, as far as it decides which statements may be prepared where nothing can interrupt that. A
 * short text becomes a large program by what it names: views that are made of views, and columns that are computed of
 * others. Runs in the thread that reads.
 */
import type { Database } from './sqlite-engine.js';

/** With more than this, all is left to others: SQLite reads a changed schema as a whole. */
const MOST_ENTRIES = 2000;
const MOST_BYTES = 1024 * 1024;
/** A table with computed columns has the word in its definition, as others may. */
const MAY_COMPUTE = /\bas\b/i;
/** Tables in which SQLite keeps how often values are: with some of these, the program of a statement depends on its values. */
const SAMPLES = 'sqlite_stat4';

export class Schema {
  /** What SQLite calls its version. */
  readonly version: unknown;
  /** What no statement may name. In lower case. */
  readonly #refused: string[] = [];
  #isPlain = true;

  constructor(database: Database, version: unknown) {
    this.version = version;
    const entries = database.prepare('select type, name, sql from sqlite_schema');
    entries.setReturnArrays(true);
    const rows = entries.iterate();
    let count = 0;
    let bytes = 0;
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      const [type, name, sql] = next.value.map((value) => String(value ?? ''));
      count += 1;
      bytes += (sql as string).length;
      if (count > MOST_ENTRIES || bytes > MOST_BYTES) {
        rows.return?.();
        this.#isPlain = false;
        return;
      }
      this.#note(type as string, name as string, sql as string);
    }
  }

  /** Whether a statement may be prepared. */
  mayRead(text: string): boolean {
    if (!this.#isPlain) return false;
    const lower = text.toLowerCase();
    return !this.#refused.some((name) => lower.includes(name));
  }

  #note(type: string, name: string, sql: string): void {
    const isRefused =
      type === 'view' || (type === 'table' && (MAY_COMPUTE.test(sql) || /^create\s+virtual/i.test(sql)));
    if (name === SAMPLES) this.#isPlain = false;
    if (!isRefused) return;
    // A name with a quote in it is written in more than one way.
    if (/["'`\]]/.test(name) || name !== name.normalize() || /[^\x20-\x7e]/.test(name)) this.#isPlain = false;
    this.#refused.push(name.toLowerCase());
  }
}
