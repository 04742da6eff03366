/** Where a server listens: what a configuration wants, compared with what there is. */
import { type Config, formatListenAddress, type ListenAddress, socketOwnerOf } from '../config/load.js';
import type { FrontHandle } from '../front/handle.js';
import type { ServiceEnvironment } from '../service/environment.js';
import { socketsOf } from '../service/passed-sockets.js';

export class Listeners {
  readonly #front: FrontHandle;
  readonly #service: ServiceEnvironment;
  readonly #warn: (text: string) => void;
  /** By the address as it was wanted, formatted: that one, and the one that came to be. */
  readonly #open = new Map<string, { readonly wanted: ListenAddress; readonly bound: ListenAddress }>();

  constructor(front: FrontHandle, service: ServiceEnvironment, warn: (text: string) => void) {
    this.#front = front;
    this.#service = service;
    this.#warn = warn;
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
        const text = formatListenAddress(address);
        if (this.#open.has(text)) continue;
        const bound = await this.#front.listen(address, config.backlog, access);
        this.#open.set(text, { wanted: address, bound });
        added.push(address);
      }
    } catch (error) {
      await this.remove(added);
      throw error;
    }
    const texts = new Set(wanted.map(formatListenAddress));
    return [...this.#open].filter(([text]) => !texts.has(text)).map(([, listener]) => listener.wanted);
  }

  async remove(addresses: readonly ListenAddress[]): Promise<void> {
    for (const address of addresses) {
      this.#open.delete(formatListenAddress(address));
      await this.#front.stopListening(address);
    }
  }

  /** Listens where a configuration wants it, and nowhere else. */
  async change(config: Config): Promise<void> {
    await this.remove(await this.add(config));
  }
}
