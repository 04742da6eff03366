/**
 * The body of one request, or the file that a Filter is given: bytes received, bytes that wait for the worker, and whether
 * more will come. It knows neither its request nor a worker.
 */
import type { BodyFault } from '../../channel/messages.js';
import type { Meter } from '../../fcgi/session.js';

const NOTHING: Buffer = Buffer.alloc(0);

export class Body {
  /** Its length as announced (CONTENT_LENGTH); undefined: none was. */
  readonly announcedBytes: number | undefined;
  /** Bytes received in all, as far as they were announced. */
  receivedBytes = 0;
  /** Bytes that may be kept beyond `bodymemory` while its request waits, so that an abort behind them is seen. */
  extraBytes = 0;
  /** Gets the memory that it holds. */
  meter: Meter;
  /** Received and not handed on yet: `[#start, #end)` of one buffer, however it came. */
  #room = NOTHING;
  #start = 0;
  #end = 0;
  #isComplete: boolean;
  #hasHandedOn = false;
  #isEndSent = false;
  #hasSurplus = false;
  /** How much longer the client may take for the rest; undefined before the first look. */
  #leftMs: number | undefined;
  /** How many of `receivedBytes` were credited to the client. */
  #judgedBytes = 0;

  constructor(announcedBytes: number | undefined, meter: Meter) {
    this.announcedBytes = announcedBytes;
    this.meter = meter;
    this.#isComplete = announcedBytes === 0;
  }

  /** All of it has been received, as far as it ever will be. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Some of it is with the worker, or the news that no more will come: another worker could not have all of it. */
  get hasHandedOn(): boolean {
    return this.#hasHandedOn;
  }

  /** The worker was told that nothing more will come. */
  get isEndSent(): boolean {
    return this.#isEndSent;
  }

  /** Whether the worker is to be sent any of it: some waits here, or is still to come. */
  get isToBeSent(): boolean {
    return !this.#isComplete || this.bufferedBytes > 0;
  }

  /** Memory that it holds. */
  get heldBytes(): number {
    return this.#room.length;
  }

  /** Bytes that wait to be handed on. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /** Those bytes; valid until the next `receive`. */
  get kept(): Uint8Array {
    return this.#room.subarray(this.#start, this.#end);
  }

  /**
   * A piece has come. Bytes past the announced length are dropped; the rest is copied.
   * @returns `kept`; `dropped` when nothing more is taken; `too large` when it is longer than `mostBytes` now
   */
  receive(bytes: Uint8Array, mostBytes: number): 'kept' | 'dropped' | 'too large' {
    if (this.#isComplete) return 'dropped';
    const taken = bytes.subarray(0, this.#wantedOf(bytes.length));
    this.receivedBytes += taken.length;
    if (this.receivedBytes > mostBytes) return 'too large';
    this.#keep(taken);
    if (this.receivedBytes === this.announcedBytes) this.#isComplete = true;
    return 'kept';
  }

  /** Whether a piece that is about to be received is the first with bytes past the announced length. */
  isFirstSurplus(pieceBytes: number): boolean {
    if (this.#hasSurplus || this.#wantedOf(pieceBytes) === pieceBytes) return false;
    this.#hasSurplus = true;
    return true;
  }

  #wantedOf(pieceBytes: number): number {
    if (this.announcedBytes === undefined) return pieceBytes;
    return Math.min(pieceBytes, this.announcedBytes - this.receivedBytes);
  }

  /** Nothing more will come: the bytes received are all of it. */
  complete(): void {
    this.#isComplete = true;
  }

  /** Its worker has read all of it, before the front came to know the request. */
  completeElsewhere(bytes: number): void {
    this.receivedBytes = bytes;
    this.#isComplete = true;
    this.#hasHandedOn = true;
  }

  /**
   * A worker begins with the request; its START says whether any body follows.
   * @param hasEnd its end is sent in any case
   */
  begin(hasEnd = false): void {
    this.extraBytes = 0;
    this.#isEndSent = !hasEnd && !this.isToBeSent;
  }

  /**
   * Hands on as much as there is room for, and the end behind the last byte.
   * @param send sends as much of these bytes as fits now, and returns how many that is
   * @param sendEnd sends the end
   */
  handOn(send: (bytes: Uint8Array) => number, sendEnd: (fault: BodyFault | 0) => void): void {
    if (this.#isEndSent) return;
    const bytes = this.kept;
    const sent = send(bytes);
    this.#drop(sent);
    if (sent < bytes.length || !this.#isComplete) return;
    this.#isEndSent = true;
    sendEnd(0);
  }

  /** It will never be complete, which the worker that reads it is told. Bytes not handed on yet are dropped. */
  fail(fault: BodyFault, sendEnd: (fault: BodyFault) => void): void {
    this.#isComplete = true;
    // Another worker would take the bytes that are here for the whole body.
    this.#hasHandedOn = true;
    if (this.#isEndSent) return;
    this.#isEndSent = true;
    sendEnd(fault);
  }

  /**
   * Judges how long the rest has been coming; to be called every so often while it is not complete.
   * @param bytesPerMs a body that comes at this pace is never late
   * @returns whether it is late
   */
  isLate(elapsedMs: number, timeoutMs: number, bytesPerMs: number): boolean {
    const earnedMs = (this.receivedBytes - this.#judgedBytes) / bytesPerMs;
    this.#judgedBytes = this.receivedBytes;
    const leftMs = this.#leftMs === undefined ? timeoutMs : this.#leftMs - elapsedMs + earnedMs;
    this.#leftMs = Math.min(timeoutMs, leftMs);
    return this.#leftMs <= 0;
  }

  /** Nothing more is done with it: gives its memory back. */
  end(): void {
    this.meter.bytes -= this.#room.length;
    this.#room = NOTHING;
    this.#start = 0;
    this.#end = 0;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#room.length) this.#makeRoom(bytes.length);
    this.#room.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #drop(count: number): void {
    if (count > 0) this.#hasHandedOn = true;
    this.#start += count;
    if (this.#start < this.#end) return;
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(neededBytes: number): void {
    const { kept } = this;
    const bytes = kept.length + neededBytes;
    // Doubled, so that a body in small pieces is not copied for each; but never past what it is known to become.
    const roomBytes = Math.max(bytes, Math.min(2 * bytes, this.announcedBytes ?? Number.POSITIVE_INFINITY));
    const room = bytes <= this.#room.length ? this.#room : Buffer.allocUnsafeSlow(roomBytes);
    room.set(kept);
    this.meter.bytes += room.length - this.#room.length;
    this.#room = room;
    this.#start = 0;
    this.#end = kept.length;
  }
}
