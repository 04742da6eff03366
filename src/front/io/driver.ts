/** What the drivers of the front have in common: they own its sockets, carry out its actions, and tell what went wrong. */
import net from 'node:net';
import { isForWantOfRoom, LuafcgidError } from '../../base/errors.js';
import { formatListenAddress, type ListenAddress } from '../../base/listen-address.js';
import type { Front } from '../core/front.js';
import type { LendingDriver } from '../model/actions.js';

/** A socket is full at this many unsent bytes at the latest, whatever the front allows: it is asked for more in time. */
export const MAX_FULL_BYTES = 64 * 1024;

export interface DriverSettings {
  /** How often the front is told that time has passed. */
  readonly tickMs: number;
  /** Unsent bytes past which the front wants to be told when a socket has drained. */
  readonly sendBufferBytes: number;
  /** Most bytes of all answers together that wait in temporary files. */
  readonly spoolBytes: number;
  /**
   * Lists of addresses and networks; who connects over TCP has to be in all of them. Unix sockets have permissions of
   * their own.
   */
  readonly allowed: readonly (readonly string[])[];
}

/** What a driver tells. */
export interface DriverReports {
  /** A connection from this address was closed since it is not allowed. */
  stranger(address: string): void;
  /** The system has no room for another connection, for this reason; `connections` are open. */
  outOfRoom(reason: string, connections: number): void;
  /** All that waited meanwhile is accepted. */
  roomAgain(connections: number): void;
  /** An event of the front threw this. Its connection is closed. */
  bug(error: unknown): void;
  /** After `tellAllClosed`: no connection is open any more. */
  allClosed(): void;
}

export interface Driver {
  /** Undefined where connections cannot be lent. */
  readonly lending: LendingDriver | undefined;
  /** Connects the core; to be called once, before anything else. */
  attach(front: Front): void;
  /** Other settings from now on; what is open already keeps its buffers. */
  configure(settings: DriverSettings): void;
  /** Accepts no more connections. */
  stopListening(): void;
  /** Asks to be told, once, when no connection is open. */
  tellAllClosed(): void;
  /** Closes every connection at once, and stops. */
  destroy(): void;
}

export type MayConnect = (address: string, family: 'ipv4' | 'ipv6') => boolean;

/** An address of IPv4 as a socket of IPv6 has it. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * Node.js compares addresses by block lists, whatever they are used for. Each family has a list of its own: one list
 * for both would take every address of IPv4 for one of IPv6, and "::/0" would let in all.
 */
export function mayConnect(lists: DriverSettings['allowed']): MayConnect {
  const blockLists = lists.map((networks) => {
    const both = { ipv4: new net.BlockList(), ipv6: new net.BlockList() };
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = net.isIPv6(address) ? 'ipv6' : 'ipv4';
      if (prefix === undefined) both[family].addAddress(address, family);
      else both[family].addSubnet(address, Number(prefix), family);
    }
    return both;
  });
  return (address, family) => {
    const mapped = family === 'ipv6' ? MAPPED.exec(address)?.[1] : undefined;
    const [text, kind] = mapped === undefined ? [address, family] : [mapped, 'ipv4' as const];
    return blockLists.every((both) => both[kind].check(text, kind));
  };
}

/** Why nobody can listen at an address, as an error of the catalogue. */
export function listenFailure(error: NodeJS.ErrnoException, address: ListenAddress): LuafcgidError {
  const text = formatListenAddress(address);
  if (isForWantOfRoom(error)) return new LuafcgidError('LUAFCGID_SERVER_DESCRIPTORS', { reason: error.message }, error);
  if (error.code === 'EADDRINUSE') return new LuafcgidError('LUAFCGID_LISTEN_IN_USE', { address: text }, error);
  return new LuafcgidError('LUAFCGID_LISTEN_FAILED', { address: text, reason: error.message }, error);
}
