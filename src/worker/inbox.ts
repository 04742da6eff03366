/**
 * The worker's end of the ring from the front: whole messages between requests, the running request's body during one.
 * Reading blocks until there is something.
 */
import { BodyFault, MORE, ToWorker, typeOf } from '../channel/messages.js';
import type { Frame, RingReader } from '../channel/ring.js';
import { LuafcgidError } from '../errors.js';

/** A message whose payload belongs to the receiver. */
export interface Message {
  readonly type: number;
  /** The frame's type word without `MORE`: type and flags. */
  readonly flags: number;
  readonly id: number;
  readonly argument: number;
  readonly payload: Uint8Array;
}

export class Inbox {
  readonly #ring: RingReader;
  readonly #tellRoom: () => void;
  /** Messages for later that came while a request was reading its body. */
  readonly #deferred: Message[] = [];
  #requestId = 0;
  #bodyIsOver = true;
  #fault = 0;
  /** Bytes of the first frame's payload that the body's reader has taken. */
  #taken = 0;
  #isHolding = false;

  /** @param tellRoom wakes the front, which waits for room in this ring */
  constructor(ring: RingReader, tellRoom: () => void) {
    this.#ring = ring;
    this.#tellRoom = tellRoom;
  }

  /** The next message. What is left of an ended request's body is passed over. */
  next(): Message {
    const deferred = this.#deferred.shift();
    if (deferred !== undefined) return deferred;
    this.#letGo();
    const parts: Uint8Array[] = [];
    for (;;) {
      const frame = this.#waitForFrame();
      const type = typeOf(frame.type);
      if (type === ToWorker.BODY || type === ToWorker.BODY_END) {
        this.#release();
        continue;
      }
      parts.push(Uint8Array.prototype.slice.call(frame.payload));
      const { id, argument } = frame;
      const flags = frame.type & ~MORE;
      this.#release();
      if ((frame.type & MORE) !== 0) continue;
      const payload = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
      return { type, flags, id, argument, payload };
    }
  }

  /** A request begins: what comes for it is its body. */
  beginBody(requestId: number, hasBody: boolean): void {
    this.#requestId = requestId;
    this.#bodyIsOver = !hasBody;
    this.#fault = 0;
  }

  /**
   * The next piece of the running request's body, at most `maxBytes` long; null at its end. The piece is valid until
   * the next call.
   * @throws LuafcgidError when the body is too large or shorter than announced
   */
  readBody(maxBytes: number): Uint8Array | null {
    while (!this.#bodyIsOver) {
      const frame = this.#isHolding ? (this.#ring.peek() as Frame) : this.#waitForFrame();
      const type = typeOf(frame.type);
      if (type === ToWorker.BODY && frame.id === this.#requestId) {
        if (this.#taken === frame.payload.length) {
          this.#letGo();
          continue;
        }
        this.#isHolding = true;
        const piece = frame.payload.subarray(this.#taken, this.#taken + maxBytes);
        this.#taken += piece.length;
        return piece;
      }
      const payload = Uint8Array.prototype.slice.call(frame.payload);
      this.#release();
      if (type === ToWorker.BODY_END && frame.id === this.#requestId) {
        this.#bodyIsOver = true;
        this.#fault = frame.argument;
      } else if (type !== ToWorker.BODY && type !== ToWorker.BODY_END) {
        // The front sends these whole while a request runs: short ones about idle states.
        this.#deferred.push({ type, flags: frame.type, id: frame.id, argument: frame.argument, payload });
      }
    }
    if (this.#fault !== 0) throw faultOf(this.#fault);
    return null;
  }

  #waitForFrame(): Frame {
    for (;;) {
      const frame = this.#ring.peek();
      if (frame !== undefined) return frame;
      this.#ring.waitForFrame();
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
  return new LuafcgidError('LUAFCGID_REQUEST_BODY_SHORT');
}
