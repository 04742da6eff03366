/**
 * Tells the service manager how the service is (sd_notify(3)): that it is ready, reloads or stops, that it lives, and a
 * line for people. That it cannot be told is no fault of the service: it goes on, and one line of the log says so.
 */
import { describeError, LuafcgidError } from '../base/errors.js';
import type { ServiceEnvironment } from './environment.js';

/** All do nothing when nobody wants to know. */
export interface ServiceManager {
  /** Whether anybody wants to know. */
  readonly isListening: boolean;
  /** It serves, or serves again after `reloading`. */
  ready(): void;
  /** A new configuration is being taken into service; `ready` has to follow, also when nothing came of it. */
  reloading(): void;
  stopping(): void;
  /** One line on how it is, for people. */
  status(text: string): void;
  /** Says twice in each interval of the watchdog that the service lives, as long as `isAlive` resolves. */
  watch(isAlive: () => Promise<unknown>): { stop(): void };
}

/** Nobody wants to know, or nobody can be told. */
const silent: ServiceManager = {
  isListening: false,
  ready() {},
  reloading() {},
  stopping() {},
  status() {},
  watch: () => ({ stop() {} }),
};

/** How long the manager has to make room in its queue before it is told again. */
const RETRY_MS = 100;
const MAX_PENDING = 16;

type Send = (path: string, bytes: Uint8Array) => void;

/**
 * @param warn takes one line, once, when it cannot be told
 * @param send sends a datagram to a Unix socket; undefined: by the system, where that is possible
 */
export async function serviceManager(
  { notifySocket, watchdogMs }: Pick<ServiceEnvironment, 'notifySocket' | 'watchdogMs'>,
  warn: (text: string) => void,
  send?: Send,
): Promise<ServiceManager> {
  if (notifySocket === undefined) return silent;
  const path = notifySocket;
  let isFailing = false;
  const failed = (error: unknown): void => {
    if (isFailing) return;
    isFailing = true;
    const reason = error instanceof Error ? error.message : String(error);
    warn(describeError(new LuafcgidError('LUAFCGID_SERVICE_MANAGER', { socket: path, reason }, error)));
  };
  let sendBytes: Send;
  try {
    // Loaded only here: without a service manager the server runs without FFI.
    sendBytes = send ?? (await import('../linux/datagram.js')).sendDatagram;
  } catch (error) {
    failed(error);
    return silent;
  }
  /** What the manager's queue had no room for. */
  const pending: string[] = [];
  const sendPending = (): void => {
    try {
      for (; pending[0] !== undefined; pending.shift()) sendBytes(path, Buffer.from(pending[0]));
      isFailing = false;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN' && pending.length < MAX_PENDING) {
        setTimeout(sendPending, RETRY_MS).unref();
        return;
      }
      // The next one may be heard: the manager may just be starting itself again.
      pending.length = 0;
      failed(error);
    }
  };
  const tell = (text: string): void => {
    if (pending.push(text) === 1) sendPending();
  };
  return {
    isListening: true,
    ready: () => tell('READY=1'),
    // The time is how the manager knows that READY=1 of before is not the answer. On Linux hrtime is CLOCK_MONOTONIC.
    reloading: () => tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => tell('STOPPING=1'),
    status: (text) => tell(`STATUS=${text.replaceAll('\n', ' ')}`),
    watch(isAlive) {
      if (watchdogMs === undefined) return { stop() {} };
      // Who cannot say so has nothing to add: the manager acts on silence.
      const ask = (): void =>
        void isAlive().then(
          () => tell('WATCHDOG=1'),
          () => {},
        );
      const timer = setInterval(ask, watchdogMs / 2);
      return { stop: () => clearInterval(timer) };
    },
  };
}
