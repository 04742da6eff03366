/**
 * Reads a Lua source for its outline. It takes the syntax of Lua 5.1, 5.4 and LuaJIT together: whether a source is right is
 * for the engine to say.
 */
import type { ByteString } from '../base/byte-string.js';
import type { Token } from './lexer.js';
import { Names } from './names.js';
import type { LoadedFile, Outline } from './outline.js';
import { Tokens } from './tokens.js';

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

/** @throws SourceError when it cannot be read */
export function readOutline(source: ByteString): Outline {
  return new Parser(source).read();
}

class Parser {
  readonly #tokens: Tokens;
  readonly #names = new Names();
  readonly #files: LoadedFile[] = [];
  #returnsValue = false;

  constructor(source: ByteString) {
    this.#tokens = new Tokens(source);
  }

  read(): Outline {
    this.#block();
    if (this.#tokens.current.kind !== 'end') this.#tokens.refuse();
    return {
      globals: this.#names.globals,
      tested: this.#names.tested,
      calls: this.#names.calls,
      files: this.#files,
      returnsValue: this.#returnsValue,
      hasOwnGlobals: this.#names.hasOwnGlobals,
    };
  }

  // ---- statements --------------------------------------------------------------------------------------------------

  #block(declare?: () => void): void {
    this.#tokens.descend();
    this.#names.open();
    declare?.();
    this.#statements();
    this.#names.close();
    this.#tokens.ascend();
  }

  #statements(): void {
    while (
      this.#tokens.current.kind !== 'end' &&
      !(this.#tokens.current.kind === 'keyword' && BLOCK_ENDS.has(this.#tokens.current.text))
    ) {
      this.#statement();
    }
  }

  #statement(): void {
    if (
      this.#tokens.current.kind === 'name' &&
      this.#tokens.current.text === 'goto' &&
      this.#tokens.peek().kind === 'name'
    ) {
      this.#tokens.next();
      this.#tokens.next();
      return;
    }
    if (this.#tokens.current.kind !== 'keyword') return this.#plainStatement();
    switch (this.#tokens.current.text) {
      case 'break':
        this.#tokens.next();
        return;
      case 'do':
        this.#tokens.next();
        this.#block();
        return this.#tokens.expect('end');
      case 'while':
        this.#tokens.next();
        this.#condition();
        this.#tokens.expect('do');
        this.#block();
        return this.#tokens.expect('end');
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
    if (this.#tokens.accept(';')) return;
    if (this.#tokens.accept('::')) {
      this.#tokens.name();
      return this.#tokens.expect('::');
    }
    this.#assignmentOrCall();
  }

  #repeat(): void {
    this.#tokens.next();
    this.#tokens.descend();
    this.#names.open();
    this.#statements();
    this.#tokens.expect('until');
    // The condition sees the variables of the block.
    this.#condition();
    this.#names.close();
    this.#tokens.ascend();
  }

  #if(): void {
    do {
      this.#tokens.next();
      this.#condition();
      this.#tokens.expect('then');
      this.#block();
    } while (this.#tokens.is('elseif'));
    if (this.#tokens.accept('else')) this.#block();
    this.#tokens.expect('end');
  }

  #for(): void {
    this.#tokens.next();
    const names = [this.#tokens.name()];
    while (this.#tokens.accept(',')) names.push(this.#tokens.name());
    if (!this.#tokens.accept('=')) this.#tokens.expect('in');
    this.#expressions();
    this.#tokens.expect('do');
    this.#block(() => {
      for (const name of names) this.#names.declare(name);
    });
    this.#tokens.expect('end');
  }

  #functionStatement(): void {
    this.#tokens.next();
    const name = this.#tokens.name();
    const isField = this.#tokens.is('.') || this.#tokens.is(':');
    const isOfGlobals = name.text === '_G' && this.#tokens.is('.') && this.#names.find('_G') === undefined;
    let isMethod = false;
    let last = name;
    while (this.#tokens.is('.') || this.#tokens.is(':')) {
      isMethod = this.#tokens.is(':');
      this.#tokens.next();
      last = this.#tokens.name();
    }
    if (isOfGlobals) this.#names.use(last, true, true);
    else this.#names.use(name, !isField);
    this.#functionBody(isMethod);
  }

  #local(): void {
    this.#tokens.next();
    if (this.#tokens.accept('function')) {
      this.#names.declare(this.#tokens.name());
      return this.#functionBody(false);
    }
    const names: Token[] = [];
    do {
      names.push(this.#tokens.name());
      if (this.#tokens.accept('<')) {
        this.#tokens.name();
        this.#tokens.expect('>');
      }
    } while (this.#tokens.accept(','));
    if (this.#tokens.accept('=')) this.#expressions();
    for (const name of names) this.#names.declare(name);
  }

  #return(): void {
    this.#tokens.next();
    const isEmpty =
      this.#tokens.is(';') ||
      this.#tokens.current.kind === 'end' ||
      (this.#tokens.current.kind === 'keyword' && BLOCK_ENDS.has(this.#tokens.current.text));
    if (!isEmpty) this.#expressions();
    if (!isEmpty && this.#names.functionDepth === 0) this.#returnsValue = true;
    this.#tokens.accept(';');
  }

  #assignmentOrCall(): void {
    // Whether a name is assigned is known only behind all targets.
    const targets: (() => void)[] = [];
    let isCall = this.#suffixed((note) => targets.push(note)).isCall;
    while (this.#tokens.accept(',')) {
      this.#suffixed((note) => targets.push(note));
      isCall = false;
    }
    if (!isCall) this.#tokens.expect('=');
    if (!isCall) this.#expressions();
    for (const note of targets) note();
  }

  // ---- expressions -------------------------------------------------------------------------------------------------

  #expressions(): void {
    do this.#expression();
    while (this.#tokens.accept(','));
  }

  #condition(): void {
    const { name } = this.#expression();
    if (name !== undefined) this.#names.test(name);
  }

  /** Operands and operators in a row: which of them belong together is nobody's question here. */
  #expression(): Expression {
    this.#tokens.descend();
    let before = '';
    let only: Expression | undefined;
    for (;;) {
      while (this.#tokens.current.kind !== 'string' && UNARY.has(this.#tokens.current.text))
        before = this.#tokens.next().text;
      const operand = this.#operand();
      only = only === undefined && before === '' ? operand : OTHER;
      const isOperator = this.#tokens.current.kind !== 'string' && BINARY.has(this.#tokens.current.text);
      if (operand.name !== undefined && (TESTS.has(before) || (isOperator && TESTS.has(this.#tokens.current.text)))) {
        this.#names.test(operand.name);
      }
      if (!isOperator) break;
      before = this.#tokens.next().text;
    }
    this.#tokens.ascend();
    return only;
  }

  #operand(): Expression {
    const { kind, text } = this.#tokens.current;
    if (kind === 'number' || kind === 'string') {
      this.#tokens.next();
      return OTHER;
    }
    if (kind === 'keyword' && (text === 'nil' || text === 'true' || text === 'false')) {
      this.#tokens.next();
      return OTHER;
    }
    if (this.#tokens.accept('...')) return OTHER;
    if (this.#tokens.is('{')) return this.#table();
    if (this.#tokens.accept('function')) {
      this.#functionBody(false);
      return OTHER;
    }
    return this.#suffixed();
  }

  #table(): Expression {
    this.#tokens.descend();
    this.#tokens.expect('{');
    while (!this.#tokens.is('}')) {
      if (this.#tokens.accept('[')) {
        this.#expression();
        this.#tokens.expect(']');
        this.#tokens.expect('=');
      } else if (
        this.#tokens.current.kind === 'name' &&
        this.#tokens.peek().text === '=' &&
        this.#tokens.peek().kind === 'operator'
      ) {
        this.#tokens.next();
        this.#tokens.next();
      }
      this.#expression();
      if (!this.#tokens.accept(',') && !this.#tokens.accept(';')) break;
    }
    this.#tokens.expect('}');
    this.#tokens.ascend();
    return OTHER;
  }

  #functionBody(isMethod: boolean): void {
    this.#tokens.expect('(');
    const names: Token[] = [];
    while (!this.#tokens.is(')')) {
      if (this.#tokens.accept('...')) break;
      names.push(this.#tokens.name());
      if (!this.#tokens.accept(',')) break;
    }
    this.#tokens.expect(')');
    this.#names.functionDepth += 1;
    this.#block(() => {
      if (isMethod) this.#names.declareSelf();
      names.forEach((name, at) => {
        this.#names.declare(name, at + 1 + (isMethod ? 1 : 0));
      });
    });
    this.#names.functionDepth -= 1;
    this.#tokens.expect('end');
  }

  /**
   * A name or an expression in brackets, with what follows it.
   * @param ifAssigned given where it may be the target of an assignment: takes what notes that it is one
   */
  #suffixed(ifAssigned?: (note: () => void) => void): Expression {
    let base: Token | undefined;
    if (this.#tokens.accept('(')) {
      this.#expression();
      this.#tokens.expect(')');
    } else base = this.#tokens.name();
    const name = base;
    if (name !== undefined && !this.#tokens.beginsSuffix) {
      const isTarget = ifAssigned !== undefined;
      if (isTarget) ifAssigned(() => this.#names.use(name, true));
      else this.#names.use(name, false);
      return { name, isCall: false };
    }
    if (name !== undefined) this.#names.use(name, false);
    return this.#suffixes(name, ifAssigned);
  }

  #suffixes(base: Token | undefined, ifAssigned: ((note: () => void) => void) | undefined): Expression {
    let object = base;
    let result = OTHER;
    const isOfGlobals = base?.text === '_G' && this.#names.find('_G') === undefined;
    while (this.#tokens.beginsSuffix) {
      if (this.#tokens.accept('.')) {
        const field = this.#tokens.name();
        if (isOfGlobals && object !== undefined) this.#globalField(field, ifAssigned);
        if (object !== undefined && this.#tokens.beginsCall)
          this.#names.callMethod(object, field, false, this.#tokens.passes(object));
        result = OTHER;
      } else if (this.#tokens.accept('[')) {
        const key = this.#tokens.current;
        this.#expression();
        this.#tokens.expect(']');
        if (isOfGlobals && object !== undefined && key.kind === 'string') this.#globalField(key, ifAssigned);
        result = OTHER;
      } else if (this.#tokens.accept(':')) {
        const method = this.#tokens.name();
        if (object !== undefined) this.#names.callMethod(object, method, true, false);
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
    if (ifAssigned !== undefined && !this.#tokens.beginsSuffix) ifAssigned(() => this.#names.use(field, true, true));
    else this.#names.tested.add(field.text);
  }

  /** @param callee a name that is called, and nothing else */
  #arguments(callee: Token | undefined): void {
    const isGlobal = callee !== undefined && this.#names.find(callee.text) === undefined;
    const loads = isGlobal && (callee.text === 'require' || callee.text === 'dofile') ? callee.text : undefined;
    const first = this.#tokens.current;
    if (first.kind === 'string') {
      this.#tokens.next();
      if (loads !== undefined) this.#files.push({ by: loads, name: first.text });
      return;
    }
    if (this.#tokens.is('{')) {
      this.#table();
      return;
    }
    this.#tokens.expect('(');
    const argument = this.#tokens.current;
    if (this.#tokens.accept(')')) return;
    const { name } = this.#expression();
    const isOnly = this.#tokens.is(')');
    if (isGlobal && callee.text === 'type' && isOnly && name !== undefined) this.#names.test(name);
    if (loads !== undefined && isOnly && argument.kind === 'string')
      this.#files.push({ by: loads, name: argument.text });
    if (this.#tokens.accept(',')) this.#expressions();
    this.#tokens.expect(')');
  }
}
