/**
 * The worker's end of its channel to the I/O thread: posts operations, takes completions, and never needs the event loop.
 * `protocol.ts` says how it is used.
 */

import { LuafcgidError } from '../base/errors.js';
import { type Frame, RingReader, RingWriter } from '../channel/ring.js';
import { IoBell, type IoChannel } from './channel.js';
import {
  encodeError,
  encodeHeader,
  FromIo,
  frameType,
  isOfEpoch,
  kindOf,
  MORE,
  type OperationRequest,
  type Return,
  ToIo,
} from './protocol.js';

/** How an operation ended. */
export interface Completion {
  /** The number that `post` gave. */
  readonly id: number;
  readonly run: number;
  readonly isError: boolean;
  /** One encoded value; holds until the next call of `next`. */
  readonly payload: Uint8Array;
}

/** What happens to connections that are lent to this worker. */
export interface LoanEvents {
  lent(slot: number, source: number, descriptor: number): void;
  /** The same, by an I/O thread that has died: the descriptor is to be closed. */
  lentInVain(descriptor: number): void;
  /** The I/O thread has died: whatever was lent is nobody's any more. */
  threadLost(): void;
}

const NOTHING = new Uint8Array(0);
const FIRST_MESSAGE_BYTES = 16 * 1024;
const undisturbed = (): boolean => false;

export class IoClient {
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  readonly #bell: IoBell;
  readonly #epochWord: Int32Array;
  readonly #isDisturbed: () => boolean;
  /** The runs of the operations that have no completion yet, by their numbers. */
  #pending = new Map<number, number>();
  /** Operations whose I/O thread has died. */
  #lost: [id: number, run: number][] = [];
  #epoch: number;
  #lastId = 0;
  /** A message that continues in the next frame. */
  #collected = Buffer.allocUnsafe(FIRST_MESSAGE_BYTES);
  #collectedBytes = 0;
  /** Left out: nothing is borrowed. */
  loanEvents: LoanEvents | undefined;

  /** @param isDisturbed whether this thread has to give up waiting for room in the ring */
  constructor(channel: IoChannel, isDisturbed: () => boolean = undisturbed) {
    this.#writer = new RingWriter(channel.toIo);
    this.#reader = new RingReader(channel.toWorker);
    this.#bell = new IoBell(channel);
    this.#epochWord = new Int32Array(channel.epoch);
    this.#epoch = Atomics.load(this.#epochWord, 0);
    this.#isDisturbed = isDisturbed;
  }

  /** How many operations have no completion yet. */
  get pending(): number {
    return this.#pending.size + this.#lost.length;
  }

  /** Whether `next` may give something. Cheap: it looks at shared memory only. */
  get hasCompletion(): boolean {
    return this.#lost.length > 0 || this.#reader.hasFrame || Atomics.load(this.#epochWord, 0) !== this.#epoch;
  }

  /**
   * Posts an operation. Blocks while the ring is full, which the I/O thread empties whatever its sources do.
   * @returns its number, or undefined when this thread was disturbed: then nothing was posted
   */
  post(request: OperationRequest): number | undefined {
    this.#lookAtEpoch();
    this.#lastId = (this.#lastId % 0x7ffffff0) + 1;
    const id = this.#lastId;
    if (!this.#send(ToIo.OPERATION, id, request.run, encodeHeader(request), request.body)) return undefined;
    this.#pending.set(id, request.run);
    return id;
  }

  /** The run is over: everything it holds is released, and what it waits for is cancelled. */
  endRun(run: number): void {
    for (const [id, owner] of this.#pending) if (owner === run) this.#pending.delete(id);
    this.#lost = this.#lost.filter(([, owner]) => owner !== run);
    this.#send(ToIo.RUN_OVER, 0, run, NOTHING, NOTHING);
  }

  /** Asks for a connection of a data source; `lent` is called when there is one. */
  borrow(source: number): void {
    this.#lookAtEpoch();
    this.#send(ToIo.BORROW, source, 0, NOTHING, NOTHING);
  }

  /** Gives a connection back, whose descriptor is closed here. @param reason why it is lost; `''` when it is not */
  giveBack(slot: number, how: Return, reason: string): void {
    this.#send(ToIo.RETURN, slot, how, NOTHING, Buffer.from(reason));
  }

  /** Has the I/O thread break off what runs on a lent connection. */
  cancelOn(slot: number): void {
    this.#send(ToIo.CANCEL, slot, 0, NOTHING, NOTHING);
  }

  /** The oldest completion; undefined when there is none now. */
  next(): Completion | undefined {
    this.#lookAtEpoch();
    for (;;) {
      const lost = this.#lost.shift();
      if (lost !== undefined) return lostCompletion(...lost);
      const frame = this.#reader.peek();
      if (frame === undefined) return undefined;
      const { type, id, argument: run } = frame;
      if (kindOf(type) === FromIo.LENT) {
        this.#takeLoan(frame);
        continue;
      }
      const isWanted = isOfEpoch(type, this.#epoch) && this.#pending.has(id);
      if (isWanted) this.#collect(frame.payload);
      if (this.#reader.release()) this.#bell.ring();
      if (!isWanted) this.#collectedBytes = 0;
      if (!isWanted || (type & MORE) !== 0) continue;
      const payload = this.#collected.subarray(0, this.#collectedBytes);
      this.#collectedBytes = 0;
      this.#pending.delete(id);
      return { id, run, isError: kindOf(type) === FromIo.ERROR, payload };
    }
  }

  #takeLoan({ type, id: slot, argument: source, payload }: Frame): void {
    const descriptor = new DataView(payload.buffer, payload.byteOffset).getInt32(0, true);
    const isOwn = isOfEpoch(type, this.#epoch);
    if (this.#reader.release()) this.#bell.ring();
    if (isOwn) this.loanEvents?.lent(slot, source, descriptor);
    else this.loanEvents?.lentInVain(descriptor);
  }

  /** Another I/O thread serves: the operations of the one before are lost. */
  #lookAtEpoch(): void {
    const epoch = Atomics.load(this.#epochWord, 0);
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#lost.push(...this.#pending);
    this.#pending = new Map();
    this.#collectedBytes = 0;
    this.loanEvents?.threadLost();
  }

  #collect(piece: Uint8Array): void {
    const end = this.#collectedBytes + piece.length;
    if (end > this.#collected.length) {
      const grown = Buffer.allocUnsafe(2 * end);
      grown.set(this.#collected.subarray(0, this.#collectedBytes));
      this.#collected = grown;
    }
    this.#collected.set(piece, this.#collectedBytes);
    this.#collectedBytes = end;
  }

  #send(kind: number, id: number, run: number, header: Uint8Array, body: Uint8Array): boolean {
    const { maxPayloadBytes } = this.#writer;
    const type = frameType(kind, this.#epoch);
    let at = 0;
    let head = header;
    do {
      const piece = body.subarray(at, at + maxPayloadBytes - head.length);
      at += piece.length;
      const more = at < body.length ? MORE : 0;
      while (!this.#writer.tryWrite(type | more, id, run, head, piece)) {
        this.#bell.ring();
        this.#writer.waitForRoom(this.#isDisturbed);
        if (this.#isDisturbed()) return false;
      }
      head = NOTHING;
    } while (at < body.length);
    this.#bell.ring();
    return true;
  }
}

function lostCompletion(id: number, run: number): Completion {
  return { id, run, isError: true, payload: encodeError(new LuafcgidError('LUAFCGID_IO_LOST')) };
}
