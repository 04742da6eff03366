/** The library functions of the embedded Lua that JavaScript takes part in: see `wide-numbers.ts`. */

import { wholeText } from '../crossing.js';
import type { LuaCFunction } from './host-trampoline.js';
import { EARLIEST_SECONDS, END_SECONDS } from './libc/calendar.js';
import { type OpenFiles, seekFrom } from './libc/open-files.js';
import { luaType, type Machine, type RunningMachine } from './machine.js';
import type { HostedFunction } from './wasm/wide-numbers.js';

/** The integer that C makes of a number on the x86 processors: what 64 bits cannot hold becomes the smallest one. */
function toInt64(value: number): bigint {
  const whole = Math.trunc(value);
  return Math.abs(whole) < 2 ** 63 ? BigInt(whole) : -(2n ** 63n);
}

/** The same as an unsigned integer, for which there is one bit more. */
function toUint64(value: number): bigint {
  const whole = Math.trunc(value);
  if (whole >= 2 ** 63) return whole < 2 ** 64 ? BigInt(whole) : 0n;
  return BigInt.asUintN(64, toInt64(value));
}

/** More flags are an error. */
const MOST_FLAGS = 5;
/** A conversion of `string.format` to an integer: flags, width, precision and kind. */
const integerConversion = /%([-+ #0]*)(\d{0,2})(?:\.(\d{0,2}))?([diouxX])|%%|%[^a-zA-Z%]*[a-zA-Z]/g;

/** What C's `printf` makes of an integer. */
function printInteger(
  value: number,
  flags: string,
  width: string,
  precision: string | undefined,
  kind: string,
): string {
  const isSigned = kind === 'd' || kind === 'i';
  const integer = isSigned ? toInt64(value) : toUint64(value);
  const magnitude = integer < 0n ? -integer : integer;
  const radix = kind === 'o' ? 8 : kind === 'x' || kind === 'X' ? 16 : 10;
  let digits = precision !== undefined && Number(precision) === 0 && magnitude === 0n ? '' : magnitude.toString(radix);
  digits = digits.padStart(Number(precision ?? 0), '0');
  if (flags.includes('#') && kind === 'o' && !digits.startsWith('0')) digits = `0${digits}`;
  let prefix = '';
  if (isSigned) prefix = integer < 0n ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  else if (flags.includes('#') && radix === 16 && magnitude !== 0n) prefix = '0x';
  const room = Number(width) - prefix.length;
  if (flags.includes('0') && !flags.includes('-') && precision === undefined) digits = digits.padStart(room, '0');
  const text = prefix + digits;
  const printed = flags.includes('-') ? text.padEnd(Number(width)) : text.padStart(Number(width));
  return kind === 'X' ? printed.toUpperCase() : printed;
}

/** Whether C's `long` of 32 bits is enough; of an unsigned conversion, whether both sizes give the same. */
const isNarrow = (value: number, kind: string): boolean =>
  value < 2 ** 31 && value >= (kind === 'd' || kind === 'i' ? -(2 ** 31) : 0);

/** A longer format is an error: nobody writes it, and its JavaScript string would count for nothing. */
const LONGEST_FORMAT_BYTES = 16 * 1024 * 1024;
/** Longer texts are left to C's own `strtoul`. */
const LONGEST_NUMBER_BYTES = 64 * 1024;
/** Longest word that means something. */
const LONGEST_WORD_BYTES = 64;

function* conversionsIn(format: string): Generator<RegExpExecArray> {
  const pattern = new RegExp(integerConversion);
  for (let found = pattern.exec(format); found !== null; found = pattern.exec(format)) yield found;
}

/** Puts what conversions give that need 64 bits into the arguments of `string.format`, as strings for `%s`. */
function prepareFormat(machine: Machine, L: number): void {
  const { x } = machine;
  let argument = 1;
  const source = wholeText(machine.string(L, 1), LONGEST_FORMAT_BYTES);
  if (source === undefined) return machine.raiseMemoryError(L);
  const replacement = (found: RegExpExecArray): string => {
    const [written, flags = '', width = '', precision, kind] = found;
    if (written === '%%') return written;
    argument += 1;
    if (kind === undefined || flags.length > MOST_FLAGS) return written;
    const type = x.lua_type(L, argument);
    const value = x.lua_tonumber(L, argument);
    if ((type !== luaType.number && type !== luaType.string) || isNarrow(value, kind)) return written;
    machine.pushText(L, printInteger(value, flags, width, precision, kind));
    x.lua_replace(L, argument);
    return '%s';
  };
  // One after the other: `replace` would keep all of them at once.
  let format = '';
  let from = 0;
  for (const found of conversionsIn(source)) {
    format += source.slice(from, found.index) + replacement(found);
    from = found.index + found[0].length;
  }
  machine.pushText(L, format + source.slice(from));
  x.lua_replace(L, 1);
}

/** Texts for `strtoul`: space, sign and digits. */
const inBase16 = /^[ \t-\r]*([-+]?)(?:0[xX](?=[0-9a-fA-F]))?([0-9a-zA-Z]+)[ \t-\r]*$/;
const inOtherBases = /^[ \t-\r]*([-+]?)([0-9a-zA-Z]+)[ \t-\r]*$/;
const UINT64_VALUES = 2n ** 64n;
/** So many digits of any base are exact as a JavaScript number. */
const EXACT_DIGITS = 10;

/** What C's `strtoul` makes of a text with 64 bits; undefined when that is no number of this base, or more than one. */
function parseUnsigned(text: string, base: number): number | undefined {
  const end = text.indexOf('\0');
  const found = (base === 16 ? inBase16 : inOtherBases).exec(end < 0 ? text : text.slice(0, end));
  if (found === null) return undefined;
  const [, sign, digits = ''] = found;
  let narrow = 0;
  let wide = 0n;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = Number.parseInt(digits[at] as string, 36);
    if (digit >= base) return undefined;
    if (at < EXACT_DIGITS) narrow = narrow * base + digit;
    else wide = (at === EXACT_DIGITS ? BigInt(narrow) : wide) * BigInt(base) + BigInt(digit);
    if (wide > UINT64_VALUES) wide = UINT64_VALUES; // a long text does not make a long number
  }
  if (digits.length <= EXACT_DIGITS && sign !== '-') return narrow;
  const value = digits.length > EXACT_DIGITS ? wide : BigInt(narrow);
  if (value >= UINT64_VALUES) return Number(UINT64_VALUES - 1n);
  return Number(sign === '-' ? BigInt.asUintN(64, -value) : value);
}

/** Names of `file:seek`. */
const whences: Readonly<Record<string, number>> = { set: seekFrom.start, cur: seekFrom.here, end: seekFrom.end };
/** EINVAL in the numbers of this C library. */
const INVALID = 28;

/** Moves a file further than C's `long` of 32 bits reaches: its library tells the place, and forgets what it has read ahead. */
function seekFar(machine: Machine, L: number, files: OpenFiles, offset: number): number {
  const { x } = machine;
  const whence =
    whences[x.lua_type(L, 2) === luaType.string ? (wholeText(machine.string(L, 2), LONGEST_WORD_BYTES) ?? '') : 'cur'];
  x.lua_settop(L, 3);
  machine.pushText(L, 'cur');
  if (whence !== undefined) x.lua_replace(L, 2);
  x.lua_pushnumber(L, 0);
  x.lua_replace(L, 3);
  x.lua_settop(L, 3);
  files.takeSought();
  const results = machine.callReplaced('seek', L);
  const sought = files.takeSought();
  if (results !== 1 || sought === undefined || whence === undefined) return results;
  const whole = Number.isNaN(offset) || offset >= 2 ** 63 ? -(2 ** 63) : Math.trunc(offset);
  try {
    x.lua_pushnumber(L, files.seek(sought.number, whole, whence));
    return 1;
  } catch {
    x.lua_pushnil(L);
    machine.pushText(L, 'Invalid argument');
    x.lua_pushnumber(L, INVALID);
    return 3;
  }
}

/** @param openFiles those of the running state; undefined when it was granted none */
export function hostedFunctions(
  running: RunningMachine,
  openFiles: () => OpenFiles | undefined,
): Record<HostedFunction, LuaCFunction> {
  return {
    format(L) {
      prepareFormat(running.machine, L);
      return 0;
    },

    tonumber(L) {
      const { machine } = running;
      const { x } = machine;
      const type = x.lua_type(L, 1);
      const base = Number(BigInt.asIntN(32, toInt64(x.lua_tonumber(L, 2))));
      if ((type !== luaType.string && type !== luaType.number) || base === 10 || base < 2 || base > 36) {
        return machine.callReplaced('tonumber', L);
      }
      const text = wholeText(machine.string(L, 1), LONGEST_NUMBER_BYTES);
      if (text === undefined) return machine.callReplaced('tonumber', L);
      const value = parseUnsigned(text, base);
      if (value === undefined) x.lua_pushnil(L);
      else x.lua_pushnumber(L, value);
      return 1;
    },

    seek(L) {
      const { machine } = running;
      const { x } = machine;
      const files = openFiles();
      if (files === undefined) return machine.callReplaced('seek', L);
      const offset = x.lua_tonumber(L, 3);
      if (!(Math.abs(offset) < 2 ** 31)) return seekFar(machine, L, files, offset);
      files.takeSought();
      const results = machine.callReplaced('seek', L);
      const position = files.takeSought()?.position ?? 0;
      if (results === 1 && position >= 2 ** 31) x.lua_pushnumber(L, position);
      return results;
    },

    /** Nil for a time whose year C's `int` cannot hold. */
    date(L) {
      const { machine } = running;
      const { x } = machine;
      const seconds = x.lua_tonumber(L, 2);
      const isText = [luaType.none, luaType.nil, luaType.number, luaType.string].some(
        (type) => type === x.lua_type(L, 1),
      );
      if (!isText || (seconds >= EARLIEST_SECONDS && seconds < END_SECONDS)) return machine.callReplaced('date', L);
      x.lua_pushnil(L);
      return 1;
    },

    /** There is the locale "C" only, which is also that of an empty name. */
    setlocale(L) {
      const { machine } = running;
      const { x } = machine;
      const isNamed = x.lua_type(L, 1) === luaType.string || x.lua_type(L, 1) === luaType.number;
      const isThere =
        !isNamed || ['', 'C', 'POSIX'].includes(wholeText(machine.string(L, 1), LONGEST_WORD_BYTES) ?? '?');
      if (isNamed) {
        x.lua_pushnil(L);
        x.lua_replace(L, 1);
      }
      const results = machine.callReplaced('setlocale', L);
      if (isThere) return results;
      x.lua_pushnil(L);
      return 1;
    },
  };
}
