/** A datagram socket as the system's log service has it: `/dev/log` at another path. Linux only. */
import { rmSync } from 'node:fs';
import { errorNumber, libc, systemError } from '../../src/linux/libc.js';
import { encodeSocketAddress } from '../../src/linux/socket-address.js';
import type { Cleanup } from './cleanup.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;

const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, const void*, uint32_t)');
const receive = libc.func('int64_t recv(int, void*, size_t, int)');
const close = libc.func('int close(int)');

export class LogService {
  readonly path: string;
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(64 * 1024);
  #isStopped = false;

  constructor(t: Cleanup, path: string) {
    this.path = path;
    this.#fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const address = encodeSocketAddress({ family: 'unix', path });
    if (bind(this.#fd, address, address.length) < 0) throw systemError('bind', errorNumber());
    t.after(() => this.stop());
  }

  /** The messages that have come since the last time. */
  take(): string[] {
    const messages: string[] = [];
    for (;;) {
      const count = Number(receive(this.#fd, this.#bytes, this.#bytes.length, MSG_DONTWAIT));
      if (count < 0) return messages;
      messages.push(this.#bytes.toString('utf8', 0, count));
    }
  }

  /** Its socket goes away, as when the service is stopped. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    close(this.#fd);
    rmSync(this.path, { force: true });
  }
}
