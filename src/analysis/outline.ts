/** The outline of a Lua source, found without running it: the globals that it uses, and the methods of parameters that it calls. */
import type { ByteString } from '../base/byte-string.js';

export interface SourcePlace {
  readonly line: number;
  readonly column: number;
}

/** A global that is read or assigned. */
export interface GlobalUse extends SourcePlace {
  readonly name: ByteString;
  readonly isWrite: boolean;
  /** Outside of all functions. */
  readonly isAtTop: boolean;
  /** It is written as a field of `_G`, so nobody meant a local variable. */
  readonly isExplicit: boolean;
}

/** `object:method(...)` or `object.method(...)` on a parameter of a function. */
export interface MethodCall extends SourcePlace {
  readonly object: ByteString;
  readonly method: ByteString;
  readonly hasColon: boolean;
  /** The parameter is the second of its function, as that of a handler is. */
  readonly isSecond: boolean;
  /** The first argument is the object again. */
  readonly passesObject: boolean;
}

/** A file that the source loads by a name that stands in it. */
export interface LoadedFile {
  readonly by: 'require' | 'dofile';
  readonly name: ByteString;
}

export interface Outline {
  readonly globals: readonly GlobalUse[];
  /** Globals that are asked for whether they are there. */
  readonly tested: ReadonlySet<ByteString>;
  readonly calls: readonly MethodCall[];
  readonly files: readonly LoadedFile[];
  /** It ends with `return` and a value, as modules do. */
  readonly returnsValue: boolean;
  /** Its globals may be others than those of the state: it uses `setfenv`, `module` or `_ENV`. */
  readonly hasOwnGlobals: boolean;
}
