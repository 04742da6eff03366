/**
 * Texts of whole numbers in the embedded Lua. Lua writes each number with C's `sprintf` and the format "%.14g", which takes
 * several times as long as all else that a short text costs. Whole numbers below 2^31 have their digits written here instead.
 */

import { leb128 } from './bytes.js';
import { type Code, functionBody, op, valueType } from './code.js';
import { unusable } from './sections.js';

const numberFormat = '%.14g\0';

/** How Lua calls `sprintf` with that format: two further arguments are locals. `undefined` stands for any byte. */
function callPattern(address: number): readonly (number | undefined)[] {
  return [0x41, ...leb128(address), 0x20, undefined, 0x10, undefined, undefined];
}

/** The address of the format, and the number of the function that is `sprintf`. */
export function findSprintf(bodies: readonly Uint8Array[], data: Buffer): { address: number; sprintf: number } {
  const address = data.indexOf(numberFormat, 0, 'latin1');
  if (address < 0 || data.indexOf(numberFormat, address + 1, 'latin1') >= 0)
    throw unusable('its format of numbers was not found');
  const pattern = callPattern(address);
  const found = new Set<number>();
  for (const body of bodies) {
    for (let at = 0; at + pattern.length <= body.length; at += 1) {
      if (!pattern.every((byte, offset) => byte === undefined || body[at + offset] === byte)) continue;
      const [low = 0, high = 0] = body.subarray(at + pattern.length - 2, at + pattern.length);
      found.add((low & 0x7f) | (high << 7));
    }
  }
  const [sprintf] = found;
  if (sprintf === undefined || found.size !== 1) throw unusable('its function that writes numbers was not found');
  return { address, sprintf };
}

const zero = '0'.charCodeAt(0);
const minus = '-'.charCodeAt(0);

/**
 * `(buffer, format, arguments)`, in the place of `sprintf`, of which nobody here uses the result.
 * @param address of the format of numbers
 * @param original `sprintf` itself
 */
export function writeNumber(address: number, original: number): Uint8Array {
  const [buffer, format, args, value, number, end, rest] = [0, 1, 2, 3, 4, 5, 6];
  const { i32, f64 } = valueType;
  const ten = op.i32(10);
  /** Not the negative zero, whose text is "-0". */
  const isWhole: Code = [
    [op.get(value), op.f64Abs, op.f64(2 ** 31), op.f64Less],
    op.ifElse(
      [[op.get(value), op.i32TruncateF64, op.tee(number), op.f64ConvertI32, op.get(value), op.f64Equal]],
      [op.i32(0)],
      i32,
    ),
    [op.get(number), op.get(value), op.i64ReinterpretF64, op.i64Eqz, op.i32Or, op.i32(0), op.i32NotEqual, op.i32And],
  ];
  const writeDigits: Code = [
    [op.get(buffer), op.set(end)],
    [op.get(number), op.i32(0), op.i32LessSigned],
    op.if(
      [op.get(buffer), op.i32(minus), op.storeByte, op.get(end), op.i32(1), op.i32Add, op.set(end)],
      [op.i32(0), op.get(number), op.i32Subtract, op.set(number)],
    ),
    // One place for each digit, and then the digits from the last one on.
    [op.get(number), op.set(rest)],
    op.loop(
      [op.get(end), op.i32(1), op.i32Add, op.set(end)],
      [op.get(rest), ten, op.i32DivideUnsigned, op.tee(rest), op.brIf(0)],
    ),
    [op.get(end), op.i32(0), op.storeByte],
    [op.get(end), op.set(rest)],
    op.loop(
      [op.get(rest), op.i32(1), op.i32Subtract, op.tee(rest)],
      [op.get(number), ten, op.i32RemainderUnsigned, op.i32(zero), op.i32Add, op.storeByte],
      [op.get(number), ten, op.i32DivideUnsigned, op.tee(number), op.brIf(0)],
    ),
    op.return,
  ];
  return functionBody(
    [f64, i32, i32, i32],
    [op.get(format), op.i32(address), op.i32Eq],
    op.if([op.get(args), op.loadDouble, op.set(value)], isWhole, op.if(writeDigits)),
    [op.get(buffer), op.get(format), op.get(args), op.call(original)],
  );
}
