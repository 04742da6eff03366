/** Reads statements of operations; what was found in a text is kept for the next time. Pure. */
import { LuafcgidError } from '../../base/errors.js';
import type { Value, ValueMap } from '../values.js';
import { bind, type Dialect, type Statement } from './placeholders.js';
import { type ScannedStatement, scan } from './scanner.js';
import { readAll } from './sql-encoding.js';

/** Texts of which it is kept what was found in them. */
const SCANNED_AT_MOST = 500;
/** Longest text: it is looked through character by character, while all other operations wait. Values have no such limit. */
const MAX_TEXT_BYTES = 256 * 1024;

export class Statements {
  readonly #dialect: Dialect;
  readonly #scanned = new Map<string, ScannedStatement>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** @param body the text, and its values in order or by name @throws LuafcgidError when they do not fit */
  read(body: Uint8Array): Statement {
    const [text, given = []] = readAll(body);
    return this.bind(text, given);
  }

  /** @param given values in order or by name @throws LuafcgidError when they do not fit */
  bind(text: Value, given: Value): Statement {
    if (!Buffer.isBuffer(text))
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: 'the statement is no string' });
    if (text.length > MAX_TEXT_BYTES) {
      const reason = `the statement has ${text.length} bytes, more than ${MAX_TEXT_BYTES}: give what is long as a value`;
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason });
    }
    return bind(this.#scan(text.toString('utf8')), this.#dialect, given as readonly Value[] | ValueMap);
  }

  #scan(text: string): ScannedStatement {
    const scanned = this.#scanned.get(text) ?? scan(text, this.#dialect);
    // The one that was used last comes last.
    this.#scanned.delete(text);
    this.#scanned.set(text, scanned);
    if (this.#scanned.size > SCANNED_AT_MOST) {
      for (const oldest of this.#scanned.keys()) {
        this.#scanned.delete(oldest);
        break;
      }
    }
    return scanned;
  }
}
