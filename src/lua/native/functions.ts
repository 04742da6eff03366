/** The host functions of native states, by number: those that all engines share, and those of native ones only. */

import { GLOBALS_LIMIT_BYTES, PATH_LIMIT_BYTES, wholeBytes, wholeText } from '../crossing.js';
import { gmtime, localtime, strftime } from '../embedded/libc/calendar.js';
import { hostFunctions, requireGlobals } from '../host-functions.js';
import type { HostArguments, HostedState, HostFunction, HostResult } from '../hosted-state.js';
import { withoutFirstLine } from '../source-text.js';
import type { LuaValue } from '../state.js';
import type { JsonChunk } from './json-chunk.js';
import { writeJsonStream } from './json-stream.js';
import type { GrowingMemory } from './memory.js';
import { readFlattened } from './values.js';

/** What host functions need of the native state that calls them. */
export interface CallingState extends HostedState {
  /** The Lua thread that calls now. */
  callingThread: number;
  noteHostError(error: Error): void;
  noteGlobals(values: LuaValue, functions: LuaValue): void;
  /** Hooks reach this coroutine, too, from now on. */
  watch(thread: number): void;
  lookAtInterrupts(thread: number): void;
  stopForMemory(): void;
  lookAtMemorySoon(): void;
  /** Whether C functions may nest further. */
  readonly hasRoom: boolean;
  /** Reads JSON, where this version of Lua takes chunks that the host writes. */
  readonly jsonChunk: JsonChunk | undefined;
}

/** The arguments of a call from a native state. */
export interface NativeArguments extends HostArguments {
  /** The address of the Lua thread that an argument is; 0 for other values. */
  thread(at: number): number;
  /** Whether the Lua 5.1 thread that calls may yield. */
  mayYield(): boolean;
}

const LONGEST_DATE_FORMAT_BYTES = 4096;

/** Longer texts are read by Lua. */
const LONGEST_JSON_BYTES = 16 << 20;

/** Writes a chunk into memory and gives its length, or undefined where there is nothing to give. Lua gets a function. */
export type ChunkResult = (to: GrowingMemory) => number | undefined;

export type NativeResult = HostResult | ChunkResult;

type NativeFunction = (state: CallingState, args: NativeArguments) => NativeResult;

const nativeFunctions: Readonly<Record<string, NativeFunction>> = {
  ...(hostFunctions as Record<string, HostFunction>),

  /** The request's parameters as they came. */
  params: (state) => state.request?.params ?? new Uint8Array(0),

  /** A Lua file; nothing when there is no such file. */
  source(state, args) {
    const path = wholeText(args.string(1), PATH_LIMIT_BYTES);
    const source = path === undefined ? undefined : state.options.host.readSource(path);
    return source === undefined ? undefined : withoutFirstLine(source);
  },

  /** The precompiled chunk of a part that is loaded when it is needed. */
  part: (state, args) => state.deferredPart(wholeText(args.string(1), PATH_LIMIT_BYTES) ?? ''),

  /** The script's own globals, flattened: values and names of functions. */
  globals(state, args) {
    requireGlobals(state);
    const text = wholeText(args.string(1), 2 * GLOBALS_LIMIT_BYTES);
    if (text === undefined) throw new Error(`there are more than ${GLOBALS_LIMIT_BYTES} bytes of text`);
    const [values, functions] = readFlattened(text) as readonly [HostResult, HostResult];
    state.noteGlobals(values as never, functions as never);
    return undefined;
  },

  /** A function that makes the value of a JSON text; nothing where the text is left to Lua (json-decode.lua). */
  jsonchunk({ jsonChunk }, args) {
    const text = jsonChunk && wholeBytes(args.string(1), LONGEST_JSON_BYTES);
    if (jsonChunk === undefined || text === undefined) return undefined;
    const [checksUtf8, marksArrays] = [args.isTrue(2), args.isTrue(3)];
    return (to) => jsonChunk.write(text, checksUtf8, marksArrays, to);
  },

  /** The JSON text of a row of pieces (json-flatten.lua); nothing where it is left to Lua. */
  jsontext(_state, args) {
    const text = wholeBytes(args.string(1), LONGEST_JSON_BYTES);
    return text && writeJsonStream(text);
  },

  /** A coroutine has been made. */
  watch(state, args) {
    state.watch(args.thread(1));
    return undefined;
  },

  /** Whether another coroutine or C function may be begun. */
  hasroom: (state) => state.hasRoom,

  /** A time in seconds since 1970 as text in this format, or as fields; in UTC or in the zone of the server. */
  date(_state, args) {
    const format = wholeText(args.string(1), LONGEST_DATE_FORMAT_BYTES);
    if (format === undefined) throw new Error(`the format is longer than ${LONGEST_DATE_FORMAT_BYTES} bytes`);
    const time = args.isTrue(3) ? gmtime(args.number(2)) : localtime(args.number(2));
    if (!format.startsWith('*t')) return strftime(format, time);
    return {
      sec: time.second,
      min: time.minute,
      hour: time.hour,
      day: time.day,
      month: time.month + 1,
      year: time.year + 1900,
      wday: time.weekDay + 1,
      yday: time.yearDay + 1,
      isdst: time.daylightSaving > 0,
    };
  },

  /** The script has set a hook, perhaps in the place of the one for interrupts. */
  rearm(state) {
    state.lookAtInterrupts(state.callingThread);
    return undefined;
  },

  /** The state holds more than it may. */
  overmemory(state) {
    state.stopForMemory();
    return undefined;
  },

  /** Whether the Lua thread that calls may yield; for Lua 5.1, which tells nobody. */
  yieldable: (_state, args) => args.mayYield(),

  /** Asks how much it holds at the next instruction. */
  checkmemory(state) {
    state.lookAtMemorySoon();
    return undefined;
  },
};

/** Their names, in the order of the numbers by which Lua calls them (from 1). */
export const nativeFunctionNames = Object.keys(nativeFunctions);
export const functionsByNumber = Object.values(nativeFunctions);
