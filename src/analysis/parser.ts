/**
 * Reads a Lua source for its outline. It takes the syntax of Lua 5.1, 5.4 and LuaJIT together: whether a source is right is
 * for the engine to say.
 */
import type { ByteString } from '../base/byte-string.js';
import { Lexer, SourceError, type Token } from './lexer.js';
import type { GlobalUse, LoadedFile, MethodCall, Outline } from './outline.js';

interface Variable {
  /** The place among the parameters of its function, from 1; 0: it is no parameter. */
  readonly parameter: number;
}

/** What a primary expression is, as far as anybody asks. */
interface Expression {
  /** A name and nothing else. */
  readonly name: Token | undefined;
  readonly isCall: boolean;
}

const OTHER: Expression = { name: undefined, isCall: false };
const CALL: Expression = { name: undefined, isCall: true };

const BINARY: ReadonlySet<string> = new Set('+ - * / % ^ .. == ~= < <= > >= and or // & | ~ << >>'.split(' '));
const UNARY: ReadonlySet<string> = new Set(['-', 'not', '#', '~']);
/** Operators whose operands may be nil without an error. */
const TESTS: ReadonlySet<string> = new Set(['and', 'or', '==', '~=', 'not']);
const BLOCK_ENDS: ReadonlySet<string> = new Set(['end', 'else', 'elseif', 'until']);
/** Functions that give a chunk other globals. */
const GLOBALS_CHANGERS: ReadonlySet<string> = new Set(['setfenv', 'module', '_ENV']);
/** Deeper nesting is refused by every Lua. */
const MOST_NESTED = 1000;

/** @throws SourceError when it cannot be read */
export function readOutline(source: ByteString): Outline {
  return new Parser(source).read();
}

class Parser {
  readonly #lexer: Lexer;
  #token: Token;
  #ahead: Token | undefined;
  /** From the outermost to the innermost block. */
  readonly #scopes: Map<ByteString, Variable>[] = [];
  #functionDepth = 0;
  #nested = 0;
  readonly #globals: GlobalUse[] = [];
  readonly #tested = new Set<ByteString>();
  readonly #calls: MethodCall[] = [];
  readonly #files: LoadedFile[] = [];
  #returnsValue = false;
  #hasOwnGlobals = false;

  constructor(source: ByteString) {
    this.#lexer = new Lexer(source);
    this.#token = this.#lexer.next();
  }

  read(): Outline {
    this.#block();
    if (this.#token.kind !== 'end') this.#unexpected();
    return {
      globals: this.#globals,
      tested: this.#tested,
      calls: this.#calls,
      files: this.#files,
      returnsValue: this.#returnsValue,
      hasOwnGlobals: this.#hasOwnGlobals,
    };
  }

  // ---- tokens ------------------------------------------------------------------------------------------------------

  #next(): Token {
    const token = this.#token;
    this.#token = this.#ahead ?? this.#lexer.next();
    this.#ahead = undefined;
    return token;
  }

  #peek(): Token {
    this.#ahead ??= this.#lexer.next();
    return this.#ahead;
  }

  #is(text: string): boolean {
    const { kind } = this.#token;
    return this.#token.text === text && (kind === 'operator' || kind === 'keyword');
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#next();
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#unexpected();
  }

  #name(): Token {
    if (this.#token.kind !== 'name') this.#unexpected();
    return this.#next();
  }

  #unexpected(): never {
    throw new SourceError(`line ${this.#token.line}: unexpected ${this.#token.kind}`);
  }

  #descend(): void {
    this.#nested += 1;
    if (this.#nested > MOST_NESTED) throw new SourceError(`line ${this.#token.line}: nested too deeply`);
  }

  // ---- variables ---------------------------------------------------------------------------------------------------

  #declare(name: Token, parameter = 0): void {
    if (name.text === '_ENV') this.#hasOwnGlobals = true;
    this.#scopes.at(-1)?.set(name.text, { parameter });
  }

  #find(name: ByteString): Variable | undefined {
    for (let at = this.#scopes.length - 1; at >= 0; at -= 1) {
      const found = this.#scopes[at]?.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Notes a use of a name, if it is a global. */
  #use({ text: name, line, column }: Token, isWrite: boolean, isExplicit = false): void {
    if (!isExplicit && this.#find(name) !== undefined) return;
    if (GLOBALS_CHANGERS.has(name)) this.#hasOwnGlobals = true;
    this.#globals.push({ name, isWrite, isAtTop: this.#functionDepth === 0, isExplicit, line, column });
  }

  #test(token: Token): void {
    if (this.#find(token.text) === undefined) this.#tested.add(token.text);
  }

  // ---- statements --------------------------------------------------------------------------------------------------

  #block(declare?: () => void): void {
    this.#descend();
    this.#scopes.push(new Map());
    declare?.();
    this.#statements();
    this.#scopes.pop();
    this.#nested -= 1;
  }

  #statements(): void {
    while (this.#token.kind !== 'end' && !(this.#token.kind === 'keyword' && BLOCK_ENDS.has(this.#token.text))) {
      this.#statement();
    }
  }

  #statement(): void {
    if (this.#token.kind === 'name' && this.#token.text === 'goto' && this.#peek().kind === 'name') {
      this.#next();
      this.#next();
      return;
    }
    if (this.#token.kind !== 'keyword') return this.#plainStatement();
    switch (this.#token.text) {
      case 'break':
        this.#next();
        return;
      case 'do':
        this.#next();
        this.#block();
        return this.#expect('end');
      case 'while':
        this.#next();
        this.#condition();
        this.#expect('do');
        this.#block();
        return this.#expect('end');
      case 'repeat':
        return this.#repeat();
      case 'if':
        return this.#if();
      case 'for':
        return this.#for();
      case 'function':
        return this.#functionStatement();
      case 'local':
        return this.#local();
      case 'return':
        return this.#return();
      default:
        return this.#plainStatement();
    }
  }

  #plainStatement(): void {
    if (this.#accept(';')) return;
    if (this.#accept('::')) {
      this.#name();
      return this.#expect('::');
    }
    this.#assignmentOrCall();
  }

  #repeat(): void {
    this.#next();
    this.#descend();
    this.#scopes.push(new Map());
    this.#statements();
    this.#expect('until');
    // The condition sees the variables of the block.
    this.#condition();
    this.#scopes.pop();
    this.#nested -= 1;
  }

  #if(): void {
    do {
      this.#next();
      this.#condition();
      this.#expect('then');
      this.#block();
    } while (this.#is('elseif'));
    if (this.#accept('else')) this.#block();
    this.#expect('end');
  }

  #for(): void {
    this.#next();
    const names = [this.#name()];
    while (this.#accept(',')) names.push(this.#name());
    if (!this.#accept('=')) this.#expect('in');
    this.#expressions();
    this.#expect('do');
    this.#block(() => {
      for (const name of names) this.#declare(name);
    });
    this.#expect('end');
  }

  #functionStatement(): void {
    this.#next();
    const name = this.#name();
    const isField = this.#is('.') || this.#is(':');
    const isOfGlobals = name.text === '_G' && this.#is('.') && this.#find('_G') === undefined;
    let isMethod = false;
    let last = name;
    while (this.#is('.') || this.#is(':')) {
      isMethod = this.#is(':');
      this.#next();
      last = this.#name();
    }
    if (isOfGlobals) this.#use(last, true, true);
    else this.#use(name, !isField);
    this.#functionBody(isMethod);
  }

  #local(): void {
    this.#next();
    if (this.#accept('function')) {
      this.#declare(this.#name());
      return this.#functionBody(false);
    }
    const names: Token[] = [];
    do {
      names.push(this.#name());
      if (this.#accept('<')) {
        this.#name();
        this.#expect('>');
      }
    } while (this.#accept(','));
    if (this.#accept('=')) this.#expressions();
    for (const name of names) this.#declare(name);
  }

  #return(): void {
    this.#next();
    const isEmpty =
      this.#is(';') ||
      this.#token.kind === 'end' ||
      (this.#token.kind === 'keyword' && BLOCK_ENDS.has(this.#token.text));
    if (!isEmpty) this.#expressions();
    if (!isEmpty && this.#functionDepth === 0) this.#returnsValue = true;
    this.#accept(';');
  }

  #assignmentOrCall(): void {
    // Whether a name is assigned is known only behind all targets.
    const targets: (() => void)[] = [];
    let isCall = this.#suffixed((note) => targets.push(note)).isCall;
    while (this.#accept(',')) {
      this.#suffixed((note) => targets.push(note));
      isCall = false;
    }
    if (!isCall) this.#expect('=');
    if (!isCall) this.#expressions();
    for (const note of targets) note();
  }

  // ---- expressions -------------------------------------------------------------------------------------------------

  #expressions(): void {
    do this.#expression();
    while (this.#accept(','));
  }

  #condition(): void {
    const { name } = this.#expression();
    if (name !== undefined) this.#test(name);
  }

  /** Operands and operators in a row: which of them belong together is nobody's question here. */
  #expression(): Expression {
    this.#descend();
    let before = '';
    let only: Expression | undefined;
    for (;;) {
      while (this.#token.kind !== 'string' && UNARY.has(this.#token.text)) before = this.#next().text;
      const operand = this.#operand();
      only = only === undefined && before === '' ? operand : OTHER;
      const isOperator = this.#token.kind !== 'string' && BINARY.has(this.#token.text);
      if (operand.name !== undefined && (TESTS.has(before) || (isOperator && TESTS.has(this.#token.text)))) {
        this.#test(operand.name);
      }
      if (!isOperator) break;
      before = this.#next().text;
    }
    this.#nested -= 1;
    return only;
  }

  #operand(): Expression {
    const { kind, text } = this.#token;
    if (kind === 'number' || kind === 'string') {
      this.#next();
      return OTHER;
    }
    if (kind === 'keyword' && (text === 'nil' || text === 'true' || text === 'false')) {
      this.#next();
      return OTHER;
    }
    if (this.#accept('...')) return OTHER;
    if (this.#is('{')) return this.#table();
    if (this.#accept('function')) {
      this.#functionBody(false);
      return OTHER;
    }
    return this.#suffixed();
  }

  #table(): Expression {
    this.#descend();
    this.#expect('{');
    while (!this.#is('}')) {
      if (this.#accept('[')) {
        this.#expression();
        this.#expect(']');
        this.#expect('=');
      } else if (this.#token.kind === 'name' && this.#peek().text === '=' && this.#peek().kind === 'operator') {
        this.#next();
        this.#next();
      }
      this.#expression();
      if (!this.#accept(',') && !this.#accept(';')) break;
    }
    this.#expect('}');
    this.#nested -= 1;
    return OTHER;
  }

  #functionBody(isMethod: boolean): void {
    this.#expect('(');
    const names: Token[] = [];
    while (!this.#is(')')) {
      if (this.#accept('...')) break;
      names.push(this.#name());
      if (!this.#accept(',')) break;
    }
    this.#expect(')');
    this.#functionDepth += 1;
    this.#block(() => {
      if (isMethod) this.#scopes.at(-1)?.set('self', { parameter: 1 });
      names.forEach((name, at) => {
        this.#declare(name, at + 1 + (isMethod ? 1 : 0));
      });
    });
    this.#functionDepth -= 1;
    this.#expect('end');
  }

  /**
   * A name or an expression in brackets, with what follows it.
   * @param ifAssigned given where it may be the target of an assignment: takes what notes that it is one
   */
  #suffixed(ifAssigned?: (note: () => void) => void): Expression {
    let base: Token | undefined;
    if (this.#accept('(')) {
      this.#expression();
      this.#expect(')');
    } else base = this.#name();
    const name = base;
    if (name !== undefined && !this.#isSuffix()) {
      const isTarget = ifAssigned !== undefined;
      if (isTarget) ifAssigned(() => this.#use(name, true));
      else this.#use(name, false);
      return { name, isCall: false };
    }
    if (name !== undefined) this.#use(name, false);
    return this.#suffixes(name, ifAssigned);
  }

  #isSuffix(): boolean {
    return ['.', '[', ':'].some((text) => this.#is(text)) || this.#isCall();
  }

  #isCall(): boolean {
    return this.#is('(') || this.#is('{') || this.#token.kind === 'string';
  }

  #suffixes(base: Token | undefined, ifAssigned: ((note: () => void) => void) | undefined): Expression {
    let object = base;
    let result = OTHER;
    const isOfGlobals = base?.text === '_G' && this.#find('_G') === undefined;
    while (this.#isSuffix()) {
      if (this.#accept('.')) {
        const field = this.#name();
        if (isOfGlobals && object !== undefined) this.#globalField(field, ifAssigned);
        if (object !== undefined && this.#isCall()) this.#call(object, field, false);
        result = OTHER;
      } else if (this.#accept('[')) {
        const key = this.#token;
        this.#expression();
        this.#expect(']');
        if (isOfGlobals && object !== undefined && key.kind === 'string') this.#globalField(key, ifAssigned);
        result = OTHER;
      } else if (this.#accept(':')) {
        const method = this.#name();
        if (object !== undefined) this.#call(object, method, true);
        this.#arguments(undefined);
        result = CALL;
      } else {
        this.#arguments(object);
        result = CALL;
      }
      object = undefined;
    }
    return result;
  }

  /** `_G.name`: nobody forgot a `local` there, and reading it is no fault. */
  #globalField(field: Token, ifAssigned: ((note: () => void) => void) | undefined): void {
    if (ifAssigned !== undefined && !this.#isSuffix()) ifAssigned(() => this.#use(field, true, true));
    else this.#tested.add(field.text);
  }

  /** @param callee a name that is called, and nothing else */
  #arguments(callee: Token | undefined): void {
    const isGlobal = callee !== undefined && this.#find(callee.text) === undefined;
    const loads = isGlobal && (callee.text === 'require' || callee.text === 'dofile') ? callee.text : undefined;
    const first = this.#token;
    if (first.kind === 'string') {
      this.#next();
      if (loads !== undefined) this.#files.push({ by: loads, name: first.text });
      return;
    }
    if (this.#is('{')) {
      this.#table();
      return;
    }
    this.#expect('(');
    const argument = this.#token;
    if (this.#accept(')')) return;
    const { name } = this.#expression();
    const isOnly = this.#is(')');
    if (isGlobal && callee.text === 'type' && isOnly && name !== undefined) this.#test(name);
    if (loads !== undefined && isOnly && argument.kind === 'string')
      this.#files.push({ by: loads, name: argument.text });
    if (this.#accept(',')) this.#expressions();
    this.#expect(')');
  }

  #call(object: Token, method: Token, hasColon: boolean): void {
    const variable = this.#find(object.text);
    if (variable === undefined || variable.parameter === 0) return;
    const passesObject =
      !hasColon && this.#is('(') && this.#peek().kind === 'name' && this.#peek().text === object.text;
    this.#calls.push({
      object: object.text,
      method: method.text,
      hasColon,
      isSecond: variable.parameter === 2,
      passesObject,
      line: method.line,
      column: method.column,
    });
  }
}
