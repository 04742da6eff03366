/** A connection's socket as the epoll driver has it: what waits to be sent, and what is to be watched. */
import { FAILED, type SocketCalls, sendNow } from '../../../linux/socket-calls.js';
import { LINGER_MS, type SocketWriter } from '../socket-writer.js';

/** What an `EpollSocket` tells the driver that owns it. */
export interface SocketOwner {
  /** `isReading` or `isSending` have changed: other events have to be watched. */
  interestChanged(socket: EpollSocket): void;
  /** It has sent and read its last: its descriptor is to be closed. */
  closed(socket: EpollSocket): void;
  /** The clock of `expiresMs`. */
  nowMs(): number;
}

/** Writes are put together up to this size. */
const MAX_TAIL_BYTES = 16 * 1024;

export class EpollSocket implements SocketWriter {
  /** Descriptors are closed at the end of a turn of the loop. */
  readonly closesLater = true;
  readonly id: number;
  readonly fd: number;
  /** The peer has sent its last byte. */
  isEnded = false;
  /** It is known that the peer's last byte is among those that wait to be read. */
  isEndTold = false;
  /** The kernel tells what happens on it. */
  isWatched = false;
  /** A worker reads and writes it by itself: nothing is watched here. */
  isLent = false;
  /** When a lingering connection is closed in any case. */
  expiresMs = Number.POSITIVE_INFINITY;
  readonly #calls: SocketCalls;
  readonly #owner: SocketOwner;
  readonly #fullBytes: number;
  /** What the kernel has not taken yet, oldest first; the first `#firstSent` bytes of the first are sent. */
  readonly #unsent: Uint8Array[] = [];
  #firstSent = 0;
  #unsentBytes = 0;
  #takenBytes = 0;
  /** Room behind what the last of `#unsent` holds: many short writes must not be as many buffers. */
  #tail: Buffer | undefined;
  #tailBytes = 0;
  #isPaused = false;
  #isGone = false;
  #ending: { readonly linger: boolean } | undefined;

  /** @param fullBytes unsent bytes past which it is full */
  constructor(id: number, fd: number, calls: SocketCalls, fullBytes: number, owner: SocketOwner) {
    this.id = id;
    this.fd = fd;
    this.#calls = calls;
    this.#fullBytes = fullBytes;
    this.#owner = owner;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  get isFull(): boolean {
    return this.#unsentBytes > this.#fullBytes;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Whether what arrives is to be read. */
  get isReading(): boolean {
    return !this.#isPaused && !this.isEnded;
  }

  /** Whether nothing is read, so that the end of what arrives has to be told. */
  get isAwaitingEnd(): boolean {
    return this.#isPaused && !this.isEnded && !this.isEndTold && this.#ending === undefined;
  }

  /** Whether something waits for the kernel to have room. */
  get isSending(): boolean {
    return this.#unsentBytes > 0;
  }

  /** What arrives is dropped: the connection is only kept for its peer to get the last bytes. */
  get isLingering(): boolean {
    return this.#ending !== undefined;
  }

  write(bytes: Uint8Array): void {
    if (this.#isGone || bytes.length === 0) return;
    const sent = this.#unsentBytes === 0 ? this.#send(bytes) : 0;
    if (sent < 0 || sent === bytes.length) return;
    const wasSending = this.isSending;
    this.#keep(sent === 0 ? bytes : bytes.subarray(sent));
    this.#unsentBytes += bytes.length - sent;
    if (!wasSending) this.#owner.interestChanged(this);
  }

  /** Adds a copy of the bytes to what waits. Buffers grow with what is in them, so that they are never mostly empty. */
  #keep(bytes: Uint8Array): void {
    const tail = this.#tail;
    const neededBytes = this.#tailBytes + bytes.length;
    if (tail === undefined || neededBytes > MAX_TAIL_BYTES) {
      const isShort = bytes.length < MAX_TAIL_BYTES;
      const kept = Buffer.allocUnsafeSlow(bytes.length);
      kept.set(bytes);
      this.#unsent.push(kept);
      this.#tail = isShort ? kept : undefined;
      this.#tailBytes = bytes.length;
      return;
    }
    let room = tail;
    if (neededBytes > tail.length) {
      room = Buffer.allocUnsafeSlow(Math.min(MAX_TAIL_BYTES, 2 * neededBytes));
      room.set(tail.subarray(0, this.#tailBytes));
      this.#tail = room;
    }
    room.set(bytes, this.#tailBytes);
    this.#tailBytes = neededBytes;
    this.#unsent[this.#unsent.length - 1] = room.subarray(0, neededBytes);
  }

  /** The kernel has room: sends what waits. @returns whether all is sent */
  flush(): boolean {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const sent = this.#send(this.#firstSent === 0 ? first : first.subarray(this.#firstSent));
      if (sent < 0) return false;
      this.#firstSent += sent;
      this.#unsentBytes -= sent;
      if (this.#firstSent < first.length) return false;
      this.#unsent.shift();
      this.#firstSent = 0;
      if (this.#unsent.length === 0) this.#tail = undefined;
    }
    this.#owner.interestChanged(this);
    if (this.#ending !== undefined) this.#finish(this.#ending.linger);
    return true;
  }

  end(linger: boolean): void {
    if (this.#isGone || this.#ending !== undefined) return;
    this.#ending = { linger };
    if (this.#unsentBytes === 0) this.#finish(linger);
    // Nothing more is read of a peer whose requests are all answered, except to drop it.
    else this.setPaused(!linger);
  }

  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused || this.#isGone) return;
    this.#isPaused = isPaused;
    this.#owner.interestChanged(this);
  }

  /** The peer has sent its last byte. */
  noteEnd(): void {
    this.isEnded = true;
    if (this.#ending !== undefined && this.#unsentBytes === 0) this.destroy();
    else this.#owner.interestChanged(this);
  }

  destroy(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#unsent.length = 0;
    this.#tail = undefined;
    this.#unsentBytes = 0;
    this.#owner.closed(this);
  }

  /** All is sent. */
  #finish(linger: boolean): void {
    if (!linger || this.isEnded) return this.destroy();
    this.#calls.endSending(this.fd);
    this.expiresMs = this.#owner.nowMs() + LINGER_MS;
    this.#isPaused = false;
    this.#owner.interestChanged(this);
  }

  /** Sends as much as the kernel takes. @returns how many bytes that is; `FAILED` when the connection turned out to be gone */
  #send(bytes: Uint8Array): number {
    const sent = sendNow(this.#calls, this.fd, bytes);
    if (sent === FAILED) this.destroy();
    else this.#takenBytes += sent;
    return sent;
  }
}
