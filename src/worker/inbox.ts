/**
 * The worker's end of the ring from the front: whole messages between requests, and the body of a request while its
 * script reads it. Reading blocks until there is something.
 */

import { LuafcgidError } from '../base/errors.js';
import { INPUT_ERRORS } from '../channel/input-faults.js';
import { Abandoned, type Interrupts } from '../channel/interrupts.js';
import { BodyFault, MORE, ToWorker, typeOf } from '../channel/messages.js';
import type { Frame, RingReader } from '../channel/ring.js';
import { type InputStream, isInput, RingInput } from './request-input.js';
import type { RequestInlet } from './script-request.js';

const FIRST_MESSAGE_BYTES = 16 * 1024;
const nothingElse = (): boolean => false;

/** A message; its payload is valid until the next one is taken. */
export interface Message {
  readonly type: number;
  /** The frame's type word: type and flags. */
  readonly flags: number;
  readonly id: number;
  readonly argument: number;
  readonly payload: Uint8Array;
}

export class Inbox {
  readonly #ring: RingReader;
  readonly #tellRoom: () => void;
  readonly #interrupts: Interrupts;
  readonly #stopReason: () => Error;
  /** The input of requests that were suspended, by request. */
  readonly #kept = new Map<number, RingInput>();
  /** Messages for later that came while a request was reading its body. */
  readonly #deferred: Message[] = [];
  /** The message being taken: one buffer for all, so that requests allocate none. */
  #collected = Buffer.allocUnsafeSlow(FIRST_MESSAGE_BYTES);
  /** Bytes of the first frame's payload that the body's reader has taken. */
  #taken = 0;
  /** The input whose reader still looks at the first frame. */
  #holder: RingInput | undefined;

  /**
   * @param tellRoom wakes the front, which waits for room in this ring
   * @param stopReason why a script that reads has to stop instead, when `interrupts` wants that
   */
  constructor(ring: RingReader, tellRoom: () => void, interrupts: Interrupts, stopReason: () => Error) {
    this.#ring = ring;
    this.#tellRoom = tellRoom;
    this.#interrupts = interrupts;
    this.#stopReason = stopReason;
  }

  /**
   * The next message. What is left of an ended request's body is passed over.
   * @throws Abandoned when nobody listens to this thread any more
   */
  next(): Message {
    return this.nextUnless(nothingElse) as Message;
  }

  /**
   * The same; undefined when there is none, and `hasOther` says that there is something else to do than to wait for one.
   * @param longestMs the longest sleep until `hasOther` is asked again
   */
  nextUnless(hasOther: () => boolean, longestMs?: () => number | undefined): Message | undefined {
    const deferred = this.#deferred.shift();
    if (deferred !== undefined) return deferred;
    this.#letGo();
    let bytes = 0;
    for (;;) {
      const frame = this.#waitForFrame(bytes === 0 ? hasOther : nothingElse, longestMs);
      if (frame === undefined) return undefined;
      const type = typeOf(frame.type);
      if (isInput(type)) {
        this.#kept.get(frame.id)?.keepFrame(frame);
        this.#release();
        continue;
      }
      bytes = this.#collect(frame.payload, bytes);
      const { id, argument } = frame;
      const isLast = (frame.type & MORE) === 0;
      this.#release();
      if (isLast) return { type, flags: frame.type, id, argument, payload: this.#collected.subarray(0, bytes) };
    }
  }

  /**
   * The input of a request that begins. Reading it throws a `LuafcgidError` when a stream is too large, shorter than
   * announced, or does not come, or when the script has to stop. Pieces of other requests' input are dropped meanwhile.
   */
  inputOf(requestId: number, has = { body: true, data: false }): RequestInlet {
    return new RingInput(requestId, has, { read: this.#read, keepAll: (input) => this.#kept.set(requestId, input) });
  }

  readonly #read = (input: RingInput, stream: InputStream, maxBytes: number): Uint8Array | null => {
    while (!stream.isOver) {
      const frame = this.#holder === undefined ? this.#waitForInput() : (this.#ring.peek() as Frame);
      const type = typeOf(frame.type);
      const isOwn = frame.id === input.requestId;
      const isHeld = this.#holder !== undefined;
      if (isHeld && (!isOwn || type !== stream.pieceType || this.#taken === frame.payload.length)) {
        this.#letGo();
        const kept = stream.takeKept(maxBytes);
        if (kept !== undefined) return kept;
        continue;
      }
      if (isOwn && type === stream.pieceType) {
        this.#holder = input;
        const piece = frame.payload.subarray(this.#taken, this.#taken + maxBytes);
        this.#taken += piece.length;
        return piece;
      }
      if (isOwn && isInput(type)) input.keepFrame(frame);
      else if (isInput(type)) this.#kept.get(frame.id)?.keepFrame(frame);
      else {
        // While a request executes the front sends only short messages, and what it sent before the request was resumed.
        const payload = frame.payload.slice();
        this.#deferred.push({ type, flags: frame.type, id: frame.id, argument: frame.argument, payload });
      }
      this.#release();
    }
    if (stream.fault !== 0) throw faultOf(stream);
    return null;
  };

  /** A request is over: what still comes of its body is dropped. */
  forgetBody(requestId: number): void {
    this.#kept.delete(requestId);
  }

  /** Puts a piece of a message behind what has come of it; returns how much that is now. */
  #collect(piece: Uint8Array, at: number): number {
    const end = at + piece.length;
    if (end > this.#collected.length) {
      const grown = Buffer.allocUnsafeSlow(2 * end);
      grown.set(this.#collected.subarray(0, at));
      this.#collected = grown;
    }
    this.#collected.set(piece, at);
    return end;
  }

  #waitForFrame(hasOther: () => boolean, longestMs?: () => number | undefined): Frame | undefined {
    for (;;) {
      const frame = this.#ring.peek();
      if (frame !== undefined) return frame;
      if (hasOther()) return undefined;
      this.#ring.waitForFrame(() => this.#interrupts.isAbandoned || hasOther(), longestMs);
      if (this.#interrupts.isAbandoned) throw new Abandoned();
    }
  }

  #waitForInput(): Frame {
    for (;;) {
      const frame = this.#ring.peek();
      if (frame !== undefined) return frame;
      this.#ring.waitForFrame(() => this.#interrupts.isStopWanted);
      if (this.#interrupts.isStopWanted) throw this.#stopReason();
    }
  }

  /** Gives back the frame that an input's reader still looked at; what it has not read is kept for it. */
  #letGo(): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    holder.keepFrame(this.#ring.peek() as Frame, this.#taken);
    this.#holder = undefined;
    this.#taken = 0;
    this.#release();
  }

  #release(): void {
    if (this.#ring.release()) this.#tellRoom();
  }
}

function faultOf({ fault, pieceType }: InputStream): LuafcgidError {
  const codes = INPUT_ERRORS[pieceType === ToWorker.DATA ? 'DATA' : 'BODY'];
  if (fault === BodyFault.TOO_LARGE) return new LuafcgidError(codes.tooLarge, { limit: 'maxpost' });
  if (fault === BodyFault.LATE) return new LuafcgidError(codes.late, { seconds: 'readtimeout' });
  return new LuafcgidError(codes.short);
}
