/** The tokens of a source, one after the other, as a parser takes them. */
import type { ByteString } from '../base/byte-string.js';
import { Lexer, SourceError, type Token } from './lexer.js';

/** Deeper nesting is refused by every Lua. */
const MOST_NESTED = 1000;

export class Tokens {
  readonly #lexer: Lexer;
  /** The token that comes next. */
  current: Token;
  #ahead: Token | undefined;
  #nested = 0;

  constructor(source: ByteString) {
    this.#lexer = new Lexer(source);
    this.current = this.#lexer.next();
  }

  next(): Token {
    const token = this.current;
    this.current = this.#ahead ?? this.#lexer.next();
    this.#ahead = undefined;
    return token;
  }

  /** The token after the current one. */
  peek(): Token {
    this.#ahead ??= this.#lexer.next();
    return this.#ahead;
  }

  /** Whether the current token is this operator or keyword. */
  is(text: string): boolean {
    const { kind } = this.current;
    return this.current.text === text && (kind === 'operator' || kind === 'keyword');
  }

  /** Whether what was read is called next. */
  get beginsCall(): boolean {
    return this.is('(') || this.is('{') || this.current.kind === 'string';
  }

  /** Whether what was read is called, or a field of it is meant. */
  get beginsSuffix(): boolean {
    return this.is('.') || this.is('[') || this.is(':') || this.beginsCall;
  }

  /** Whether a call comes next whose first argument begins with this name. */
  passes(name: Token): boolean {
    if (!this.is('(')) return false;
    const { kind, text } = this.peek();
    return kind === 'name' && text === name.text;
  }

  /** Takes it, if it is the current token. */
  accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.next();
    return true;
  }

  /** @throws SourceError when it is not the current token */
  expect(text: string): void {
    if (!this.accept(text)) this.refuse();
  }

  /** @throws SourceError when the current token is no name */
  name(): Token {
    if (this.current.kind !== 'name') this.refuse();
    return this.next();
  }

  /** @throws SourceError always: the current token has no place here */
  refuse(): never {
    throw new SourceError(`line ${this.current.line}: unexpected ${this.current.kind}`);
  }

  /** What follows is nested one deeper, until `ascend`. @throws SourceError when that is too deep */
  descend(): void {
    this.#nested += 1;
    if (this.#nested > MOST_NESTED) throw new SourceError(`line ${this.current.line}: nested too deeply`);
  }

  ascend(): void {
    this.#nested -= 1;
  }
}
