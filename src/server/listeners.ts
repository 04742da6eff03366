/** Where a server listens: what a configuration wants, compared with what there is. */
import { existsSync, rmSync } from 'node:fs';
import { describeError, LuafcgidError } from '../base/errors.js';
import { formatListenAddress, type ListenAddress, listenerKey } from '../base/listen-address.js';
import { type Config, socketOwnerOf } from '../config/load.js';
import type { FrontHandle } from '../front/host/handle.js';
import type { KeptSocket, ServiceEnvironment } from '../process/environment.js';
import { socketsOf } from '../process/passed-sockets.js';

interface Listener {
  /** As the configuration has it. */
  readonly wanted: ListenAddress;
  /** As it was given to the front: a socket that was kept is a descriptor. */
  readonly opened: ListenAddress;
  /** As it came to be. */
  readonly bound: ListenAddress;
}

export class Listeners {
  readonly #front: FrontHandle;
  readonly #service: ServiceEnvironment;
  readonly #warn: (text: string) => void;
  /** Sockets that the program before this one has left, and nobody listens on yet. */
  readonly #kept: Map<string, KeptSocket>;
  /** By the address as it was wanted, formatted. */
  readonly #open = new Map<string, Listener>();

  constructor(front: FrontHandle, service: ServiceEnvironment, warn: (text: string) => void) {
    this.#front = front;
    this.#service = service;
    this.#warn = warn;
    this.#kept = new Map(service.kept.map((socket) => [socket.wanted, socket]));
  }

  /** Where it listens, with the ports that were found for those given as 0. */
  get addresses(): readonly ListenAddress[] {
    return [...this.#open.values()].map(({ bound }) => bound);
  }

  get text(): string {
    return this.addresses.map(formatListenAddress).join(', ');
  }

  /**
   * Listens where a configuration wants it, too.
   * @returns where it does not want it any more
   * @throws LuafcgidError when a socket cannot be had; then all is as before
   */
  async add(config: Config): Promise<readonly ListenAddress[]> {
    const access = { mode: config.socketMode, owner: socketOwnerOf(config) };
    const wanted = socketsOf(config.listen, this.#service.sockets, this.#warn);
    const added: ListenAddress[] = [];
    try {
      for (const address of wanted) {
        const text = listenerKey(address);
        if (this.#open.has(text)) {
          if (address.kind !== 'unix' || existsSync(address.path)) continue;
          // Nobody can reach a socket whose file was removed.
          this.#warn(describeError(new LuafcgidError('LUAFCGID_LISTEN_REMOVED', { path: address.path })));
          await this.remove([address]);
        }
        const kept = this.#kept.get(text);
        // Once: who closes it later does so for good.
        this.#kept.delete(text);
        const opened: ListenAddress = kept === undefined ? await ownDescriptor(address) : { kind: 'fd', fd: kept.fd };
        const bound = await this.#front.listen(opened, config.backlog, access);
        this.#open.set(text, { wanted: address, opened, bound: kept?.bound ?? bound });
        added.push(address);
      }
    } catch (error) {
      await this.remove(added);
      throw error;
    }
    const texts = new Set(wanted.map(listenerKey));
    return [...this.#open].filter(([text]) => !texts.has(text)).map(([, listener]) => listener.wanted);
  }

  async remove(addresses: readonly ListenAddress[]): Promise<void> {
    for (const address of addresses) {
      const text = listenerKey(address);
      const listener = this.#open.get(text);
      if (listener === undefined) continue;
      this.#open.delete(text);
      this.#removeKeptFile(listener);
      await this.#front.stopListening(listener.opened);
    }
  }

  /** The front knows nothing of files of sockets that were kept. To be called before it stops to listen. */
  removeKeptFiles(): void {
    for (const listener of this.#open.values()) this.#removeKeptFile(listener);
  }

  #removeKeptFile({ wanted, opened }: Listener): void {
    if (wanted.kind === 'unix' && opened.kind === 'fd') rmSync(wanted.path, { force: true });
  }

  /** Has the sockets outlive this program. @returns what its successor gets */
  async keep(): Promise<ServiceEnvironment> {
    const fds = await this.#front.keepSockets();
    const fdOf = (address: ListenAddress): number => fds.get(listenerKey(address)) as number;
    const kept = [...this.#open].map(([wanted, { opened, bound }]) => ({ wanted, bound, fd: fdOf(opened) }));
    const sockets = this.#service.sockets.map(({ fd, name }) => {
      const listener = [...this.#open.values()].find(({ wanted }) => wanted.kind === 'fd' && wanted.fd === fd);
      return { name, fd: listener === undefined ? fd : fdOf(listener.opened) };
    });
    return { ...this.#service, sockets, kept };
  }

  /** Listens where a configuration wants it, and nowhere else. */
  async change(config: Config): Promise<void> {
    await this.remove(await this.add(config));
  }
}

/** Who listens on a socket owns its descriptor and closes it: an inherited one may be wanted again. */
async function ownDescriptor(address: ListenAddress): Promise<ListenAddress> {
  if (address.kind !== 'fd' || process.platform !== 'linux') return address;
  const { duplicate } = await import('../linux/exec.js');
  return { ...address, fd: duplicate(address.fd) };
}
