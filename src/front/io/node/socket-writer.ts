/** A socket of Node.js as an outlet. */
import type net from 'node:net';
import { LINGER_MS, type SocketWriter } from '../socket-writer.js';

/** What a socket's handle knows of writes that the system has taken in part. Not documented: it may be missing. */
interface Handle {
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

export class NodeSocketWriter implements SocketWriter {
  readonly closesLater = false;
  readonly #socket: net.Socket;
  #writtenBytes = 0;

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get takenBytes(): number {
    const { bytesWritten, writeQueueSize } = (this.#socket as { _handle?: Handle | null })._handle ?? {};
    // Without it a write counts when the system has taken all of it.
    if (bytesWritten === undefined || writeQueueSize === undefined) return this.#writtenBytes - this.unsentBytes;
    return bytesWritten - writeQueueSize;
  }

  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  get isGone(): boolean {
    return this.#socket.destroyed;
  }

  write(bytes: Uint8Array): void {
    this.#writtenBytes += bytes.length;
    this.#socket.write(Buffer.from(bytes));
  }

  end(linger: boolean): void {
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

  destroy(): void {
    this.#socket.destroy();
  }

  setPaused(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }
}
