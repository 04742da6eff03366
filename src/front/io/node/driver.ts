/**
 * Drives the front with Node.js' own sockets, on the main thread. It turns socket events into events of the front and
 * carries out its actions; it decides nothing.
 */
import { linkSync, renameSync } from 'node:fs';
import net from 'node:net';
import { type ListenAddress, listenerKey } from '../../../base/listen-address.js';
import type { Front } from '../../core/front.js';
import {
  type Driver,
  type DriverReports,
  type DriverSettings,
  listenFailure,
  MAX_FULL_BYTES,
  type MayConnect,
  mayConnect,
} from '../driver.js';
import { OutgoingQueue } from '../outgoing.js';
import { giveSocketFile, type SocketAccess, withFileMode } from '../socket-file.js';
import { SpoolSpace } from '../spool.js';
import { clearStaleSocket } from '../stale-socket.js';
import { NodeSocketWriter } from './socket-writer.js';

/** When to look again at workers that were offered requests. */
const REVIEW_MS = 1;

/** Connections that wait for others to end; more are closed. */
const WAITING_AT_MOST = 511;

export class NodeDriver implements Driver {
  /** Node.js does not let go of a socket. */
  readonly lending = undefined;
  readonly #sockets = new Map<number, net.Socket>();
  readonly #spoolSpace: SpoolSpace;
  /** By their addresses, formatted. */
  readonly #servers = new Map<string, net.Server>();
  /** Accepted by Node.js, which cannot be kept from it, and not by the front: nobody looks at them before there is room. */
  readonly #waiting = new Set<net.Socket>();
  #front: Front | undefined;
  #lastConnection = 0;
  #ticker: NodeJS.Timeout | undefined;
  #isPolling = false;
  #tellsAllClosed = false;
  #keepsFiles = false;
  readonly #asleep: Int32Array;
  #mayConnect: MayConnect | undefined;
  readonly #reports: DriverReports;
  /** Past this many unsent bytes a socket tells when it is drained. */
  #fullBytes = 0;
  #tickMs = 0;

  /** @param bell the word that is 1 while the front wants to be rung */
  constructor(settings: DriverSettings, bell: SharedArrayBuffer, reports: DriverReports) {
    this.#spoolSpace = new SpoolSpace(settings.spoolBytes);
    this.configure(settings);
    this.#asleep = new Int32Array(bell);
    this.#reports = reports;
  }

  attach(front: Front): void {
    this.#front = front;
    Atomics.store(this.#asleep, 0, 1);
    this.#startTicking();
  }

  configure(settings: DriverSettings): void {
    this.#mayConnect = settings.allowed.length === 0 ? undefined : mayConnect(settings.allowed);
    this.#fullBytes = Math.min(settings.sendBufferBytes, MAX_FULL_BYTES);
    this.#spoolSpace.limitBytes = settings.spoolBytes;
    if (this.#tickMs === settings.tickMs) return;
    this.#tickMs = settings.tickMs;
    if (this.#ticker !== undefined) this.#startTicking();
  }

  #startTicking(): void {
    clearInterval(this.#ticker);
    this.#ticker = setInterval(() => {
      this.#guard(undefined, () => this.#core.tick(performance.now()));
      this.#admitWaiting();
      this.#poll();
    }, this.#tickMs);
    this.#ticker.unref();
  }

  /** Accepts connections at an address; resolves to the address as it came to be (a port, where 0 was given). */
  async listen(address: ListenAddress, backlog: number, access: SocketAccess): Promise<ListenAddress> {
    if (address.kind === 'unix') await clearStaleSocket(address.path);
    const options = { allowHalfOpen: true, noDelay: true, highWaterMark: this.#fullBytes };
    const server = net.createServer(options, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => reject(listenFailure(error, address));
      server.once('error', fail);
      const bind = (): net.Server => server.listen(listenOptions(address, backlog));
      if (address.kind === 'unix') {
        withFileMode(access.mode, bind);
        // A bind that failed has made no file; `error` tells soon.
        if (!server.listening) return;
        try {
          giveSocketFile(address.path, access.owner);
        } catch (error) {
          server.close();
          reject(error);
        }
      } else bind();
      server.once('listening', () => {
        server.removeListener('error', fail);
        // Errors of accept itself. Out of descriptors is none of them: there libuv closes the connection and tells nobody.
        server.on('error', (error) => this.#reports.bug(error));
        this.#servers.set(listenerKey(address), server);
        const bound = server.address();
        resolve(
          bound !== null && typeof bound === 'object'
            ? { kind: 'tcp', host: bound.address, port: bound.port }
            : address,
        );
      });
    });
  }

  /** Accepts no more connections. Unix sockets are unlinked. */
  stopListening(): void {
    for (const address of [...this.#servers.keys()]) this.stopListeningAt(address);
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting.clear();
  }

  /** Accepts no more connections at an address, as it was given to `listen`, formatted. */
  stopListeningAt(address: string): void {
    const server = this.#servers.get(address);
    this.#servers.delete(address);
    const path = server?.address();
    if (!this.#keepsFiles || typeof path !== 'string') return void server?.close();
    // Node.js removes the file, so that it needs another name meanwhile.
    const shelter = `${path}.${process.pid}`;
    linkSync(path, shelter);
    server?.close();
    renameSync(shelter, path);
  }

  /**
   * Further descriptors of the listening sockets, which outlive the driver.
   * @throws where Node.js does not tell what they are
   */
  keepSockets(duplicate: (fd: number) => number): Map<string, number> {
    this.#keepsFiles = true;
    return new Map(
      [...this.#servers].map(([address, server]) => {
        const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle;
        return [address, duplicate(fd)];
      }),
    );
  }

  /** Closes every connection at once, and the clock. */
  destroy(): void {
    this.stopListening();
    clearInterval(this.#ticker);
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  tellAllClosed(): void {
    this.#tellsAllClosed = true;
    this.#checkAllClosed();
  }

  #checkAllClosed(): void {
    if (!this.#tellsAllClosed || this.#sockets.size > 0) return;
    this.#tellsAllClosed = false;
    this.#reports.allClosed();
  }

  /** A worker has rung: hears what they all say, and goes on looking as long as there is something. */
  bell(): void {
    this.#hear();
    this.#poll();
  }

  #isAllowed({ remoteAddress, remoteFamily }: net.Socket): boolean {
    if (this.#mayConnect === undefined || remoteAddress === undefined) return true;
    return this.#mayConnect(remoteAddress, remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4');
  }

  get #core(): Front {
    if (this.#front === undefined) throw new Error('no front is attached');
    return this.#front;
  }

  #accept(socket: net.Socket): void {
    const front = this.#core;
    if (!this.#isAllowed(socket)) {
      this.#reports.stranger(socket.remoteAddress ?? 'an unknown address');
      socket.destroy();
      return;
    }
    if (this.#waiting.size === 0 && front.admits()) this.#open(socket);
    else this.#letWait(socket);
  }

  /** As many connections are open as may be. */
  #letWait(socket: net.Socket): void {
    if (this.#waiting.size >= WAITING_AT_MOST) {
      socket.destroy();
      return;
    }
    if (this.#waiting.size === 0) {
      this.#reports.outOfRoom('as many are open as the setting connections allows', this.#sockets.size);
    }
    this.#waiting.add(socket);
    // It may be reset meanwhile. What it sends stays in its buffer, and then with the system.
    socket.on('error', () => {});
    socket.once('close', () => this.#waiting.delete(socket));
  }

  #admitWaiting(): void {
    for (const socket of this.#waiting) {
      let isAdmitted = false;
      this.#guard(undefined, () => {
        isAdmitted = this.#core.admits();
      });
      if (!isAdmitted) return;
      this.#waiting.delete(socket);
      if (!socket.destroyed) this.#open(socket);
      if (this.#waiting.size === 0) this.#reports.roomAgain(this.#sockets.size);
    }
  }

  #open(socket: net.Socket): void {
    const front = this.#core;
    this.#lastConnection += 1;
    const id = this.#lastConnection;
    this.#sockets.set(id, socket);
    const onSent = (unsentBytes: number): void => {
      this.#guard(id, () => front.sent(id, unsentBytes, performance.now()));
      this.#poll();
    };
    const outgoing = new OutgoingQueue(new NodeSocketWriter(socket), this.#spoolSpace, onSent);
    socket.on('drain', () => outgoing.drained());
    this.#guard(id, () => front.connectionOpened(id, outgoing));
    socket.on('data', (bytes) => {
      this.#guard(id, () => front.bytesArrived(id, bytes, performance.now()));
      this.#poll();
    });
    socket.on('end', () => {
      this.#guard(id, () => front.readEnded(id, performance.now()));
      this.#poll();
    });
    // A reset or a failed write: 'close' follows, and that is what counts.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(id);
      outgoing.gone();
      this.#guard(undefined, () => front.connectionClosed(id, performance.now()));
      if (this.#waiting.size > 0) this.#admitWaiting();
      this.#poll();
      this.#checkAllClosed();
    });
  }

  /**
   * While workers have something to say they need not ring: the front looks again once per turn of the event loop, and
   * asks to be rung only when it finds nothing.
   */
  #poll(): void {
    if (this.#isPolling) return;
    this.#isPolling = true;
    Atomics.store(this.#asleep, 0, 0);
    setImmediate(() => this.#look());
  }

  #look(): void {
    this.#core.wakeWorkers();
    let heard = this.#hear();
    if (!heard) {
      Atomics.store(this.#asleep, 0, 1);
      // What came between the look and the wish to be rung would never be told.
      heard = this.#hear();
      if (!heard) {
        this.#isPolling = false;
        if (this.#core.isReviewDue) setTimeout(() => this.#poll(), REVIEW_MS);
        return;
      }
      Atomics.store(this.#asleep, 0, 0);
    }
    setImmediate(() => this.#look());
  }

  /** Returns whether workers had something to say. */
  #hear(): boolean {
    let heard = false;
    this.#guard(undefined, () => {
      heard = this.#core.pollWorkers(performance.now());
    });
    this.#core.wakeWorkers();
    return heard;
  }

  /** An error here is a bug; it costs the connection it came from, not the server. */
  #guard(connection: number | undefined, event: () => void): void {
    try {
      event();
    } catch (error) {
      this.#reports.bug(error);
      if (connection !== undefined) this.#sockets.get(connection)?.destroy();
    }
  }
}

function listenOptions(address: ListenAddress, backlog: number): net.ListenOptions | { fd: number; backlog: number } {
  switch (address.kind) {
    case 'unix':
      return { path: address.path, backlog };
    case 'tcp':
      return address.host === ''
        ? { port: address.port, backlog }
        : { host: address.host, port: address.port, backlog };
    case 'fd':
      return { fd: address.fd, backlog };
  }
}
