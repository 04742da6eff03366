/** The receiving end of a Unix datagram socket, which Node.js does not have: a service manager, or a system's log. */
import { rmSync } from 'node:fs';
import koffi from 'koffi';
import type { Cleanup } from './cleanup.js';
import { eventually } from './shared.js';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const MAX_BYTES = 64 * 1024;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, const void*, uint32_t)');
const receive = libc.func('int64_t recv(int, void*, size_t, int)');
const close = libc.func('int close(int)');

export class DatagramReceiver {
  /** All that has come and was read, in order. */
  readonly received: string[] = [];
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(MAX_BYTES);

  /** @param path a name that begins with `@` is one of the abstract namespace */
  constructor(t: Cleanup, path: string) {
    this.#fd = socket(AF_UNIX, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
    const isAbstract = path.startsWith('@');
    const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
    const family = Buffer.from(new Uint16Array([AF_UNIX]).buffer);
    const address = Buffer.concat([family, name]);
    if (bind(this.#fd, address, address.length) !== 0) throw new Error(`cannot bind ${path}`);
    t.after(() => {
      close(this.#fd);
      if (!isAbstract) rmSync(path, { force: true });
    });
  }

  /** Reads what has come by now. */
  readAll(): readonly string[] {
    for (;;) {
      const count = Number(receive(this.#fd, this.#buffer, MAX_BYTES, 0));
      if (count < 0) return this.received;
      this.received.push(this.#buffer.toString('utf8', 0, count));
    }
  }

  /** Waits until so many have come that the pattern matches. */
  async got(pattern: RegExp, count = 1): Promise<void> {
    await eventually(`${pattern} in what was received: ${this.received.join(' | ')}`, () => {
      return this.readAll().filter((text) => pattern.test(text)).length >= count;
    });
  }
}
