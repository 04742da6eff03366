/** What comes to a request from its web server, as far as its script has read it: its body, and the file of a Filter. */

import { ToWorker, typeOf } from '../channel/messages.js';
import type { Frame } from '../channel/ring.js';
import type { RequestInlet } from './script-request.js';

/** One of the two streams. */
export class InputStream {
  /** The messages that carry its pieces, and its end. */
  readonly pieceType: number;
  readonly endType: number;
  isOver: boolean;
  /** Why the rest never comes: a `BodyFault`, or 0. */
  fault = 0;
  /** Pieces that came while others were read. */
  readonly #pieces: Uint8Array[] = [];

  constructor(pieceType: number, endType: number, exists: boolean) {
    this.pieceType = pieceType;
    this.endType = endType;
    this.isOver = !exists;
  }

  /** At most so many bytes of the pieces that were kept; nothing when there are none. */
  takeKept(maxBytes: number): Uint8Array | undefined {
    const piece = this.#pieces[0];
    if (piece === undefined) return undefined;
    if (piece.length <= maxBytes) this.#pieces.shift();
    else this.#pieces[0] = piece.subarray(maxBytes);
    return piece.subarray(0, maxBytes);
  }

  /** @param bytes valid during the call */
  keep(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#pieces.push(Uint8Array.from(bytes));
  }

  end(fault: number): void {
    this.isOver = true;
    this.fault = fault;
  }
}

/** What an input asks of the inbox. */
export interface InputReader {
  read(input: RingInput, stream: InputStream, maxBytes: number): Uint8Array | null;
  /** From now on its frames are kept whenever they come. */
  keepAll(input: RingInput): void;
}

/** The streams of one request, which come through the ring from the front. */
export class RingInput implements RequestInlet {
  readonly requestId: number;
  readonly body: InputStream;
  readonly data: InputStream;
  readonly #reader: InputReader;

  constructor(requestId: number, has: { readonly body: boolean; readonly data: boolean }, reader: InputReader) {
    this.requestId = requestId;
    this.body = new InputStream(ToWorker.BODY, ToWorker.BODY_END, has.body);
    this.data = new InputStream(ToWorker.DATA, ToWorker.DATA_END, has.data);
    this.#reader = reader;
  }

  readBody(maxBytes: number): Uint8Array | null {
    return this.body.takeKept(maxBytes) ?? this.#reader.read(this, this.body, maxBytes);
  }

  readData(maxBytes: number): Uint8Array | null {
    return this.data.takeKept(maxBytes) ?? this.#reader.read(this, this.data, maxBytes);
  }

  outlive(): RequestInlet {
    this.#reader.keepAll(this);
    return this;
  }

  /** A frame of it came while others were read. @param taken bytes of its payload that were read already */
  keepFrame({ type, argument, payload }: Frame, taken = 0): void {
    for (const stream of [this.body, this.data]) {
      if (typeOf(type) === stream.pieceType) stream.keep(payload.subarray(taken));
      else if (typeOf(type) === stream.endType) stream.end(argument);
    }
  }
}

/** The input of a request that has none. */
export const NO_INPUT: RequestInlet = { readBody: () => null, readData: () => null, outlive: () => NO_INPUT };

/** Whether a message is a part of some request's input. */
export function isInput(type: number): boolean {
  return type === ToWorker.BODY || type === ToWorker.BODY_END || type === ToWorker.DATA || type === ToWorker.DATA_END;
}
