/** Host functions for what a script waits for: timers, operations of data sources, locks. */

import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { MOST_NAME_BYTES } from '../shared/lock-table.js';
import { type LuaString, wholeText, wordOf } from './crossing.js';
import { type HostArguments, type HostFunction, waits } from './hosted-state.js';
import type { ByteString } from './state.js';

/** Most values of an operation: what databases take in a statement is less. */
const SHAPE_LIMIT_BYTES = 70_000;

/** A copy of a string: a later argument may be read into the same memory. */
function wholeBytes(string: LuaString): Uint8Array {
  return Uint8Array.from(string.bytes(0, string.sizeBytes));
}

function lockName(args: HostArguments): ByteString {
  const name = wholeText(args.string(1), MOST_NAME_BYTES);
  if (name === undefined) throw new Error(`the name of a lock has more than ${MOST_NAME_BYTES} bytes`);
  return name;
}

export const waitFunctions = {
  /** Starts a timer: its token. */
  starttimer(state, args) {
    return waits(state).startTimer(args.number(1) * 1000);
  },

  /** A data source: its number and kind. */
  datasource(state, args) {
    const { id, kind } = waits(state).source(wordOf(args.string(1)));
    return { id, kind };
  },

  /** The HTTP client: a table of its `id`, or of the `code` and `message` of why there is none. */
  httpclient(state) {
    try {
      return { id: waits(state).httpClient() };
    } catch (error) {
      if (!(error instanceof LuafcgidError)) throw error;
      return { code: error.code, message: toByteString(error.message), solve: toByteString(error.solve) };
    }
  },

  /** Posts an operation of a data source: source, action, handle, seconds, shape, values …; gives its token. */
  post(state, args) {
    const shape = wholeText(args.string(5), SHAPE_LIMIT_BYTES);
    if (shape === undefined) throw new Error(`an operation has more than ${SHAPE_LIMIT_BYTES} arguments`);
    let at = 5;
    const values: (number | Uint8Array)[] = [];
    for (const kind of shape) {
      if ('tf0'.includes(kind)) continue;
      at += 1;
      values.push('nAM'.includes(kind) ? args.number(at) : wholeBytes(args.string(at)));
    }
    return waits(state).post({
      source: args.number(1),
      action: args.number(2),
      handle: args.number(3),
      limitMs: args.number(4) * 1000,
      shape,
      values,
    });
  },

  /**
   * Takes a lock, or begins to wait for it at most so many seconds: a table of `token` or `wait`, or a word. The third argument:
   * whether the request can be suspended.
   */
  lock(state, args) {
    const waitMs = args.number(2) * 1000;
    return waits(state).lock(lockName(args), waitMs > 0 ? waitMs : 0, args.isTrue(3));
  },

  /** The error for a lock that cannot be waited for at this place in Lua. */
  blockedlock(_state, args) {
    const { code, message, solve } = new LuafcgidError('LUAFCGID_LOCK_BLOCKED', { place: wordOf(args.string(1)) });
    return { code, message: toByteString(message), solve: toByteString(solve) };
  },

  /** Releases a lock. */
  unlock: (state, args) => waits(state).unlock(lockName(args), args.number(2)),

  holdslock: (state, args) => waits(state).holdsLock(lockName(args), args.number(2)),

  /** Whether an operation is over. */
  isover(state, args) {
    return waits(state).isOver(args.number(1));
  },

  /** The result of an operation that is over: a table of `failed` and `value`. */
  takeresult(state, args) {
    const { isError, value } = waits(state).take(args.number(1));
    return { failed: isError, value };
  },

  /** Waits here, in the host, until one of the request's operations is over. */
  block(state, args) {
    waits(state).block(wordOf(args.string(1)));
    return undefined;
  },
} satisfies Record<string, HostFunction>;
