/** Host functions of the module luafcgid.shared, the same for all engines. */

import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import {
  type Dictionary,
  type Incremented,
  MOST_KEY_BYTES,
  MOST_VALUE_BYTES,
  type Refusal,
  type Stored,
  type Value,
} from '../shared/dictionary.js';
import { type LuaString, wholeText } from './crossing.js';
import type { LuaValue, NamedDictionary } from './state.js';

/** What these functions need of the state that calls. */
interface State {
  readonly options: { readonly shared?: readonly NamedDictionary[] };
}

/** Their arguments, counted from 1. */
interface Arguments {
  number(at: number): number;
  isTrue(at: number): boolean;
  string(at: number): LuaString;
}

type Result = LuaValue | Uint8Array;

/** What library/shared.lua says a value is. */
const Kind = { NIL: 0, FALSE: 1, TRUE: 2, NUMBER: 3, STRING: 4, INTEGER: 5, DIGITS: 6 } as const;

/** In the order of their numbers in library/shared.lua, from 1. */
const REFUSALS: readonly Refusal[] = [
  'exists',
  'not found',
  'no memory',
  'not a number',
  'value not a list',
  'changed',
];
/** Added to a result when other values were evicted. */
const EVICTED = 16;

const CONDITIONS = ['always', 'absent', 'present'] as const;
const WORD_BYTES = 1024;
const DIGITS_BYTES = 32;

/** A copy: the next argument may take the place of this one. */
function bytesOf(args: Arguments, at: number, mostBytes: number, what: string): Uint8Array {
  const text = args.string(at);
  if (text.sizeBytes > mostBytes) throw new Error(`${what} has more than ${mostBytes} bytes`);
  return Uint8Array.from(text.bytes(0, text.sizeBytes));
}

function keyOf(args: Arguments): Uint8Array {
  const key = bytesOf(args, 3, MOST_KEY_BYTES, 'the key');
  if (key.length === 0) throw new Error('the key is empty');
  return key;
}

/** What is too long for any dictionary: it is refused without being copied. */
const tooLong = new Uint8Array(MOST_VALUE_BYTES + 1);

/** The value whose kind is at `at`, and which stands behind it. */
function valueAt(args: Arguments, at: number): Value | undefined {
  switch (args.number(at)) {
    case Kind.FALSE:
      return false;
    case Kind.TRUE:
      return true;
    case Kind.NUMBER:
      return args.number(at + 1);
    case Kind.INTEGER:
      return BigInt(args.number(at + 1));
    case Kind.DIGITS:
      return BigInt.asIntN(64, BigInt(wholeText(args.string(at + 1), DIGITS_BYTES) ?? '0'));
    case Kind.STRING: {
      const { sizeBytes } = args.string(at + 1);
      return sizeBytes > MOST_VALUE_BYTES ? tooLong : bytesOf(args, at + 1, MOST_VALUE_BYTES, 'the value');
    }
    default:
      return undefined;
  }
}

/** A value that there must be. */
function required(args: Arguments, at: number): Value {
  const value = valueAt(args, at);
  if (value === undefined) throw new Error('a value is missing');
  return value;
}

const numberAt = (args: Arguments, at: number): number | bigint => {
  const value = valueAt(args, at);
  return typeof value === 'bigint' ? value : Number(value);
};

function dictionaryOf({ options: { shared = [] } }: State, args: Arguments): Dictionary {
  const found = shared[args.number(2) - 1]?.dictionary;
  if (found === undefined) throw new Error('there is no such dictionary');
  return found;
}

/** What Lua 5.4 has to be told besides a number: whether it is a float with a whole value, or has more than 53 bits. */
function give(value: Value): Result {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : { integer: String(value) };
  }
  return value;
}

function giveNumber(value: number | bigint, is54: boolean): Result {
  if (is54 && typeof value === 'number' && Number.isInteger(value)) {
    return { float: Object.is(value, -0) ? '-0.0' : String(value) };
  }
  return give(value);
}

function giveValue(value: Value, is54: boolean): Result {
  return typeof value === 'number' || typeof value === 'bigint' ? giveNumber(value, is54) : give(value);
}

function giveStored({ refusal, hasEvicted }: Stored): number {
  return (refusal === undefined ? 0 : REFUSALS.indexOf(refusal) + 1) + (hasEvicted ? EVICTED : 0);
}

function giveIncremented({ refusal, hasEvicted, value }: Incremented, is54: boolean): Result {
  if (refusal !== undefined) return { refused: giveStored({ refusal, hasEvicted }) };
  const result = giveNumber(value, is54);
  return hasEvicted ? { evicted: true, value: result as LuaValue } : result;
}

/** A value that comes with flags, or is stale, is given in two calls. */
let held: Value | undefined;

type SharedFunction = (state: State, args: Arguments) => Result;

const functions: Readonly<Record<string, SharedFunction>> = {
  /** The number of a dictionary by its name, or a table of the data source that it lies in. */
  find({ options: { shared = [] } }, args) {
    const name = wholeText(args.string(2), WORD_BYTES) ?? '';
    const at = shared.findIndex((one) => one.name === name);
    const store = shared[at]?.store;
    if (store !== undefined) return { store: toByteString(store) };
    if (at >= 0) return at + 1;
    if (shared.length === 0) throw new LuafcgidError('LUAFCGID_SHARED_NONE');
    const names = shared.map((one) => one.name).join(', ');
    throw new LuafcgidError('LUAFCGID_SHARED_UNKNOWN', { name, names });
  },

  /** Of a dictionary, a key, whether this is Lua 5.4, and whether it may be stale. */
  get(state, args) {
    const found = dictionaryOf(state, args).get(keyOf(args), args.isTrue(5));
    if (found === undefined) return undefined;
    const { value, flags, isStale } = found;
    if (value === undefined) return { list: true };
    if (flags === 0 && !args.isTrue(5)) return giveValue(value, args.isTrue(4));
    held = value;
    return { held: true, flags, stale: isStale };
  },

  /** The value of the `get` just before. */
  take(_state, args) {
    const value = held;
    held = undefined;
    return value === undefined ? undefined : giveValue(value, args.isTrue(4));
  },

  /** Of a dictionary, a key, a value, seconds, flags, a condition, and whether nothing is evicted for it. */
  set(state, args) {
    const dictionary = dictionaryOf(state, args);
    const key = keyOf(args);
    const condition = CONDITIONS[args.number(8)] ?? 'always';
    const [ttlMs, flags, isSafe] = [args.number(6) * 1000, args.number(7), args.isTrue(9)];
    return giveStored(dictionary.set(key, required(args, 4), { condition, ttlMs, flags, isSafe }));
  },

  /** Of a dictionary, a key, the old and the new value, and seconds. */
  cas(state, args) {
    const dictionary = dictionaryOf(state, args);
    const key = keyOf(args);
    const old = valueAt(args, 4);
    return giveStored(dictionary.compareAndSet(key, old, valueAt(args, 6), args.number(8) * 1000));
  },

  delete: (state, args) => dictionaryOf(state, args).delete(keyOf(args)),

  /** Of a dictionary, a key, a number, a first value or nil, seconds, and whether this is Lua 5.4. */
  incr(state, args) {
    const dictionary = dictionaryOf(state, args);
    const init = args.number(6) === Kind.NIL ? undefined : numberAt(args, 6);
    return giveIncremented(
      dictionary.increment(keyOf(args), numberAt(args, 4), init, args.number(8) * 1000),
      args.isTrue(9),
    );
  },

  /** Of a dictionary, a key, whether to the end, and a value: the length, or a table. */
  push(state, args) {
    const { lists } = dictionaryOf(state, args);
    const key = keyOf(args);
    const end = args.isTrue(4) ? 'last' : 'first';
    const pushed = lists.push(key, end, required(args, 5), MOST_VALUE_BYTES);
    return pushed.refusal === undefined ? pushed.length : { refused: giveStored(pushed) };
  },

  /** Of a dictionary, a key, whether from the end, and whether this is Lua 5.4. */
  pop(state, args) {
    const value = dictionaryOf(state, args).lists.pop(keyOf(args), args.isTrue(4) ? 'last' : 'first');
    if (value === undefined) return undefined;
    return typeof value === 'string' ? { list: false } : giveValue(value, args.isTrue(5));
  },

  length(state, args) {
    const length = dictionaryOf(state, args).lists.length(keyOf(args));
    return typeof length === 'number' ? length : undefined;
  },

  /** Seconds. */
  ttl(state, args) {
    const ttlMs = dictionaryOf(state, args).ttlMs(keyOf(args));
    return ttlMs === undefined ? undefined : ttlMs / 1000;
  },

  expire: (state, args) => dictionaryOf(state, args).expire(keyOf(args), args.number(4) * 1000),

  flushall(state, args) {
    dictionaryOf(state, args).flushAll();
    return undefined;
  },

  flushexpired: (state, args) => dictionaryOf(state, args).flushExpired(args.number(3)),

  keys: (state, args) =>
    dictionaryOf(state, args)
      .keys(args.number(3))
      .map((key) => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')),

  capacity: (state, args) => dictionaryOf(state, args).capacityBytes,
  freespace: (state, args) => dictionaryOf(state, args).freeBytes,
};

/** Calls one of the functions: its name is the first argument. */
export function callShared(state: State, args: Arguments): Result {
  const name = wholeText(args.string(1), WORD_BYTES) ?? '';
  const run = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (run === undefined) throw new Error('there is no such function');
  return run(state, args);
}
