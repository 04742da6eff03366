/** A socket of Node.js as an outlet. */
import type net from 'node:net';
import { LINGER_MS, type Outlet } from './outlet.js';

export class NodeOutlet implements Outlet {
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  get isGone(): boolean {
    return this.#socket.destroyed;
  }

  write(bytes: Uint8Array): void {
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
}
