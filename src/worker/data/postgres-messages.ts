/** Messages of PostgreSQL's protocol (version 3), as far as a statement needs them. Pure. */
import { isUtf8 } from 'node:buffer';
import type { Argument, Statement } from '../../io/sql/placeholders.js';
import type { ServerFault } from '../../io/sql/postgres-outcome.js';
import { PostgresType } from '../../io/sql/postgres-values.js';
import { Bytes, Digits } from '../../io/values.js';

const FIRST_BYTES = 1024;

/** A column of a result; `name` has one character per byte. */
export interface Column {
  readonly name: string;
  readonly type: number;
}

/** Makes messages to the server, one after the other. */
export class MessageWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #end = 0;
  #start = 0;

  /** All that was written, in memory of its own; the writer begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#end));
    this.#end = 0;
    return taken;
  }

  parse(name: string, text: string): void {
    this.#begin('P');
    this.#cString(name);
    this.#cString(text);
    this.#int16(0);
    this.#finish();
  }

  /** @param types those of the parameters, where they are known */
  bind(name: string, values: readonly Argument[], types: readonly number[] | undefined): void {
    this.#begin('B');
    this.#cString('');
    this.#cString(name);
    this.#int16(values.length);
    for (let at = 0; at < values.length; at += 1) this.#int16(isBinary(values[at], types?.[at]) ? 1 : 0);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    // All results as text.
    this.#int16(1);
    this.#int16(0);
    this.#finish();
  }

  describe(name: string): void {
    this.#begin('D');
    this.#cString(`S${name}`);
    this.#finish();
  }

  execute(): void {
    this.#begin('E');
    this.#cString('');
    this.#int32(0);
    this.#finish();
  }

  close(name: string): void {
    this.#begin('C');
    this.#cString(`S${name}`);
    this.#finish();
  }

  sync(): void {
    this.#begin('S');
    this.#finish();
  }

  flush(): void {
    this.#begin('H');
    this.#finish();
  }

  #begin(type: string): void {
    this.#reserve(5);
    this.#start = this.#end + 1;
    this.#bytes[this.#end] = type.charCodeAt(0);
    this.#end += 5;
  }

  #finish(): void {
    this.#bytes.writeInt32BE(this.#end - this.#start, this.#start);
  }

  #value(value: Argument): void {
    if (value === undefined) this.#int32(-1);
    else if (Buffer.isBuffer(value)) this.#blob(value);
    else if (value instanceof Bytes) this.#blob(value.value);
    else this.#blob(Buffer.from(textOf(value), 'latin1'));
  }

  #blob(value: Uint8Array): void {
    this.#int32(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#end);
    this.#end += value.length;
  }

  #cString(value: string): void {
    this.#reserve(3 * value.length + 1);
    this.#end += this.#bytes.write(value, this.#end);
    this.#bytes[this.#end] = 0;
    this.#end += 1;
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#bytes.writeUInt16BE(value, this.#end);
    this.#end += 2;
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#bytes.writeInt32BE(value, this.#end);
    this.#end += 4;
  }

  #reserve(count: number): void {
    const needed = this.#end + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, needed));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }
}

/** Whether the text of a value could be misread where its type is not known: a bytea reads backslashes in its own way. */
export function needsTypes({ values }: Statement): boolean {
  return values.some((value) => Buffer.isBuffer(value) && value.includes(0x5c));
}

function isBinary(value: Argument, type: number | undefined): boolean {
  if (value instanceof Bytes) return true;
  return Buffer.isBuffer(value) && (type === PostgresType.BYTEA || !isUtf8(value));
}

function textOf(value: boolean | number | Digits): string {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return value instanceof Digits ? value.text : String(value);
}

const LENGTH_BYTES = 4;
const HEAD_BYTES = 5;

/** A message of the server; its bytes hold until the next one. */
export interface Message {
  /** Its letter. */
  readonly type: number;
  readonly bytes: Buffer;
}

/** Cuts what comes into messages. */
export class MessageReader {
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #neededBytes = 0;

  /** The letter of a message of which only a part has come; undefined: there is none. */
  get kept(): number | undefined {
    return this.#kept[0]?.[0];
  }

  /**
   * @param bytes are only looked at during the call
   * @param take returns false when nothing more is to be read
   * @param mostBytes of one message
   * @throws RangeError when they are no messages @throws TooLarge when one has more bytes
   */
  feed(bytes: Buffer, take: (message: Message) => boolean, mostBytes: number): void {
    let all = bytes;
    if (this.#keptBytes > 0) {
      this.#keep(bytes);
      if (this.#keptBytes < this.#neededBytes) return;
      all = Buffer.concat(this.#kept);
    }
    this.#kept = [];
    this.#keptBytes = 0;
    this.#neededBytes = HEAD_BYTES;
    let at = 0;
    while (all.length - at >= HEAD_BYTES) {
      const length = all.readInt32BE(at + 1);
      if (length < LENGTH_BYTES) throw new RangeError('the server sent a message without a length');
      if (length > mostBytes) throw new TooLarge();
      if (all.length - at < 1 + length) {
        this.#neededBytes = 1 + length;
        break;
      }
      const message = { type: all[at] as number, bytes: all.subarray(at + HEAD_BYTES, at + 1 + length) };
      at += 1 + length;
      if (!take(message)) return;
    }
    if (at < all.length) this.#keep(all.subarray(at));
  }

  #keep(bytes: Buffer): void {
    this.#kept.push(Buffer.from(bytes));
    this.#keptBytes += bytes.length;
  }
}

/** A message is larger than it may be. */
export class TooLarge extends Error {}

/** Names and types of columns. */
export function columnsOf(bytes: Buffer): Column[] {
  const columns: Column[] = [];
  let at = 2;
  for (let left = bytes.readUInt16BE(0); left > 0; left -= 1) {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw new RangeError('the name of a column has no end');
    columns.push({ name: bytes.toString('latin1', at, end), type: bytes.readUInt32BE(end + 7) });
    at = end + 19;
  }
  return columns;
}

export function typesOf(bytes: Buffer): number[] {
  return Array.from({ length: bytes.readUInt16BE(0) }, (_, index) => bytes.readUInt32BE(2 + 4 * index));
}

export function tagOf(bytes: Buffer): string {
  return bytes.toString('latin1', 0, Math.max(0, bytes.length - 1));
}

/** What an error says, by the letters of its fields. */
export function faultOf(bytes: Buffer): ServerFault {
  const fields = new Map<string, string>();
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const end = bytes.indexOf(0, at + 1);
    if (end < 0) throw new RangeError('an error of the server has no end');
    fields.set(String.fromCharCode(bytes[at] as number), bytes.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return { message: fields.get('M') ?? '', code: fields.get('C'), detail: fields.get('D'), hint: fields.get('H') };
}
