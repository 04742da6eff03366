/**
 * How connections of the epoll driver are lent: their descriptors move from its list to that of a worker, and back. Where
 * workers may accept, listening sockets are on their lists, too.
 */
import { LENDABLE_DESCRIPTORS, type Lender, LentMark } from '../../../channel/lending.js';
import { Epoll, EpollEvent } from '../../../linux/epoll.js';
import { closeEventfd, createEventfd, ringEventfd } from '../../../linux/eventfd.js';
import { cpuMsOfThread } from '../../../linux/thread-clock.js';
import type { LendingDriver } from '../../model/actions.js';
import type { EpollSocket } from './socket.js';

/** The sockets of the driver. */
export interface Sockets {
  socketOf(connection: number): EpollSocket | undefined;
  connectionOf(descriptor: number): number | undefined;
  /** Opens a connection that was accepted elsewhere. @returns its number */
  open(descriptor: number): number;
  /** Accepts what waits, as far as that can be done. */
  acceptAll(): void;
  /** Accepts whatever waits from now on, or leaves it to others. */
  setAccepting(isAccepting: boolean): void;
  /** Watches a socket no more. */
  leave(socket: EpollSocket): void;
  /** Watches it for what it wants. */
  watch(socket: EpollSocket): void;
}

/** One worker's list. */
interface WorkerList {
  readonly epoll: Epoll;
  mayAccept: boolean;
  readonly listeners: Set<number>;
}

export class EpollLending implements LendingDriver {
  readonly #sockets: Sockets;
  readonly #lists = new Map<Lender, WorkerList>();
  /** Listening sockets that workers may have. */
  #listeners: readonly number[] = [];
  #ceiling = 0;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  open(lender: Lender): boolean {
    try {
      const epoll = new Epoll(1);
      let bell: number;
      try {
        bell = createEventfd();
      } catch (error) {
        epoll.close();
        throw error;
      }
      epoll.add(bell, EpollEvent.IN, LentMark.BELL);
      this.#lists.set(lender, { epoll, mayAccept: false, listeners: new Set() });
      lender.open(epoll.fd, bell);
      return true;
    } catch {
      // Out of descriptors: all goes on without.
      return false;
    }
  }

  ring(lender: Lender): void {
    ringEventfd(lender.bell);
  }

  cpuMsOf({ thread }: Lender): number | undefined {
    return thread === 0 ? undefined : cpuMsOfThread(thread);
  }

  close(lender: Lender): void {
    this.#lists.get(lender)?.epoll.close();
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
      list.epoll.add(socket.fd, EpollEvent.IN, LentMark.CONNECTION);
      return true;
    } catch {
      this.#comeHome(socket);
      return false;
    }
  }

  takeBack(connection: number, lender: Lender): void {
    const socket = this.#sockets.socketOf(connection);
    if (socket === undefined || socket.isGone) return;
    this.#lists.get(lender)?.epoll.removeIfThere(socket.fd);
    this.#comeHome(socket);
  }

  takeUse(connection: number, lender: Lender): boolean {
    const socket = this.#sockets.socketOf(connection);
    return socket?.isLent === true && lender.takeUse(socket.fd);
  }

  connectionOf(descriptor: number): number | undefined {
    return this.#sockets.connectionOf(descriptor);
  }

  openAccepted(descriptor: number): number {
    return this.#sockets.open(descriptor);
  }

  acceptWaiting(): void {
    this.#sockets.acceptAll();
  }

  setAccepting(lender: Lender, mayAccept: boolean): void {
    const list = this.#lists.get(lender);
    if (list === undefined) return;
    list.mayAccept = mayAccept;
    this.#share(lender, list);
  }

  setFrontAccepting(isAccepting: boolean): void {
    this.#sockets.setAccepting(isAccepting);
  }

  /** These are the listening sockets on which workers may accept from now on; all others are theirs no more. */
  setListeners(listeners: readonly number[], ceiling: number): void {
    this.#listeners = listeners;
    this.#ceiling = ceiling;
    for (const [lender, list] of this.#lists) this.#share(lender, list);
  }

  #share(lender: Lender, { epoll, mayAccept, listeners }: WorkerList): void {
    const wanted = mayAccept ? this.#listeners : [];
    for (const fd of listeners) {
      if (wanted.includes(fd)) continue;
      epoll.removeIfThere(fd);
      listeners.delete(fd);
    }
    for (const fd of wanted) {
      if (listeners.has(fd)) continue;
      try {
        epoll.add(fd, EpollEvent.IN | EpollEvent.EXCLUSIVE, LentMark.LISTENER);
        listeners.add(fd);
      } catch {
        // No room in the system for one more: the others are enough.
      }
    }
    lender.setListeners(listeners.size, this.#ceiling);
  }

  #comeHome(socket: EpollSocket): void {
    socket.isLent = false;
    this.#sockets.watch(socket);
  }
}
