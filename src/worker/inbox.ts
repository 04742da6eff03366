/**
 * The worker's end of the ring from the front: whole messages between requests, and the body of a request while its
 * script reads it. Reading blocks until there is something.
 */

import { LuafcgidError } from '../base/errors.js';
import { Abandoned, type Interrupts } from '../channel/interrupts.js';
import { BodyFault, MORE, ToWorker, typeOf } from '../channel/messages.js';
import type { Frame, RingReader } from '../channel/ring.js';
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

/** The body of one request, as far as its script has read it. */
class RingBody implements RequestInlet {
  readonly requestId: number;
  isOver = false;
  /** Why the rest never comes: a `BodyFault`, or 0. */
  fault = 0;
  /** Pieces that came while the request was suspended. */
  readonly #pieces: Uint8Array[] = [];
  readonly #inbox: BodyReader;

  constructor(requestId: number, inbox: BodyReader) {
    this.requestId = requestId;
    this.#inbox = inbox;
  }

  readBody(maxBytes: number): Uint8Array | null {
    const kept = this.#pieces[0];
    if (kept === undefined) return this.#inbox.readBody(this, maxBytes);
    if (kept.length <= maxBytes) this.#pieces.shift();
    else this.#pieces[0] = kept.subarray(maxBytes);
    return kept.subarray(0, maxBytes);
  }

  outlive(): RequestInlet {
    this.#inbox.keepBody(this);
    return this;
  }

  /** A frame of it came while others were read. */
  keepFrame({ type, argument, payload }: Frame): void {
    if (typeOf(type) === ToWorker.BODY) this.#pieces.push(Uint8Array.from(payload));
    else this.end(argument);
  }

  end(fault: number): void {
    this.isOver = true;
    this.fault = fault;
  }
}

/** What a body asks of the inbox. */
interface BodyReader {
  readBody(body: RingBody, maxBytes: number): Uint8Array | null;
  /** From now on its frames are kept whenever they come. */
  keepBody(body: RingBody): void;
}

/** The body of a request that has none. */
export const NO_BODY: RequestInlet = { readBody: () => null, outlive: () => NO_BODY };

export class Inbox {
  readonly #ring: RingReader;
  readonly #tellRoom: () => void;
  readonly #interrupts: Interrupts;
  readonly #stopReason: () => Error;
  /** Bodies of requests that were suspended, by request. */
  readonly #kept = new Map<number, RingBody>();
  /** Messages for later that came while a request was reading its body. */
  readonly #deferred: Message[] = [];
  /** The message being taken: one buffer for all, so that requests allocate none. */
  #collected = Buffer.allocUnsafeSlow(FIRST_MESSAGE_BYTES);
  /** Bytes of the first frame's payload that the body's reader has taken. */
  #taken = 0;
  #isHolding = false;

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
      if (type === ToWorker.BODY || type === ToWorker.BODY_END) {
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
   * The body of a request that begins. Its `readBody` throws a `LuafcgidError` when the body is too large, shorter than
   * announced, or does not come, or when the script has to stop. Pieces of other requests' bodies are dropped meanwhile.
   */
  bodyOf(requestId: number): RequestInlet {
    return new RingBody(requestId, { readBody: this.#readBody, keepBody: (body) => this.#kept.set(requestId, body) });
  }

  readonly #readBody = (body: RingBody, maxBytes: number): Uint8Array | null => {
    while (!body.isOver) {
      const frame = this.#isHolding ? (this.#ring.peek() as Frame) : this.#waitForBody();
      const type = typeOf(frame.type);
      if (type === ToWorker.BODY && frame.id === body.requestId) {
        if (this.#taken === frame.payload.length) {
          this.#letGo();
          continue;
        }
        this.#isHolding = true;
        const piece = frame.payload.subarray(this.#taken, this.#taken + maxBytes);
        this.#taken += piece.length;
        return piece;
      }
      if (type === ToWorker.BODY_END && frame.id === body.requestId) body.end(frame.argument);
      else if (type === ToWorker.BODY || type === ToWorker.BODY_END) this.#kept.get(frame.id)?.keepFrame(frame);
      else {
        // While a request executes the front sends only short messages, and what it sent before the request was resumed.
        const payload = frame.payload.slice();
        this.#deferred.push({ type, flags: frame.type, id: frame.id, argument: frame.argument, payload });
      }
      this.#release();
    }
    if (body.fault !== 0) throw faultOf(body.fault);
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

  #waitForBody(): Frame {
    for (;;) {
      const frame = this.#ring.peek();
      if (frame !== undefined) return frame;
      this.#ring.waitForFrame(() => this.#interrupts.isStopWanted);
      if (this.#interrupts.isStopWanted) throw this.#stopReason();
    }
  }

  /** Gives back the frame that the body's reader still looked at. */
  #letGo(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#taken = 0;
    this.#ring.peek();
    this.#release();
  }

  #release(): void {
    if (this.#ring.release()) this.#tellRoom();
  }
}

function faultOf(fault: number): LuafcgidError {
  if (fault === BodyFault.TOO_LARGE) return new LuafcgidError('LUAFCGID_REQUEST_BODY_TOO_LARGE', { limit: 'maxpost' });
  if (fault === BodyFault.LATE) return new LuafcgidError('LUAFCGID_REQUEST_BODY_LATE', { seconds: 'readtimeout' });
  return new LuafcgidError('LUAFCGID_REQUEST_BODY_SHORT');
}
