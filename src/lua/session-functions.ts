/** Host functions for sessions in memory, the same for all engines. */
import { LuafcgidError } from '../base/errors.js';
import type { Dictionary } from '../shared/dictionary.js';
import { type LuaString, wholeText } from './crossing.js';
import type { LuaValue } from './state.js';

/** What these functions need of the state that calls. */
interface State {
  readonly options: { readonly sessions?: Dictionary | undefined };
}

/** Their arguments, counted from 1. */
interface Arguments {
  readonly count: number;
  number(at: number): number;
  isTrue(at: number): boolean;
  string(at: number): LuaString;
}

const WORD_BYTES = 16;

/** A copy: the next argument may take its place. */
function bytesAt(args: Arguments, at: number): Uint8Array {
  const string = args.string(at);
  return Uint8Array.from(string.bytes(0, string.sizeBytes));
}

/**
 * `get`, KEY: the value, or nothing. `swap`, KEY, seconds, whether there is an OLD, OLD, whether there is a NEW, NEW: puts
 * NEW in the place of OLD, in one step, and tells whether OLD was there.
 */
export function callSessions(state: State, args: Arguments): LuaValue | Uint8Array {
  const { sessions } = state.options;
  if (sessions === undefined) throw new Error('sessions are not kept in memory here');
  const action = wholeText(args.string(1), WORD_BYTES);
  const key = bytesAt(args, 2);
  if (action === 'get') {
    const found = sessions.get(key)?.value;
    return found instanceof Uint8Array ? found : undefined;
  }
  const ttlMs = Math.max(1, args.number(3) * 1000);
  const old = args.isTrue(4) ? bytesAt(args, 5) : undefined;
  const value = args.isTrue(6) ? bytesAt(args, 7) : undefined;
  const { refusal } = sessions.compareAndSet(key, old, value, ttlMs);
  if (refusal === 'no memory') throw new LuafcgidError('LUAFCGID_SESSION_FULL');
  return refusal === undefined;
}
