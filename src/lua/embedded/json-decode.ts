/**
 * Reads JSON into tables of the embedded Lua. Texts with an error are left to json-decode.lua, which says what it is; and so is a text
 * whose request has to stop, since Lua can be stopped anywhere.
 */

import { isUtf8 } from 'node:buffer';
import { DEEPEST_JSON, endOfString, isPlainByte, JsonNumber, noJson, unescapeJson } from '../json-text.js';
import type { InterruptSource } from '../state.js';
import { luaType, type Machine } from './machine.js';

/** So many strings are made between two looks at whether the request has to stop: a client can make each of them take long. */
const STRINGS_BETWEEN_LOOKS = 256;

type Interrupts = Pick<InterruptSource, 'isStopWanted'>;

class JsonReader {
  #machine!: Machine;
  #L = 0;
  /** The text lies in Lua's own memory. The view is made anew when that has grown. */
  #bytes!: Buffer;
  #at = 0;
  #end = 0;
  #arrayMetaIndex = 0;
  readonly #numbers = new JsonNumber();
  #stringsLeft = STRINGS_BETWEEN_LOOKS;
  readonly #interrupts: Interrupts | undefined;

  constructor(interrupts: Interrupts | undefined) {
    this.#interrupts = interrupts;
  }

  read(machine: Machine, L: number, checksUtf8: boolean, arrayMetaIndex: number): boolean {
    const text = machine.bytes(L, 1);
    const start = text.byteOffset;
    this.#machine = machine;
    this.#L = L;
    this.#bytes = machine.memory;
    this.#at = start;
    this.#end = start + text.length;
    this.#arrayMetaIndex = arrayMetaIndex;
    if (checksUtf8 && !isUtf8(text)) return false;
    try {
      this.#value(this.#skip(), 1);
      return this.#skip() === -1;
    } catch (error) {
      if (error === noJson) return false;
      throw error;
    } finally {
      this.#bytes = Buffer.alloc(0);
    }
  }

  /** The next byte that is no space, without reading it; -1 at the end. */
  #skip(): number {
    const bytes = this.#bytes;
    while (this.#at < this.#end) {
      const byte = bytes[this.#at] as number;
      if (byte > 32) return byte;
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) throw noJson;
      this.#at += 1;
    }
    return -1;
  }

  /** Calls into Lua may have grown the memory. */
  #refresh(): void {
    if (this.#bytes !== this.#machine.memory) this.#bytes = this.#machine.memory;
  }

  #value(first: number, depth: number): void {
    const { x } = this.#machine;
    switch (first) {
      case 0x22:
        this.#string();
        return;
      case 0x7b:
        this.#object(depth);
        return;
      case 0x5b:
        this.#array(depth);
        return;
      case 0x74:
        this.#word('true');
        x.lua_pushboolean(this.#L, 1);
        return;
      case 0x66:
        this.#word('false');
        x.lua_pushboolean(this.#L, 0);
        return;
      case 0x6e:
        this.#word('null');
        x.lua_pushvalue(this.#L, 2);
        return;
      default:
        this.#number();
    }
  }

  #word(word: string): void {
    const bytes = this.#bytes;
    for (let at = 0; at < word.length; at += 1) {
      if (this.#at + at >= this.#end || bytes[this.#at + at] !== word.charCodeAt(at)) throw noJson;
    }
    this.#at += word.length;
  }

  #number(): void {
    const value = this.#numbers.read(this.#bytes, this.#at, this.#end);
    this.#at = this.#numbers.end;
    this.#machine.x.lua_pushnumber(this.#L, value);
  }

  /** Pushes the string whose quote comes now. */
  #string(): void {
    this.#stringsLeft -= 1;
    if (this.#stringsLeft === 0) {
      if (this.#interrupts?.isStopWanted) throw noJson;
      this.#stringsLeft = STRINGS_BETWEEN_LOOKS;
    }
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let at = start;
    while (at < this.#end && isPlainByte[bytes[at] as number] === 1) at += 1;
    if (at >= this.#end) throw noJson;
    if (bytes[at] !== 0x22) {
      this.#longString(start, at);
      return;
    }
    this.#at = at + 1;
    this.#machine.x.lua_pushlstring(this.#L, start, at - start);
    this.#refresh();
  }

  /** The same with escapes, the first of which is at `at`. */
  #longString(start: number, first: number): void {
    const end = endOfString(this.#bytes, first, this.#end);
    const room = Buffer.allocUnsafe(end - start);
    const length = unescapeJson(this.#bytes, start, end, room);
    this.#at = end + 1;
    this.#machine.pushBytes(this.#L, room.subarray(0, length));
    this.#refresh();
  }

  #newTable(depth: number): void {
    const { x } = this.#machine;
    if (depth > DEEPEST_JSON) throw noJson;
    if (x.lua_checkstack(this.#L, 4) === 0) this.#machine.raiseMemoryError(this.#L);
    x.lua_createtable(this.#L, 0, 0);
    this.#refresh();
  }

  #array(depth: number): void {
    const { x } = this.#machine;
    this.#newTable(depth);
    if (this.#arrayMetaIndex > 0) {
      x.lua_pushvalue(this.#L, this.#arrayMetaIndex);
      x.lua_setmetatable(this.#L, -2);
    }
    this.#at += 1;
    let first = this.#skip();
    if (first === 0x5d) {
      this.#at += 1;
      return;
    }
    for (let count = 1; ; count += 1) {
      this.#value(first, depth + 1);
      x.lua_rawseti(this.#L, -2, count);
      this.#refresh();
      const next = this.#skip();
      this.#at += 1;
      if (next === 0x5d) return;
      if (next !== 0x2c) throw noJson;
      first = this.#skip();
    }
  }

  #object(depth: number): void {
    const { x } = this.#machine;
    this.#newTable(depth);
    this.#at += 1;
    let first = this.#skip();
    if (first === 0x7d) {
      this.#at += 1;
      return;
    }
    for (;;) {
      if (first !== 0x22) throw noJson;
      this.#string();
      if (this.#skip() !== 0x3a) throw noJson;
      this.#at += 1;
      this.#value(this.#skip(), depth + 1);
      x.lua_rawset(this.#L, -3);
      this.#refresh();
      const next = this.#skip();
      this.#at += 1;
      if (next === 0x7d) return;
      if (next !== 0x2c) throw noJson;
      first = this.#skip();
    }
  }
}

/**
 * Reads the text at stack index 1 and pushes its value; false when it is no JSON, and then anything may be on the stack. At
 * 2 is what stands for null, at 3 the metatable of arrays or nil, at 4 whether the text has to be UTF-8.
 */
export function decodeJson(machine: Machine, L: number, interrupts?: Interrupts): boolean {
  const { x } = machine;
  const arrayMetaIndex = x.lua_type(L, 3) === luaType.table ? 3 : 0;
  // A reader of its own: a finalizer may run meanwhile and read another text.
  return new JsonReader(interrupts).read(machine, L, x.lua_toboolean(L, 4) !== 0, arrayMetaIndex);
}
