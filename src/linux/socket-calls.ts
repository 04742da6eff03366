/** What is asked of stream sockets, whoever carries it out, and what its errors mean. Calls nothing by itself. */

import { Errno } from './errno.js';

/**
 * What a driver asks of its connections' sockets. A count of -1 means that nothing was done: `errorNumber` says why.
 * Tests put one in front of the kernel's that fails on purpose.
 */
export interface SocketCalls {
  /** The descriptor of the next connection that waits. Fills in the peer's address when `wantsPeer`. */
  accept(listener: number, wantsPeer: boolean): number;
  /** The peer of the last `accept` that was asked for it. */
  peer(): Buffer;
  read(fd: number, into: Uint8Array): number;
  send(fd: number, bytes: Uint8Array): number;
  /** Sends the end of the stream; the peer may go on sending. */
  endSending(fd: number): void;
  close(fd: number): void;
  /** Sends small writes at once (TCP only). */
  setNoDelay(fd: number): void;
  /** The number that the next descriptor of this process will have: the lowest that is free. `fd` is any open one. */
  nextDescriptor(fd: number): number;
  /** Numbers of descriptors are below this limit; -1: there is none. */
  descriptorLimit(): number;
  /** Waits until there is something to read, or a connection to accept; not for long. @returns whether there is */
  waitForInput(fd: number, timeoutUs: number): boolean;
  errorNumber(): number;
}

/** What a worker asks of the sockets that it serves itself. */
export type DirectSocketCalls = Pick<
  SocketCalls,
  'accept' | 'read' | 'send' | 'close' | 'waitForInput' | 'errorNumber'
>;

/** Errors of `accept` that concern the connection it would have given, or a signal: the next one may be sound (accept(2)). */
const OF_ONE_CONNECTION: ReadonlySet<number> = new Set([
  Errno.EINTR,
  Errno.ECONNABORTED,
  Errno.EPERM,
  Errno.EPROTO,
  Errno.ENOPROTOOPT,
  Errno.ENONET,
  Errno.ENETDOWN,
  Errno.ENETUNREACH,
  Errno.EHOSTDOWN,
  Errno.EHOSTUNREACH,
]);

/** Nothing was done, and nothing is wrong: it can be done when the kernel says so. */
export const TRY_LATER = -1;
/** It cannot be done, now or later. */
export const FAILED = -2;
/** Only this connection is broken: the next one may be accepted at once. */
export const NEXT_ONE = -3;

/** Reads what there is. @returns how many bytes (0: the end), `TRY_LATER` or `FAILED` */
export function readNow(calls: Pick<SocketCalls, 'read' | 'errorNumber'>, fd: number, into: Uint8Array): number {
  for (;;) {
    const count = calls.read(fd, into);
    if (count >= 0) return count;
    const number = calls.errorNumber();
    if (number === Errno.EAGAIN) return TRY_LATER;
    if (number !== Errno.EINTR) return FAILED;
  }
}

/** Sends what the system takes at once. @returns how many bytes that is, maybe 0, or `FAILED` */
export function sendNow(calls: Pick<SocketCalls, 'send' | 'errorNumber'>, fd: number, bytes: Uint8Array): number {
  for (;;) {
    const sent = calls.send(fd, bytes);
    if (sent >= 0) return sent;
    const number = calls.errorNumber();
    if (number === Errno.EAGAIN) return 0;
    if (number !== Errno.EINTR) return FAILED;
  }
}

/**
 * Accepts the next connection that waits.
 * @param wantsPeer see `SocketCalls`
 * @returns its descriptor; `TRY_LATER` when none waits; `NEXT_ONE`; or `FAILED`, and `errorNumber` says why
 */
export function acceptNow(
  calls: Pick<SocketCalls, 'accept' | 'errorNumber'>,
  listener: number,
  wantsPeer = false,
): number {
  const descriptor = calls.accept(listener, wantsPeer);
  if (descriptor >= 0) return descriptor;
  const number = calls.errorNumber();
  if (number === Errno.EAGAIN) return TRY_LATER;
  return OF_ONE_CONNECTION.has(number) ? NEXT_ONE : FAILED;
}
