/**
 * One connection's socket as the front uses it. A spool stands before it when others would have to wait for a slow
 * reader.
 */
import type { ConnectionPort, Outgoing } from '../model/actions.js';
import type { SocketWriter } from './socket-writer.js';
import { Spool, type SpoolSpace } from './spool.js';

export class OutgoingQueue implements ConnectionPort {
  readonly #socket: SocketWriter;
  readonly #space: SpoolSpace;
  readonly #onSent: (unsentBytes: number) => void;
  #spool: Spool | undefined;
  /** Bytes of the spool are being read back. */
  #isMoving = false;
  #closing: { readonly linger: boolean } | undefined;

  /**
   * @param space for a file, should one be needed
   * @param onSent told how many bytes are not sent yet, whenever the socket has sent all it had or the spool took some
   */
  constructor(socket: SocketWriter, space: SpoolSpace, onSent: (unsentBytes: number) => void) {
    this.#socket = socket;
    this.#space = space;
    this.#onSent = onSent;
  }

  get closesLater(): boolean {
    return this.#socket.closesLater;
  }

  /** Sends bytes, which are valid during this call only. Returns how many bytes wait in memory. */
  write(bytes: Uint8Array): number {
    const socket = this.#socket;
    if (socket.isGone) return 0;
    if (this.#spool === undefined) {
      socket.write(bytes);
      return socket.unsentBytes;
    }
    this.#spool.append(Buffer.from(bytes));
    this.#move();
    return this.#spool.memoryBytes;
  }

  /**
   * From now on what the socket does not take goes to a file.
   * @returns whether it does; without a file everything stays as it was
   */
  spool(): boolean {
    if (this.#spool !== undefined || this.#socket.isGone || !this.#space.hasRoom) return false;
    try {
      this.#spool = new Spool(this.#space, () => this.#proceed());
      return true;
    } catch {
      return false;
    }
  }

  /** Closes when all is sent. @param linger reads and drops for a while what the peer still sends */
  close(linger: boolean): void {
    this.#closing = { linger };
    this.#leaveSpool();
    if (this.#spool === undefined) this.#socket.end(linger);
  }

  /** Closes at once, whatever waits. */
  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.setPaused(true);
  }

  resume(): void {
    this.#socket.setPaused(false);
  }

  outgoing(): Outgoing {
    const { unsentBytes, takenBytes } = this.#socket;
    const spool = this.#spool;
    return {
      takenBytes,
      memoryBytes: unsentBytes + (spool?.memoryBytes ?? 0),
      isSpooled: spool !== undefined,
      isWaiting: unsentBytes > 0 || spool?.isEmpty === false,
    };
  }

  /** To be called when the socket has sent all it had. */
  drained(): void {
    this.#proceed();
  }

  /** To be called when the socket has sent some of what it had. What a spool still holds does not wait for that. */
  sentSome(): void {
    if (this.#spool === undefined) this.#onSent(this.#socket.unsentBytes);
  }

  /** To be called when the socket is closed. */
  gone(): void {
    this.#spool?.close();
  }

  /** Moves bytes from the spool to the socket until the socket has enough, then waits for it to drain. */
  #move(): void {
    const spool = this.#spool;
    if (spool === undefined || this.#isMoving || this.#socket.isGone) return;
    while (!this.#socket.isFull) {
      const bytes = spool.takeFromMemory();
      if (bytes !== undefined) {
        this.#socket.write(bytes);
        continue;
      }
      this.#isMoving = spool.takeFromFile((read) => {
        this.#isMoving = false;
        // What cannot be read back is lost, and so is the rest of this answer: its client sees it end early.
        if (read === undefined) return this.#socket.destroy();
        this.#socket.write(read);
        this.#proceed();
      });
      return;
    }
  }

  /** Moves on after something has happened, and leaves the spool when its reader has caught up. */
  #proceed(): void {
    this.#move();
    if (this.#leaveSpool() && this.#closing !== undefined) this.#socket.end(this.#closing.linger);
    else this.#onSent(this.#spool?.memoryBytes ?? this.#socket.unsentBytes);
  }

  /** Goes back to sending straight to the socket if nothing is in the spool any more. */
  #leaveSpool(): boolean {
    if (this.#spool === undefined || !this.#spool.isEmpty || this.#isMoving) return false;
    this.#spool.close();
    this.#spool = undefined;
    return true;
  }
}
