/** The actions by which the front changes anything outside of its books, and the settings that it decides by. */
import type { RoleName } from '../../base/roles.js';
import type { StatusQuestion } from '../../cgi/status-path.js';
import type { InterruptRequest } from '../../channel/interrupts.js';
import type { Lender } from '../../channel/lending.js';
import type { LogLevel } from '../../channel/messages.js';
import type { Asked, LogSubject } from '../../logging/line.js';
import type { PoolCounts, PoolLimits } from '../../pool/pool.js';
import type { AccessEntry } from './access-record.js';

export type { StatusQuestion } from '../../cgi/status-path.js';
export type { LogSubject } from '../../logging/line.js';

/** One connection's socket, as its driver hands it to the front when it is opened. After its end all calls do nothing. */
export interface ConnectionPort {
  /** Without `linger`, `close` is done some time after the call; with it, the peer hears of the end at once. */
  readonly closesLater?: boolean;
  /** Sends bytes, which are valid during this call only. Returns how many bytes are not sent yet. */
  write(bytes: Uint8Array): number;
  /**
   * Closes when all is sent. With `linger` the peer may still be sending: what comes is read and dropped for a while,
   * since closing on unread bytes would reset the connection and could cost the peer its answer.
   */
  close(linger: boolean): void;
  /**
   * Lets what is not sent yet, and all that is written from now on, wait in a temporary file instead of in memory: it
   * then counts as unsent only until it is stored. Returns whether that can be had.
   */
  spool(): boolean;
  /** Closes at once, whatever waits to be sent. `connectionClosed` follows, not before this call returns. */
  destroy(): void;
  /** What waits to be sent, in memory and in a file. */
  outgoing(): Outgoing;
  /** Reads nothing until `resume`. */
  pause(): void;
  resume(): void;
}

/** All other actions of the front. */
/** How a Lua stack was come by. */
export interface StackSeen {
  /** The request waits for a result there. */
  readonly isWaiting: boolean;
  /** How often it was asked for until it came: code of C is at no place where the stack can be taken. */
  readonly times: number;
}

export interface FrontActions {
  /** Finds a script's file; answered with `scriptFound` or `scriptRefused`, at once or later. */
  lookUp(path: string, request: number): void;
  /** Interrupts a request that a worker runs; does nothing when it is over meanwhile. */
  interrupt(worker: number, request: number, reason: InterruptRequest): void;
  /** The front is done with a worker that hangs: its thread has to be ended and replaced. */
  abandon(worker: number, reason: string): void;
  /** A request runs slowly; reported once. */
  slow(record: SlowRequest): void;
  /** The Lua stack of a request that `askForStack` was called for. */
  stack?(request: string, traceback: string, seen: StackSeen): void;
  log(level: LogLevel, text: string, about?: LogSubject): void;
  /** A request that has an access record is over. */
  requestOver?(entry: AccessEntry): void;
  /** The status page (`statuspath`) as a CGI answer. It may ask the front for its snapshot. */
  renderStatus?(question: StatusQuestion): Uint8Array;
  /** Lines of the access log that workers have written are to be taken where many of them wait. */
  takeLines?(): void;
  /** Time has passed: collected log lines are to go out. */
  flushLogs?(): void;
  /** After `drain`: the last request is over. */
  drained(): void;
  /** Undefined where connections cannot be lent to workers. */
  readonly lending?: LendingDriver | undefined;
}

/** Lets workers read and write on connections by themselves (`channel/lending.ts`). */
export interface LendingDriver {
  /** Makes the epoll instance and the bell that the worker waits with. @returns false where they cannot be had */
  open(lender: Lender): boolean;
  /** Rings that bell. */
  ring(lender: Lender): void;
  /** The processor time of the worker's thread in milliseconds. Undefined, or left out: nobody knows. */
  cpuMsOf?(lender: Lender): number | undefined;
  /** The worker's thread has ended: closes both. */
  close(lender: Lender): void;
  /** From now on a connection is read and written by the worker alone. Returns false when it cannot be lent. */
  lend(connection: number, lender: Lender): boolean;
  /** It is the front's again; while the gate is held, or the worker has given it back. */
  takeBack(connection: number, lender: Lender): void;
  /** Whether requests came on a lent connection since this was last asked. */
  takeUse(connection: number, lender: Lender): boolean;
  /** The connection with this descriptor. */
  connectionOf(descriptor: number): number | undefined;
  /** A worker has accepted the connection with this descriptor: it is opened like all others. */
  openAccepted(descriptor: number): number;
  /** Accepts the connections that wait on shared listening sockets, or finds out why that cannot be done. */
  acceptWaiting(): void;
  /** Whether a worker may accept connections. */
  setAccepting(lender: Lender, mayAccept: boolean): void;
  /** Whether the front accepts: on sockets that it shares with workers it does so only while no worker does. */
  setFrontAccepting(isAccepting: boolean): void;
}

/** How far a connection's output has come. */
export interface Outgoing {
  /** Bytes that the system has taken in all: they grow while the client reads. */
  readonly takenBytes: number;
  /** Bytes that wait in memory. */
  readonly memoryBytes: number;
  /** More may wait in a file. */
  readonly isSpooled: boolean;
  readonly isWaiting: boolean;
}

/** A request that has run for the time of `slowtime`. */
export interface SlowRequest {
  readonly request: string;
  readonly script: string;
  readonly state: number | undefined;
  /** The worker's place. */
  readonly worker: number | undefined;
  readonly role: RoleName;
  readonly runningMs: number;
  /** How long it had waited for a state. */
  readonly queuedMs: number;
  readonly asked: Asked;
  /** The Lua stack; undefined where it could not be taken. */
  readonly traceback: string | undefined;
}

export interface FrontOptions {
  readonly pool: PoolLimits;
  readonly maxPostBytes: number;
  /** Body bytes kept here before a worker takes over. */
  readonly bodyMemoryBytes: number;
  /** Unsent bytes of a connection past which a script that writes more has to wait. */
  readonly sendBufferBytes: number;
  /** Most connections at once. */
  readonly connectionLimit: number;
  /** Most bytes of parameters and bodies of all requests that no worker runs. */
  readonly bodyTotalBytes: number;
  /** Most bytes that wait in memory to be sent, over all connections. */
  readonly sendTotalBytes: number;
  readonly idleTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly sendTimeoutMs: number;
  readonly queueTimeoutMs: number;
  /** The time after which a request is stopped, whatever it did meanwhile; 0: never. */
  readonly requestTimeMs: number;
  /** The running time after which a script is stopped, unless it sets another; 0: never. */
  readonly watchdogMs: number;
  /** The running time that a script may give itself in all; 0: as much as it wants. */
  readonly watchdogMaxMs: number;
  /** The running time after which a request is reported by `slow`; 0: never. */
  readonly slowTimeMs: number;
  /** Whether a script is stopped when its client has gone, unless it sets that itself. */
  readonly onAbort: 'finish' | 'stop';
  /** How a request is turned away: with a page of status 503, or with the protocol's OVERLOADED (section 5.5). */
  readonly overload: 'page' | 'protocol';
  readonly showErrors: boolean;
  /** The SCRIPT_NAME of the status page, one character per byte; undefined: there is none. */
  readonly statusPath?: string | undefined;
  /** The script that answers the requests of Authorizers, one character per byte; undefined: the file that is asked for. */
  readonly authScript?: string | undefined;
  /** The same of Filters. */
  readonly filterScript?: string | undefined;
  /** Whether there is an access log, which has a line for each request. */
  readonly tracesRequests?: boolean;
  /** Begins the name of every request, so that names of different runs differ in the log. */
  readonly runName: string;
}

/** How much there is of everything. */
export interface FrontCounts extends PoolCounts {
  readonly connections: number;
  readonly requests: number;
  /** Memory of requests that no worker runs, and of those that run. */
  readonly requestBytes: number;
  readonly runningBytes: number;
  /** Memory of unsent answers. */
  readonly unsentBytes: number;
}
