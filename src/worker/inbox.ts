/**
 * The worker's end of the ring from the front: whole messages between requests, and the body of a request while its
 * script reads it. Reading blocks until there is something.
 */

import { LuafcgidError } from '../base/errors.js';
import { Role } from '../base/roles.js';
import { INPUT_ERRORS } from '../channel/input-faults.js';
import { Abandoned, type Interrupts } from '../channel/interrupts.js';
import { BodyFault, MORE, roleOf, START_NO_BODY, ToWorker, typeOf } from '../channel/messages.js';
import type { Frame, RingReader } from '../channel/ring.js';
import { FilterInput } from './filter-input.js';
import type { RequestInlet } from './request-channels.js';

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

/** The body of one request, or the file that a Filter is given, as far as its script has read it. */
class RingBody implements RequestInlet {
  /** See `keyOf`. */
  readonly key: number;
  isWhole = false;
  isOver = false;
  /** Why the rest never comes: a `BodyFault`, or 0. */
  fault = 0;
  /** Pieces that came while others were read, or that are left of one. */
  readonly #pieces: Uint8Array[] = [];
  readonly #inbox: BodyReader;
  /** Waits until more has come, while the request is suspended. */
  #awaited: (() => void) | undefined;

  constructor(key: number, inbox: BodyReader) {
    this.key = key;
    this.#inbox = inbox;
  }

  get isReady(): boolean {
    return this.#pieces.length > 0 || this.isOver || this.#inbox.hasBody(this);
  }

  awaitMore(call: () => void): void {
    this.#awaited = call;
  }

  readBody(maxBytes: number): Uint8Array | null {
    const kept = this.#pieces[0];
    if (kept === undefined) return this.#inbox.readBody(this, maxBytes);
    if (kept.length <= maxBytes) this.#pieces.shift();
    else this.#pieces[0] = kept.subarray(maxBytes);
    return kept.subarray(0, maxBytes);
  }

  readData(): null {
    return null;
  }

  outlive(): RequestInlet {
    this.#inbox.keepBody(this);
    return this;
  }

  /** A frame of it came while others were read. */
  keepFrame({ type, argument, payload }: Frame): void {
    if (isPiece(type)) this.#pieces.push(Uint8Array.from(payload));
    else this.end(argument);
    const awaited = this.#awaited;
    this.#awaited = undefined;
    awaited?.();
  }

  /** The rest of a piece that the ring has to give back. */
  keepRest(rest: Uint8Array): void {
    if (rest.length > 0) this.#pieces.unshift(Uint8Array.from(rest));
  }

  end(fault: number): void {
    this.isOver = true;
    this.fault = fault;
  }
}

/** What a body asks of the inbox. */
interface BodyReader {
  readBody(body: RingBody, maxBytes: number): Uint8Array | null;
  /** Whether something of it, or its end, is in the ring. Takes what lies before that. */
  hasBody(body: RingBody): boolean;
  /** From now on its frames are kept whenever they come. */
  keepBody(body: RingBody): void;
}

/** The body of a request that has none. */
export const NO_BODY: RequestInlet = {
  isWhole: true,
  isReady: true,
  readBody: () => null,
  readData: () => null,
  awaitMore() {},
  outlive: () => NO_BODY,
};

export class Inbox {
  readonly #ring: RingReader;
  readonly #tellRoom: () => void;
  readonly #interrupts: Interrupts;
  readonly #stopReason: () => Error;
  /** What comes to requests that were suspended, or have not begun yet, and to Filters, by `keyOf`. */
  readonly #kept = new Map<number, RingBody>();
  /** Messages for later that came while a request was reading its body. */
  readonly #deferred: Message[] = [];
  /** Pieces of the last of these, of which more is to come. */
  #deferredPieces: Uint8Array[] = [];
  /** The message being taken: one buffer for all, so that requests allocate none. */
  #collected = Buffer.allocUnsafeSlow(FIRST_MESSAGE_BYTES);
  /** Bytes of the first frame's payload that the body's reader has taken. */
  #taken = 0;
  /** The body that the first frame is of, as long as its reader looks at that. */
  #holder: RingBody | undefined;

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
      if (this.#deferredPieces.length > 0) {
        this.#putAside(this.#waitForFrame(nothingElse) as Frame);
        const message = this.#deferred.shift();
        if (message !== undefined) return message;
        continue;
      }
      const frame = this.#waitForFrame(bytes === 0 ? hasOther : nothingElse, longestMs);
      if (frame === undefined) return undefined;
      const type = typeOf(frame.type);
      const key = keyOf(frame);
      if (key !== 0) {
        this.#kept.get(key)?.keepFrame(frame);
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
   * announced, or does not come, or when the script has to stop.
   * @param isWhole the front has all of it
   */
  bodyOf(requestId: number, isWhole = false): RequestInlet {
    const body = this.#kept.get(requestId) ?? this.#newBody(requestId);
    body.isWhole = isWhole;
    return body;
  }

  /**
   * Body and file of a Filter's request that begins. Each is kept while the other is read.
   * @param isWhole the front has all of the body
   */
  filterInputOf(requestId: number, hasBody: boolean, isWhole: boolean): RequestInlet {
    const body = hasBody ? this.bodyOf(requestId, isWhole) : NO_BODY;
    const data = this.#kept.get(-requestId) ?? this.#newBody(-requestId);
    const input = new FilterInput(body, data);
    return input.outlive();
  }

  #newBody(key: number): RingBody {
    return new RingBody(key, {
      readBody: this.#readBody,
      hasBody: this.#hasBody,
      keepBody: (body) => this.#kept.set(key, body),
    });
  }

  readonly #hasBody = (body: RingBody): boolean => {
    if (this.#holder === body && this.#taken < (this.#ring.peek() as Frame).payload.length) return true;
    this.#letGo();
    for (let frame = this.#ring.peek(); frame !== undefined; frame = this.#ring.peek()) {
      if (keyOf(frame) === body.key) return true;
      this.#putAside(frame);
    }
    return false;
  };

  readonly #readBody = (body: RingBody, maxBytes: number): Uint8Array | null => {
    if (this.#holder !== body) this.#letGo();
    while (!body.isOver) {
      const frame = this.#holder === undefined ? this.#waitForBody() : (this.#ring.peek() as Frame);
      const isOwn = keyOf(frame) === body.key;
      if (isOwn && isPiece(frame.type)) {
        if (this.#taken === frame.payload.length) {
          this.#letGo();
          continue;
        }
        this.#holder = body;
        const piece = frame.payload.subarray(this.#taken, this.#taken + maxBytes);
        this.#taken += piece.length;
        return piece;
      }
      if (isOwn) {
        body.end(frame.argument);
        this.#release();
      } else this.#putAside(frame);
    }
    if (body.fault !== 0) throw faultOf(body);
    return null;
  };

  /** Takes a frame that is not for the request that reads: another's body, or a message for later. */
  #putAside(frame: Frame): void {
    const key = keyOf(frame);
    if (key !== 0) this.#kept.get(key)?.keepFrame(frame);
    else {
      this.#deferredPieces.push(frame.payload.slice());
      if ((frame.type & MORE) === 0) this.#defer(frame, Buffer.concat(this.#deferredPieces.splice(0)));
    }
    this.#release();
  }

  /**
   * While a request executes the front sends short messages, and what it sent before the request was resumed: that may be the
   * start of another one, whose body follows.
   */
  #defer({ type: flags, id, argument }: Frame, payload: Uint8Array): void {
    const type = typeOf(flags);
    this.#deferred.push({ type, flags, id, argument, payload });
    const hasBody = type === ToWorker.START && (flags & START_NO_BODY) === 0;
    if (hasBody) this.#kept.set(id, this.#newBody(id));
    if (type === ToWorker.START && roleOf(flags) === Role.FILTER) this.#kept.set(-id, this.#newBody(-id));
  }

  /** A request is over: what still comes of its body is dropped. */
  forgetBody(requestId: number): void {
    this.#kept.delete(requestId);
    this.#kept.delete(-requestId);
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
      // The front may not have seen yet that the request goes on, before which it sends nothing of its body.
      this.#tellRoom();
      this.#ring.waitForFrame(() => this.#interrupts.isStopWanted);
      if (this.#interrupts.isStopWanted) throw this.#stopReason();
    }
  }

  /** Gives back the frame that a body's reader still looked at; what is left of it is kept if the request goes on. */
  #letGo(): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    const { payload } = this.#ring.peek() as Frame;
    if (this.#kept.get(holder.key) === holder) holder.keepRest(payload.subarray(this.#taken));
    this.#holder = undefined;
    this.#taken = 0;
    this.#release();
  }

  #release(): void {
    if (this.#ring.release()) this.#tellRoom();
  }
}

/** Which stream a frame belongs to: the number of a request for its body, the same below 0 for a file; 0: none. */
function keyOf({ type, id }: Frame): number {
  switch (typeOf(type)) {
    case ToWorker.BODY:
    case ToWorker.BODY_END:
      return id;
    case ToWorker.DATA:
    case ToWorker.DATA_END:
      return -id;
    default:
      return 0;
  }
}

/** Whether a frame of a stream is a piece, and not the end. */
function isPiece(type: number): boolean {
  return typeOf(type) === ToWorker.BODY || typeOf(type) === ToWorker.DATA;
}

function faultOf({ fault, key }: RingBody): LuafcgidError {
  const codes = INPUT_ERRORS[key < 0 ? 'DATA' : 'BODY'];
  if (fault === BodyFault.TOO_LARGE) return new LuafcgidError(codes.tooLarge, { limit: 'maxpost' });
  if (fault === BodyFault.LATE) return new LuafcgidError(codes.late, { seconds: 'readtimeout' });
  return new LuafcgidError(codes.short);
}
