/**
 * A single-producer, single-consumer ring of frames in shared memory: how bytes cross between the front and a worker.
 *
 * A frame is four 32-bit words (payload bytes, type, id, argument) and its payload, rounded up to eight bytes. A frame
 * never wraps: where the end of the ring is too short for it, a marker tells the reader to go on at the start. So a
 * payload is read where it lies, as one view. Positions count bytes and run over 2^32; only their difference matters.
 *
 * A side that is about to sleep sets its flag, looks at the positions again, and only then sleeps. A side that moves a
 * position looks at the other side's flag afterwards, and wakes it. Both orders are sequentially consistent (Atomics), so
 * no wake-up is lost.
 */

import { NOTHING } from '../base/bytes.js';
import { atomicsParker, type Parker } from './park.js';

/** Words of the control block at the start of the shared buffer. */
const READ_AT = 0;
const WRITTEN_TO = 1;
const READER_ASLEEP = 2;
const WRITER_WAITS = 3;
/** Places for offers, see `offer-slots.ts`. ORDER OFFER: the pool makes at most so many for one worker. */
export const FIRST_SLOT = 4;
export const SLOTS = 8;

/**
 * What the writer waits for. NONE: nothing. ASKS: one bell when there is room. BLOCKS: it sleeps until there is room. Only
 * the writer clears BLOCKS. If the reader cleared it, it could clear a newer BLOCKS, of a writer that had woken, found too
 * little room and slept again; that writer would sleep for ever.
 */
const NONE = 0;
const ASKS = 1;
const BLOCKS = 2;

/** How the reader sleeps: on its flag, or where only a bell of its own wakes it. */
const AWAKE = 0;
const ASLEEP = 1;
const ASLEEP_ELSEWHERE = 2;

export const CONTROL_BYTES = 64;
const FRAME_BYTES = 16;
const SKIP_TO_START = -1;

const undisturbed = (): boolean => false;
const unlimited = (): undefined => undefined;

/** Smallest ring: anything below holds no useful frame. */
export const MIN_RING_BYTES = 128;

/** Bytes to allocate for a ring of `capacityBytes`, which is a power of two of at least `MIN_RING_BYTES`. */
export function createRing(capacityBytes: number): SharedArrayBuffer {
  if (capacityBytes < MIN_RING_BYTES || (capacityBytes & (capacityBytes - 1)) !== 0) {
    throw new RangeError(`a ring has a power of two of at least ${MIN_RING_BYTES} bytes, not ${capacityBytes}`);
  }
  return new SharedArrayBuffer(CONTROL_BYTES + capacityBytes);
}

class RingEnd {
  protected readonly sleeper: Parker;
  protected readonly control: Int32Array;
  /** The two words of it on which threads sleep. */
  protected readonly readAt: Int32Array;
  protected readonly asleep: Int32Array;
  protected readonly words: Int32Array;
  protected readonly bytes: Uint8Array;
  protected readonly capacity: number;
  protected readonly mask: number;

  constructor(shared: SharedArrayBuffer, sleeper: Parker) {
    this.sleeper = sleeper;
    this.capacity = shared.byteLength - CONTROL_BYTES;
    this.mask = this.capacity - 1;
    this.control = new Int32Array(shared, 0, CONTROL_BYTES / 4);
    this.readAt = this.control.subarray(READ_AT, READ_AT + 1);
    this.asleep = this.control.subarray(READER_ASLEEP, READER_ASLEEP + 1);
    this.words = new Int32Array(shared, CONTROL_BYTES);
    this.bytes = new Uint8Array(shared, CONTROL_BYTES);
  }
}

export class RingWriter extends RingEnd {
  /** Most bytes of one frame's payload: half a ring, so that it fits wherever the positions stand. */
  readonly maxPayloadBytes: number;
  #end: number;
  /** Where the reader stood when `tryWrite` last looked: room made since then must not be waited for. */
  #seenReadAt: number;

  /** @param sleeper the same as at the other end */
  constructor(shared: SharedArrayBuffer, sleeper: Parker = atomicsParker) {
    super(shared, sleeper);
    this.#seenReadAt = Atomics.load(this.control, READ_AT);
    this.maxPayloadBytes = this.capacity / 2 - FRAME_BYTES;
    this.#end = Atomics.load(this.control, WRITTEN_TO);
  }

  /**
   * Writes a frame and returns true, or leaves the ring as it is and returns false when there is no room for it.
   * @param rest goes on where `payload` ends
   */
  tryWrite(type: number, id: number, argument: number, payload: Uint8Array, rest: Uint8Array = NOTHING): boolean {
    const payloadBytes = payload.length + rest.length;
    const frameBytes = FRAME_BYTES + ((payloadBytes + 7) & ~7);
    let end = this.#end;
    const tillWrap = this.capacity - (end & this.mask);
    const wraps = frameBytes > tillWrap;
    this.#seenReadAt = Atomics.load(this.control, READ_AT);
    const used = (end - this.#seenReadAt) | 0;
    if (used + frameBytes + (wraps ? tillWrap : 0) > this.capacity) return false;
    if (wraps) {
      this.words[(end & this.mask) >> 2] = SKIP_TO_START;
      end = (end + tillWrap) | 0;
    }
    const at = end & this.mask;
    const word = at >> 2;
    this.words[word] = payloadBytes;
    this.words[word + 1] = type;
    this.words[word + 2] = id;
    this.words[word + 3] = argument;
    if (payload.length > 0) this.bytes.set(payload, at + FRAME_BYTES);
    if (rest.length > 0) this.bytes.set(rest, at + FRAME_BYTES + payload.length);
    this.#end = (end + frameBytes) | 0;
    Atomics.store(this.control, WRITTEN_TO, this.#end);
    return true;
  }

  /** Whether there is room for a frame of this size now. */
  hasRoom(payloadBytes: number): boolean {
    const frameBytes = FRAME_BYTES + ((payloadBytes + 7) & ~7);
    const tillWrap = this.capacity - (this.#end & this.mask);
    const used = (this.#end - Atomics.load(this.control, READ_AT)) | 0;
    return used + frameBytes + (frameBytes > tillWrap ? tillWrap : 0) <= this.capacity;
  }

  /** Whether the reader sleeps in `RingReader.waitForFrame`. */
  get isReaderAsleep(): boolean {
    return Atomics.load(this.control, READER_ASLEEP) === ASLEEP;
  }

  /** Wakes a reader that sleeps. Call it after writing. @param ringElsewhere wakes one that sleeps by `parkElsewhere` */
  wakeReader(ringElsewhere?: () => void): void {
    // The flag is taken back here: what is written before the reader has come to itself wakes nobody again.
    if (Atomics.load(this.control, READER_ASLEEP) === AWAKE) return;
    const was = Atomics.exchange(this.control, READER_ASLEEP, AWAKE);
    if (was === ASLEEP) this.sleeper.wake(this.asleep);
    else if (was === ASLEEP_ELSEWHERE) ringElsewhere?.();
  }

  /**
   * Blocks this thread until the reader has taken something since `tryWrite` last failed, or it is disturbed.
   * @param longestMs the longest sleep; undefined: no limit
   */
  waitForRoom(isDisturbed: () => boolean = undisturbed, longestMs?: number): void {
    Atomics.store(this.control, WRITER_WAITS, BLOCKS);
    if (!isDisturbed()) this.sleeper.wait(this.readAt, this.#seenReadAt, longestMs);
    Atomics.store(this.control, WRITER_WAITS, NONE);
  }

  /**
   * After a `tryWrite` that failed, asks to be told of room without blocking: returns false when some was made
   * meanwhile (try again), true when the reader will find that at its next `release`.
   */
  askForRoom(): boolean {
    Atomics.store(this.control, WRITER_WAITS, ASKS);
    if (Atomics.load(this.control, READ_AT) === this.#seenReadAt) return true;
    Atomics.store(this.control, WRITER_WAITS, NONE);
    return false;
  }
}

/**
 * Wakes the threads that sleep at either end of a ring, so that they ask whether they are disturbed. A writer that is just
 * about to sleep does not notice: call it again until it does.
 */
export function disturb(shared: SharedArrayBuffer, sleeper: Parker = atomicsParker): void {
  const control = new Int32Array(shared, 0, CONTROL_BYTES / 4);
  // A reader that sleeps elsewhere wakes by itself every so often.
  if (Atomics.compareExchange(control, READER_ASLEEP, ASLEEP, AWAKE) === ASLEEP)
    sleeper.wake(control.subarray(READER_ASLEEP, READER_ASLEEP + 1));
  sleeper.wake(control.subarray(READ_AT, READ_AT + 1));
}

/** A frame as it lies in the ring; `payload` is a view that `release` gives back. */
export interface Frame {
  readonly type: number;
  readonly id: number;
  readonly argument: number;
  readonly payload: Uint8Array;
}

export class RingReader extends RingEnd {
  #at: number;
  #next: number;

  /** @param sleeper the same as at the other end */
  constructor(shared: SharedArrayBuffer, sleeper: Parker = atomicsParker) {
    super(shared, sleeper);
    this.#at = Atomics.load(this.control, READ_AT);
    this.#next = this.#at;
  }

  /** Whether the writer waits for room. */
  get isWriterWaiting(): boolean {
    return Atomics.load(this.control, WRITER_WAITS) !== NONE;
  }

  /** Has a writer that blocks ask whether it is disturbed. One that is just about to sleep does not notice. */
  disturbWriter(): void {
    if (Atomics.load(this.control, WRITER_WAITS) === BLOCKS) this.sleeper.wake(this.readAt);
  }

  /** Whether there is a frame. */
  get hasFrame(): boolean {
    return Atomics.load(this.control, WRITTEN_TO) !== this.#at;
  }

  /** The oldest frame, or undefined when there is none. The same one until `release`. */
  peek(): Frame | undefined {
    if (Atomics.load(this.control, WRITTEN_TO) === this.#at) return undefined;
    let at = this.#at;
    let offset = at & this.mask;
    if (this.words[offset >> 2] === SKIP_TO_START) {
      at = (at + this.capacity - offset) | 0;
      offset = 0;
    }
    const word = offset >> 2;
    const payloadBytes = this.words[word] as number;
    const start = offset + FRAME_BYTES;
    this.#next = (at + FRAME_BYTES + ((payloadBytes + 7) & ~7)) | 0;
    return {
      type: this.words[word + 1] as number,
      id: this.words[word + 2] as number,
      argument: this.words[word + 3] as number,
      payload: this.bytes.subarray(start, start + payloadBytes),
    };
  }

  /**
   * Gives the frame of the last `peek` back. Returns whether the writer asked to be told of room (`askForRoom`); a
   * writer that blocks is woken here.
   */
  release(): boolean {
    this.#at = this.#next;
    Atomics.store(this.control, READ_AT, this.#at);
    const waits = Atomics.load(this.control, WRITER_WAITS);
    if (waits === BLOCKS) this.sleeper.wake(this.readAt);
    return waits === ASKS && Atomics.compareExchange(this.control, WRITER_WAITS, ASKS, NONE) === ASKS;
  }

  /**
   * Blocks this thread until there is a frame, or it is disturbed.
   * @param longestMs the longest sleep until `isDisturbed` is asked again; undefined: no limit
   */
  waitForFrame(isDisturbed: () => boolean = undisturbed, longestMs: () => number | undefined = unlimited): void {
    const isOver = (): boolean => Atomics.load(this.control, WRITTEN_TO) !== this.#at || isDisturbed();
    while (!isOver()) this.sleep(isOver, longestMs());
  }

  /** Sleeps once, unless `isOver`: whoever writes to this ring or disturbs its reader ends it. */
  sleep(isOver: () => boolean, longestMs: number | undefined): void {
    Atomics.store(this.control, READER_ASLEEP, ASLEEP);
    // The reader sleeps on its own flag. A thread that clears it at this very moment keeps it awake.
    if (!isOver()) this.sleeper.wait(this.asleep, ASLEEP, longestMs);
    Atomics.store(this.control, READER_ASLEEP, AWAKE);
  }

  /** The reader is about to sleep where only a bell of its own wakes it. Returns false when there is a frame: it must not sleep then. */
  parkElsewhere(): boolean {
    Atomics.store(this.control, READER_ASLEEP, ASLEEP_ELSEWHERE);
    if (Atomics.load(this.control, WRITTEN_TO) === this.#at) return true;
    this.unpark();
    return false;
  }

  /** The same, whatever frames there are: false only when `isOver`. */
  parkElsewhereUnless(isOver: () => boolean): boolean {
    Atomics.store(this.control, READER_ASLEEP, ASLEEP_ELSEWHERE);
    if (!isOver()) return true;
    this.unpark();
    return false;
  }

  /** After `parkElsewhere`. */
  unpark(): void {
    Atomics.store(this.control, READER_ASLEEP, AWAKE);
  }
}
