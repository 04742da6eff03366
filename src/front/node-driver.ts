/**
 * Drives the front with Node.js' own sockets, on the main thread. It turns socket events into events of the front and
 * carries out its actions; it decides nothing.
 */
import net from 'node:net';
import { formatListenAddress, type ListenAddress } from '../config/load.js';
import { LuafcgidError } from '../errors.js';
import type { Front } from './front.js';
import { SpoolSpace } from './spool.js';
import { clearStaleSocket, withFileMode } from './unix-socket.js';
import { Wire } from './wire.js';

/** How often the front is told that time has passed. */
const TICK_MS = 250;
const MAX_HIGH_WATER_MARK_BYTES = 64 * 1024;

/** Sockets by connection number, and the part of the front's actions that concerns them. */
export class NodeDriver {
  readonly #sockets = new Map<number, net.Socket>();
  readonly #wires = new Map<number, Wire>();
  readonly #spoolSpace: SpoolSpace;
  readonly #servers: net.Server[] = [];
  #front: Front | undefined;
  #lastConnection = 0;
  #ticker: NodeJS.Timeout | undefined;
  #isPolling = false;
  #onAllClosed: (() => void) | undefined;
  readonly #asleep: Int32Array;
  /** Addresses that may connect over TCP; undefined: all. Unix sockets have permissions of their own. */
  readonly #allowed: net.BlockList | undefined;
  readonly #onStranger: (address: string) => void;
  readonly #onBug: (error: unknown) => void;
  /** Past this many unsent bytes a socket tells when it is drained. */
  readonly #highWaterMarkBytes: number;

  /**
   * @param limits `sendBufferBytes`: unsent bytes past which the front wants to be told when a socket is drained;
   *   `spoolBytes`: most bytes of all answers together that wait in temporary files
   * @param bell the word that is 1 while the front wants to be rung
   * @param webServers addresses that may connect over TCP; undefined: all
   * @param onStranger told of the address of a connection that was closed since it is not allowed
   * @param onBug told of an error that an event of the front threw; its connection is closed
   */
  constructor(
    limits: { readonly sendBufferBytes: number; readonly spoolBytes: number },
    bell: SharedArrayBuffer,
    webServers: readonly string[] | undefined,
    onStranger: (address: string) => void,
    onBug: (error: unknown) => void,
  ) {
    this.#allowed = webServers === undefined ? undefined : blockList(webServers);
    this.#onStranger = onStranger;
    this.#highWaterMarkBytes = Math.min(limits.sendBufferBytes, MAX_HIGH_WATER_MARK_BYTES);
    this.#spoolSpace = new SpoolSpace(limits.spoolBytes);
    this.#asleep = new Int32Array(bell);
    this.#onBug = onBug;
  }

  /** Connects the core; to be called once, before `listen`. */
  attach(front: Front): void {
    this.#front = front;
    Atomics.store(this.#asleep, 0, 1);
    this.#ticker = setInterval(() => {
      this.#guard(undefined, () => front.tick(performance.now()));
      this.#poll();
    }, TICK_MS);
    this.#ticker.unref();
  }

  /** Accepts connections at an address; resolves to the address as it came to be (a port, where 0 was given). */
  async listen(address: ListenAddress, backlog: number, socketMode: number | undefined): Promise<ListenAddress> {
    if (address.kind === 'unix') await clearStaleSocket(address.path);
    const options = { allowHalfOpen: true, noDelay: true, highWaterMark: this.#highWaterMarkBytes };
    const server = net.createServer(options, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => reject(listenFailure(error, address));
      server.once('error', fail);
      const bind = (): net.Server => server.listen(listenOptions(address, backlog));
      if (address.kind === 'unix') withFileMode(socketMode, bind);
      else bind();
      server.once('listening', () => {
        server.removeListener('error', fail);
        // Errors of accept itself. Out of descriptors is none of them: there libuv closes the connection and tells nobody.
        server.on('error', this.#onBug);
        this.#servers.push(server);
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
    for (const server of this.#servers.splice(0)) server.close();
  }

  /** Closes every connection at once, and the clock. */
  destroy(): void {
    this.stopListening();
    clearInterval(this.#ticker);
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  /** Resolves when no connection is open any more. */
  allClosed(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onAllClosed = resolve;
    });
  }

  /** A worker has rung: hears what they all say, and goes on looking as long as there is something. */
  bell(): void {
    this.#guard(undefined, () => this.#core.workersSpoke(performance.now()));
    this.#poll();
  }

  write(connection: number, bytes: Uint8Array): number {
    return this.#wires.get(connection)?.write(bytes) ?? 0;
  }

  spool(connection: number): boolean {
    return this.#wires.get(connection)?.startSpooling(this.#spoolSpace) ?? false;
  }

  close(connection: number, linger: boolean): void {
    this.#wires.get(connection)?.close(linger);
  }

  pauseReading(connection: number): void {
    this.#sockets.get(connection)?.pause();
  }

  resumeReading(connection: number): void {
    this.#sockets.get(connection)?.resume();
  }

  #isAllowed({ remoteAddress, remoteFamily }: net.Socket): boolean {
    if (this.#allowed === undefined || remoteAddress === undefined) return true;
    return this.#allowed.check(remoteAddress, remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4');
  }

  get #core(): Front {
    if (this.#front === undefined) throw new Error('no front is attached');
    return this.#front;
  }

  #accept(socket: net.Socket): void {
    const front = this.#core;
    if (!this.#isAllowed(socket)) {
      this.#onStranger(socket.remoteAddress ?? 'an unknown address');
      socket.destroy();
      return;
    }
    this.#lastConnection += 1;
    const id = this.#lastConnection;
    this.#sockets.set(id, socket);
    const onSent = (unsentBytes: number): void => {
      this.#guard(id, () => front.sent(id, unsentBytes, performance.now()));
      this.#poll();
    };
    this.#wires.set(id, new Wire(socket, onSent));
    this.#guard(id, () => front.connectionOpened(id));
    socket.on('data', (bytes) => {
      this.#guard(id, () => front.bytesArrived(id, bytes, performance.now()));
      this.#poll();
    });
    socket.on('end', () => this.#guard(id, () => front.readEnded(id, performance.now())));
    // A reset or a failed write: 'close' follows, and that is what counts.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(id);
      this.#wires.delete(id);
      this.#guard(undefined, () => front.connectionClosed(id, performance.now()));
      this.#poll();
      if (this.#sockets.size === 0) this.#onAllClosed?.();
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
    let heard = false;
    this.#guard(undefined, () => {
      heard = this.#core.workersSpoke(performance.now());
    });
    if (!heard) {
      Atomics.store(this.#asleep, 0, 1);
      // What came between the look and the wish to be rung would never be told.
      this.#guard(undefined, () => {
        heard = this.#core.workersSpoke(performance.now());
      });
      if (!heard) {
        this.#isPolling = false;
        return;
      }
      Atomics.store(this.#asleep, 0, 0);
    }
    setImmediate(() => this.#look());
  }

  /** An error here is a bug; it costs the connection it came from, not the server. */
  #guard(connection: number | undefined, event: () => void): void {
    try {
      event();
    } catch (error) {
      this.#onBug(error);
      if (connection !== undefined) this.#sockets.get(connection)?.destroy();
    }
  }
}

/** Node.js compares addresses by block lists, whatever they are used for; an IPv4 one also as mapped into IPv6. */
function blockList(addresses: readonly string[]): net.BlockList {
  const list = new net.BlockList();
  for (const address of addresses) list.addAddress(address, net.isIPv6(address) ? 'ipv6' : 'ipv4');
  return list;
}

function listenOptions(address: ListenAddress, backlog: number): net.ListenOptions | { fd: number } {
  switch (address.kind) {
    case 'unix':
      return { path: address.path, backlog };
    case 'tcp':
      return address.host === ''
        ? { port: address.port, backlog }
        : { host: address.host, port: address.port, backlog };
    case 'fd':
      return { fd: address.fd };
  }
}

function listenFailure(error: NodeJS.ErrnoException, address: ListenAddress): LuafcgidError {
  const text = formatListenAddress(address);
  if (error.code === 'EADDRINUSE') return new LuafcgidError('LUAFCGID_LISTEN_IN_USE', { address: text }, error);
  return new LuafcgidError('LUAFCGID_LISTEN_FAILED', { address: text, reason: error.message }, error);
}
