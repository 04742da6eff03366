/** Cuts Lua source into tokens, for all versions of Lua that the engines run. */
import type { ByteString } from '../base/byte-string.js';

export type TokenKind = 'name' | 'keyword' | 'number' | 'string' | 'operator' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** As it is written; of a string what is between its quotes. */
  readonly text: ByteString;
  readonly line: number;
  /** In bytes, from 1. */
  readonly column: number;
}

/** The source is not what the Lua of any engine reads. */
export class SourceError extends Error {}

const KEYWORDS: ReadonlySet<string> = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
);

const NAME = /[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*/y;
const NUMBER = /0[xX][0-9a-fA-F.]*(?:[pP][+-]?\d+)?[uUlLi]*|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[uUlLi]*/y;
const OPERATOR = /\.\.\.|\.\.|==|~=|<=|>=|\/\/|::|<<|>>|[-+*/%^#&~|<>=(){}[\];:,.]/y;
const BLANK = /[ \t\r\f\v]+/y;
const LONG_BRACKET = /\[(=*)\[/y;

const BACKSLASH = 0x5c;
const LINE_END = 0x0a;

/** Walks through a source from token to token. */
export class Lexer {
  readonly #source: ByteString;
  #at = 0;
  #line = 1;
  /** Where the line begins. */
  #lineAt = 0;

  constructor(source: ByteString) {
    this.#source = source;
    if (source.startsWith('\xef\xbb\xbf')) this.#at = 3;
    // The first line may be for a shell.
    if (source[this.#at] === '#') this.#skipLine();
  }

  /** @throws SourceError */
  next(): Token {
    this.#skipBlanks();
    const source = this.#source;
    const [line, column] = [this.#line, this.#at - this.#lineAt + 1];
    const token = (kind: TokenKind, text: ByteString): Token => ({ kind, text, line, column });
    const first = source[this.#at];
    if (first === undefined) return token('end', '');
    const name = this.#take(NAME);
    if (name !== undefined) return token(KEYWORDS.has(name) ? 'keyword' : 'name', name);
    if (first === '"' || first === "'") return token('string', this.#quoted(first));
    const number = this.#take(NUMBER);
    if (number !== undefined) return token('number', number);
    const level = this.#longBracket();
    if (level !== undefined) return token('string', this.#long(level));
    const operator = this.#take(OPERATOR);
    if (operator !== undefined) return token('operator', operator);
    throw new SourceError(`line ${line}: unexpected character`);
  }

  #take(pattern: RegExp): ByteString | undefined {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#source)?.[0];
    this.#at += text?.length ?? 0;
    return text;
  }

  #skipLine(): void {
    const end = this.#source.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#source.length : end;
  }

  #skipBlanks(): void {
    const source = this.#source;
    for (;;) {
      this.#take(BLANK);
      if (source[this.#at] === '\n') {
        this.#at += 1;
        this.#newLine();
      } else if (source.startsWith('--', this.#at)) {
        this.#at += 2;
        const level = this.#longBracket();
        if (level === undefined) this.#skipLine();
        else this.#long(level);
      } else return;
    }
  }

  #newLine(): void {
    this.#line += 1;
    this.#lineAt = this.#at;
  }

  /** The number of `=` of a long bracket that begins here, which is skipped. */
  #longBracket(): number | undefined {
    LONG_BRACKET.lastIndex = this.#at;
    const match = LONG_BRACKET.exec(this.#source);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return (match[1] as string).length;
  }

  #long(level: number): ByteString {
    const from = this.#at;
    const closing = `]${'='.repeat(level)}]`;
    const end = this.#source.indexOf(closing, from);
    if (end < 0) throw new SourceError(`line ${this.#line}: unfinished long string or comment`);
    for (let at = this.#source.indexOf('\n', from); at >= 0 && at < end; at = this.#source.indexOf('\n', at + 1)) {
      this.#at = at + 1;
      this.#newLine();
    }
    this.#at = end + closing.length;
    return this.#source.slice(from, end);
  }

  #quoted(quote: string): ByteString {
    const source = this.#source;
    const from = this.#at + 1;
    for (let at = from; at < source.length; at += 1) {
      if (source[at] === quote) {
        this.#at = at + 1;
        return source.slice(from, at);
      }
      const isEscape = source.charCodeAt(at) === BACKSLASH;
      if (isEscape) at += 1;
      if (source.charCodeAt(at) !== LINE_END) continue;
      if (!isEscape) break;
      this.#at = at + 1;
      this.#newLine();
    }
    throw new SourceError(`line ${this.#line}: unfinished string`);
  }
}
