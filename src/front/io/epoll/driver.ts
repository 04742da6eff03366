/**
 * Drives the front with the kernel's own calls, on a thread that does nothing else: it waits for sockets and for the
 * bell that workers and the main thread ring, turns what happens into events of the front and carries out its actions;
 * it decides nothing.
 */
import { Epoll, EpollEvent } from '../../../linux/epoll.js';
import { clearEventfd } from '../../../linux/eventfd.js';
import { FAILED, readNow } from '../../../linux/socket-calls.js';
import { kernelSockets, type SocketCalls } from '../../../linux/sockets.js';
import type { Front } from '../../core/front.js';
import { type Driver, type DriverReports, type DriverSettings, MAX_FULL_BYTES } from '../driver.js';
import { OutgoingQueue } from '../outgoing.js';
import { SpoolSpace } from '../spool.js';
import { EpollLending } from './lending.js';
import { EpollListeners } from './listeners.js';
import { EpollSocket, type SocketOwner } from './socket.js';

/** Events taken from the kernel at once: between two looks at what workers say. */
const EVENTS_AT_ONCE = 128;
const READ_BYTES = 64 * 1024;
/** Turns without a wait after which new connections are watched like the others. */
const TURNS_UNWATCHED = 4;
/** The longest wait while a file of a spool is written or read, or while offers may have to be taken back. */
const SHORT_WAIT_MS = 1;

export interface EpollReports extends DriverReports {
  /** The bell has been rung: the main thread may have called. */
  rung(): void;
}

interface Link {
  readonly socket: EpollSocket;
  readonly outgoing: OutgoingQueue;
}

export class EpollDriver implements Driver, SocketOwner {
  readonly lending = new EpollLending({
    socketOf: (connection) => this.#links.get(connection)?.socket,
    connectionOf: (descriptor) => this.#linksByFd[descriptor]?.socket.id,
    open: (descriptor) => this.#openAccepted(descriptor),
    acceptAll: () => this.#listeners.acceptAll(this.#clock()),
    setAccepting: (isAccepting) => this.#listeners.setFrontAccepting(isAccepting),
    leave: (socket) => this.#leave(socket),
    watch: (socket) => this.interestChanged(socket),
  });
  readonly #epoll = new Epoll(EVENTS_AT_ONCE);
  readonly #calls: SocketCalls;
  readonly #clock: () => number;
  readonly #bellFd: number;
  readonly #asleep: Int32Array;
  readonly #reports: EpollReports;
  #fullBytes = 0;
  #tickMs = 0;
  readonly #spoolSpace: SpoolSpace;
  readonly #listeners: EpollListeners;
  readonly #links = new Map<number, Link>();
  /** The same by descriptor: small numbers, which the system gives out again. */
  readonly #linksByFd: (Link | undefined)[] = [];
  /** Closed in this turn. Their descriptors are closed after it: until then no new connection can have such a number. */
  readonly #ended: EpollSocket[] = [];
  readonly #lingering = new Set<EpollSocket>();
  /** New connections, some of which may be watched by now. */
  readonly #unwatched: EpollSocket[] = [];
  #turnsUnwatched = 0;
  readonly #input = Buffer.allocUnsafeSlow(READ_BYTES);
  #front: Front | undefined;
  #lastConnection = 0;
  #nextTickMs = 0;
  #isBusy = false;
  #tellsAllClosed = false;

  /**
   * @param bell `asleep`: the word that is 1 while the front wants to be rung; `fd`: the descriptor to ring
   * @param calls what it asks of sockets
   * @param clock in milliseconds
   */
  constructor(
    settings: DriverSettings,
    bell: { readonly asleep: SharedArrayBuffer; readonly fd: number },
    reports: EpollReports,
    calls: SocketCalls = kernelSockets,
    clock = () => performance.now(),
  ) {
    this.#calls = calls;
    this.#clock = clock;
    this.#bellFd = bell.fd;
    this.#asleep = new Int32Array(bell.asleep);
    this.#reports = reports;
    this.#spoolSpace = new SpoolSpace(settings.spoolBytes);
    this.#epoll.add(bell.fd, EpollEvent.IN);
    this.#listeners = new EpollListeners(this.#epoll, calls, bell.fd, reports, {
      admits: () => this.#core.admits(),
      hasRoom: () => this.#core.hasRoom,
      open: (fd, isTcp, nowMs) => this.#open(fd, isTcp, nowMs),
      openCount: () => this.#links.size,
      shared: (descriptors, ceiling) => this.lending.setListeners(descriptors, ceiling),
      guard: (event) => this.#guard(undefined, event),
    });
    this.configure(settings);
  }

  attach(front: Front): void {
    this.#front = front;
    this.#nextTickMs = this.#clock() + this.#tickMs;
  }

  configure(settings: DriverSettings): void {
    this.#listeners.setAllowed(settings.allowed);
    this.#tickMs = settings.tickMs;
    this.#fullBytes = Math.min(settings.sendBufferBytes, MAX_FULL_BYTES);
    this.#spoolSpace.limitBytes = settings.spoolBytes;
  }

  /** Accepts connections on a listening socket, which now belongs to the driver. @throws the system's error */
  accept(fd: number, isTcp: boolean): void {
    this.#listeners.add(fd, isTcp);
  }

  stopListening(): void {
    this.#listeners.stopAll(this.#clock());
  }

  /** Accepts no more connections on one of the sockets. */
  stopListeningOn(fd: number): void {
    this.#listeners.stop(fd, this.#clock());
  }

  destroy(): void {
    this.stopListening();
    for (const { socket } of [...this.#links.values()]) socket.destroy();
    this.#reapEnded();
    this.#epoll.close();
  }

  tellAllClosed(): void {
    this.#tellsAllClosed = true;
    this.#checkAllClosed();
  }

  /** Whether it has to return to the thread's event loop soon, for files of spools that are being written or read. */
  get needsEventLoop(): boolean {
    return this.#spoolSpace.operations > 0;
  }

  /** One turn: waits for something to happen, at most until the next tick, and deals with it. */
  turn(): void {
    const waitMs = this.#waitMs();
    this.#turnsUnwatched += 1;
    if (waitMs > 0 || this.#turnsUnwatched >= TURNS_UNWATCHED) this.#watchNew();
    const count = this.#epoll.wait(waitMs);
    Atomics.store(this.#asleep, 0, 0);
    const nowMs = this.#clock();
    for (let at = 0; at < count; at += 1) this.#take(this.#epoll.fdAt(at), this.#epoll.eventsAt(at), nowMs);
    // Woken before their former words are heard: they go on while these are sent.
    this.#core.wakeWorkers();
    this.#isBusy = this.#hear(nowMs);
    if (nowMs >= this.#nextTickMs) this.#tick(nowMs);
    this.#reapEnded();
    this.#listeners.resume(nowMs);
  }

  // ---- what sockets tell -------------------------------------------------------------------------------------------

  interestChanged(socket: EpollSocket): void {
    if (socket.isGone || socket.isLent) return;
    const interest =
      (socket.isReading ? EpollEvent.IN : socket.isAwaitingEnd ? EpollEvent.READ_HANG_UP : 0) |
      (socket.isSending ? EpollEvent.OUT : 0);
    if (socket.isWatched) this.#epoll.change(socket.fd, interest);
    else this.#epoll.add(socket.fd, interest);
    socket.isWatched = true;
    if (socket.expiresMs !== Number.POSITIVE_INFINITY) this.#lingering.add(socket);
  }

  /** Watches a socket no more. */
  #leave(socket: EpollSocket): void {
    if (socket.isWatched) this.#epoll.remove(socket.fd);
    socket.isWatched = false;
  }

  closed(socket: EpollSocket): void {
    this.#ended.push(socket);
  }

  nowMs(): number {
    return this.#clock();
  }

  // ---- events of the kernel ----------------------------------------------------------------------------------------

  get #core(): Front {
    if (this.#front === undefined) throw new Error('no front is attached');
    return this.#front;
  }

  /**
   * The longest wait. Who is about to sleep says so and looks once more: what workers say after that look, they ring for.
   */
  #waitMs(): number {
    if (this.#isBusy) return 0;
    Atomics.store(this.#asleep, 0, 1);
    const heard = this.#hear(this.#clock());
    this.#reapEnded();
    if (heard) return 0;
    if (this.needsEventLoop || this.#core.isReviewDue) return SHORT_WAIT_MS;
    return Math.max(0, Math.ceil(this.#nextTickMs - this.#clock()));
  }

  /** Returns whether workers had something to say. */
  #hear(nowMs: number): boolean {
    let heard = false;
    this.#guard(undefined, () => {
      heard = this.#core.pollWorkers(nowMs);
    });
    this.#core.wakeWorkers();
    return heard;
  }

  #take(fd: number, events: number, nowMs: number): void {
    const link = this.#linksByFd[fd];
    if (link !== undefined) return this.#guard(link, () => this.#serve(link, events, nowMs));
    if (fd === this.#bellFd) {
      clearEventfd(fd);
      return this.#guard(undefined, () => this.#reports.rung());
    }
    this.#listeners.acceptOn(fd, nowMs);
  }

  #serve({ socket, outgoing }: Link, events: number, nowMs: number): void {
    // Lent since this turn's events were told: what has come is for its worker to read.
    if (socket.isGone || socket.isLent) return;
    if ((events & EpollEvent.OUT) !== 0 && socket.isSending) {
      if (socket.flush()) outgoing.drained();
      else if (!socket.isGone) outgoing.sentSome();
      if (socket.isGone || socket.isLent) return;
    }
    if (socket.isReading && (events & ~EpollEvent.OUT) !== 0) this.#read(socket, nowMs);
    // The peer is gone for good: it reads nothing more, and what it sent last is read or nobody waits for it.
    if ((events & (EpollEvent.HANG_UP | EpollEvent.ERROR)) !== 0 && !socket.isReading) return socket.destroy();
    if ((events & EpollEvent.READ_HANG_UP) !== 0 && socket.isAwaitingEnd) {
      socket.isEndTold = true;
      this.interestChanged(socket);
      this.#core.peerEnding(socket.id);
    }
  }

  #read(socket: EpollSocket, nowMs: number): void {
    const input = this.#input;
    const count = readNow(this.#calls, socket.fd, input);
    if (count > 0) {
      if (!socket.isLingering) this.#core.bytesArrived(socket.id, input.subarray(0, count), nowMs);
      return;
    }
    if (count === 0) {
      socket.noteEnd();
      if (!socket.isGone) this.#core.readEnded(socket.id, nowMs);
      return;
    }
    if (count === FAILED) socket.destroy();
  }

  /** A worker has accepted it. */
  #openAccepted(fd: number): number {
    const { socket, outgoing } = this.#link(fd, this.#listeners.hasTcp);
    this.#core.connectionOpened(socket.id, outgoing);
    this.#listeners.noteDescriptor(fd);
    return socket.id;
  }

  #open(fd: number, isTcp: boolean, nowMs: number): void {
    const link = this.#link(fd, isTcp);
    const { socket, outgoing } = link;
    this.#guard(link, () => {
      this.#core.connectionOpened(socket.id, outgoing);
      // Web servers send their request as soon as they are connected: it is mostly there already.
      if (socket.isReading && !socket.isGone) this.#read(socket, nowMs);
    });
  }

  #link(fd: number, isTcp: boolean): Link {
    if (isTcp) this.#calls.setNoDelay(fd);
    this.#lastConnection += 1;
    const id = this.#lastConnection;
    const socket = new EpollSocket(id, fd, this.#calls, this.#fullBytes, this);
    const outgoing = new OutgoingQueue(socket, this.#spoolSpace, (unsentBytes) =>
      this.#guard(link, () => this.#core.sent(id, unsentBytes, this.#clock())),
    );
    const link: Link = { socket, outgoing };
    this.#links.set(id, link);
    this.#linksByFd[fd] = link;
    this.#unwatched.push(socket);
    return link;
  }

  /** Watches the new connections that are still there: many are answered and closed within a few turns. */
  #watchNew(): void {
    this.#turnsUnwatched = 0;
    for (const socket of this.#unwatched.splice(0)) {
      if (socket.isGone || socket.isWatched || socket.isLent) continue;
      this.#guard(this.#links.get(socket.id), () => this.interestChanged(socket));
    }
  }

  #tick(nowMs: number): void {
    this.#nextTickMs = nowMs + this.#tickMs;
    this.#guard(undefined, () => this.#core.tick(nowMs));
    this.#core.wakeWorkers();
    for (const socket of [...this.#lingering])
      if (socket.isGone || socket.expiresMs <= nowMs) {
        this.#lingering.delete(socket);
        socket.destroy();
      }
    this.#listeners.tick();
  }

  /** Closes the descriptors of this turn's ended connections, and tells the front that they are gone. */
  #reapEnded(): void {
    for (let socket = this.#ended.pop(); socket !== undefined; socket = this.#ended.pop()) {
      const { id, fd } = socket;
      const link = this.#links.get(id);
      this.#links.delete(id);
      this.#linksByFd[fd] = undefined;
      this.#calls.close(fd);
      this.#listeners.noteClosed();
      link?.outgoing.gone();
      this.#guard(undefined, () => this.#core.connectionClosed(id, this.#clock()));
    }
    this.#checkAllClosed();
  }

  #checkAllClosed(): void {
    if (!this.#tellsAllClosed || this.#links.size > 0) return;
    this.#tellsAllClosed = false;
    this.#reports.allClosed();
  }

  /** An error here is a bug; it costs the connection it came from, not the server. */
  #guard(link: Link | undefined, event: () => void): void {
    try {
      event();
    } catch (error) {
      this.#reports.bug(error);
      link?.socket.destroy();
    }
  }
}
