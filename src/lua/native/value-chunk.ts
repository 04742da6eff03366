/**
 * Writes a precompiled chunk that makes a value of tables: a function of three parameters, what stands for null, the
 * function `setmetatable`, and the metatable of arrays. To load and to call it costs Lua less than code that puts the value
 * together piece by piece. The layouts are those of lundump.c and lopcodes.h of Lua 5.1 and 5.4 on machines of 64 bits; the
 * engine tries a writer before it uses it (json-chunk.ts).
 */

import type { GrowingMemory } from './memory.js';

/** Parameters of the function. */
export const parameter = { null: 0, setMetatable: 1, arrayMeta: 2, count: 3 } as const;

/** A function may have 250 registers. */
export const LAST_REGISTER = 240;
/** The items of a list that one instruction puts into its table. */
export const ITEMS_AT_ONCE = 50;
/** The constants and the code that are kept for the next chunk. */
const LARGEST_KEPT_BYTES = 1 << 20;
const USUAL_BYTES = 16 << 10;

/** Thrown where a value needs more registers or constants than a function can have. */
export const tooLargeForChunk = new Error('too large for a chunk');

export abstract class ValueChunkWriter {
  protected code = new Uint32Array(USUAL_BYTES / 4);
  protected codeLength = 0;
  protected constants = Buffer.allocUnsafeSlow(USUAL_BYTES);
  protected constantsEnd = 0;
  protected constantCount = 0;
  protected lastRegister = 0;
  protected abstract readonly mostConstants: number;
  /** The constant of each index that was needed for an item. */
  readonly #indexConstants: number[] = [];

  begin(): void {
    this.codeLength = 0;
    this.constantsEnd = 0;
    this.constantCount = 0;
    this.lastRegister = 0;
    this.#indexConstants.length = 0;
    if (this.constants.length > LARGEST_KEPT_BYTES) this.constants = Buffer.allocUnsafeSlow(USUAL_BYTES);
    if (this.code.length > LARGEST_KEPT_BYTES / 4) this.code = new Uint32Array(USUAL_BYTES / 4);
  }

  protected emit(instruction: number): number {
    if (this.codeLength === this.code.length) {
      const larger = new Uint32Array(this.code.length * 2);
      larger.set(this.code);
      this.code = larger;
    }
    this.code[this.codeLength] = instruction;
    this.codeLength += 1;
    return this.codeLength - 1;
  }

  /** Makes room for another constant of so many bytes, and counts it. Gives its number. */
  protected addConstant(sizeBytes: number): number {
    const end = this.constantsEnd + sizeBytes;
    if (end > this.constants.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, this.constants.length * 2));
      larger.set(this.constants.subarray(0, this.constantsEnd));
      this.constants = larger;
    }
    const { constantCount } = this;
    if (constantCount >= this.mostConstants) throw tooLargeForChunk;
    this.constantCount += 1;
    return constantCount;
  }

  protected copyBytes(bytes: Uint8Array, start: number, end: number): void {
    const { constants } = this;
    let to = this.constantsEnd;
    if (end - start > 64) {
      constants.set(bytes.subarray(start, end), to);
      to += end - start;
    } else for (let from = start; from < end; from += 1) constants[to++] = bytes[from] as number;
    this.constantsEnd = to;
  }

  /** Says that a register is used. */
  use(register: number): number {
    if (register > LAST_REGISTER) throw tooLargeForChunk;
    if (register > this.lastRegister) this.lastRegister = register;
    return register;
  }

  protected indexConstant(index: number): number {
    const known = this.#indexConstants[index];
    if (known !== undefined) return known;
    const constant = this.number(index, true);
    this.#indexConstants[index] = constant;
    return constant;
  }

  /** Adds a constant string; gives its number. */
  abstract string(bytes: Uint8Array, start: number, end: number): number;
  /** Adds a constant number. */
  abstract number(value: number | bigint, isInteger: boolean): number;
  abstract move(to: number, from: number): void;
  abstract loadConstant(to: number, constant: number): void;
  /** Loads a number that is no constant yet. */
  abstract loadNumber(to: number, value: number | bigint, isInteger: boolean): void;
  abstract loadBoolean(to: number, value: boolean): void;
  /** Gives the place of the instruction, for `sizeTable`. */
  abstract newTable(to: number): number;
  abstract sizeTable(place: number, items: number, fields: number): void;
  /** `table[key] = value`, where the register after the table's is free for the key. */
  abstract setField(table: number, key: number, keyBytes: number, value: number): void;
  abstract setItem(table: number, index: number, value: number): void;
  /** The registers after the table's are the items after the first `before`. */
  abstract setList(table: number, count: number, before: number): void;
  /** Calls the function in a register with two arguments after it, without results. */
  abstract call(register: number): void;
  protected abstract giveBack(register: number): void;
  protected abstract layOut(put: (part: Uint8Array) => void): void;

  /** Ends the function: it gives the value in this register. Gives the length of the chunk. */
  finish(register: number, to: GrowingMemory): number {
    this.giveBack(register);
    to.reserve(this.codeLength * 4 + this.constantsEnd + 256);
    const { bytes } = to;
    let at = 0;
    this.layOut((part) => {
      bytes.set(part, at);
      at += part.length;
    });
    return at;
  }

  protected get codeBytes(): Uint8Array {
    return new Uint8Array(this.code.buffer, 0, this.codeLength * 4);
  }

  protected get constantBytes(): Uint8Array {
    return this.constants.subarray(0, this.constantsEnd);
  }

  /** Registers that the function has. */
  protected get frameSize(): number {
    return this.lastRegister + 2;
  }
}

const op51 = { move: 0, loadk: 1, loadbool: 2, settable: 9, newtable: 10, call: 28, return: 30, setlist: 34 } as const;

function instruction51(op: number, a: number, b: number, c: number): number {
  return (op | (a << 6) | (c << 14) | (b << 23)) >>> 0;
}

/** A number of at most 9 bits for a size: three bits of it and an exponent (`luaO_int2fb`). */
function floatingByte(size: number): number {
  let rest = size;
  let exponent = 0;
  while (rest >= 16) {
    rest = (rest + 1) >> 1;
    exponent += 1;
  }
  return rest < 8 ? rest : ((exponent + 1) << 3) | (rest - 8);
}

const HEADER_51_BYTES = 12;
/** Constants that instructions can name in the place of a register. */
const CONSTANTS_IN_REACH = 256;

/**
 * Lua 5.1 hashes not all bytes of long strings, so that a client can make strings which it takes long to tell apart, and nothing
 * interrupts it while it loads a chunk. Texts with more strings are read by Lua code, which can be stopped.
 */
const MOST_STRINGS_51 = 16_384;

export class ValueChunk51 extends ValueChunkWriter {
  protected readonly mostConstants = 2 ** 18 - 1;
  #stringCount = 0;
  readonly #header: Uint8Array;

  /** Of a dump the header is taken. */
  constructor(dump: Uint8Array) {
    super();
    this.#header = Uint8Array.from(dump.subarray(0, HEADER_51_BYTES));
  }

  override begin(): void {
    super.begin();
    this.#stringCount = 0;
  }

  string(bytes: Uint8Array, start: number, end: number): number {
    this.#stringCount += 1;
    if (this.#stringCount > MOST_STRINGS_51) throw tooLargeForChunk;
    const size = end - start + 1;
    const constant = this.addConstant(size + 9);
    const { constants } = this;
    const at = this.constantsEnd;
    constants[at] = 4;
    constants[at + 1] = size;
    constants[at + 2] = size >>> 8;
    constants[at + 3] = size >>> 16;
    constants[at + 4] = size >>> 24;
    for (let high = at + 5; high < at + 9; high += 1) constants[high] = 0;
    this.constantsEnd = at + 9;
    this.copyBytes(bytes, start, end);
    constants[this.constantsEnd] = 0;
    this.constantsEnd += 1;
    return constant;
  }

  number(value: number | bigint): number {
    const constant = this.addConstant(9);
    this.constants[this.constantsEnd] = 3;
    this.constants.writeDoubleLE(Number(value), this.constantsEnd + 1);
    this.constantsEnd += 9;
    return constant;
  }

  move(to: number, from: number): void {
    this.emit(instruction51(op51.move, to, from, 0));
  }

  loadConstant(to: number, constant: number): void {
    this.emit((op51.loadk | (to << 6) | (constant << 14)) >>> 0);
  }

  loadNumber(to: number, value: number | bigint): void {
    this.loadConstant(to, this.number(value));
  }

  loadBoolean(to: number, value: boolean): void {
    this.emit(instruction51(op51.loadbool, to, value ? 1 : 0, 0));
  }

  newTable(to: number): number {
    return this.emit(instruction51(op51.newtable, to, 0, 0));
  }

  sizeTable(place: number, items: number, fields: number): void {
    const sizes = instruction51(0, 0, floatingByte(items), floatingByte(fields));
    this.code[place] = ((this.code[place] as number) | sizes) >>> 0;
  }

  setField(table: number, key: number, _keyBytes: number, value: number): void {
    if (key < CONSTANTS_IN_REACH) {
      this.emit(instruction51(op51.settable, table, key | CONSTANTS_IN_REACH, value));
      return;
    }
    this.loadConstant(table + 1, key);
    this.emit(instruction51(op51.settable, table, table + 1, value));
  }

  setItem(table: number, index: number, value: number): void {
    this.setField(table, this.indexConstant(index), 0, value);
  }

  setList(table: number, count: number, before: number): void {
    const block = before / ITEMS_AT_ONCE + 1;
    this.emit(instruction51(op51.setlist, table, count, block < 512 ? block : 0));
    if (block >= 512) this.emit(block);
  }

  call(register: number): void {
    this.emit(instruction51(op51.call, register, 3, 1));
  }

  protected giveBack(register: number): void {
    this.emit(instruction51(op51.return, register, 2, 0));
  }

  protected layOut(put: (part: Uint8Array) => void): void {
    const count = Buffer.alloc(4);
    put(this.#header);
    put(new Uint8Array(8 + 4 + 4)); // no name, no lines
    put(Uint8Array.of(0, parameter.count, 0, this.frameSize));
    count.writeUInt32LE(this.codeLength);
    put(count);
    put(this.codeBytes);
    count.writeUInt32LE(this.constantCount);
    put(count);
    put(this.constantBytes);
    put(new Uint8Array(4 * 4)); // no functions, lines, names of variables and of upvalues
  }
}
