/**
 * Drives the front with the kernel's own calls, on a thread that does nothing else: it waits for sockets and for the
 * bell that workers and the main thread ring, turns what happens into events of the front and carries out its actions;
 * it decides nothing.
 */
import { Epoll, EpollEvent } from '../../../linux/epoll.js';
import { clearEventfd } from '../../../linux/eventfd.js';
import { Errno, systemError } from '../../../linux/libc.js';
import { decodeSocketAddress } from '../../../linux/socket-address.js';
import { isOfOneConnection, kernelSockets, type SocketCalls } from '../../../linux/sockets.js';
import type { Front } from '../../core/front.js';
import type { Outgoing } from '../../model/actions.js';
import {
  type Driver,
  type DriverReports,
  type DriverSettings,
  MAX_FULL_BYTES,
  type MayConnect,
  mayConnect,
} from '../driver.js';
import { OutgoingQueue } from '../outgoing.js';
import { SpoolSpace } from '../spool.js';
import { EpollLending } from './lending.js';
import { EpollSocket, type SocketOwner } from './socket.js';

/** Events taken from the kernel at once: between two looks at what workers say. */
const EVENTS_AT_ONCE = 128;
/** Connections accepted at once, so that a flood of them does not keep the others waiting. */
const ACCEPTED_AT_ONCE = 64;
const READ_BYTES = 64 * 1024;
/** Turns without a wait after which new connections are watched like the others. */
const TURNS_UNWATCHED = 4;
/**
 * Descriptors that connections leave free: what is open already has to be served, and that takes files of scripts and
 * spools. Of a low limit a part.
 */
const SPARE_DESCRIPTORS = 32;
const SPARE_PART = 1 / 4;
/** The longest wait while a file of a spool is written or read, or while offers may have to be taken back. */
const SHORT_WAIT_MS = 1;

interface Listener {
  readonly fd: number;
  readonly isTcp: boolean;
  /** It is on the own list. */
  isWatched: boolean;
  /** Nothing can be accepted for now, here or elsewhere. */
  isPaused: boolean;
  /** Since then its last waiting connection has not been accepted yet. */
  isBehind: boolean;
}

export interface EpollReports extends DriverReports {
  /** The bell has been rung: the main thread may have called. */
  rung(): void;
}

interface Link {
  readonly socket: EpollSocket;
  readonly wire: OutgoingQueue;
}

export class EpollDriver implements Driver, SocketOwner {
  readonly lending = new EpollLending({
    socketOf: (connection) => this.#links.get(connection)?.socket,
    connectionOf: (descriptor) => this.#linksByFd[descriptor]?.socket.id,
    open: (descriptor) => this.#openAccepted(descriptor),
    acceptAll: () => {
      for (const listener of [...this.#listeners.values()]) this.#acceptWaiting(listener, this.#clock());
    },
    setAccepting: (isAccepting) => {
      this.#isAccepting = isAccepting;
      this.#shareListeners();
    },
    leave: (socket) => this.#leave(socket),
    watch: (socket) => this.interestChanged(socket),
  });
  readonly #epoll = new Epoll(EVENTS_AT_ONCE);
  readonly #calls: SocketCalls;
  readonly #clock: () => number;
  readonly #bellFd: number;
  readonly #asleep: Int32Array;
  readonly #reports: EpollReports;
  #mayConnect: MayConnect | undefined;
  #fullBytes = 0;
  #tickMs = 0;
  readonly #spoolSpace: SpoolSpace;
  readonly #listeners = new Map<number, Listener>();
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
  #isOutOfRoom = false;
  /** Workers do not come to accepting by themselves, or may not. */
  #isAccepting = true;
  /** A descriptor was closed since the last look for room. */
  #hasClosed = false;
  /** Connections do not take descriptors from this number on. */
  #ceiling = 0;

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
    this.configure(settings);
    this.#epoll.add(bell.fd, EpollEvent.IN);
    this.#findCeiling();
  }

  attach(front: Front): void {
    this.#front = front;
    this.#nextTickMs = this.#clock() + this.#tickMs;
  }

  configure(settings: DriverSettings): void {
    this.#mayConnect = settings.allowed.length === 0 ? undefined : mayConnect(settings.allowed);
    this.#shareListeners();
    this.#tickMs = settings.tickMs;
    this.#fullBytes = Math.min(settings.sendBufferBytes, MAX_FULL_BYTES);
    this.#spoolSpace.limitBytes = settings.spoolBytes;
  }

  /** Accepts connections on a listening socket, which now belongs to the driver. @throws the system's error */
  accept(fd: number, isTcp: boolean): void {
    const listener: Listener = { fd, isTcp, isWatched: true, isPaused: false, isBehind: false };
    this.#epoll.add(fd, EpollEvent.IN);
    this.#listeners.set(fd, listener);
    this.#shareListeners();
  }

  /** Who is asked for an address has to be looked at here. */
  #isShared({ isTcp, isPaused }: Listener): boolean {
    return !isPaused && !(isTcp && this.#mayConnect !== undefined);
  }

  /** Brings the lists of who accepts up to date. */
  #shareListeners(): void {
    const shared: number[] = [];
    for (const listener of this.#listeners.values()) {
      const isShared = this.#isShared(listener);
      if (isShared) shared.push(listener.fd);
      this.#watchListener(listener, !listener.isPaused && (this.#isAccepting || !isShared));
    }
    this.lending.setListeners(shared, this.#ceiling);
  }

  #watchListener(listener: Listener, isWatched: boolean): void {
    if (listener.isWatched === isWatched) return;
    // Not only no events wanted: an error of the listener itself would be told all the same, again and again.
    if (isWatched) this.#epoll.add(listener.fd, EpollEvent.IN);
    else this.#epoll.remove(listener.fd);
    listener.isWatched = isWatched;
  }

  stopListening(): void {
    for (const fd of [...this.#listeners.keys()]) this.stopListeningOn(fd);
  }

  /** Accepts no more connections on one of the sockets. */
  stopListeningOn(fd: number): void {
    const listener = this.#listeners.get(fd);
    if (listener === undefined) return;
    // Who waits to be accepted has been told by the kernel that he is connected.
    if (!listener.isPaused) this.#guard(undefined, () => this.#acceptWaiting(listener, this.#clock()));
    this.#listeners.delete(fd);
    // An inherited socket stays open elsewhere, and as long as it does it would be watched here.
    this.#watchListener(listener, false);
    this.#shareListeners();
    this.#calls.close(fd);
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
    if (this.#isOutOfRoom && this.#hasClosed) this.#resumeAccepting(nowMs);
  }

  // ---- actions of the front ----------------------------------------------------------------------------------------

  write(connection: number, bytes: Uint8Array): number {
    return this.#links.get(connection)?.wire.write(bytes) ?? 0;
  }

  spool(connection: number): boolean {
    return this.#links.get(connection)?.wire.startSpooling(this.#spoolSpace) ?? false;
  }

  close(connection: number, linger: boolean): void {
    this.#links.get(connection)?.wire.close(linger);
  }

  break(connection: number): void {
    this.#links.get(connection)?.wire.destroy();
  }

  outgoing(connection: number): Outgoing | undefined {
    return this.#links.get(connection)?.wire.outgoing();
  }

  pauseReading(connection: number): void {
    this.#links.get(connection)?.socket.setPaused(true);
  }

  resumeReading(connection: number): void {
    this.#links.get(connection)?.socket.setPaused(false);
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
      heard = this.#core.workersSpoke(nowMs);
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
    const listener = this.#listeners.get(fd);
    if (listener !== undefined) this.#guard(undefined, () => this.#acceptWaiting(listener, nowMs));
  }

  #serve({ socket, wire }: Link, events: number, nowMs: number): void {
    // Lent since this turn's events were told: what has come is for its worker to read.
    if (socket.isGone || socket.isLent) return;
    if ((events & EpollEvent.OUT) !== 0 && socket.isSending) {
      if (socket.flush()) wire.drained();
      else if (!socket.isGone) wire.sentSome();
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
    const count = this.#calls.read(socket.fd, input);
    if (count > 0) {
      if (!socket.isLingering) this.#core.bytesArrived(socket.id, input.subarray(0, count), nowMs);
      return;
    }
    if (count === 0) {
      socket.noteEnd();
      if (!socket.isGone) this.#core.readEnded(socket.id, nowMs);
      return;
    }
    const number = this.#calls.errorNumber();
    if (number !== Errno.EAGAIN && number !== Errno.EINTR) socket.destroy();
  }

  #acceptWaiting(listener: Listener, nowMs: number): void {
    const wantsPeer = listener.isTcp && this.#mayConnect !== undefined;
    if (!this.#core.admits()) return this.#pauseAccepting('as many are open as the setting connections allows');
    for (let left = ACCEPTED_AT_ONCE; left > 0; left -= 1) {
      const fd = this.#calls.accept(listener.fd, wantsPeer);
      if (fd >= 0) {
        if (!wantsPeer || this.#isAllowed(fd)) this.#open(fd, listener.isTcp, nowMs);
        // The lowest free number is given: all those below are in use.
        if (fd >= this.#ceiling) return this.#pauseAccepting('the last descriptors are kept for files');
        // At the limit one is closed for each that comes, and whether another one comes is told in the next turn.
        if (!this.#core.hasRoom) return;
        continue;
      }
      const number = this.#calls.errorNumber();
      if (number === Errno.EAGAIN) return this.#noteCaughtUp(listener);
      if (!isOfOneConnection(number)) return this.#pauseAccepting(systemError('accept', number).message);
    }
  }

  /** Out of descriptors, or of `connections`: new ones wait in the kernel until some are free again, and all others are served on. */
  #pauseAccepting(reason: string): void {
    if (!this.#isOutOfRoom) this.#reports.outOfRoom(reason, this.#links.size);
    this.#isOutOfRoom = true;
    for (const listener of this.#listeners.values()) {
      listener.isPaused = true;
      listener.isBehind = true;
    }
    this.#shareListeners();
  }

  #noteCaughtUp(listener: Listener): void {
    listener.isBehind = false;
    if (!this.#isOutOfRoom || [...this.#listeners.values()].some(({ isBehind }) => isBehind)) return;
    this.#isOutOfRoom = false;
    this.#reports.roomAgain(this.#links.size);
  }

  #resumeAccepting(nowMs: number): void {
    this.#hasClosed = false;
    const next = this.#calls.nextDescriptor(this.#bellFd);
    if (next < 0 || next >= this.#ceiling) return;
    for (const listener of [...this.#listeners.values()]) {
      if (!listener.isPaused) continue;
      this.#guard(undefined, () => {
        listener.isPaused = false;
        this.#shareListeners();
        this.#acceptWaiting(listener, nowMs);
      });
      if (listener.isPaused) return;
    }
  }

  /** The limit may be another one by now (prlimit(1)). */
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

  /** A worker has accepted it. */
  #openAccepted(fd: number): number {
    const isTcp = [...this.#listeners.values()].some((listener) => listener.isTcp);
    const { id } = this.#link(fd, isTcp).socket;
    this.#core.connectionOpened(id);
    if (fd >= this.#ceiling) this.#pauseAccepting('the last descriptors are kept for files');
    return id;
  }

  #open(fd: number, isTcp: boolean, nowMs: number): void {
    const link = this.#link(fd, isTcp);
    const { socket } = link;
    this.#guard(link, () => {
      this.#core.connectionOpened(socket.id);
      // Web servers send their request as soon as they are connected: it is mostly there already.
      if (socket.isReading && !socket.isGone) this.#read(socket, nowMs);
    });
  }

  #link(fd: number, isTcp: boolean): Link {
    if (isTcp) this.#calls.setNoDelay(fd);
    this.#lastConnection += 1;
    const id = this.#lastConnection;
    const socket = new EpollSocket(id, fd, this.#calls, this.#fullBytes, this);
    const wire = new OutgoingQueue(socket, (unsentBytes) =>
      this.#guard(link, () => this.#core.sent(id, unsentBytes, this.#clock())),
    );
    const link: Link = { socket, wire };
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
    this.#findCeiling();
    this.#shareListeners();
    // Watched since the tick before, or nearly: if anybody still waited there, it would have told.
    for (const listener of this.#listeners.values()) {
      if (listener.isBehind && !listener.isPaused) this.#noteCaughtUp(listener);
    }
    this.#hasClosed = true; // perhaps somebody else's
  }

  /** Closes the descriptors of this turn's ended connections, and tells the front that they are gone. */
  #reapEnded(): void {
    for (let socket = this.#ended.pop(); socket !== undefined; socket = this.#ended.pop()) {
      const { id, fd } = socket;
      const link = this.#links.get(id);
      this.#links.delete(id);
      this.#linksByFd[fd] = undefined;
      this.#calls.close(fd);
      this.#hasClosed = true;
      link?.wire.gone();
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
