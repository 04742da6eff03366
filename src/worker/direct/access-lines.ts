/**
 * The access log of the requests that a worker serves by itself: it makes their lines, and the front takes them from
 * shared memory (`channel/line-ring.ts`). A line is written before the connection can be anybody else's, so the lines of
 * one connection are in order.
 */
import { roleName } from '../../base/roles.js';
import type { LineRingWriter } from '../../channel/line-ring.js';
import { requestName } from '../../channel/messages.js';
import { Role } from '../../fcgi/session.js';
import type { AccessFormat, AccessRecord } from '../../logging/access-format.js';
import { NOT_PLAIN, PlainLines } from '../../logging/plain-line.js';
import type { UsageMeter } from '../usage-meter.js';
import type { Origin } from './origin.js';

export interface AccessLinesParts {
  readonly format: AccessFormat;
  readonly ring: LineRingWriter;
  /** Begins the name of every request. */
  readonly runName: string;
  /** The worker's place among the workers. */
  readonly place: number;
  /** The script of a state, one character per byte. */
  readonly scriptOf: (state: number) => string;
  /** Measures what requests take; undefined: no line says it. */
  readonly usage: UsageMeter | undefined;
  readonly nowMs: () => number;
  /** Wall-clock time in milliseconds. */
  readonly timeMs: () => number;
  /** Wakes the front, which is to take what has gathered. */
  readonly ringBell: () => void;
}

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
/** Nearly every header block begins with it. */
const STATUS = Buffer.from('Status: ');
/** Behind `Location`, which comes before it where there is one. */
const STATUS_LATER = /\nStatus: (\d{3})/;
/** Bytes of a header block in which the status is looked for. */
const STATUS_BYTES = 16 * 1024;

export class AccessLines {
  readonly #parts: AccessLinesParts;
  readonly #plain: PlainLines | undefined;
  /** The line that is prepared: so many bytes of the ring, or a text; neither where there is none. */
  #preparedBytes = 0;
  #preparedText = '';
  /** The name of the last request without its last digit, and the number that this stands for. */
  #nameStart = '';
  #nameNumber = 0;

  constructor(parts: AccessLinesParts) {
    this.#parts = parts;
    this.#plain = parts.format.isJson ? undefined : new PlainLines(parts.format);
  }

  /** Makes the line of the request, whose whole answer is this. @returns false: the ring has no room for it */
  prepare(requestId: number, origin: Origin, output: Uint8Array, appStatus: number): boolean {
    const { format, ring, place, scriptOf, usage, nowMs, timeMs } = this.#parts;
    const { cgi, beganMs, bodyBytes, state } = origin;
    const durationMs = Math.max(0, nowMs() - beganMs);
    const headEnd = endOfHead(output);
    const used = usage?.end();
    const record: AccessRecord = {
      arrivedMs: timeMs() - durationMs,
      durationMs,
      waitMs: 0,
      cpuMs: used?.cpuMs,
      memoryBytes: used?.memoryBytes,
      request: this.#nameOf(requestId),
      script: scriptOf(state),
      state,
      worker: place,
      role: roleName(Role.RESPONDER),
      method: cgi.method,
      status: headEnd < 0 ? 0 : statusOf(output, headEnd),
      outcome: appStatus === 0 ? 'done' : 'failed',
      sentBytes: headEnd < 0 ? 0 : output.length - headEnd,
      receivedBytes: bodyBytes,
      params: cgi.params,
    };
    this.#preparedText = '';
    if (this.#plain !== undefined) {
      ring.findRoom();
      const end = this.#plain.write(record, ring.data, ring.start, ring.end);
      this.#preparedBytes = end === NOT_PLAIN ? 0 : end - ring.start;
      if (end !== NOT_PLAIN) return true;
    }
    const line = `${format.line(record)}\n`;
    if (!ring.hasRoomFor(line)) return false;
    this.#preparedText = line;
    return true;
  }

  /** Writes the line that is prepared. */
  write(): void {
    const { ring, ringBell } = this.#parts;
    const isHalfFull = this.#preparedText === '' ? ring.commit(this.#preparedBytes) : ring.write(this.#preparedText);
    this.#preparedBytes = 0;
    this.#preparedText = '';
    if (isHalfFull) ringBell();
  }

  /** `requestName`, which takes longer: numbers follow each other, so mostly the last digit is new. */
  #nameOf(requestId: number): string {
    const { runName } = this.#parts;
    const last = requestId % DIGITS.length;
    const number = (requestId - last) / DIGITS.length;
    if (number === 0) return requestName(runName, requestId);
    if (number !== this.#nameNumber) {
      this.#nameNumber = number;
      this.#nameStart = requestName(runName, number);
    }
    return this.#nameStart + DIGITS[last];
  }
}

/** Where the body of an answer begins; -1: it has none. Header blocks are short: to search for their end in C takes longer. */
function endOfHead(output: Uint8Array): number {
  for (let at = 3; at < output.length; at += 1) {
    if (output[at] !== LF || output[at - 1] !== CR) continue;
    if (output[at - 2] === LF && output[at - 3] === CR) return at + 1;
  }
  return -1;
}

function startsWithStatus(output: Uint8Array): boolean {
  for (let at = 0; at < STATUS.length; at += 1) if (output[at] !== STATUS[at]) return false;
  return true;
}

function statusOf(output: Uint8Array, headEnd: number): number {
  if (startsWithStatus(output)) {
    const { length } = STATUS;
    const [hundreds, tens, ones] = [output[length], output[length + 1], output[length + 2]] as [number, number, number];
    return 100 * (hundreds - ZERO) + 10 * (tens - ZERO) + ones - ZERO;
  }
  const bytes = Buffer.from(output.buffer, output.byteOffset, output.length);
  const status = STATUS_LATER.exec(bytes.toString('latin1', 0, Math.min(headEnd, STATUS_BYTES)))?.[1];
  return Number(status ?? 0);
}
