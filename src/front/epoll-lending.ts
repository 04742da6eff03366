/** How connections of the epoll driver are lent: their descriptors move from its list to that of a worker, and back. */
import { LENDABLE_DESCRIPTORS, type Lender } from '../channel/loans.js';
import { Epoll, EpollEvent } from '../linux/epoll.js';
import { closeEventfd, createEventfd, ringEventfd } from '../linux/eventfd.js';
import type { Lending } from './actions.js';
import type { EpollSocket } from './epoll-socket.js';

/** The sockets of the driver. */
export interface Sockets {
  socketOf(connection: number): EpollSocket | undefined;
  connectionOf(descriptor: number): number | undefined;
  /** Watches a socket no more. */
  leave(socket: EpollSocket): void;
  /** Watches it for what it wants. */
  watch(socket: EpollSocket): void;
}

export class EpollLending implements Lending {
  readonly #sockets: Sockets;
  readonly #lists = new Map<Lender, Epoll>();

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  open(lender: Lender): boolean {
    try {
      const list = new Epoll(1);
      let bell: number;
      try {
        bell = createEventfd();
      } catch (error) {
        list.close();
        throw error;
      }
      list.add(bell, EpollEvent.IN);
      this.#lists.set(lender, list);
      lender.open(list.fd, bell);
      return true;
    } catch {
      // Out of descriptors: all goes on as it is.
      return false;
    }
  }

  ring(lender: Lender): void {
    ringEventfd(lender.bell);
  }

  close(lender: Lender): void {
    this.#lists.get(lender)?.close();
    this.#lists.delete(lender);
    closeEventfd(lender.bell);
  }

  lend(connection: number, lender: Lender): boolean {
    const socket = this.#sockets.socketOf(connection);
    const list = this.#lists.get(lender);
    if (socket === undefined || list === undefined || socket.fd >= LENDABLE_DESCRIPTORS) return false;
    if (socket.isGone || !socket.isReading || socket.isSending || socket.isLingering) return false;
    this.#sockets.leave(socket);
    socket.isLent = true;
    lender.takeUse(socket.fd);
    try {
      list.add(socket.fd, EpollEvent.IN);
      return true;
    } catch {
      this.#comeHome(socket);
      return false;
    }
  }

  takeBack(connection: number, lender: Lender): void {
    const socket = this.#sockets.socketOf(connection);
    if (socket === undefined || socket.isGone) return;
    this.#lists.get(lender)?.removeIfThere(socket.fd);
    this.#comeHome(socket);
  }

  takeUse(connection: number, lender: Lender): boolean {
    const socket = this.#sockets.socketOf(connection);
    return socket?.isLent === true && lender.takeUse(socket.fd);
  }

  connectionOf(descriptor: number): number | undefined {
    return this.#sockets.connectionOf(descriptor);
  }

  #comeHome(socket: EpollSocket): void {
    socket.isLent = false;
    this.#sockets.watch(socket);
  }
}
