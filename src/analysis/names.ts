/** The names in a source: which variables are seen where, and what is done with globals. */
import type { ByteString } from '../base/byte-string.js';
import type { Token } from './lexer.js';
import type { GlobalUse, MethodCall } from './outline.js';

export interface Variable {
  /** The place among the parameters of its function, from 1; 0: it is no parameter. */
  readonly parameter: number;
}

/** Functions that give a chunk other globals. */
const GLOBALS_CHANGERS: ReadonlySet<string> = new Set(['setfenv', 'module', '_ENV']);

export class Names {
  /** From the outermost to the innermost block. */
  readonly #scopes: Map<ByteString, Variable>[] = [];
  /** How many functions are around what is read now. */
  functionDepth = 0;
  readonly globals: GlobalUse[] = [];
  /** Globals that are asked whether they exist. */
  readonly tested = new Set<ByteString>();
  /** Methods of parameters that are called. */
  readonly calls: MethodCall[] = [];
  /** The source gives itself other globals. */
  hasOwnGlobals = false;

  /** A block begins. */
  open(): void {
    this.#scopes.push(new Map());
  }

  close(): void {
    this.#scopes.pop();
  }

  declare(name: Token, parameter = 0): void {
    if (name.text === '_ENV') this.hasOwnGlobals = true;
    this.#scopes.at(-1)?.set(name.text, { parameter });
  }

  /** The first parameter of a function with a colon. */
  declareSelf(): void {
    this.#scopes.at(-1)?.set('self', { parameter: 1 });
  }

  find(name: ByteString): Variable | undefined {
    for (let at = this.#scopes.length - 1; at >= 0; at -= 1) {
      const found = this.#scopes[at]?.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Notes a use of a name, if it is a global. */
  use({ text: name, line, column }: Token, isWrite: boolean, isExplicit = false): void {
    if (!isExplicit && this.find(name) !== undefined) return;
    if (GLOBALS_CHANGERS.has(name)) this.hasOwnGlobals = true;
    this.globals.push({ name, isWrite, isAtTop: this.functionDepth === 0, isExplicit, line, column });
  }

  /** Notes that a name is asked whether it exists, if it is a global. */
  test(token: Token): void {
    if (this.find(token.text) === undefined) this.tested.add(token.text);
  }

  /**
   * Notes the call of a method, if its object is a parameter.
   * @param hasColon it is `object:method`, not `object.method`
   * @param passesObject the first argument begins with the object
   */
  callMethod(object: Token, method: Token, hasColon: boolean, passesObject: boolean): void {
    const variable = this.find(object.text);
    if (variable === undefined || variable.parameter === 0) return;
    this.calls.push({
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
