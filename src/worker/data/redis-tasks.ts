/** Operations on Redis as Lua posts them, in the bytes of its protocol. Pure. */
import { Action } from '../../io/protocol.js';
import { refusalOf } from '../../io/redis/commands.js';
import type { PostedOperation } from '../../lua/state.js';
import type { RedisTask } from './redis-line.js';

/** Commands of which it depends on their other words whether they are refused. */
const DEPENDING = new Set(['CLIENT', 'SCRIPT', 'XREAD', 'XREADGROUP']);
/** Names of commands that it was found out about: those that scripts write are few. */
const NAMES_AT_MOST = 1000;
const LONGEST_NAME_BYTES = 32;
/** Larger ones go by the I/O thread. */
const MOST_BYTES = 1024 * 1024;

const MULTI = Buffer.from('*1\r\n$5\r\nMULTI\r\n');
const EXEC = Buffer.from('*1\r\n$4\r\nEXEC\r\n');
const LINE_END = 2;
/** `$` or `*`, digits, and the end of a line. */
const HEAD_BYTES = 16;

/** Whether commands of a name are free to be sent; undefined: the other words say. */
const known = new Map<string, boolean>();

function mayBeSent(word: Uint8Array): boolean {
  if (word.length > LONGEST_NAME_BYTES) return false;
  const name = Buffer.from(word.buffer, word.byteOffset, word.length).toString('latin1');
  let may = known.get(name);
  if (may !== undefined) return may;
  may = !DEPENDING.has(name.toUpperCase()) && refusalOf([name]) === undefined;
  if (known.size < NAMES_AT_MOST) known.set(name, may);
  return may;
}

/** What is sent for an operation; undefined when it is for the I/O thread, which knows what to say of it. */
export function redisRequest(operation: PostedOperation): Pick<RedisTask, 'bytes' | 'replies' | 'gives'> | undefined {
  const { action, shape, values } = operation;
  if (action === Action.COMMAND) {
    const bytes = commandsOf(shape, values, 0, 0, 1);
    return bytes && { bytes, replies: 1, gives: 'command' };
  }
  const isMulti = action === Action.MULTI;
  const count = values[0];
  if (!(isMulti || action === Action.PIPELINE) || shape[0] !== 'A' || typeof count !== 'number') return undefined;
  const bytes = commandsOf(shape, values, 1, 1, count);
  if (bytes === undefined) return undefined;
  if (!isMulti) return { bytes, replies: count, gives: 'list' };
  return { bytes: Buffer.concat([MULTI, bytes, EXEC]), replies: count + 2, gives: 'last' };
}

/** So many commands, each a list of words, from a place in the shape and among the values on. */
function commandsOf(
  shape: string,
  values: readonly (number | Uint8Array)[],
  firstKind: number,
  firstValue: number,
  count: number,
): Buffer | undefined {
  let bytes = 0;
  for (let at = firstValue; at < values.length; at += 1) {
    const value = values[at] as number | Uint8Array;
    bytes += HEAD_BYTES + (typeof value === 'number' ? 0 : value.length + LINE_END);
  }
  if (bytes > MOST_BYTES || shape.length - firstKind !== values.length - firstValue) return undefined;
  const buffer = Buffer.allocUnsafe(bytes);
  let end = 0;
  let value = firstValue;
  for (let left = count; left > 0; left -= 1) {
    const words = values[value];
    const name = values[value + 1];
    if (shape[firstKind + value - firstValue] !== 'A' || typeof words !== 'number') return undefined;
    if (typeof name !== 'object' || words < 1 || !mayBeSent(name)) return undefined;
    end = head(buffer, end, '*', words);
    for (let word = 1; word <= words; word += 1) {
      const one = values[value + word];
      if (shape[firstKind + value + word - firstValue] !== 's' || typeof one !== 'object') return undefined;
      end = head(buffer, end, '$', one.length);
      buffer.set(one, end);
      end = lineEnd(buffer, end + one.length);
    }
    value += 1 + words;
  }
  return value === values.length ? buffer.subarray(0, end) : undefined;
}

function head(buffer: Buffer, at: number, kind: string, count: number): number {
  return lineEnd(buffer, at + buffer.write(`${kind}${count}`, at, 'latin1'));
}

function lineEnd(buffer: Buffer, at: number): number {
  buffer[at] = 0x0d;
  buffer[at + 1] = 0x0a;
  return at + LINE_END;
}
