/**
 * The listening sockets of the epoll driver: which of them the front watches and which it shares with workers, and what
 * happens when no more connections fit.
 */
import { type Epoll, EpollEvent } from '../../../linux/epoll.js';
import { systemError } from '../../../linux/libc.js';
import { decodeSocketAddress } from '../../../linux/socket-address.js';
import { acceptNow, FAILED, type SocketCalls, TRY_LATER } from '../../../linux/socket-calls.js';
import { type DriverReports, type DriverSettings, type MayConnect, mayConnect } from '../driver.js';

/** Connections accepted at once, so that a flood of them does not keep the others waiting. */
const ACCEPTED_AT_ONCE = 64;
/**
 * Descriptors that connections leave free: the open ones have to be served, which takes files of scripts and spools. Of a
 * low limit, only a part is left free.
 */
const SPARE_DESCRIPTORS = 32;
const SPARE_PART = 1 / 4;

interface Listener {
  readonly fd: number;
  readonly isTcp: boolean;
  /** It is on the front's own epoll list. */
  isWatched: boolean;
  /** Nothing can be accepted for now, neither here nor by workers. */
  isPaused: boolean;
  /** It was paused, and connections that waited since then are not all accepted yet. */
  isBehind: boolean;
}

/** What the listeners need of their driver. */
export interface ListenersOwner {
  /** Whether the front takes one more connection. */
  admits(): boolean;
  /** Whether it would take more without closing others. */
  hasRoom(): boolean;
  /** A connection was accepted. */
  open(fd: number, isTcp: boolean, nowMs: number): void;
  openCount(): number;
  /** The sockets that workers may accept on, too, and the descriptor from which on they may not. */
  shared(descriptors: readonly number[], ceiling: number): void;
  /** Runs an event; an error in it is reported as a bug. */
  guard(event: () => void): void;
}

export class EpollListeners {
  readonly #epoll: Epoll;
  readonly #calls: SocketCalls;
  /** A descriptor that is open as long as the driver. */
  readonly #bellFd: number;
  readonly #reports: Pick<DriverReports, 'outOfRoom' | 'roomAgain' | 'stranger'>;
  readonly #owner: ListenersOwner;
  readonly #listeners = new Map<number, Listener>();
  #mayConnect: MayConnect | undefined;
  /** The front accepts on shared sockets, too: workers do not come to it, or may not. */
  #isFrontAccepting = true;
  #isOutOfRoom = false;
  /** A descriptor was closed since the last look for room. */
  #hasClosed = false;
  /** Connections take no descriptors from this number on. */
  #ceiling = 0;

  constructor(
    epoll: Epoll,
    calls: SocketCalls,
    bellFd: number,
    reports: Pick<DriverReports, 'outOfRoom' | 'roomAgain' | 'stranger'>,
    owner: ListenersOwner,
  ) {
    this.#epoll = epoll;
    this.#calls = calls;
    this.#bellFd = bellFd;
    this.#reports = reports;
    this.#owner = owner;
    this.#findCeiling();
  }

  get hasTcp(): boolean {
    return [...this.#listeners.values()].some(({ isTcp }) => isTcp);
  }

  /** Which peers may connect over TCP. Empty: all. */
  setAllowed(allowed: DriverSettings['allowed']): void {
    this.#mayConnect = allowed.length === 0 ? undefined : mayConnect(allowed);
    this.#share();
  }

  setFrontAccepting(isFrontAccepting: boolean): void {
    this.#isFrontAccepting = isFrontAccepting;
    this.#share();
  }

  /** Accepts on a listening socket from now on. @throws the system's error */
  add(fd: number, isTcp: boolean): void {
    const listener: Listener = { fd, isTcp, isWatched: true, isPaused: false, isBehind: false };
    this.#epoll.add(fd, EpollEvent.IN);
    this.#listeners.set(fd, listener);
    this.#share();
  }

  stopAll(nowMs: number): void {
    for (const fd of [...this.#listeners.keys()]) this.stop(fd, nowMs);
  }

  /** Accepts no more on one of the sockets, and closes it. */
  stop(fd: number, nowMs: number): void {
    const listener = this.#listeners.get(fd);
    if (listener === undefined) return;
    // The kernel has told the clients in its queue that they are connected: closing now would reset them.
    if (!listener.isPaused) this.#owner.guard(() => this.#accept(listener, nowMs));
    this.#listeners.delete(fd);
    // An inherited socket stays open in other processes: without this the kernel would go on reporting it here.
    this.#watch(listener, false);
    this.#share();
    this.#calls.close(fd);
  }

  /** The kernel reports that connections wait on one of the sockets. */
  acceptOn(fd: number, nowMs: number): void {
    const listener = this.#listeners.get(fd);
    if (listener !== undefined) this.#owner.guard(() => this.#accept(listener, nowMs));
  }

  acceptAll(nowMs: number): void {
    for (const listener of [...this.#listeners.values()]) this.#accept(listener, nowMs);
  }

  /** A worker has accepted a connection with this descriptor. */
  noteDescriptor(fd: number): void {
    if (fd >= this.#ceiling) this.#pause('the last descriptors are kept for files');
  }

  /** A descriptor was closed. */
  noteClosed(): void {
    this.#hasClosed = true;
  }

  /** Accepts again after a lack of room, if a descriptor was closed since. */
  resume(nowMs: number): void {
    if (!this.#isOutOfRoom || !this.#hasClosed) return;
    this.#hasClosed = false;
    const next = this.#calls.nextDescriptor(this.#bellFd);
    if (next < 0 || next >= this.#ceiling) return;
    for (const listener of [...this.#listeners.values()]) {
      if (!listener.isPaused) continue;
      this.#owner.guard(() => {
        listener.isPaused = false;
        this.#share();
        this.#accept(listener, nowMs);
      });
      if (listener.isPaused) return;
    }
  }

  tick(): void {
    this.#findCeiling();
    this.#share();
    // These were watched since the last tick: a connection that still waited there would have been reported.
    for (const listener of this.#listeners.values()) {
      if (listener.isBehind && !listener.isPaused) this.#noteCaughtUp(listener);
    }
    this.#hasClosed = true; // another part of the process may have closed one
  }

  /** Workers accept no connections whose peer's address has to be checked: only the front knows `allowed`. */
  #isShared({ isTcp, isPaused }: Listener): boolean {
    return !isPaused && !(isTcp && this.#mayConnect !== undefined);
  }

  /** Brings the lists of the front and of the workers up to date. */
  #share(): void {
    const shared: number[] = [];
    for (const listener of this.#listeners.values()) {
      const isShared = this.#isShared(listener);
      if (isShared) shared.push(listener.fd);
      this.#watch(listener, !listener.isPaused && (this.#isFrontAccepting || !isShared));
    }
    this.#owner.shared(shared, this.#ceiling);
  }

  #watch(listener: Listener, isWatched: boolean): void {
    if (listener.isWatched === isWatched) return;
    // Removed, not only without events: the kernel would report an error of the socket itself again and again.
    if (isWatched) this.#epoll.add(listener.fd, EpollEvent.IN);
    else this.#epoll.remove(listener.fd);
    listener.isWatched = isWatched;
  }

  #accept(listener: Listener, nowMs: number): void {
    const wantsPeer = listener.isTcp && this.#mayConnect !== undefined;
    // A worker may have accepted what the kernel told of: no connection is closed for one that is not there.
    if (!this.#owner.hasRoom() && !this.#calls.waitForInput(listener.fd, 0)) return this.#noteCaughtUp(listener);
    if (!this.#owner.admits()) return this.#pause('as many are open as the setting connections allows');
    for (let left = ACCEPTED_AT_ONCE; left > 0; left -= 1) {
      const fd = acceptNow(this.#calls, listener.fd, wantsPeer);
      if (fd >= 0) {
        if (!wantsPeer || this.#isAllowed(fd)) this.#owner.open(fd, listener.isTcp, nowMs);
        // The kernel gives the lowest free number: all below this one are in use.
        if (fd >= this.#ceiling) return this.#pause('the last descriptors are kept for files');
        // At the limit one is closed for each that comes: the next turn tells whether another one came.
        if (!this.#owner.hasRoom()) return;
        continue;
      }
      if (fd === TRY_LATER) return this.#noteCaughtUp(listener);
      if (fd === FAILED) return this.#pause(systemError('accept', this.#calls.errorNumber()).message);
    }
  }

  /** No room for connections: new ones wait in the kernel until there is, and the open ones are served on. */
  #pause(reason: string): void {
    if (!this.#isOutOfRoom) this.#reports.outOfRoom(reason, this.#owner.openCount());
    this.#isOutOfRoom = true;
    for (const listener of this.#listeners.values()) {
      listener.isPaused = true;
      listener.isBehind = true;
    }
    this.#share();
  }

  #noteCaughtUp(listener: Listener): void {
    listener.isBehind = false;
    if (!this.#isOutOfRoom || [...this.#listeners.values()].some(({ isBehind }) => isBehind)) return;
    this.#isOutOfRoom = false;
    this.#reports.roomAgain(this.#owner.openCount());
  }

  /** Looks at each tick, since the limit can be changed while the server runs (prlimit(1)). */
  #findCeiling(): void {
    const limit = this.#calls.descriptorLimit();
    const spare = Math.min(SPARE_DESCRIPTORS, Math.floor(limit * SPARE_PART));
    this.#ceiling = limit < 0 ? Number.POSITIVE_INFINITY : limit - spare;
  }

  #isAllowed(fd: number): boolean {
    const peer = decodeSocketAddress(this.#calls.peer());
    if (peer === undefined || peer.family === 'unix') return true;
    if (this.#mayConnect?.(peer.address, peer.family)) return true;
    this.#calls.close(fd);
    this.#reports.stranger(peer.address);
    return false;
  }
}
