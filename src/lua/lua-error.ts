import type { ByteString } from '../base/byte-string.js';

/**
 * Why Lua code did not run to its end.
 * - `syntax`: the chunk does not compile
 * - `runtime`: an error was raised (any value: strings, tables, nil)
 * - `stopped`: it was ended from outside (`InterruptSource`); the state can be used again
 * - `memory`: the state's memory limit was reached; the state should not be used again
 * - `fatal`: the virtual machine itself broke (a trap, exhausted native stack); the state must be closed
 */
/** A size as messages have it. */
export function mebibytes(bytes: number): string {
  return `${Number((bytes / 2 ** 20).toFixed(1))} MiB`;
}

export type LuaErrorKind = 'syntax' | 'runtime' | 'stopped' | 'memory' | 'fatal';

export class LuaError extends Error {
  override readonly name = 'LuaError';
  readonly kind: LuaErrorKind;
  /** The Lua stack at the time of the error, as `debug.traceback` prints it; may be empty. */
  readonly traceback: ByteString;
  /** A catalogued error that a host function raised and no script caught, e.g. a body over `maxpost`. */
  readonly hostError: Error | undefined;

  /** The local variables of the functions on that stack, as `frames.lua` writes them; empty where they are not asked for. */
  readonly frames: ByteString;

  constructor(
    kind: LuaErrorKind,
    message: ByteString,
    traceback: ByteString = '',
    hostError?: Error,
    frames: ByteString = '',
  ) {
    super(message);
    this.kind = kind;
    this.traceback = traceback;
    this.hostError = hostError;
    this.frames = frames;
  }
}
