/**
 * A temporary file between a script that has written a long answer and a client that reads it slowly. Bytes come out in
 * the order they went in. The file has no name any more when it is used, so nothing is left of it whatever happens.
 */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How much is read back at once. */
const READ_BYTES = 128 * 1024;

/** How much all spools of a server may hold in files. */
export class SpoolSpace {
  #limitBytes: number;
  #leftBytes: number;
  /** Reads and writes of files that are under way. */
  operations = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.#leftBytes = limitBytes;
  }

  /** Another limit; what is taken stays taken. */
  set limitBytes(bytes: number) {
    this.#leftBytes += bytes - this.#limitBytes;
    this.#limitBytes = bytes;
  }

  get hasRoom(): boolean {
    return this.#leftBytes > 0;
  }

  take(bytes: number): boolean {
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

export class Spool {
  readonly #space: SpoolSpace;
  readonly #fd: number;
  readonly #onStored: () => void;
  /** What is not in the file (yet): the newest bytes. */
  readonly #queue: Uint8Array[] = [];
  #queueBytes = 0;
  /** The file holds the bytes before those of the queue at `[#readAt, #writtenTo)`. */
  #readAt = 0;
  #writtenTo = 0;
  #isWriting = false;
  #isReading = false;
  /** The disk has refused a write: what comes from then on stays in memory. */
  #hasFailed = false;
  #isClosed = false;

  /**
   * @param onStored some of the bytes in memory are in the file now
   * @throws the system's error when the file cannot be made
   */
  constructor(space: SpoolSpace, onStored: () => void) {
    const file = join(tmpdir(), `luafcgid-spool-${crypto.randomUUID()}`);
    this.#fd = fs.openSync(file, 'wx+', 0o600);
    fs.unlinkSync(file);
    this.#space = space;
    this.#onStored = onStored;
  }

  /** Bytes kept in memory, for want of time or room to store them. */
  get memoryBytes(): number {
    return this.#queueBytes;
  }

  get isEmpty(): boolean {
    return this.#queueBytes === 0 && this.#readAt === this.#writtenTo;
  }

  /** Adds bytes, which now belong to the spool. */
  append(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queueBytes += bytes.length;
    this.#store();
  }

  /**
   * Takes the oldest bytes that are in memory; undefined when there are none, or older ones in the file.
   * All at once, so that many small writes do not become as many small sends.
   */
  takeFromMemory(): Uint8Array | undefined {
    if (this.#isWriting || this.#readAt < this.#writtenTo || this.#queueBytes === 0) return undefined;
    const bytes = this.#queue.length === 1 ? (this.#queue[0] as Uint8Array) : Buffer.concat(this.#queue);
    this.#queue.length = 0;
    this.#queueBytes = 0;
    return bytes;
  }

  /**
   * Reads the oldest bytes back from the file. To be called again only after `deliver` was called.
   * @param deliver gets the bytes; undefined when they cannot be read back
   * @returns false when there are none in the file
   */
  takeFromFile(deliver: (bytes: Uint8Array | undefined) => void): boolean {
    if (this.#readAt === this.#writtenTo) return false;
    this.#read(deliver);
    return true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#queue.length = 0;
    this.#queueBytes = 0;
    this.#closeIfQuiet();
  }

  #store(): void {
    const bytes = this.#queue[0];
    if (bytes === undefined || this.#isWriting || this.#hasFailed || this.#isClosed) return;
    if (!this.#space.take(bytes.length)) return;
    this.#isWriting = true;
    this.#space.operations += 1;
    fs.write(this.#fd, bytes, 0, bytes.length, this.#writtenTo, (error, written) => {
      this.#isWriting = false;
      this.#space.operations -= 1;
      if (this.#isClosed) {
        this.#space.giveBack(bytes.length);
        this.#closeIfQuiet();
        return;
      }
      // A full disk may take a part: the rest stays first in the queue.
      const stored = error === null ? written : 0;
      this.#space.giveBack(bytes.length - stored);
      if (stored < bytes.length) this.#hasFailed = true;
      this.#writtenTo += stored;
      this.#queueBytes -= stored;
      if (stored === bytes.length) this.#queue.shift();
      else this.#queue[0] = bytes.subarray(stored);
      this.#onStored();
      this.#store();
    });
  }

  #read(deliver: (bytes: Uint8Array | undefined) => void): void {
    const wanted = Math.min(READ_BYTES, this.#writtenTo - this.#readAt);
    this.#isReading = true;
    this.#space.operations += 1;
    fs.read(this.#fd, Buffer.allocUnsafe(wanted), 0, wanted, this.#readAt, (error, count, buffer) => {
      this.#isReading = false;
      this.#space.operations -= 1;
      if (this.#isClosed) return this.#closeIfQuiet();
      if (error !== null || count === 0) return deliver(undefined);
      this.#readAt += count;
      if (this.#readAt === this.#writtenTo && !this.#isWriting) this.#startOver();
      deliver(buffer.subarray(0, count));
    });
  }

  /** All of the file is read: it begins anew, so that a long answer needs no more room than its reader is behind. */
  #startOver(): void {
    this.#space.giveBack(this.#writtenTo);
    this.#readAt = 0;
    this.#writtenTo = 0;
    this.#store();
  }

  /** A descriptor must not be closed while an operation on it is under way: its number could be another file's by then. */
  #closeIfQuiet(): void {
    if (this.#isWriting || this.#isReading) return;
    this.#space.giveBack(this.#writtenTo);
    this.#writtenTo = 0;
    fs.close(this.#fd, () => {});
  }
}
