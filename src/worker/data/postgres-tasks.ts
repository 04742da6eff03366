/** Which operations on PostgreSQL are done on lent connections, and what they are there. Pure. */
import { Action } from '../../io/protocol.js';
import type { Statement } from '../../io/sql/placeholders.js';
import { residueOf } from '../../io/sql/postgres-residue.js';
import type { ScannedStatement } from '../../io/sql/scanner.js';
import { Residue } from '../../io/sql/sql.js';
import { Statements } from '../../io/sql/statements.js';
import type { PostedOperation } from '../../lua/state.js';
import { readValues } from '../operation-values.js';

/** Statements that begin or end no transaction. */
const VERBS = new Set(['select', 'insert', 'update', 'delete', 'values', 'table', 'with', 'merge']);
/** Most values that a message can have. */
const MAX_VALUES = 65_535;
/** Larger ones go by the I/O thread. */
const MOST_BYTES = 1024 * 1024;

export class PostgresTasks {
  readonly #statements = new Statements('postgres');
  readonly #residues = new WeakMap<ScannedStatement, Residue | undefined>();

  /**
   * The statement of an operation that can be done on a lent connection; undefined: it is for the I/O thread, which also knows what
   * to say of one that is wrong. `Residue.SESSION`: it leaves on its connection what its request counts on.
   */
  read({ action, handle, shape, values }: PostedOperation): Statement | typeof Residue.SESSION | undefined {
    if ((action !== Action.QUERY && action !== Action.EXECUTE) || handle !== 0) return undefined;
    let bytes = 0;
    for (const value of values) bytes += typeof value === 'number' ? 0 : value.length;
    if (bytes > MOST_BYTES) return undefined;
    let statement: Statement;
    try {
      const [text, given = []] = readValues(shape, values);
      statement = this.#statements.bind(text, given);
    } catch {
      return undefined;
    }
    const residue = this.#residueOf(statement.scanned);
    if (residue === Residue.SESSION) return residue;
    return residue === Residue.NONE && statement.values.length <= MAX_VALUES ? statement : undefined;
  }

  #residueOf(scanned: ScannedStatement): Residue | undefined {
    if (this.#residues.has(scanned)) return this.#residues.get(scanned);
    const [verb = ''] = scanned.words;
    const residue = residueOf(scanned);
    const known = residue === Residue.NONE && !VERBS.has(verb) ? undefined : residue;
    this.#residues.set(scanned, known);
    return known;
  }
}
