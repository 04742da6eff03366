/** The front on a thread of its own, on the sockets of the kernel: Linux only. */
import { lstatSync, unlinkSync } from 'node:fs';
import { isIP } from 'node:net';
import { Worker } from 'node:worker_threads';
import { LuafcgidError } from '../../base/errors.js';
import { type ListenAddress, listenerKey } from '../../base/listen-address.js';
import type { Parker } from '../../channel/park.js';
import { closeEventfd, createEventfd, ringEventfd } from '../../linux/eventfd.js';
import { futexSleeper } from '../../linux/futex.js';
import { decodeSocketAddress, type SocketAddress } from '../../linux/socket-address.js';
import { boundAddress, interfaceIndex, kernelSockets, listenAt, listenOn } from '../../linux/sockets.js';
import { listenFailure } from '../io/driver.js';
import { giveSocketFile, type SocketAccess, withFileMode } from '../io/socket-file.js';
import { clearStaleSocket } from '../io/stale-socket.js';
import { LineReceiver, lineCredits } from '../logging/line-credits.js';
import type { FrontApi, FrontEvents, FrontSettings } from './front-api.js';
import type { Bell, FrontHandle } from './handle.js';
import type { Call, FromFront, FrontThreadData } from './thread-messages.js';

type Unnumbered<Message> = Message extends unknown ? Omit<Message, 'number'> : never;

export class ThreadedFront implements FrontHandle {
  readonly io = 'epoll';
  readonly bell: Bell & { readonly fd: number } = { asleep: new SharedArrayBuffer(4), fd: createEventfd() };
  readonly #thread: Worker;
  readonly #ended: Promise<void>;
  readonly #calls = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  /** The sockets' files that it has made, with their inodes. */
  readonly #socketFiles: { readonly path: string; readonly inode: bigint | undefined }[] = [];
  /** Descriptors of the sockets by their addresses as they were given, formatted. */
  readonly #listeners = new Map<string, number>();
  #lastCall = 0;
  #isClosed = false;

  constructor(settings: FrontSettings, events: FrontEvents) {
    const underWay = lineCredits();
    const lines = new LineReceiver(underWay);
    const data: FrontThreadData = { settings, bell: this.bell, lineCredits: underWay };
    this.#thread = new Worker(new URL('./thread.cjs', import.meta.url), { workerData: data });
    this.#thread.on('message', (message: FromFront) => {
      if (message.kind === 'event') {
        (events[message.name] as (...args: readonly unknown[]) => void)(...message.args);
        // The arguments of `FrontEvents.log` and `access`: `LineSender` has counted this one.
        if (message.name === 'log') lines.arrived(message.args[1] as string);
        else if (message.name === 'access') lines.arrived(message.args[0] as Uint8Array);
        return;
      }
      const call = this.#calls.get(message.number);
      this.#calls.delete(message.number);
      if (message.kind === 'answer') call?.resolve(message.result);
      else call?.reject(Object.assign(new Error(message.failure.message), message.failure));
    });
    // Without the front there is no server: the error ends the process, as it would on the main thread.
    this.#thread.on('error', (error) => {
      throw error;
    });
    this.#ended = new Promise((resolve) => {
      this.#thread.on('exit', () => resolve());
    });
  }

  async sleeper(): Promise<Parker | undefined> {
    return futexSleeper();
  }

  rung(): void {
    ringEventfd(this.bell.fd);
  }

  async listen(address: ListenAddress, backlog: number, access: SocketAccess): Promise<ListenAddress> {
    if (address.kind === 'unix') await clearStaleSocket(address.path);
    try {
      return await this.#listen(address, backlog, access);
    } catch (error) {
      if (error instanceof LuafcgidError) throw error;
      throw listenFailure(error as NodeJS.ErrnoException, address);
    }
  }

  async stopListening(address: ListenAddress): Promise<void> {
    const text = listenerKey(address);
    const fd = this.#listeners.get(text);
    if (fd === undefined) return;
    this.#listeners.delete(text);
    if (address.kind === 'unix') this.#removeSocketFiles(address.path);
    await this.#send({ name: 'stopAccepting', fd });
  }

  async keepSockets(): Promise<ReadonlyMap<string, number>> {
    const { duplicate } = await import('../../linux/exec.js');
    this.#socketFiles.length = 0;
    return new Map([...this.#listeners].map(([address, fd]) => [address, duplicate(fd)]));
  }

  call<Name extends keyof FrontApi>(
    name: Name,
    ...args: Parameters<FrontApi[Name]>
  ): Promise<ReturnType<FrontApi[Name]>> {
    // Before another server can listen there: a later unlink could remove its socket.
    if (name === 'drain') this.#removeSocketFiles();
    return this.#send({ name, args }) as Promise<ReturnType<FrontApi[Name]>>;
  }

  async close(): Promise<void> {
    this.#removeSocketFiles();
    void this.#send({ name: 'end' });
    this.#isClosed = true;
    await this.#ended;
    closeEventfd(this.bell.fd);
  }

  /** Does nothing after the end: no answer would come, and the bell's descriptor may be another file's by then. */
  #send(call: Unnumbered<Call>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return;
      this.#lastCall += 1;
      const number = this.#lastCall;
      this.#calls.set(number, { resolve, reject });
      this.#thread.postMessage({ ...call, number });
      ringEventfd(this.bell.fd);
    });
  }

  async #listen(address: ListenAddress, backlog: number, access: SocketAccess): Promise<ListenAddress> {
    if (address.kind === 'fd') {
      listenOn(address.fd, backlog);
      await this.#accept(address, address.fd, bound(address.fd)?.family !== 'unix');
      return address;
    }
    if (address.kind === 'unix') {
      const { path } = address;
      const fd = withFileMode(access.mode, () => listenAt({ family: 'unix', path }, backlog));
      this.#socketFiles.push({ path, inode: inodeOf(path) });
      try {
        giveSocketFile(path, access.owner);
      } catch (error) {
        // Clients would connect, and never be accepted.
        this.#removeSocketFiles(path);
        kernelSockets.close(fd);
        throw error;
      }
      await this.#accept(address, fd, false);
      return address;
    }
    const fd = await this.#listenTcp(address.host, address.port, backlog);
    await this.#accept(address, fd, true);
    const found = bound(fd);
    return found === undefined || found.family === 'unix'
      ? address
      : { kind: 'tcp', host: found.address, port: found.port };
  }

  async #accept(address: ListenAddress, fd: number, isTcp: boolean): Promise<void> {
    try {
      await this.#send({ name: 'accept', fd, isTcp });
      this.#listeners.set(listenerKey(address), fd);
    } catch (error) {
      if (address.kind === 'unix') this.#removeSocketFiles(address.path);
      if (address.kind !== 'fd') kernelSockets.close(fd);
      throw error;
    }
  }

  async #listenTcp(host: string, port: number, backlog: number): Promise<number> {
    if (host !== '') return listenAt(await resolveHost(host, port), backlog);
    try {
      return listenAt({ family: 'ipv6', address: '::', port }, backlog);
    } catch (error) {
      // Machines without IPv6.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
      return listenAt({ family: 'ipv4', address: '0.0.0.0', port }, backlog);
    }
  }

  /** To be called while the sockets are open, so that no other file can have their inodes: a file of another server stays. */
  #removeSocketFiles(only?: string): void {
    const removed = this.#socketFiles.filter(({ path }) => only === undefined || path === only);
    for (const file of removed) {
      const { path, inode } = file;
      this.#socketFiles.splice(this.#socketFiles.indexOf(file), 1);
      try {
        if (inodeOf(path) === inode) unlinkSync(path);
      } catch {
        // It was removed already.
      }
    }
  }
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

function bound(fd: number): SocketAddress | undefined {
  return decodeSocketAddress(boundAddress(fd));
}

/** Loads the resolver only when a name has to be looked up. */
async function lookUp(name: string): Promise<string> {
  const { lookup } = await import('node:dns/promises');
  return (await lookup(name)).address;
}

async function resolveHost(host: string, port: number): Promise<SocketAddress> {
  const [name = '', zone] = host.split('%');
  const address = isIP(name) === 0 ? await lookUp(name) : name;
  if (isIP(address) === 4) return { family: 'ipv4', address, port };
  return { family: 'ipv6', address, port, ...(zone !== undefined && { scope: interfaceIndex(zone) }) };
}
