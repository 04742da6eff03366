/**
 * The front's end of one worker's two rings. It never blocks: what does not fit waits here (a start message and a few
 * short ones at most, since a worker runs one request at a time), and bodies wait with their request.
 */
import { MORE } from '../channel/messages.js';
import type { Frame, RingReader, RingWriter } from '../channel/ring.js';
import type { Connection } from './connection.js';
import type { FrontRequest } from './request.js';

interface Unsent {
  readonly type: number;
  readonly id: number;
  readonly argument: number;
  payload: Uint8Array;
}

export class WorkerLink {
  readonly id: number;
  /** The request that the worker runs. */
  running: FrontRequest | undefined;
  /** The connection whose unsent bytes are past their limit: the worker's output waits in its ring meanwhile. */
  heldBy: Connection | undefined;
  readonly #out: RingWriter;
  readonly #in: RingReader;
  readonly #unsent: Unsent[] = [];

  constructor(id: number, out: RingWriter, incoming: RingReader) {
    this.id = id;
    this.#out = out;
    this.#in = incoming;
  }

  /** Sends a whole message, now or as soon as there is room; `payload` must stay as it is until then. */
  send(type: number, id: number, argument: number, payload: Uint8Array): void {
    this.#unsent.push({ type, id, argument, payload });
    this.flush();
  }

  /** Sends what waits. Returns whether nothing is left. */
  flush(): boolean {
    let wrote = false;
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const { maxPayloadBytes } = this.#out;
      const isLast = first.payload.length <= maxPayloadBytes;
      const piece = isLast ? first.payload : first.payload.subarray(0, maxPayloadBytes);
      if (!this.#tryWrite(isLast ? first.type : first.type | MORE, first.id, first.argument, piece)) break;
      wrote = true;
      if (isLast) this.#unsent.shift();
      else first.payload = first.payload.subarray(maxPayloadBytes);
    }
    if (wrote) this.#out.wakeReader();
    return this.#unsent.length === 0;
  }

  /** Sends as much of a stream as fits now; returns how many bytes that was. The worker tells when there is room again. */
  sendStream(type: number, id: number, bytes: Uint8Array): number {
    if (this.#unsent.length > 0) return 0;
    let sent = 0;
    while (sent < bytes.length) {
      const piece = bytes.subarray(sent, sent + this.#out.maxPayloadBytes);
      if (!this.#tryWrite(type, id, 0, piece)) break;
      sent += piece.length;
    }
    if (sent > 0) this.#out.wakeReader();
    return sent;
  }

  /** The oldest frame from the worker. */
  peek(): Frame | undefined {
    return this.#in.peek();
  }

  release(): void {
    this.#in.release();
  }

  /** The worker will ring when there is room, unless there is some already. */
  #tryWrite(type: number, id: number, argument: number, payload: Uint8Array): boolean {
    for (;;) {
      if (this.#out.tryWrite(type, id, argument, payload)) return true;
      if (this.#out.askForRoom()) return false;
    }
  }
}
