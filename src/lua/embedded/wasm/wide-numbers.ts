/**
 * Numbers beyond 32 bits in the library of the embedded Lua. Lua numbers are doubles, but the WebAssembly file was
 * compiled for 32 bits: where Lua's C library turns a number into C's `long`, `size_t` or `ptrdiff_t`, it cuts it off at
 * 2^31. The stock interpreters of 64-bit systems do not. So before the file is compiled
 *
 * - `lua_tointeger` gives the low 32 bits of the 64-bit integer, which is what C makes of it wherever Lua asks for an `int`;
 * - library functions that use all 64 bits get another function in their place in the function table. It moves positions
 *   beyond all strings to the longest string's end, or lets JavaScript do the work (`wide-functions.ts`), and then calls
 *   the function that was there.
 *
 * One more difference is mended on the way: to this C library "0x" without digits is a number, to Lua's it is none.
 *
 * The functions of the library stay those that Lua's own code has made: nothing of this is visible to a script.
 */

import { bounded, countIfText, countSearch, countTexts, countWork } from './bounded-loops.js';
import { leb128, type Section, section, vector } from './bytes.js';
import { type Code, functionBody, functionType, op, valueType } from './code.js';
import { findSprintf, writeNumber } from './number-texts.js';
import {
  countImports,
  extend,
  readBodies,
  readCount,
  readData,
  readExports,
  readTable,
  readTypes,
  resize,
  unusable,
} from './sections.js';
import { withLongHash } from './string-hash.js';

/** The library functions that JavaScript takes part in, by Lua library. */
const hostedFunctions = {
  format: 'string',
  tonumber: 'base',
  seek: 'file',
  date: 'os',
  setlocale: 'os',
} as const;

export type HostedFunction = keyof typeof hostedFunctions;

/** In the order of their places in the function table. */
export const hostedFunctionNames = Object.keys(hostedFunctions) as HostedFunction[];

/** Entries of the function table of the file as it is shipped. The functions that were replaced come after them. */
const SHIPPED_TABLE_SIZE = 177;

/** Where the function table has the library function whose place was taken by one that calls JavaScript. */
export function replacedFunction(name: HostedFunction): number {
  return SHIPPED_TABLE_SIZE + hostedFunctionNames.indexOf(name);
}

/** Where every instance gets the JavaScript functions of `hostedFunctionNames`, in this order: they are the first of all. */
const firstHosted = SHIPPED_TABLE_SIZE + hostedFunctionNames.length;

/** Some functions of each library: a list of name and function in the file's data that has them all is this library's. */
const libraryMembers = {
  string: ['byte', 'find', 'format', 'match', 'sub'],
  base: ['tonumber', 'tostring', 'unpack'],
  file: ['read', 'seek', '__tostring'],
  os: ['clock', 'date', 'setlocale'],
  table: ['concat', 'insert', 'sort'],
} as const;

type Library = keyof typeof libraryMembers;

const { i32 } = valueType;

/** The table entries of the functions of each library, from the lists with which `luaL_register` is called. */
function readLibraries(memory: Buffer): Record<Library, Map<string, number>> {
  const nameAt = (address: number): string => memory.toString('latin1', address, memory.indexOf(0, address));
  const lists: Map<string, number>[] = [];
  for (let at = 0; at + 8 <= memory.length; at += 4) {
    const list = new Map<string, number>();
    for (; at + 8 <= memory.length; at += 8) {
      const address = memory.readUInt32LE(at);
      const entry = memory.readUInt32LE(at + 4);
      if (address < 1024 || address >= memory.length || entry === 0 || entry >= SHIPPED_TABLE_SIZE) break;
      list.set(nameAt(address), entry);
    }
    if (list.size > 0) lists.push(list);
  }
  const find = (library: Library): Map<string, number> => {
    const fitting = lists.filter((list) => libraryMembers[library].every((name) => list.has(name)));
    const [list] = fitting;
    if (list === undefined || fitting.length > 1) throw unusable(`its library ${library} was not found`);
    return list;
  };
  return {
    string: find('string'),
    base: find('base'),
    file: find('file'),
    os: find('os'),
    table: find('table'),
  };
}

/** What the added functions call. */
interface Callees {
  /** A function of the Lua API. */
  readonly lua: (name: string) => Code;
  /** The library function that is replaced. */
  readonly original: (library: Library, name: string) => Code;
  /** Calls the JavaScript function; its argument is on the stack. */
  readonly hosted: (name: HostedFunction) => Code;
}

const NUMBER_TYPE = 3;
const STRING_TYPE = 4;
const LIMIT = 2 ** 31;
const FURTHEST = LIMIT - 1;

/**
 * `(L, argument)`: moves a position that does not fit into 32 bits to the end of the longest string. What does not fit
 * into 64 bits either counts as the smallest integer, as on the x86 processors.
 */
function clampPosition({ lua }: Callees): Uint8Array {
  const [L, argument, value] = [0, 1, 2];
  return functionBody(
    [valueType.f64],
    [op.get(L), op.get(argument), lua('lua_tonumber'), op.tee(value), op.f64Abs, op.f64(LIMIT), op.f64Less],
    op.if(op.return),
    [op.get(L), op.f64(FURTHEST), op.f64(-FURTHEST)],
    [op.get(value), op.f64(LIMIT), op.f64GreaterEqual, op.get(value), op.f64(2 ** 63), op.f64Less, op.i32And],
    [op.select, lua('lua_pushnumber'), op.get(L), op.get(argument), lua('lua_replace')],
  );
}

/** `(L, argument)`: makes a number of bytes that does not fit into 32 bits the largest that does, which is written -1. */
function clampCount({ lua }: Callees): Uint8Array {
  const [L, argument, value] = [0, 1, 2];
  return functionBody(
    [valueType.f64],
    [op.get(L), op.get(argument), lua('lua_type'), op.i32(NUMBER_TYPE), op.i32Eq, op.i32Eqz, op.if(op.return)],
    [op.get(L), op.get(argument), lua('lua_tonumber'), op.tee(value), op.f64(-1), op.f64GreaterEqual],
    [op.get(value), op.f64(2 ** 32 - 1), op.f64LessEqual, op.i32And, op.if(op.return)],
    [op.get(L), op.f64(-1), lua('lua_pushnumber'), op.get(L), op.get(argument), lua('lua_replace')],
  );
}

const code = (character: string): number => character.charCodeAt(0);

/** `(L) -> i32`: whether a conversion to an integer in the format (argument 1) has a number for which C's `long` is too small. */
function hasWideInteger({ lua }: Callees): Uint8Array {
  const [L, at, end, argument, character, value] = [0, 1, 2, 3, 4, 5];
  const isCharacter = (text: string): Code => [op.get(character), op.i32(code(text)), op.i32Eq];
  const isOneOf = (text: string): Code =>
    [...text].map((one, position) => [isCharacter(one), position === 0 ? [] : op.i32Or]);
  const next: Code = [op.get(at), op.i32(1), op.i32Add, op.set(at)];
  /** Reads the next character; at the end of the format the answer is no. */
  const read: Code = [
    [op.get(at), op.get(end), op.i32GreaterEqualUnsigned, op.if(op.i32(0), op.return)],
    [op.get(at), op.loadByte, op.set(character)],
    next,
  ];
  return functionBody(
    [i32, i32, i32, i32, valueType.f64],
    [op.get(L), op.i32(1), op.i32(0), lua('lua_tolstring'), op.tee(at), op.i32Eqz, op.if(op.i32(0), op.return)],
    [op.get(at), op.get(L), op.i32(1), lua('lua_objlen'), op.i32Add, op.set(end)],
    [op.i32(1), op.set(argument)],
    op.loop(
      read,
      [isCharacter('%'), op.i32Eqz, op.brIf(0)],
      read,
      [isCharacter('%'), op.brIf(0)],
      [op.get(argument), op.i32(1), op.i32Add, op.set(argument)],
      // Flags, width and precision: " #+-." and digits.
      op.block(
        op.loop(
          [isOneOf(' #+-.'), op.get(character), op.i32(code('0')), op.i32Subtract, op.i32(10), op.i32LessUnsigned],
          [op.i32Or, op.i32Eqz, op.brIf(1)],
          read,
          op.br(0),
        ),
      ),
      [isOneOf('diouxX'), op.i32Eqz, op.brIf(0)],
      [op.get(L), op.get(argument), lua('lua_tonumber'), op.tee(value)],
      [op.f64(-LIMIT), op.f64(0), isOneOf('di'), op.select, op.f64GreaterEqual],
      [op.get(value), op.f64(LIMIT), op.f64Less, op.i32And, op.brIf(0)],
      [op.i32(1), op.return],
    ),
    op.i32(0),
  );
}

/** The functions that the others call, by their numbers. */
type Helpers = Record<'clampPosition' | 'clampCount' | 'hasWideInteger' | 'countWork' | 'countTexts', number>;

/** The functions that take the places of library functions: `(L) -> i32`. */
function replacements(callees: Callees, helper: Helpers) {
  const { lua, original, hosted } = callees;
  const L = 0;
  const clamp = (argument: number): Code => [op.get(L), op.i32(argument), op.call(helper.clampPosition)];
  const withPositions = (name: string, ...positions: readonly number[]) =>
    functionBody([], ...positions.map(clamp), op.get(L), original('string', name));
  const search = (name: string) =>
    functionBody([], countSearch(callees, helper.countWork), clamp(3), op.get(L), original('string', name));
  const inHost = (name: HostedFunction) => functionBody([], op.get(L), hosted(name));
  const [at, top, results] = [1, 1, 1];
  return {
    string: {
      byte: withPositions('byte', 2, 3),
      sub: withPositions('sub', 2, 3),
      find: search('find'),
      match: search('match'),
      format: functionBody(
        [],
        [op.get(L), op.call(helper.countTexts), op.drop],
        [op.get(L), op.call(helper.hasWideInteger), op.if(op.get(L), hosted('format'), op.drop)],
        [op.get(L), original('string', 'format')],
      ),
    },
    base: {
      // With a base, texts of up to six characters fit into 32 bits: those of a minus sign give more than 2^31.
      tonumber: functionBody(
        [i32],
        countIfText(callees, helper.countWork),
        [op.get(L), op.i32(2), lua('lua_type'), op.i32(0), op.i32LessEqualSigned],
        op.if(op.get(L), original('base', 'tonumber'), op.return),
        [op.get(L), op.i32(1), lua('lua_type'), op.i32(STRING_TYPE), op.i32Eq],
        op.if(
          [op.get(L), op.i32(1), lua('lua_objlen'), op.i32(7), op.i32LessUnsigned],
          op.if(
            [op.get(L), original('base', 'tonumber'), op.set(results)],
            [op.get(L), op.i32(-1), lua('lua_tonumber'), op.f64(LIMIT), op.f64Less],
            op.if(op.get(results), op.return),
            [op.get(L), op.i32(2), lua('lua_settop')],
          ),
        ),
        [op.get(L), hosted('tonumber')],
      ),
    },
    file: {
      read: functionBody(
        [i32],
        [op.get(L), lua('lua_gettop'), op.set(top)],
        op.block(
          op.loop(
            [op.get(at), op.i32(2), op.i32LessSigned, op.brIf(1)],
            [op.get(L), op.get(at), op.call(helper.clampCount)],
            [op.get(at), op.i32(1), op.i32Subtract, op.set(at), op.br(0)],
          ),
        ),
        [op.get(L), original('file', 'read')],
      ),
      seek: inHost('seek'),
    },
    os: { date: inHost('date'), setlocale: inHost('setlocale') },
  } satisfies Partial<Record<Library, Record<string, Uint8Array>>>;
}

/** `lua_tointeger`: the low 32 bits of the 64-bit integer, and 0 for what 64 bits cannot hold, as on the x86 processors. */
function lowBits({ lua }: Callees): Uint8Array {
  const [L, index, value] = [0, 1, 2];
  return functionBody(
    [valueType.f64],
    [op.get(L), op.get(index), lua('lua_tonumber'), op.tee(value), op.f64Abs, op.f64(2 ** 63), op.f64Less],
    op.ifElse([op.get(value), op.i64TruncateF64, op.i32WrapI64, op.return], []),
    op.i32(0),
  );
}

/** In the place of `strtoul` where Lua reads numbers: all that `strtod` has not read is no number. */
const readNothing = functionBody([], op.i32(0));

/** How Lua calls it: with base 16, and the result becomes a double that is stored. `undefined` stands for the function's number. */
const hexadecimalCall = [0x41, 16, 0x10, undefined, undefined, 0xb8, 0x39];

/** The function that Lua reads numbers with, calling another one instead of `strtoul`. */
function withoutBareHexadecimal(bodies: readonly Uint8Array[], instead: number): Uint8Array[] {
  const operand = leb128(instead);
  const matches = (body: Uint8Array, at: number): boolean =>
    hexadecimalCall.every((byte, offset) => byte === undefined || body[at + offset] === byte);
  let found = 0;
  const changed = bodies.map((body) => {
    const at = body.findIndex((_, start) => matches(body, start));
    if (at < 0) return body;
    found += 1;
    const copy = Uint8Array.from(body);
    copy.set(operand, at + hexadecimalCall.indexOf(undefined));
    return copy;
  });
  if (found !== 1 || operand.length !== 2) throw unusable('the function that reads numbers was not found');
  return changed;
}

/** The sections of the file, changed as said above. */
export function widenNumbers(sections: readonly Section[]): Section[] {
  const bodyOf = (id: number): Uint8Array => {
    const found = sections.find((one) => one.id === id);
    if (found === undefined) throw unusable(`it lacks the section ${id}`);
    return found.body;
  };
  const exported = readExports(bodyOf(section.export));
  const table = readTable(bodyOf(section.element));
  const data = readData(bodyOf(section.data));
  const libraries = readLibraries(data);
  const imports = countImports(bodyOf(section.import));
  const types = readCount(bodyOf(section.type)).count;
  const functions = imports + readCount(bodyOf(section.function)).count;
  const [cFunctionType, helperType, parserType] = [types, types + 1, types + 2];

  const lua = (name: string): Code => op.call(exported.get(name) ?? missing(name));
  const missing = (name: string): never => {
    throw unusable(`it lacks the export ${name}`);
  };
  const entryOf = (library: Library, name: string): number =>
    libraries[library].get(name) ?? missing(`${library}.${name}`);
  const functionOf = (library: Library, name: string): number => table[entryOf(library, name) - 1] as number;
  const callees: Callees = {
    lua,
    original: (library, name) => op.call(functionOf(library, name)),
    hosted: (name) => [op.i32(firstHosted + hostedFunctionNames.indexOf(name)), op.callIndirect(cFunctionType)],
  };
  const helpers: Helpers = {
    clampPosition: functions,
    clampCount: functions + 1,
    hasWideInteger: functions + 2,
    countWork: functions + 3,
    countTexts: functions + 4,
  };
  const added = [
    clampPosition(callees),
    clampCount(callees),
    hasWideInteger(callees),
    countWork(),
    countTexts(callees, helpers.countWork),
    readNothing,
  ];
  const addedFunctionTypes = [helperType, helperType, cFunctionType, helperType, cFunctionType, parserType];
  const originals = hostedFunctionNames.map((name) => functionOf(hostedFunctions[name], name));
  const changed = [...table];
  const changes: readonly Record<string, Record<string, Uint8Array>>[] = [
    replacements(callees, helpers),
    bounded(callees, data, helpers.countWork),
  ];
  for (const [library, members] of changes.flatMap((change) => Object.entries(change))) {
    for (const [name, body] of Object.entries(members)) {
      changed[entryOf(library as Library, name) - 1] = functions + added.length;
      added.push(body);
      addedFunctionTypes.push(cFunctionType);
    }
  }
  const addedTypes = [functionType([i32], [i32]), functionType([i32, i32], []), functionType([i32, i32, i32], [i32])];
  const entries = [...changed, ...originals];
  const shipped = withLongHash(readBodies(bodyOf(section.code)));
  const bodies = withoutBareHexadecimal(shipped, functions + added.indexOf(readNothing));
  const { address, sprintf } = findSprintf(bodies, data);
  added.push(bodies[sprintf - imports] as Uint8Array);
  addedFunctionTypes.push(readTypes(bodyOf(section.function))[sprintf - imports] as number);
  bodies[sprintf - imports] = writeNumber(address, functions + added.length - 1);
  bodies[(exported.get('lua_tointeger') ?? missing('lua_tointeger')) - imports] = lowBits(callees);
  return sections.map((one) => {
    if (one.id === section.type) return extend(one, addedTypes);
    if (one.id === section.function)
      return extend(
        one,
        addedFunctionTypes.map((type) => Uint8Array.from(leb128(type))),
      );
    if (one.id === section.table) return resize(one, SHIPPED_TABLE_SIZE, firstHosted, [0x70]);
    if (one.id === section.element) {
      const list = vector(entries.map((entry) => Uint8Array.from(leb128(entry))));
      return { id: one.id, body: Buffer.concat([Uint8Array.of(1, 0, 0x41, 1, 0x0b), list]) };
    }
    if (one.id === section.code) return { id: one.id, body: vector([...bodies, ...added]) };
    return one;
  });
}
