/** The front as the main thread sees it, wherever it runs. */

import type { ListenAddress } from '../../base/listen-address.js';
import type { Parker } from '../../channel/park.js';
import type { SocketAccess } from '../io/socket-file.js';
import type { FrontApi } from './front-api.js';

/** How workers wake the front; can be handed to a thread. */
export interface Bell {
  /** One word: 1 while the front sleeps and wants to be rung. */
  readonly asleep: SharedArrayBuffer;
  /** The eventfd to ring; undefined: tell the main thread, which calls `rung`. */
  readonly fd: number | undefined;
}

export interface FrontHandle {
  /** How its sockets are driven. */
  readonly io: 'epoll' | 'node';
  readonly bell: Bell;
  /** How threads that share rings with the front sleep; undefined: the language's own way. */
  sleeper(): Promise<Parker | undefined>;
  /** A worker rang at the main thread. */
  rung(): void;
  /** Accepts connections at an address; resolves to the address as it came to be (a port, where 0 was given). */
  listen(address: ListenAddress, backlog: number, access: SocketAccess): Promise<ListenAddress>;
  /** Accepts no more connections at an address that `listen` was given. */
  stopListening(address: ListenAddress): Promise<void>;
  /**
   * Has the listening sockets outlive the front, so that clients find them in a program which takes this one's place:
   * gives further descriptors of them, by the addresses that `listen` was given, formatted. Socket files stay.
   * @throws where that cannot be done
   */
  keepSockets(): Promise<ReadonlyMap<string, number>>;
  /** Calls the front. Calls arrive in the order in which they were made. */
  call<Name extends keyof FrontApi>(
    name: Name,
    ...args: Parameters<FrontApi[Name]>
  ): Promise<ReturnType<FrontApi[Name]>>;
  /** Closes every connection and listener at once. */
  close(): Promise<void>;
}
