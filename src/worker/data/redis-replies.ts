/**
 * Reads replies of Redis (RESP3), and makes the values of them that Lua gets. What has come is kept at the boundaries of values,
 * so that a long reply is read once, however many pieces it comes in. Pure.
 */
import type { LuaValue } from '../../lua/state.js';

/** An error that the server said. */
export class ReplyError {
  /** One character per byte. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Reply = LuaValue | ReplyError;

/** What a reply is, and how many bytes it has in the encoding of `io/values.ts`. A reply that has too many has no value. */
export type TakeReply = (reply: Reply, sizeBytes: number) => void;

const TAG_BYTES = 1;
const NUMBER_BYTES = 9;
const LENGTH_BYTES = 5;
/** An error as a member of a reply is a map of `error`. */
const ERROR_BYTES = 2 * LENGTH_BYTES + 'error'.length + LENGTH_BYTES;
/** "txt:" before a text with a format. */
const FORMAT_BYTES = 4;
const MAX_DEPTH = 100;
/** The longest line that is no value of its own length. */
const LONGEST_LINE_BYTES = 1024 * 1024;

interface List {
  readonly values: LuaValue[];
  left: number;
  /** What the server says without having been asked. */
  readonly isPush: boolean;
}

const NOTHING = Buffer.alloc(0);
const CR = 13;
const PUSH = 0x3e;
const INCOMPLETE = Symbol('more has to come');

export class ReplyReader {
  readonly #mostBytes: number;
  readonly #take: TakeReply;
  #bytes: Buffer = NOTHING;
  #at = 0;
  /** What has come of a value that is not whole, and how much of it there has to be before it is looked at again. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #neededBytes = 0;
  readonly #lists: List[] = [];
  #sizeBytes = 0;
  /** Bytes of a string that is too long to be kept, which are still to come. */
  #passedOver = 0;

  /** @param mostBytes a reply of more has no value */
  constructor(mostBytes: number, take: TakeReply) {
    this.#mostBytes = mostBytes;
    this.#take = take;
  }

  /** Whether a part of a reply has come, of which the rest is still to come. */
  get hasPart(): boolean {
    const [list] = this.#lists;
    if (list !== undefined) return !list.isPush;
    return this.#passedOver > 0 || (this.#keptBytes > 0 && this.#kept[0]?.[0] !== PUSH);
  }

  /** @param bytes are only looked at during the call @throws RangeError when they are no replies */
  feed(bytes: Buffer): void {
    if (this.#keptBytes === 0) this.#bytes = bytes;
    else {
      this.#keep(bytes);
      if (this.#keptBytes < this.#neededBytes) return;
      this.#bytes = Buffer.concat(this.#kept);
    }
    this.#kept = [];
    this.#keptBytes = 0;
    this.#neededBytes = 0;
    this.#at = 0;
    while (this.#at < this.#bytes.length && this.#readOne());
    if (this.#at < this.#bytes.length) this.#keep(this.#bytes.subarray(this.#at));
    this.#bytes = NOTHING;
  }

  /** A copy: the memory is used for what comes next. */
  #keep(bytes: Buffer): void {
    this.#kept.push(Buffer.from(bytes));
    this.#keptBytes += bytes.length;
  }

  /** Reads one value that has no members, or the head of one that has. Returns false when more has to come. */
  #readOne(): boolean {
    if (this.#passedOver > 0) return this.#passOver();
    const start = this.#at;
    const value = this.#readHead();
    if (value === INCOMPLETE) {
      this.#at = start;
      return false;
    }
    return true;
  }

  #passOver(): boolean {
    const count = Math.min(this.#passedOver, this.#bytes.length - this.#at);
    this.#passedOver -= count;
    this.#at += count;
    if (this.#passedOver > 0) return false;
    this.#add(undefined);
    return true;
  }

  #readHead(): typeof INCOMPLETE | undefined {
    const start = this.#at;
    const type = this.#bytes[start] as number;
    const line = this.#line();
    if (line === undefined) return INCOMPLETE;
    switch (String.fromCharCode(type)) {
      case '+':
        return this.#string(line);
      case '-':
        return this.#error(line);
      case ':':
      case '(':
        return this.#integer(line);
      case ',':
        this.#sizeBytes += NUMBER_BYTES;
        return this.#add(doubleOf(line));
      case '_':
        this.#sizeBytes += TAG_BYTES;
        return this.#add(undefined);
      case '#':
        this.#sizeBytes += TAG_BYTES;
        return this.#add(line === 't');
      case '$':
      case '=':
      case '!':
        return this.#blob(type, line, start);
      case '*':
      case '~':
        return this.#list(line, 1, false);
      case '%':
        return this.#list(line, 2, false);
      case '>':
        return this.#list(line, 1, true);
      default:
        throw new RangeError(`no reply begins with the byte ${type}`);
    }
  }

  /** The rest of the line, which it passes over. */
  #line(): string | undefined {
    const end = this.#bytes.indexOf(CR, this.#at + 1);
    if (end < 0 || end + 1 >= this.#bytes.length) {
      if (this.#bytes.length - this.#at > LONGEST_LINE_BYTES) throw new RangeError('a line of the server has no end');
      return undefined;
    }
    const line = this.#bytes.toString('latin1', this.#at + 1, end);
    this.#at = end + 2;
    return line;
  }

  #string(text: string): undefined {
    this.#sizeBytes += LENGTH_BYTES + text.length;
    this.#add(text);
  }

  #error(text: string): undefined {
    if (this.#lists.length === 0) return this.#give(new ReplyError(text));
    this.#sizeBytes += ERROR_BYTES + text.length;
    this.#add({ error: text });
  }

  /** A number where that holds it, else digits. */
  #integer(digits: string): undefined {
    const number = Number(digits);
    const isNumber = Number.isSafeInteger(number);
    this.#sizeBytes += isNumber ? NUMBER_BYTES : LENGTH_BYTES + digits.length;
    this.#add(isNumber ? number + 0 : digits);
  }

  #blob(type: number, line: string, start: number): typeof INCOMPLETE | undefined {
    const length = lengthOf(line);
    if (length < 0) {
      this.#sizeBytes += TAG_BYTES;
      return this.#add(undefined);
    }
    const isError = type === 0x21;
    if (!isError && this.#sizeBytes + length > this.#mostBytes) {
      this.#sizeBytes += LENGTH_BYTES + length;
      this.#passedOver = length + 2;
      return undefined;
    }
    if (isError && length > LONGEST_LINE_BYTES) throw new RangeError('an error of the server is too long');
    if (this.#bytes.length - this.#at < length + 2) {
      this.#neededBytes = this.#at - start + length + 2;
      return INCOMPLETE;
    }
    const skipped = type === 0x3d ? FORMAT_BYTES : 0;
    const text = this.#bytes.toString('latin1', this.#at + skipped, this.#at + length);
    this.#at += length + 2;
    return isError ? this.#error(text) : this.#string(text);
  }

  #list(line: string, width: number, isPush: boolean): undefined {
    const count = lengthOf(line);
    if (count < 0) {
      this.#sizeBytes += TAG_BYTES;
      return this.#add(undefined);
    }
    if (this.#lists.length >= MAX_DEPTH) throw new RangeError(`a reply is nested more than ${MAX_DEPTH} deep`);
    // It would begin the count of bytes anew, and comes between replies only.
    if (isPush && this.#lists.length > 0) throw new RangeError('the server said something unasked within a reply');
    if (!isPush) this.#sizeBytes += LENGTH_BYTES;
    if (count > 0) this.#lists.push({ values: [], left: count * width, isPush });
    else if (!isPush) this.#add([]);
  }

  /** A value is whole: it is a member of the list that is being read, or a reply. */
  #add(whole: LuaValue): undefined {
    let value = whole;
    for (;;) {
      const list = this.#lists[this.#lists.length - 1];
      if (list === undefined) return this.#give(value);
      if (this.#sizeBytes <= this.#mostBytes) list.values.push(value);
      list.left -= 1;
      if (list.left > 0) return undefined;
      this.#lists.pop();
      if (list.isPush) {
        this.#sizeBytes = 0;
        return undefined;
      }
      value = list.values;
    }
  }

  #give(reply: Reply): undefined {
    const size = this.#sizeBytes;
    this.#sizeBytes = 0;
    this.#take(reply, size);
  }
}

function lengthOf(line: string): number {
  const length = Number(line);
  if (!Number.isInteger(length) || length < -1) throw new RangeError('a reply has no length');
  return length;
}

function doubleOf(line: string): number {
  if (line === 'inf' || line === '+inf') return Number.POSITIVE_INFINITY;
  if (line === '-inf') return Number.NEGATIVE_INFINITY;
  return Number(line);
}
