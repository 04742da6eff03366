/** One connection's way out: its socket and, for a slow reader whom others would have to wait for, a spool before it. */
import type net from 'node:net';
import { Spool, type SpoolSpace } from './spool.js';

/** How long a closed connection is still read, so that its peer gets the answer before a reset. */
const LINGER_MS = 5_000;

export class Wire {
  readonly #socket: net.Socket;
  readonly #onSent: (unsentBytes: number) => void;
  #spool: Spool | undefined;
  /** Bytes of the spool are being read back. */
  #isMoving = false;
  #closing: { readonly linger: boolean } | undefined;

  /** @param onSent told how many bytes are not sent yet, whenever the socket has sent all it had or the spool took some */
  constructor(socket: net.Socket, onSent: (unsentBytes: number) => void) {
    this.#socket = socket;
    this.#onSent = onSent;
    socket.on('drain', () => this.#proceed());
    socket.on('close', () => this.#spool?.close());
  }

  /** Sends bytes, which now belong to the wire. Returns how many bytes wait in memory. */
  write(bytes: Uint8Array): number {
    if (this.#socket.destroyed) return 0;
    if (this.#spool === undefined) {
      this.#socket.write(bytes);
      return this.#socket.writableLength;
    }
    this.#spool.append(bytes);
    this.#move();
    return this.#spool.memoryBytes;
  }

  /**
   * From now on what the socket does not take goes to a file.
   * @returns whether it does; without a file everything stays as it was
   */
  startSpooling(space: SpoolSpace): boolean {
    if (this.#spool !== undefined || this.#socket.destroyed || !space.hasRoom) return false;
    try {
      this.#spool = new Spool(space, () => this.#proceed());
      return true;
    } catch {
      return false;
    }
  }

  /** Closes when all is sent. @param linger reads and drops for a while what the peer still sends */
  close(linger: boolean): void {
    this.#closing = { linger };
    this.#leaveSpool();
    if (this.#spool === undefined) this.#close(linger);
  }

  #close(linger: boolean): void {
    const socket = this.#socket;
    if (!linger) {
      // Faster than a half-close when everything is in the kernel already: the peer has nothing more to send.
      if (socket.writableLength === 0) socket.destroy();
      else socket.end(() => socket.destroy());
      return;
    }
    socket.resume();
    socket.end(() => {
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => clearTimeout(timer));
      if (socket.readableEnded) socket.destroy();
      else socket.once('end', () => socket.destroy());
    });
  }

  /** Moves bytes from the spool to the socket until the socket has enough, then waits for 'drain'. */
  #move(): void {
    const spool = this.#spool;
    if (spool === undefined || this.#isMoving || this.#socket.destroyed) return;
    while (!this.#socket.writableNeedDrain) {
      const bytes = spool.takeFromMemory();
      if (bytes !== undefined) {
        this.#socket.write(bytes);
        continue;
      }
      this.#isMoving = spool.takeFromFile((read) => {
        this.#isMoving = false;
        // What cannot be read back is lost, and so is the rest of this answer: its client sees it end early.
        if (read === undefined) return void this.#socket.destroy();
        this.#socket.write(read);
        this.#proceed();
      });
      return;
    }
  }

  /** Moves on after something has happened, and leaves the spool when its reader has caught up. */
  #proceed(): void {
    this.#move();
    if (this.#leaveSpool() && this.#closing !== undefined) this.#close(this.#closing.linger);
    else this.#onSent(this.#spool?.memoryBytes ?? this.#socket.writableLength);
  }

  /** Goes back to sending straight to the socket if nothing is in the spool any more. */
  #leaveSpool(): boolean {
    if (this.#spool === undefined || !this.#spool.isEmpty || this.#isMoving) return false;
    this.#spool.close();
    this.#spool = undefined;
    return true;
  }
}
