/** Records to bytes (section 3.3), for both roles. Every record is padded to a multiple of eight bytes, as 3.3 advises. */
import { HEADER_BYTES, KEEP_CONN, MAX_CONTENT_BYTES, type ProtocolStatus, RecordType, VERSION } from './constants.js';

const END_REQUEST_BYTES = 2 * HEADER_BYTES;

function paddingOf(contentBytes: number): number {
  return -contentBytes & 7;
}

/** Bytes that a stream of `contentBytes` takes as records, without the empty record that ends it. */
function streamBytes(contentBytes: number): number {
  const last = contentBytes % MAX_CONTENT_BYTES;
  const full = (contentBytes - last) / MAX_CONTENT_BYTES;
  return full * (HEADER_BYTES + MAX_CONTENT_BYTES) + (last === 0 ? 0 : HEADER_BYTES + last + paddingOf(last));
}

function putHeader(
  out: Uint8Array,
  at: number,
  type: number,
  requestId: number,
  bytes: number,
  padding: number,
): number {
  out[at] = VERSION;
  out[at + 1] = type;
  out[at + 2] = requestId >> 8;
  out[at + 3] = requestId;
  out[at + 4] = bytes >> 8;
  out[at + 5] = bytes;
  out[at + 6] = padding;
  out[at + 7] = 0;
  return at + HEADER_BYTES;
}

function putStream(out: Uint8Array, start: number, type: number, requestId: number, content: Uint8Array): number {
  let at = start;
  for (let from = 0; from < content.length; from += MAX_CONTENT_BYTES) {
    const bytes = Math.min(MAX_CONTENT_BYTES, content.length - from);
    const padding = paddingOf(bytes);
    at = putHeader(out, at, type, requestId, bytes, padding);
    out.set(bytes === content.length ? content : content.subarray(from, from + bytes), at);
    at += bytes;
    out.fill(0, at, at + padding);
    at += padding;
  }
  return at;
}

function putEnd(out: Uint8Array, start: number, requestId: number, appStatus: number, protocolStatus: number): number {
  const at = putHeader(out, start, RecordType.END_REQUEST, requestId, 8, 0);
  out[at] = appStatus >>> 24;
  out[at + 1] = appStatus >>> 16;
  out[at + 2] = appStatus >>> 8;
  out[at + 3] = appStatus;
  out[at + 4] = protocolStatus;
  out.fill(0, at + 5, at + 8);
  return at + 8;
}

/** One record. `content` has at most 65,535 bytes. */
export function encodeRecord(type: number, requestId: number, content: Uint8Array): Buffer {
  const padding = paddingOf(content.length);
  const out = Buffer.allocUnsafe(HEADER_BYTES + content.length + padding);
  const at = putHeader(out, 0, type, requestId, content.length, padding);
  out.set(content, at);
  out.fill(0, at + content.length);
  return out;
}

/** Content of a stream as records, split where one record ends; nothing for no content. */
export function encodeStream(type: number, requestId: number, content: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(streamBytes(content.length));
  putStream(out, 0, type, requestId, content);
  return out;
}

/** The empty record that ends a stream (section 3.3). */
export function encodeStreamEnd(type: number, requestId: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES);
  putHeader(out, 0, type, requestId, 0, 0);
  return out;
}

/** END_REQUEST alone, for a request that never had an output stream (section 5.5). */
export function encodeEndRequest(requestId: number, appStatus: number, protocolStatus: ProtocolStatus): Buffer {
  const out = Buffer.allocUnsafe(END_REQUEST_BYTES);
  putEnd(out, 0, requestId, appStatus, protocolStatus);
  return out;
}

/**
 * A status without a page on STDOUT, and END_REQUEST. lighttpd takes the END_REQUEST of an Authorizer without output for a
 * yes, whatever its protocol status: a refusal that may be an Authorizer's never goes without a status.
 * @param status code and text
 */
export function encodeRefusal(requestId: number, status: string, protocolStatus: ProtocolStatus): Buffer {
  const head = Buffer.from(`Status: ${status}\r\nContent-Type: text/plain\r\n\r\n`, 'latin1');
  return Buffer.concat([
    encodeStream(RecordType.STDOUT, requestId, head),
    encodeStreamEnd(RecordType.STDOUT, requestId),
    encodeEndRequest(requestId, 0, protocolStatus),
  ]);
}

/** UNKNOWN_TYPE, the answer to a management record of a type that does not exist (section 4.2). */
export function encodeUnknownType(type: number): Buffer {
  return encodeRecord(RecordType.UNKNOWN_TYPE, 0, Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0));
}

/** BEGIN_REQUEST, as a web server sends it (section 5.1). */
export function encodeBeginRequest(requestId: number, role: number, keepConn: boolean): Buffer {
  const body = Uint8Array.of(role >> 8, role, keepConn ? KEEP_CONN : 0, 0, 0, 0, 0, 0);
  return encodeRecord(RecordType.BEGIN_REQUEST, requestId, body);
}

/** Larger buffers are made anew each time and not kept. */
const KEPT_BYTES = 256 * 1024;

/** Makes the records of answers in a buffer that is used again and again: what it gives is valid until the next call. */
export class AnswerEncoder {
  #room: Buffer = Buffer.allocUnsafeSlow(16 * 1024);

  /** Output as records; nothing for no output. */
  output(requestId: number, content: Uint8Array): Uint8Array {
    const bytes = streamBytes(content.length);
    const out = this.#reserve(bytes);
    putStream(out, 0, RecordType.STDOUT, requestId, content);
    return out.subarray(0, bytes);
  }

  /** The last of an answer: remaining output, the end of STDOUT, END_REQUEST (section 5.5). */
  end(requestId: number, content: Uint8Array, appStatus: number, protocolStatus: ProtocolStatus): Uint8Array {
    const bytes = streamBytes(content.length) + HEADER_BYTES + END_REQUEST_BYTES;
    const out = this.#reserve(bytes);
    let at = putStream(out, 0, RecordType.STDOUT, requestId, content);
    at = putHeader(out, at, RecordType.STDOUT, requestId, 0, 0);
    putEnd(out, at, requestId, appStatus, protocolStatus);
    return out.subarray(0, bytes);
  }

  #reserve(bytes: number): Buffer {
    if (bytes <= this.#room.length) return this.#room;
    const room = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(KEPT_BYTES, 2 * bytes)));
    if (room.length <= KEPT_BYTES) this.#room = room;
    return room;
  }
}
