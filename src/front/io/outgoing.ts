/** One connection's way out: its socket and, for a slow reader whom others would have to wait for, a spool before it. */
import type { Outgoing } from '../model/actions.js';
import type { SocketWriter } from './socket-writer.js';
import { Spool, type SpoolSpace } from './spool.js';

export class OutgoingQueue {
  readonly #outlet: SocketWriter;
  readonly #onSent: (unsentBytes: number) => void;
  #spool: Spool | undefined;
  /** Bytes of the spool are being read back. */
  #isMoving = false;
  #closing: { readonly linger: boolean } | undefined;

  /** @param onSent told how many bytes are not sent yet, whenever the socket has sent all it had or the spool took some */
  constructor(outlet: SocketWriter, onSent: (unsentBytes: number) => void) {
    this.#outlet = outlet;
    this.#onSent = onSent;
  }

  /** Sends bytes, which are valid during this call only. Returns how many bytes wait in memory. */
  write(bytes: Uint8Array): number {
    const outlet = this.#outlet;
    if (outlet.isGone) return 0;
    if (this.#spool === undefined) {
      outlet.write(bytes);
      return outlet.unsentBytes;
    }
    this.#spool.append(Buffer.from(bytes));
    this.#move();
    return this.#spool.memoryBytes;
  }

  /**
   * From now on what the socket does not take goes to a file.
   * @returns whether it does; without a file everything stays as it was
   */
  startSpooling(space: SpoolSpace): boolean {
    if (this.#spool !== undefined || this.#outlet.isGone || !space.hasRoom) return false;
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
    if (this.#spool === undefined) this.#outlet.end(linger);
  }

  /** Closes at once, whatever waits. */
  destroy(): void {
    this.#outlet.destroy();
  }

  outgoing(): Outgoing {
    const { unsentBytes, takenBytes } = this.#outlet;
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
    if (this.#spool === undefined) this.#onSent(this.#outlet.unsentBytes);
  }

  /** To be called when the socket is closed. */
  gone(): void {
    this.#spool?.close();
  }

  /** Moves bytes from the spool to the socket until the socket has enough, then waits for it to drain. */
  #move(): void {
    const spool = this.#spool;
    if (spool === undefined || this.#isMoving || this.#outlet.isGone) return;
    while (!this.#outlet.isFull) {
      const bytes = spool.takeFromMemory();
      if (bytes !== undefined) {
        this.#outlet.write(bytes);
        continue;
      }
      this.#isMoving = spool.takeFromFile((read) => {
        this.#isMoving = false;
        // What cannot be read back is lost, and so is the rest of this answer: its client sees it end early.
        if (read === undefined) return this.#outlet.destroy();
        this.#outlet.write(read);
        this.#proceed();
      });
      return;
    }
  }

  /** Moves on after something has happened, and leaves the spool when its reader has caught up. */
  #proceed(): void {
    this.#move();
    if (this.#leaveSpool() && this.#closing !== undefined) this.#outlet.end(this.#closing.linger);
    else this.#onSent(this.#spool?.memoryBytes ?? this.#outlet.unsentBytes);
  }

  /** Goes back to sending straight to the socket if nothing is in the spool any more. */
  #leaveSpool(): boolean {
    if (this.#spool === undefined || !this.#spool.isEmpty || this.#isMoving) return false;
    this.#spool.close();
    this.#spool = undefined;
    return true;
  }
}
