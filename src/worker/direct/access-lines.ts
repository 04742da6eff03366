/**
 * The access log of the requests that a worker serves by itself: it makes their lines, and the front takes them from
 * shared memory (`channel/line-ring.ts`). A line is written before the connection can be anybody else's, so the lines of
 * one connection are in order.
 */
import { roleName } from '../../base/roles.js';
import type { LineRingWriter } from '../../channel/line-ring.js';
import { requestName } from '../../channel/messages.js';
import { Role } from '../../fcgi/session.js';
import type { AccessFormat } from '../../logging/access-format.js';
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

const HEAD_END = Buffer.from('\r\n\r\n');
/** Nearly every header block begins with it. */
const STATUS = Buffer.from('Status: ');
const [STATUS_INITIAL] = STATUS;
/** Behind `Location`, which comes before it where there is one. */
const STATUS_LATER = /\nStatus: (\d{3})/;
/** Bytes of a header block in which the status is looked for. */
const STATUS_BYTES = 16 * 1024;

export class AccessLines {
  readonly #parts: AccessLinesParts;

  constructor(parts: AccessLinesParts) {
    this.#parts = parts;
  }

  /** The line of the request, whose whole answer is this; undefined when the ring has no room for it. */
  lineFor(requestId: number, origin: Origin, output: Uint8Array, appStatus: number): string | undefined {
    const { format, ring, runName, place, scriptOf, usage, nowMs, timeMs } = this.#parts;
    const { cgi, beganMs, bodyBytes, state } = origin;
    const durationMs = Math.max(0, nowMs() - beganMs);
    const { status, sentBytes } = readHead(output);
    const used = usage?.end();
    const line = format.line({
      arrivedMs: timeMs() - durationMs,
      durationMs,
      waitMs: 0,
      cpuMs: used?.cpuMs,
      memoryBytes: used?.memoryBytes,
      request: requestName(runName, requestId),
      script: scriptOf(state),
      state,
      worker: place,
      role: roleName(Role.RESPONDER),
      method: cgi.method,
      status,
      outcome: appStatus === 0 ? 'done' : 'failed',
      sentBytes,
      receivedBytes: bodyBytes,
      params: cgi.params,
    });
    const whole = `${line}\n`;
    return ring.hasRoomFor(whole) ? whole : undefined;
  }

  /** Writes a line that `lineFor` has given. */
  write(line: string): void {
    if (this.#parts.ring.write(line)) this.#parts.ringBell();
  }
}

/** What the header block of an answer says, and the bytes behind it. */
function readHead(output: Uint8Array): { readonly status: number; readonly sentBytes: number } {
  const bytes = Buffer.from(output.buffer, output.byteOffset, output.length);
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return { status: 0, sentBytes: 0 };
  const sentBytes = bytes.length - end - HEAD_END.length;
  if (bytes[0] === STATUS_INITIAL) {
    return { status: Number(bytes.toString('latin1', STATUS.length, STATUS.length + 3)), sentBytes };
  }
  const status = STATUS_LATER.exec(bytes.toString('latin1', 0, Math.min(end, STATUS_BYTES)))?.[1];
  return { status: Number(status ?? 0), sentBytes };
}
