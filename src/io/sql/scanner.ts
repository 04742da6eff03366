/**
 * Looks through the text of a statement for what matters here: placeholders, the end of the statement, and what it may
 * leave behind on its connection. It knows strings, names, comments, dollar quotes and casts of each database; it is no
 * parser. Pure.
 */

export type Dialect = 'postgres' | 'mysql' | 'sqlite';

/** A placeholder in `unescaped`. */
export interface Mark {
  readonly from: number;
  readonly to: number;
  /** `''` for `?`. */
  readonly name: string;
}

export interface ScannedStatement {
  /** As it was written. */
  readonly text: string;
  /** With `?` in the place of each `??`. */
  readonly unescaped: string;
  readonly marks: readonly Mark[];
  /** The highest n of `$n`; 0: there is none. */
  readonly numbered: number;
  readonly hasFurtherStatement: boolean;
  /** A placeholder of SQLite that is not bound here, such as `@name`; `''`: there is none. */
  readonly foreignMark: string;
  /** Its words in lower case, in order, without strings and quoted names. */
  readonly words: readonly string[];
  /** The words that are followed by `(`. */
  readonly calls: ReadonlySet<string>;
}

/** A string or a name between these quotes, in which they are doubled. What has no end reaches to the end. */
const quoted = (quote: string): string => `${quote}[^${quote}]*(?:${quote}${quote}[^${quote}]*)*(?:${quote}|$)`;
/** The same where a backslash takes the next character in, too. */
const escaped = (quote: string): string =>
  String.raw`${quote}[^${quote}\\]*(?:(?:${quote}${quote}|\\[^])[^${quote}\\]*)*(?:${quote}|$)`;
const LINE_COMMENT = '--[^\\n]*';
const DOLLAR_QUOTED = String.raw`(?<![\w$\x80-\uffff])\$([A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$[^]*?(?:\$\1\$|$)`;
const anyOf = (...patterns: readonly string[]): RegExp => new RegExp(patterns.join('|'), 'y');

/** What begins at a position and is to be passed over. */
const SKIPPED: Readonly<Record<Dialect, RegExp>> = {
  postgres: anyOf(`[eE]${escaped("'")}`, quoted("'"), quoted('"'), LINE_COMMENT, DOLLAR_QUOTED, '::'),
  mysql: anyOf(
    escaped("'"),
    escaped('"'),
    quoted('`'),
    // A comment needs a space after its dashes; "/*!" begins what is run.
    String.raw`--(?=\s|$)[^\n]*`,
    '#[^\\n]*',
    String.raw`\/\*(?!!|M!)[^]*?(?:\*\/|$)`,
    ':=',
  ),
  sqlite: anyOf(
    quoted("'"),
    quoted('"'),
    quoted('`'),
    String.raw`\[[^\]]*(?:\]|$)`,
    LINE_COMMENT,
    String.raw`\/\*[^]*?(?:\*\/|$)`,
  ),
};
const WORD = /[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*/y;
const NUMBER = /\d[\w.]*/y;
const SPACE = /\s+/y;
const NAME = /:([A-Za-z_]\w*)/y;
const FOREIGN = /[@$]\w+/y;
const DOLLAR_NUMBER = /\$(\d+)/y;

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

/** The end of a comment of PostgreSQL, which may hold others. */
function endOfNestedComment(text: string, from: number): number {
  const pattern = /\/\*|\*\//g;
  pattern.lastIndex = from;
  for (let depth = 0; ; ) {
    const found = pattern.exec(text);
    if (found === null) return text.length;
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return pattern.lastIndex;
  }
}

class Scanner {
  readonly marks: Mark[] = [];
  readonly words: string[] = [];
  readonly calls = new Set<string>();
  numbered = 0;
  hasFurtherStatement = false;
  foreignMark = '';
  unescaped = '';
  readonly #text: string;
  readonly #dialect: Dialect;
  #hasEnded = false;
  /** The last two tokens that are no space and no comment: words, or a character. */
  #before = '';
  #last = '';

  constructor(text: string, dialect: Dialect) {
    this.#text = text;
    this.#dialect = dialect;
  }

  run(): void {
    const text = this.#text;
    for (let at = 0; at < text.length; ) at = this.#step(at);
  }

  #step(at: number): number {
    const text = this.#text;
    const space = matchAt(SPACE, text, at);
    if (space !== undefined) return this.#keep(at, at + space[0].length);
    if (this.#dialect === 'postgres' && text.startsWith('/*', at)) return this.#keep(at, endOfNestedComment(text, at));
    const skipped = matchAt(SKIPPED[this.#dialect], text, at);
    if (skipped !== undefined) {
      if (!/^(?:--|#|\/\*)/.test(skipped[0])) this.#token('string');
      return this.#keep(at, at + skipped[0].length);
    }
    const word = matchAt(WORD, text, at);
    if (word !== undefined) return this.#word(at, word[0]);
    const number = matchAt(NUMBER, text, at);
    if (number !== undefined) {
      this.#token('number');
      return this.#keep(at, at + number[0].length);
    }
    return this.#character(at);
  }

  #word(at: number, word: string): number {
    const lower = word.toLowerCase();
    this.#token(lower);
    this.words.push(lower);
    return this.#keep(at, at + word.length);
  }

  #character(at: number): number {
    const text = this.#text;
    const character = text[at] as string;
    if (character === '?') {
      this.#token('?');
      if (text[at + 1] === '?' && this.#dialect === 'postgres') {
        this.unescaped += '?';
        return at + 2;
      }
      return this.#mark(at, at + 1, '');
    }
    const name = matchAt(NAME, text, at);
    if (name !== undefined) {
      this.#token('?');
      return this.#mark(at, at + name[0].length, name[1] as string);
    }
    const dollar = this.#dialect === 'postgres' ? matchAt(DOLLAR_NUMBER, text, at) : undefined;
    if (dollar !== undefined) {
      this.#token('?');
      this.numbered = Math.max(this.numbered, Number(dollar[1]));
      return this.#keep(at, at + dollar[0].length);
    }
    if (this.#dialect === 'sqlite') this.foreignMark ||= matchAt(FOREIGN, text, at)?.[0] ?? '';
    if (character === '(' && /^[a-z_\x80-\uffff]/.test(this.#last)) this.calls.add(this.#last);
    if (character === ';') this.#semicolon();
    else this.#token(character);
    return this.#keep(at, at + 1);
  }

  /** Databases that refuse several statements themselves know best where one ends; SQLite would pass over the rest. */
  #semicolon(): void {
    const isTrigger = this.#isTrigger();
    if (!isTrigger || (this.#last === 'end' && this.#before === ';')) this.#hasEnded = true;
    this.#before = this.#last;
    this.#last = ';';
  }

  #isTrigger(): boolean {
    const [first, second, third] = this.words;
    return first === 'create' && (second === 'trigger' || (/^temp(orary)?$/.test(second ?? '') && third === 'trigger'));
  }

  #token(token: string): void {
    if (this.#hasEnded && this.#dialect === 'sqlite') this.hasFurtherStatement = true;
    this.#before = this.#last;
    this.#last = token;
  }

  #mark(from: number, to: number, name: string): number {
    const start = this.unescaped.length;
    this.#keep(from, to);
    this.marks.push({ from: start, to: this.unescaped.length, name });
    return to;
  }

  #keep(from: number, to: number): number {
    this.unescaped += this.#text.slice(from, to);
    return to;
  }
}

export function scan(text: string, dialect: Dialect): ScannedStatement {
  const scanner = new Scanner(text, dialect);
  scanner.run();
  const { marks, words, calls, numbered, hasFurtherStatement, foreignMark, unescaped } = scanner;
  return { text, unescaped, marks, numbered, hasFurtherStatement, foreignMark, words, calls };
}
