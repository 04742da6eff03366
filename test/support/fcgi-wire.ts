/**
 * FastCGI 1.0 on the wire, for tests: bytes built by hand and bytes read strictly.
 *
 * Written from the specification alone and importing nothing from `src/`, so that a mistake in the server cannot be
 * hidden by the same mistake in its tests. https://fastcgi-archives.github.io/FastCGI_Specification.html
 */

/** Record types (FastCGI 1.0, 8). */
export const TYPE = {
  BEGIN_REQUEST: 1,
  ABORT_REQUEST: 2,
  END_REQUEST: 3,
  PARAMS: 4,
  STDIN: 5,
  STDOUT: 6,
  STDERR: 7,
  DATA: 8,
  GET_VALUES: 9,
  GET_VALUES_RESULT: 10,
  UNKNOWN_TYPE: 11,
} as const;

export const ROLE = { RESPONDER: 1, AUTHORIZER: 2, FILTER: 3 } as const;

/** `protocolStatus` of END_REQUEST (5.5). */
export const PROTOCOL_STATUS = { REQUEST_COMPLETE: 0, CANT_MPX_CONN: 1, OVERLOADED: 2, UNKNOWN_ROLE: 3 } as const;

/** Most content bytes of one record (3.3). */
export const MAX_CONTENT_BYTES = 65535;

/** Text is taken byte for byte ("latin1"): what is not a byte must come as a Uint8Array. */
export type Bytes = Uint8Array | string;

export interface FcgiRecord {
  readonly version: number;
  readonly type: number;
  readonly id: number;
  readonly content: Buffer;
  readonly paddingBytes: number;
  readonly reserved: number;
}

/** How a length of a name-value pair is written (3.4): `auto` takes one byte up to 127. */
export type LengthForm = 'auto' | 1 | 4;
export type Pair = readonly [name: Bytes, value: Bytes, nameForm?: LengthForm, valueForm?: LengthForm];
export type PairsInput = readonly Pair[] | Readonly<Record<string, Bytes>>;

/** The bytes of a text whose characters are bytes; a character above 255 is a mistake of the test. */
export function toBytes(text: Bytes): Buffer {
  if (typeof text !== 'string') return Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every byte value is allowed here
  if (/[^\x00-\xff]/.test(text)) throw new RangeError('text has characters that are not bytes: pass Buffer.from(text)');
  return Buffer.from(text, 'latin1');
}

/** One record. `padding` is a number of zero bytes, or the padding itself. */
export function record(type: number, id: number, content: Bytes = '', padding: number | Bytes = 0): Buffer {
  const body = toBytes(content);
  const pad = typeof padding === 'number' ? Buffer.alloc(padding) : toBytes(padding);
  if (body.length > MAX_CONTENT_BYTES) throw new RangeError(`${body.length} bytes do not fit one record: use stream()`);
  if (pad.length > 255) throw new RangeError('padding of more than 255 bytes');
  const header = Buffer.alloc(8);
  header.writeUInt8(1, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(id, 2);
  header.writeUInt16BE(body.length, 4);
  header.writeUInt8(pad.length, 6);
  return Buffer.concat([header, body, pad]);
}

/** BEGIN_REQUEST (5.1). `flags` sets all eight bits and wins over `keepConn`. */
export function beginRequest(
  id: number,
  options: { readonly role?: number; readonly keepConn?: boolean; readonly flags?: number } = {},
): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16BE(options.role ?? ROLE.RESPONDER, 0);
  body.writeUInt8(options.flags ?? (options.keepConn ? 1 : 0), 2);
  return record(TYPE.BEGIN_REQUEST, id, body);
}

/** END_REQUEST (5.5), for tests that play the application. */
export function endRequest(id: number, appStatus = 0, protocolStatus: number = 0): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(appStatus, 0);
  body.writeUInt8(protocolStatus, 4);
  return record(TYPE.END_REQUEST, id, body);
}

/** A length in the wanted form. Form 4 takes any number below 2^31, form 1 up to 127. */
export function pairLength(bytes: number, form: LengthForm = 'auto'): Buffer {
  if (form === 1 || (form === 'auto' && bytes < 128)) {
    if (bytes > 127) throw new RangeError(`a length of ${bytes} does not fit one byte`);
    return Buffer.of(bytes);
  }
  const long = Buffer.alloc(4);
  long.writeUInt32BE((bytes | 0x80000000) >>> 0);
  return long;
}

/** Name-value pairs (3.4). */
export function pairs(input: PairsInput): Buffer {
  return Buffer.concat(
    pairList(input).flatMap(([name, value, nameForm, valueForm]) => {
      const [nameBytes, valueBytes] = [toBytes(name), toBytes(value)];
      return [pairLength(nameBytes.length, nameForm), pairLength(valueBytes.length, valueForm), nameBytes, valueBytes];
    }),
  );
}

/** Pairs as a list, from either way of writing them. */
export function pairList(input: PairsInput): readonly Pair[] {
  return isPairList(input) ? input : Object.entries(input);
}

function isPairList(input: PairsInput): input is readonly Pair[] {
  return Array.isArray(input);
}

/** The opposite of `pairs`, strict: throws when the bytes do not end with a complete pair. */
export function parsePairs(bytes: Uint8Array): [name: string, value: string][] {
  const input = toBytes(bytes);
  const list: [string, string][] = [];
  let at = 0;
  const length = (): number => {
    const first = input.readUInt8(at);
    if (first < 128) {
      at += 1;
      return first;
    }
    at += 4;
    return input.readUInt32BE(at - 4) & 0x7fffffff;
  };
  const text = (size: number): string => {
    if (at + size > input.length) throw new RangeError(`pair of ${size} bytes at ${at} ends after ${input.length}`);
    at += size;
    return input.toString('latin1', at - size, at);
  };
  while (at < input.length) {
    const [nameBytes, valueBytes] = [length(), length()];
    list.push([text(nameBytes), text(valueBytes)]);
  }
  return list;
}

export interface StreamOptions {
  /** Most content bytes of each record; 65535 when left out. */
  readonly recordBytes?: number;
  readonly padding?: number;
  /** Whether the empty record that ends the stream follows; true when left out. */
  readonly end?: boolean;
}

/** A stream (3.3): as many records as the bytes need, then an empty one. */
export function stream(type: number, id: number, content: Bytes, options: StreamOptions = {}): Buffer {
  const step = options.recordBytes ?? MAX_CONTENT_BYTES;
  const records = splitEvery(toBytes(content), step).map((part) => record(type, id, part, options.padding));
  if (options.end !== false) records.push(record(type, id));
  return Buffer.concat(records);
}

export interface RequestBytesOptions {
  readonly id?: number;
  readonly role?: number;
  readonly keepConn?: boolean;
  readonly params?: PairsInput;
  readonly body?: Bytes;
  /** How PARAMS and STDIN are cut into records. */
  readonly stream?: StreamOptions;
}

/** A whole request, as a web server sends it. */
export function requestBytes(options: RequestBytesOptions): Buffer {
  const id = options.id ?? 1;
  return Buffer.concat([
    beginRequest(id, options),
    stream(TYPE.PARAMS, id, pairs(options.params ?? {}), options.stream),
    stream(TYPE.STDIN, id, options.body ?? '', options.stream),
  ]);
}

/** Cuts bytes at the given offsets. */
export function splitAt(bytes: Uint8Array, ...offsets: readonly number[]): Buffer[] {
  const input = toBytes(bytes);
  const cuts = [0, ...offsets, input.length];
  return cuts.slice(1).map((end, index) => input.subarray(cuts[index], end));
}

/** Cuts bytes into pieces of `size`, the last one shorter; no bytes give no pieces. */
export function splitEvery(bytes: Uint8Array, size: number): Buffer[] {
  const input = toBytes(bytes);
  return Array.from({ length: Math.ceil(input.length / size) }, (_, index) =>
    input.subarray(index * size, (index + 1) * size),
  );
}

/** Cuts a byte stream into records. It judges nothing: versions and reserved bytes are reported as they came. */
export class RecordReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Takes the next bytes and gives back the records that they complete. */
  push(chunk: Uint8Array): FcgiRecord[] {
    const input = this.#rest.length === 0 ? toBytes(chunk) : Buffer.concat([this.#rest, chunk]);
    const records: FcgiRecord[] = [];
    let at = 0;
    while (input.length - at >= 8) {
      const contentBytes = input.readUInt16BE(at + 4);
      const paddingBytes = input.readUInt8(at + 6);
      const end = at + 8 + contentBytes + paddingBytes;
      if (end > input.length) break;
      records.push({
        version: input.readUInt8(at),
        type: input.readUInt8(at + 1),
        id: input.readUInt16BE(at + 2),
        content: input.subarray(at + 8, at + 8 + contentBytes),
        paddingBytes,
        reserved: input.readUInt8(at + 7),
      });
      at = end;
    }
    // A copy, so that a few bytes left over do not keep a large chunk alive.
    this.#rest = Buffer.from(input.subarray(at));
    return records;
  }

  /** Bytes of a record that has not come to its end. */
  get pendingBytes(): number {
    return this.#rest.length;
  }
}

/** The name of a record type, for messages. */
export function typeName(type: number): string {
  return Object.entries(TYPE).find(([, value]) => value === type)?.[0] ?? `type ${type}`;
}
