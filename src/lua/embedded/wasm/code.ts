/** A small assembler for the functions that are added to the embedded Lua's WebAssembly file. */

import { leb128, vector } from './bytes.js';

/** A piece of code: opcodes and their operands. */
export type Code = readonly (number | Code)[];

export const valueType = { i32: 0x7f, f64: 0x7c } as const;

/** A signed number in LEB128, as operands of `i32.const` are written. */
function signedLeb128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

const doubleBytes = (value: number): number[] => [...Buffer.from(Float64Array.of(value).buffer)];

const NO_RESULT = 0x40;

/** The instructions that are used here, by their names in the text format. */
export const op = {
  get: (local: number): Code => [0x20, ...leb128(local)],
  set: (local: number): Code => [0x21, ...leb128(local)],
  tee: (local: number): Code => [0x22, ...leb128(local)],
  i32: (value: number): Code => [0x41, ...signedLeb128(value)],
  f64: (value: number): Code => [0x44, ...doubleBytes(value)],
  call: (functionIndex: number): Code => [0x10, ...leb128(functionIndex)],
  callIndirect: (typeIndex: number): Code => [0x11, ...leb128(typeIndex), 0],
  /** Runs `body` when the number on the stack is not 0. */
  if: (...body: readonly Code[]): Code => [0x04, NO_RESULT, body, 0x0b],
  ifElse: (body: Code, otherwise: Code, result: number = NO_RESULT): Code => [
    0x04,
    result,
    body,
    0x05,
    otherwise,
    0x0b,
  ],
  block: (...body: readonly Code[]): Code => [0x02, NO_RESULT, body, 0x0b],
  loop: (...body: readonly Code[]): Code => [0x03, NO_RESULT, body, 0x0b],
  /** To the end of the block, or the start of the loop, that is so many levels further out. */
  br: (depth: number): Code => [0x0c, ...leb128(depth)],
  brIf: (depth: number): Code => [0x0d, ...leb128(depth)],
  return: [0x0f] as Code,
  drop: [0x1a] as Code,
  select: [0x1b] as Code,
  loadByte: [0x2d, 0, 0] as Code,
  /** The 32-bit word so many bytes after the address on the stack. */
  loadWord: (offset: number): Code => [0x28, 2, ...leb128(offset)],
  storeByte: [0x3a, 0, 0] as Code,
  loadDouble: [0x2b, 3, 0] as Code,
  storeWord: (offset: number): Code => [0x36, 2, ...leb128(offset)],
  i32Eqz: [0x45] as Code,
  i32Eq: [0x46] as Code,
  i32NotEqual: [0x47] as Code,
  i32LessSigned: [0x48] as Code,
  i32LessUnsigned: [0x49] as Code,
  i32GreaterSigned: [0x4a] as Code,
  i32GreaterUnsigned: [0x4b] as Code,
  i32LessEqualSigned: [0x4c] as Code,
  i32GreaterEqualUnsigned: [0x4f] as Code,
  i64Eqz: [0x50] as Code,
  f64Equal: [0x61] as Code,
  f64Less: [0x63] as Code,
  f64LessEqual: [0x65] as Code,
  f64GreaterEqual: [0x66] as Code,
  i32Add: [0x6a] as Code,
  i32Subtract: [0x6b] as Code,
  i32Multiply: [0x6c] as Code,
  i32DivideUnsigned: [0x6e] as Code,
  i32RemainderUnsigned: [0x70] as Code,
  i32And: [0x71] as Code,
  i32Or: [0x72] as Code,
  i32ShiftRightUnsigned: [0x76] as Code,
  f64Abs: [0x99] as Code,
  /** The low 32 bits. */
  i32WrapI64: [0xa7] as Code,
  i32TruncateF64: [0xaa] as Code,
  f64ConvertI32: [0xb7] as Code,
  i64ReinterpretF64: [0xbd] as Code,
  i64TruncateF64: [0xb0] as Code,
} as const;

function flatten(code: Code): number[] {
  return code.flatMap((part) => (typeof part === 'number' ? [part] : flatten(part)));
}

/** The body of a function, as the code section has it. @param locals the types of its variables besides its arguments */
export function functionBody(locals: readonly number[], ...code: readonly Code[]): Uint8Array {
  const declared = vector(locals.map((type) => Uint8Array.of(1, type)));
  const bytes = Buffer.concat([declared, Uint8Array.from(flatten(code)), Uint8Array.of(0x0b)]);
  return Buffer.concat([Uint8Array.from(leb128(bytes.length)), bytes]);
}

/** A type of functions, as the type section has it. */
export function functionType(parameters: readonly number[], results: readonly number[]): Uint8Array {
  return Uint8Array.of(0x60, parameters.length, ...parameters, results.length, ...results);
}
