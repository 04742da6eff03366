/**
 * The access log of the requests that a worker serves by itself: it makes their lines, and the front takes them from
 * shared memory (`channel/line-ring.ts`). A line is written before the connection can be anybody else's, so the lines of
 * one connection are in order.
 */
import { roleName } from '../../base/roles.js';
import type { CgiRequest } from '../../cgi/request.js';
import type { LineRingWriter } from '../../channel/line-ring.js';
import { requestName } from '../../channel/messages.js';
import { Role } from '../../fcgi/session.js';
import type { AccessFormat } from '../../logging/access-format.js';
import type { UsageMeter } from '../usage-meter.js';

/** A request that begins. */
export interface DirectRequest {
  readonly id: number;
  readonly cgi: CgiRequest;
  readonly bodyBytes: number;
  readonly state: number;
  /** Its file, one character per byte. */
  readonly script: string;
}

export interface AccessLinesParts {
  readonly format: AccessFormat;
  readonly ring: LineRingWriter;
  /** Begins the name of every request. */
  readonly runName: string;
  /** The worker's place among the workers. */
  readonly place: number;
  /** Measures what requests take; undefined: no line says it. */
  readonly usage: UsageMeter | undefined;
  readonly nowMs: () => number;
  /** Wall-clock time in milliseconds. */
  readonly timeMs: () => number;
  /** Wakes the front, which is to take what has gathered. */
  readonly ringBell: () => void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
/** In every header block, at its begin or behind `Location`. */
const STATUS = /(?:^|\n)Status: (\d{3})/;
/** Bytes of a header block in which the status is looked for. */
const STATUS_BYTES = 16 * 1024;

export class AccessLines {
  readonly #parts: AccessLinesParts;
  #request: DirectRequest | undefined;
  #beganMs = 0;

  constructor(parts: AccessLinesParts) {
    this.#parts = parts;
  }

  begin(request: DirectRequest): void {
    this.#request = request;
    this.#beganMs = this.#parts.nowMs();
  }

  /** For how long the request has been under way. */
  get ageMs(): number {
    return Math.max(0, this.#parts.nowMs() - this.#beganMs);
  }

  /** The line of the request, whose whole answer is this; undefined when the ring has no room for it. */
  lineFor(output: Uint8Array, appStatus: number): Uint8Array | undefined {
    const request = this.#request;
    if (request === undefined) return undefined;
    const { format, ring, runName, place, usage, timeMs } = this.#parts;
    const durationMs = this.ageMs;
    const { id, cgi, bodyBytes, state, script } = request;
    const { status, sentBytes } = readHead(output);
    const used = usage?.end();
    const line = Buffer.from(
      `${format.line({
        arrivedMs: timeMs() - durationMs,
        durationMs,
        waitMs: 0,
        cpuMs: used?.cpuMs,
        memoryBytes: used?.memoryBytes,
        request: requestName(runName, id),
        script,
        state,
        worker: place,
        role: roleName(Role.RESPONDER),
        method: cgi.method,
        status,
        outcome: appStatus === 0 ? 'done' : 'failed',
        sentBytes,
        receivedBytes: bodyBytes,
        params: cgi.params,
      })}\n`,
    );
    return ring.hasRoom(line.length) ? line : undefined;
  }

  /** Writes a line that `lineFor` has given. */
  write(line: Uint8Array): void {
    if (this.#parts.ring.write(line)) this.#parts.ringBell();
  }
}

/** What the header block of an answer says, and the bytes behind it. */
function readHead(output: Uint8Array): { readonly status: number; readonly sentBytes: number } {
  const bytes = Buffer.from(output.buffer, output.byteOffset, output.length);
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return { status: 0, sentBytes: 0 };
  const status = STATUS.exec(bytes.toString('latin1', 0, Math.min(end, STATUS_BYTES)))?.[1];
  return { status: Number(status ?? 0), sentBytes: bytes.length - end - HEAD_END.length };
}
