/**
 * Placeholders: `?` and `:name` become what the database takes, wherever they are no part of a string, a name, a comment or
 * an operator. `??` is the operator `?` of PostgreSQL. A list becomes as many placeholders as it has members. Values never
 * become text of the statement. Pure.
 */
import { LuafcgidError } from '../../base/errors.js';
import { Bytes, Digits, type Value, type ValueMap } from '../values.js';
import { type Dialect, type ScannedStatement, scan } from './scanner.js';

export type { Dialect } from './scanner.js';

/** A value that is bound. A Buffer is a Lua string: text where it is valid UTF-8. */
export type Argument = undefined | boolean | number | Digits | Buffer | Bytes;

/** A statement as a driver gets it. */
export interface Statement {
  readonly text: string;
  readonly values: readonly Argument[];
  /** What is known of the text. */
  readonly scanned: ScannedStatement;
}

/** A statement of our own, without values. */
export function plainStatement(text: string, dialect: Dialect): Statement {
  return { text, values: [], scanned: scan(text, dialect) };
}

const wrong = (reason: string): LuafcgidError => new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason });

function toArgument(value: Value, what: string): Argument {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw wrong(`${what} is ${value}, which is no number that a database knows`);
    return value;
  }
  if (value === undefined || typeof value === 'boolean' || value instanceof Digits) return value;
  if (Buffer.isBuffer(value) || value instanceof Bytes) return value;
  throw wrong(`${what} is a table: encode it first, or use db.list for "in (?)"`);
}

/** Collects the text with the database's own placeholders, and the values in their order. */
class Binder {
  text = '';
  readonly values: Argument[] = [];
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  bind(value: Value, what: string): string {
    if (!Array.isArray(value)) return this.#one(toArgument(value, what));
    if (value.length === 0) throw wrong(`${what} is an empty list, for which there is no SQL`);
    return value.map((member, index) => this.#one(toArgument(member, `member ${index + 1} of ${what}`))).join(', ');
  }

  #one(value: Argument): string {
    this.values.push(value);
    return this.#dialect === 'postgres' ? `$${this.values.length}` : '?';
  }
}

/**
 * Puts a statement and its values together.
 * @param given values in order, or by name
 * @throws LuafcgidError when they do not fit, or when there is more than one statement
 */
export function bind(scanned: ScannedStatement, dialect: Dialect, given: readonly Value[] | ValueMap): Statement {
  if (scanned.hasFurtherStatement) throw new LuafcgidError('LUAFCGID_DATA_STATEMENTS');
  if (scanned.text.includes('\0')) throw wrong('the statement has a NUL byte in it');
  if (scanned.foreignMark !== '') throw wrong(`the placeholder ${scanned.foreignMark}: write "?" or ":name"`);
  if (scanned.numbered > 0) return bindNumbered(scanned, given);
  return given instanceof Map ? bindNamed(scanned, dialect, given) : bindInOrder(scanned, dialect, given);
}

/** `$1` of PostgreSQL passes as it is. */
function bindNumbered(scanned: ScannedStatement, given: readonly Value[] | ValueMap): Statement {
  if (scanned.marks.some(({ name }) => name === '')) throw wrong('the statement has both "?" and "$1"');
  const count = given instanceof Map ? given.size : given.length;
  if (given instanceof Map || count !== scanned.numbered) throw countFault(scanned.numbered, count);
  const values = given.map((value, index) => toArgument(value, `argument ${index + 1}`));
  return { text: scanned.unescaped, values, scanned };
}

function bindInOrder(scanned: ScannedStatement, dialect: Dialect, given: readonly Value[]): Statement {
  const binder = new Binder(dialect);
  const marks = scanned.marks.filter(({ name }) => name === '');
  if (marks.length !== given.length) throw countFault(marks.length, given.length);
  let index = 0;
  const text = replaceMarks(scanned, (name) => {
    // It may be the slice of an array in PostgreSQL.
    if (name !== '' && dialect === 'postgres') return `:${name}`;
    if (name !== '') throw wrong(`the statement has :${name}, but its arguments have no names`);
    index += 1;
    return binder.bind(given[index - 1], `argument ${index}`);
  });
  return { text, values: binder.values, scanned };
}

function bindNamed(scanned: ScannedStatement, dialect: Dialect, given: ValueMap): Statement {
  if (scanned.marks.some(({ name }) => name === ''))
    throw wrong('the statement has a "?", but its arguments have names');
  const binder = new Binder(dialect);
  const used = new Map<string, string>();
  const text = replaceMarks(scanned, (name) => {
    // PostgreSQL takes a value as often as it is named.
    const known = dialect === 'postgres' ? used.get(name) : undefined;
    if (known !== undefined) return known;
    if (!given.has(name)) throw wrong(`the statement has :${name}, but there is no argument of that name`);
    const mark = binder.bind(given.get(name), `argument ${name}`);
    used.set(name, mark);
    return mark;
  });
  for (const name of given.keys()) {
    if (!used.has(String(name)))
      throw wrong(`there is an argument ${String(name)}, but no :${String(name)} in the statement`);
  }
  return { text, values: binder.values, scanned };
}

function replaceMarks({ unescaped, marks }: ScannedStatement, replace: (name: string) => string): string {
  let text = '';
  let at = 0;
  for (const mark of marks) {
    text += unescaped.slice(at, mark.from) + replace(mark.name);
    at = mark.to;
  }
  return text + unescaped.slice(at);
}

function countFault(marks: number, given: number): LuafcgidError {
  return wrong(`the statement has ${marks} placeholders, but there are ${given} arguments`);
}
