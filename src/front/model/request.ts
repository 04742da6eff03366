/** One request from its parameters to its last byte: what the front knows of it. */
import type { CgiRequest } from '../../cgi/request.js';
import { type Meter, REQUEST_BYTES } from '../../fcgi/session.js';
import type { Place, PoolState, Waiter } from '../../pool/pool.js';
import type { AccessRecord } from './access-record.js';
import type { Connection } from './connection.js';
import type { WorkerLink } from './worker-link.js';

/**
 * Where a request stands.
 * - `looking`: its script is being looked up
 * - `reading`: its body is still coming and has not filled the front's buffer
 * - `waiting`: it waits for a state
 * - `running`: a worker has it
 * - `over`: nothing more will happen
 */
export type Stage = 'looking' | 'reading' | 'waiting' | 'running' | 'over';

/** Methods whose requests carry no body unless they say how long it is: they need not wait for its end. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

const NOTHING: Buffer = Buffer.alloc(0);

export class FrontRequest implements Waiter {
  /** Unique among the requests under way; the name of the request towards workers. */
  readonly id: number;
  /** Its id on its connection. */
  readonly fcgiId: number;
  readonly connection: Connection;
  readonly cgi: CgiRequest;
  stage: Stage = 'looking';
  /** The script's resolved file: what the pool knows it by. Set when the look-up is done. */
  script = '';
  arrivedMs = 0;
  avoidsDirectWorkers = false;
  place: Place | undefined;
  state: PoolState | undefined;
  /** The worker that runs it. */
  worker: WorkerLink | undefined;
  /** END_REQUEST is made (or cannot be any more): output that still comes from the script goes nowhere. */
  isAnswered = false;
  /** Some of the answer is on its way: it is too late for another one. */
  hasOutput = false;
  /** For the access log, if there is one. */
  trace: AccessRecord | undefined;
  /** The running time after which it is stopped; 0: never. */
  watchdogMs = 0;
  /** Whether its script is stopped when the client goes. */
  stopsOnAbort = false;
  /** The client has gone, or does not want the answer any more. */
  isClientGone = false;

  /** Body received and not yet handed to the worker: `[#bodyStart, #bodyEnd)` of one buffer, however it came. */
  #body = NOTHING;
  #bodyStart = 0;
  #bodyEnd = 0;
  receivedBytes = 0;
  /** More came than was announced, and the log says so. */
  isBodyTooLong = false;
  /** All of the body has been received, as far as it will be. */
  isBodyComplete: boolean;
  /** Some of the body is with the worker, or the news that no more will come. */
  hasHandedOn = false;
  /** The end of the body was told to the worker. */
  isBodyEndSent = false;
  /** How much longer its client may be late with the body (`timeouts.ts`); -1: nobody has looked yet. */
  bodyLeftMs = -1;
  /** What of `receivedBytes` has been seen by who looks for late bodies. */
  judgedBytes = 0;
  /** Bytes that may be kept beyond `bodymemory` while it waits, to hear of its abort. */
  extraBodyBytes = 0;
  #meter: Meter;

  /** @param meter gets the memory that it holds */
  constructor(id: number, fcgiId: number, connection: Connection, cgi: CgiRequest, meter: Meter) {
    this.#meter = meter;
    meter.bytes += REQUEST_BYTES + cgi.params.length;
    this.id = id;
    this.fcgiId = fcgiId;
    this.connection = connection;
    this.cgi = cgi;
    this.isBodyComplete = cgi.contentLength === 0;
  }

  /** What it holds counts elsewhere from now on. */
  chargeTo(meter: Meter): void {
    const bytes = this.heldBytes;
    this.#meter.bytes -= bytes;
    meter.bytes += bytes;
    this.#meter = meter;
  }

  /** Memory that it holds. */
  get heldBytes(): number {
    return REQUEST_BYTES + this.cgi.params.length + this.#body.length;
  }

  get bufferedBytes(): number {
    return this.#bodyEnd - this.#bodyStart;
  }

  /** Whether some of a body is to be handed to the worker: it waits here, or is still to come. */
  get hasBody(): boolean {
    return !this.isBodyComplete || this.#bodyEnd > this.#bodyStart;
  }

  /** Keeps a piece of body; the bytes are copied. */
  keepBody(bytes: Uint8Array): void {
    if (this.#bodyEnd + bytes.length > this.#body.length) this.#makeRoom(bytes.length);
    this.#body.set(bytes, this.#bodyEnd);
    this.#bodyEnd += bytes.length;
  }

  /** The body bytes kept; valid until the next `keepBody`. */
  get keptBody(): Uint8Array {
    return this.#body.subarray(this.#bodyStart, this.#bodyEnd);
  }

  /** The first `count` bytes kept have been handed on. */
  dropBody(count: number): void {
    if (count > 0) this.hasHandedOn = true;
    this.#bodyStart += count;
    if (this.#bodyStart < this.#bodyEnd) return;
    this.#bodyStart = 0;
    this.#bodyEnd = 0;
  }

  #makeRoom(neededBytes: number): void {
    const kept = this.keptBody;
    const bytes = kept.length + neededBytes;
    // Doubled, so that a body in small pieces is not copied for each; but never past what it is known to become.
    const roomBytes = Math.max(bytes, Math.min(2 * bytes, this.cgi.contentLength ?? Number.POSITIVE_INFINITY));
    const room = bytes <= this.#body.length ? this.#body : Buffer.allocUnsafeSlow(roomBytes);
    room.set(kept);
    this.#meter.bytes += room.length - this.#body.length;
    this.#body = room;
    this.#bodyStart = 0;
    this.#bodyEnd = kept.length;
  }

  /** Whether a worker can start it: nothing more will come, or the front holds as much as it may. */
  isReady(bodyMemoryBytes: number): boolean {
    return this.isBodyComplete || this.needsNoBody || this.bufferedBytes >= bodyMemoryBytes;
  }

  /** Whether nothing says that there is a body. */
  get needsNoBody(): boolean {
    return this.cgi.contentLength === undefined && BODILESS.has(this.cgi.method);
  }

  /** Nothing more will happen: gives its memory back. */
  end(): void {
    if (this.stage === 'over') return;
    this.#meter.bytes -= this.heldBytes;
    this.stage = 'over';
    this.#body = NOTHING;
    this.#bodyStart = 0;
    this.#bodyEnd = 0;
  }
}
