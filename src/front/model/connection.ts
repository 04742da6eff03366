/** One connection of a web server: its FastCGI session, its requests, and what may be read and written on it. */

import type { Lender } from '../../channel/lending.js';
import {
  type Meter,
  RequestTable,
  type Role,
  ServerSession,
  type ServerValues,
  type SessionEvents,
} from '../../fcgi/session.js';
import type { ConnectionPort, FrontOptions, Outgoing } from './actions.js';

/**
 * The output of scripts stops at the send buffer; replies of the protocol and refusals may pass it by so many bytes. Up to
 * there the connection is read on, so that an ABORT_REQUEST is seen while a script waits for the peer to read.
 */
const UNREAD_BYTES = 1024 * 1024;

/** A request, as far as its connection looks at it. */
export interface ReceivingRequest {
  readonly body: { readonly bufferedBytes: number };
  /** What still comes to it. */
  readonly arriving: { readonly bufferedBytes: number; readonly extraBytes: number } | undefined;
}

/** Handles what the bytes of connections mean. One for all, since many connections live for one request only. */
export interface ConnectionOwner<Request extends ReceivingRequest> {
  begin(connection: Connection<Request>, fcgiId: number, role: Role, params: Uint8Array): void;
  receiveBody(connection: Connection<Request>, fcgiId: number, bytes: Uint8Array): void;
  endBody(connection: Connection<Request>, fcgiId: number): void;
  receiveData(connection: Connection<Request>, fcgiId: number, bytes: Uint8Array): void;
  endData(connection: Connection<Request>, fcgiId: number): void;
  abort(connection: Connection<Request>, fcgiId: number): void;
  refuseParams(connection: Connection<Request>, fcgiId: number, limitBytes: number): void;
  /** A request for a role that does not exist was refused. */
  refuseRole(role: number): void;
}

/** The connections that one worker was lent. */
export interface Loans<Lent> {
  readonly lender: Lender;
  readonly connections: Set<Lent>;
}

/** The memory that all connections share. */
export interface Meters {
  /** Parameters and bodies of requests that no worker runs. */
  readonly requests: Meter;
  /** The same of those that run: one for each worker. */
  readonly running: Meter;
  /** Answers that wait to be sent. */
  readonly unsent: Meter;
}

/** How a connection has behaved, in the time of `timeouts.ts`; -1: not at all so far. */
export interface Watch {
  /** Since when it has had no request and nothing to send. */
  idleSinceMs: number;
  /** Looks in a row that found a request or record of it incomplete, and none complete. */
  halfLooks: number;
  /** How much longer it may be late with the rest of a record. */
  recordLeftMs: number;
  /** How many of `receivedBytes` were credited to the client. */
  judgedBytes: number;
  /** Since when its client has read nothing, though something waits for it. */
  stuckSinceMs: number;
  /** Bytes that its client had read by then. */
  takenBytes: number;
}

export class Connection<Request extends ReceivingRequest> implements SessionEvents {
  readonly id: number;
  readonly session: ServerSession;
  /** Requests that are not answered yet, by their id on this connection. */
  readonly requests = new RequestTable<Request>();
  /** Requests that the bytes just read have changed, to be looked at when all of those are read. */
  readonly changed: Request[] = [];
  /** A request has come on it. */
  hasAsked = false;
  /** The peer will send nothing more. */
  isReadEnded = false;
  /** The peer has sent its last byte. The bytes before it are still to be read: no more than the system's buffers hold. */
  isEnding = false;
  /** Bytes that have arrived in all. */
  receivedBytes = 0;
  /** A request has begun since this was last looked at. */
  isUsed = false;
  /** Its answers go through a file: `unsentBytes` counts only the part that waits in memory. */
  isSpooled = false;
  /** Its client was late with a request: it is closed when its requests are answered. */
  isOverdue = false;
  /** Where it is listed while a worker has it: the front neither reads nor writes it meanwhile. */
  lentTo: Loans<Connection<Request>> | undefined;
  /** `routesEpoch` of its worker when it was lent. */
  lentRoutesEpoch = 0;
  /** Loans in a row that its worker could do nothing with, and the requests to pass before the next one. */
  loanMisses = 0;
  loanBackoff = 0;
  /** The notes of `timeouts.ts`; undefined before its first look. */
  watch: Watch | undefined;
  readonly #port: ConnectionPort;
  readonly #owner: ConnectionOwner<Request>;
  readonly #meters: Meters;
  #unsentBytes = 0;
  #spoolingBytes = 0;
  #isPaused = false;
  #isClosing = false;

  constructor(id: number, port: ConnectionPort, values: ServerValues, owner: ConnectionOwner<Request>, meters: Meters) {
    this.id = id;
    this.#port = port;
    this.#owner = owner;
    this.#meters = meters;
    this.session = new ServerSession(values, this, meters.requests);
  }

  /** Bytes written and not yet sent, as far as they wait in memory. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  set unsentBytes(bytes: number) {
    this.#meters.unsent.bytes += bytes - this.#unsentBytes;
    this.#unsentBytes = bytes;
  }

  /**
   * From now on its answers go through a file. Unsent bytes in memory stay there and count, but hold no script back.
   * @returns false when no file can be had
   */
  startSpooling(): boolean {
    if (!this.#port.spool()) return false;
    this.isSpooled = true;
    this.spoolingBytes = this.#unsentBytes;
    this.unsentBytes = 0;
    return true;
  }

  /** Bytes in memory on their way to or from the file, besides `unsentBytes`. */
  set spoolingBytes(bytes: number) {
    this.#meters.unsent.bytes += bytes - this.#spoolingBytes;
    this.#spoolingBytes = bytes;
  }

  /** All that waits in memory to be sent. */
  get waitingBytes(): number {
    return this.#unsentBytes + this.#spoolingBytes;
  }

  onRequest(fcgiId: number, role: Role, params: Uint8Array): void {
    this.hasAsked = true;
    this.#owner.begin(this, fcgiId, role, params);
  }

  onBody(fcgiId: number, bytes: Uint8Array): void {
    this.#owner.receiveBody(this, fcgiId, bytes);
  }

  onBodyEnd(fcgiId: number): void {
    this.#owner.endBody(this, fcgiId);
  }

  onData(fcgiId: number, bytes: Uint8Array): void {
    this.#owner.receiveData(this, fcgiId, bytes);
  }

  onDataEnd(fcgiId: number): void {
    this.#owner.endData(this, fcgiId);
  }

  onAbort(fcgiId: number): void {
    this.#owner.abort(this, fcgiId);
  }

  onUnknownRole(_fcgiId: number, role: number): void {
    this.hasAsked = true;
    this.#owner.refuseRole(role);
  }

  onParamsTooLarge(fcgiId: number, limitBytes: number): void {
    this.hasAsked = true;
    this.#owner.refuseParams(this, fcgiId, limitBytes);
  }

  onReply(bytes: Uint8Array): void {
    this.write(bytes);
  }

  /** It is closed, or will be when all is sent: nothing is read or written any more. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  write(bytes: Uint8Array): void {
    if (!this.#isClosing) this.unsentBytes = this.#port.write(bytes);
  }

  /** @param linger the peer may still be sending, see `ConnectionPort.close` */
  close(linger: boolean): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.session.end();
    this.#port.close(linger);
  }

  /** Closes it at once, whatever waits to be sent. */
  destroy(): void {
    this.markClosed();
    this.#port.destroy();
  }

  /** The driver has closed it. */
  markClosed(): void {
    this.#isClosing = true;
    this.session.end();
    this.unsentBytes = 0;
    this.spoolingBytes = 0;
  }

  /** How far its output has come. */
  outgoing(): Outgoing {
    return this.#port.outgoing();
  }

  /** Whether it has no request, and nothing of one is on its way in or out. */
  get isIdle(): boolean {
    return this.session.openRequests === 0 && !this.session.isInsideRecord && !this.isSending;
  }

  /** Whether it can be lent: its web server will keep it, and nothing at all is under way on it. */
  get isLendable(): boolean {
    if (this.#isClosing || this.#isPaused || this.isReadEnded || this.isEnding || this.isOverdue) return false;
    return this.lentTo === undefined && this.isIdle && this.session.keepsConnection;
  }

  /** Whether something waits to be sent. */
  get isSending(): boolean {
    return this.#unsentBytes > 0 || this.isSpooled;
  }

  /** It is not read for now. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Closes it if nothing more will happen on it. */
  closeIfDone(isDraining: boolean, linger: boolean): void {
    if (this.lentTo !== undefined) return;
    const isIdle = this.session.openRequests === 0;
    const isAnswered = this.requests.size === 0;
    if (this.session.isDone || (isIdle && (isDraining || this.isOverdue)) || (this.isReadEnded && isAnswered)) {
      // A descriptor that is closed some milliseconds after the last answer could take one more request, and lose it.
      const endsAtOnce = isDraining && this.#port.closesLater === true;
      this.close((linger || endsAtOnce) && !this.isReadEnded);
    }
  }

  /**
   * Reads on only while no request has `bodyMemoryBytes` of its body waiting here (where it may have none, one byte), and
   * while answers that the peer does not read do not pile up: it must not make the server write ever more.
   */
  regulateReading(limits: Pick<FrontOptions, 'bodyMemoryBytes' | 'sendBufferBytes' | 'sendTotalBytes'>): void {
    if (this.#isClosing) return;
    const unsentBytes = this.#unsentBytes;
    let isFull = unsentBytes > limits.sendBufferBytes + UNREAD_BYTES;
    if (unsentBytes > 0 && this.#meters.unsent.bytes > limits.sendTotalBytes) isFull = true;
    if (!this.isEnding && this.requests.size > 0) {
      for (const { arriving } of this.requests.values()) {
        if (arriving === undefined || arriving.bufferedBytes === 0) continue;
        if (arriving.bufferedBytes >= limits.bodyMemoryBytes + arriving.extraBytes) isFull = true;
      }
    }
    if (isFull === this.#isPaused) return;
    this.#isPaused = isFull;
    if (isFull) this.#port.pause();
    else this.#port.resume();
  }
}
