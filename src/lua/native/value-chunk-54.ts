/** Chunks that make values, as Lua 5.4 reads them (see value-chunk.ts). */

import { parameter, ValueChunkWriter } from './value-chunk.js';

const op = {
  move: 0,
  loadi: 1,
  loadk: 3,
  loadfalse: 5,
  loadtrue: 7,
  settable: 16,
  setfield: 18,
  newtable: 19,
  call: 68,
  return: 70,
  setlist: 78,
  extraarg: 82,
} as const;

function instruction(code: number, a: number, b: number, c: number, k = 0): number {
  return (code | (a << 7) | (k << 15) | (b << 16) | (c << 24)) >>> 0;
}

const HEADER_BYTES = 31;
const SHORT_STRING_BYTES = 40;
/** Constants that `setfield` can name. */
const KEYS_IN_REACH = 256;
/** The offset of the signed operand of `loadi`, and what it can be at most. */
const OPERAND_OFFSET = 65_535;

/** A count in groups of seven bits, the last one marked by its top bit. */
function varint(count: number): Uint8Array {
  const groups = [(count & 0x7f) | 0x80];
  for (let rest = Math.floor(count / 128); rest > 0; rest = Math.floor(rest / 128)) groups.unshift(rest & 0x7f);
  return Uint8Array.from(groups);
}

const none = varint(0);

export class ValueChunk54 extends ValueChunkWriter {
  protected readonly mostConstants = 2 ** 17 - 1;
  readonly #header: Uint8Array;

  /** Of a dump the header is taken. */
  constructor(dump: Uint8Array) {
    super();
    this.#header = Uint8Array.from(dump.subarray(0, HEADER_BYTES));
  }

  string(bytes: Uint8Array, start: number, end: number): number {
    const size = end - start + 1;
    const constant = this.addConstant(size + 10);
    const { constants } = this;
    constants[this.constantsEnd] = size - 1 <= SHORT_STRING_BYTES ? 0x04 : 0x14;
    if (size < 128) {
      constants[this.constantsEnd + 1] = size | 0x80;
      this.constantsEnd += 2;
    } else {
      const length = varint(size);
      constants.set(length, this.constantsEnd + 1);
      this.constantsEnd += 1 + length.length;
    }
    this.copyBytes(bytes, start, end);
    return constant;
  }

  number(value: number | bigint, isInteger: boolean): number {
    const constant = this.addConstant(9);
    const { constants, constantsEnd } = this;
    constants[constantsEnd] = isInteger ? 0x03 : 0x13;
    if (isInteger) constants.writeBigInt64LE(BigInt(value), constantsEnd + 1);
    else constants.writeDoubleLE(Number(value), constantsEnd + 1);
    this.constantsEnd += 9;
    return constant;
  }

  move(to: number, from: number): void {
    this.emit(instruction(op.move, to, from, 0));
  }

  loadConstant(to: number, constant: number): void {
    this.emit((op.loadk | (to << 7) | (constant << 15)) >>> 0);
  }

  loadNumber(to: number, value: number | bigint, isInteger: boolean): void {
    if (isInteger && value >= -OPERAND_OFFSET && value <= OPERAND_OFFSET) {
      this.emit((op.loadi | (to << 7) | ((Number(value) + OPERAND_OFFSET) << 15)) >>> 0);
    } else this.loadConstant(to, this.number(value, isInteger));
  }

  loadBoolean(to: number, value: boolean): void {
    this.emit(instruction(value ? op.loadtrue : op.loadfalse, to, 0, 0));
  }

  newTable(to: number): number {
    const place = this.emit(instruction(op.newtable, to, 0, 0));
    this.emit(op.extraarg);
    return place;
  }

  sizeTable(place: number, items: number, fields: number): void {
    const hash = fields === 0 ? 0 : Math.ceil(Math.log2(fields)) + 1;
    const sizes = instruction(0, 0, hash, items & 255, items > 255 ? 1 : 0);
    this.code[place] = ((this.code[place] as number) | sizes) >>> 0;
    this.code[place + 1] = (op.extraarg | ((items >>> 8) << 7)) >>> 0;
  }

  setField(table: number, key: number, keyBytes: number, value: number): void {
    if (key < KEYS_IN_REACH && keyBytes <= SHORT_STRING_BYTES) {
      this.emit(instruction(op.setfield, table, key, value));
      return;
    }
    this.loadConstant(table + 1, key);
    this.emit(instruction(op.settable, table, table + 1, value));
  }

  setItem(table: number, index: number, value: number): void {
    this.loadNumber(table + 1, index, true);
    this.emit(instruction(op.settable, table, table + 1, value));
  }

  setList(table: number, count: number, before: number): void {
    this.emit(instruction(op.setlist, table, count, before & 255, before > 255 ? 1 : 0));
    if (before > 255) this.emit((op.extraarg | ((before >>> 8) << 7)) >>> 0);
  }

  call(register: number): void {
    this.emit(instruction(op.call, register, 3, 1));
  }

  protected giveBack(register: number): void {
    this.emit(instruction(op.return, register, 2, 0));
  }

  protected layOut(put: (part: Uint8Array) => void): void {
    put(this.#header);
    put(Uint8Array.of(0)); // no upvalues
    for (let fields = 0; fields < 3; fields += 1) put(none); // no name, no lines
    put(Uint8Array.of(parameter.count, 0, this.frameSize));
    put(varint(this.codeLength));
    put(this.codeBytes);
    put(varint(this.constantCount));
    put(this.constantBytes);
    for (let lists = 0; lists < 6; lists += 1) put(none); // no upvalues, functions, lines and names
  }
}
