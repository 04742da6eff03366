/** What JavaScript throws while the embedded Lua runs, and which of it breaks the machine. */

/** Thrown by Lua's own errors to unwind to the nearest protected call. Must pass through every JavaScript frame. */
export const longJump = Symbol('longjmp');

/** The virtual machine gave up: an error outside every protected call. Cannot happen as long as the engine is right. */
export class EngineAbort extends Error {}

/** Errors that mean that the machine itself broke; everything else becomes a Lua error. */
export function isFatal(error: unknown): boolean {
  return (
    error instanceof WebAssembly.RuntimeError ||
    error instanceof EngineAbort ||
    (error instanceof RangeError && error.message.startsWith('Maximum call stack'))
  );
}
