/** One connection of a web server: its FastCGI session, its requests, and what may be read and written on it. */
import { RequestTable, ServerSession, type ServerValues, type SessionEvents } from '../fcgi/session.js';
import type { FrontActions, FrontOptions } from './actions.js';
import type { FrontRequest } from './request.js';

/**
 * What a peer may leave unread past the send buffer, where the output of scripts stops by itself: replies of the protocol
 * and refusals. Up to there it is read on, so that an ABORT_REQUEST is heard while a script waits for the peer to read.
 */
const UNREAD_BYTES = 1024 * 1024;

const NONE: readonly FrontRequest[] = [];

/** Whom connections tell what their bytes mean. One for all, since many connections live for one request only. */
export interface ConnectionOwner {
  begin(connection: Connection, fcgiId: number, params: Uint8Array): void;
  takeBody(connection: Connection, fcgiId: number, bytes: Uint8Array): void;
  endBody(connection: Connection, fcgiId: number): void;
  abort(connection: Connection, fcgiId: number): void;
  refuseParams(connection: Connection, fcgiId: number, limitBytes: number): void;
}

export class Connection implements SessionEvents {
  readonly id: number;
  readonly session: ServerSession;
  /** Requests that are not answered yet, by their id on this connection. */
  readonly requests = new RequestTable<FrontRequest>();
  /** Requests that the bytes just read have changed, to be looked at when all of those are read. */
  readonly changed: FrontRequest[] = [];
  /** A request has come on it. */
  hasAsked = false;
  /** The peer will send nothing more. */
  isReadEnded = false;
  /** Bytes written and not yet sent. */
  unsentBytes = 0;
  readonly #actions: FrontActions;
  readonly #owner: ConnectionOwner;
  #isPaused = false;
  #isClosing = false;

  constructor(id: number, actions: FrontActions, values: ServerValues, owner: ConnectionOwner) {
    this.id = id;
    this.#actions = actions;
    this.#owner = owner;
    this.session = new ServerSession(values, this);
  }

  onRequest(fcgiId: number, params: Uint8Array): void {
    this.hasAsked = true;
    this.#owner.begin(this, fcgiId, params);
  }

  onBody(fcgiId: number, bytes: Uint8Array): void {
    this.#owner.takeBody(this, fcgiId, bytes);
  }

  onBodyEnd(fcgiId: number): void {
    this.#owner.endBody(this, fcgiId);
  }

  onAbort(fcgiId: number): void {
    this.#owner.abort(this, fcgiId);
  }

  onParamsTooLarge(fcgiId: number, limitBytes: number): void {
    this.hasAsked = true;
    this.#owner.refuseParams(this, fcgiId, limitBytes);
  }

  onReply(bytes: Uint8Array): void {
    this.write(bytes);
  }

  /** Closed, or about to be when what was written is sent: nothing is read or written any more. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  write(bytes: Uint8Array): void {
    if (!this.#isClosing) this.unsentBytes = this.#actions.write(this.id, bytes);
  }

  /** @param linger the peer may still be sending, see `FrontActions.close` */
  close(linger: boolean): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#actions.close(this.id, linger);
  }

  /** The driver has closed it. */
  markClosed(): void {
    this.#isClosing = true;
  }

  /** Closes it if nothing more will happen on it. */
  closeIfDone(isDraining: boolean, linger: boolean): void {
    const isIdle = this.session.openRequests === 0;
    const isAnswered = this.requests.size === 0;
    if (this.session.isDone || (isIdle && isDraining) || (this.isReadEnded && isAnswered)) {
      this.close(linger && !this.isReadEnded);
    }
  }

  /**
   * Reads on only while no request has `bodyMemoryBytes` of its body waiting here (where it may have none, one byte), and
   * while answers that the peer does not read do not pile up: it must not make the server write ever more.
   */
  regulateReading(limits: Pick<FrontOptions, 'bodyMemoryBytes' | 'sendBufferBytes'>): void {
    if (this.#isClosing) return;
    let isFull = this.unsentBytes > limits.sendBufferBytes + UNREAD_BYTES;
    for (const { bufferedBytes, isBodyComplete } of this.requests.size === 0 ? NONE : this.requests.values()) {
      if (bufferedBytes > 0 && bufferedBytes >= limits.bodyMemoryBytes && !isBodyComplete) isFull = true;
    }
    if (isFull === this.#isPaused) return;
    this.#isPaused = isFull;
    if (isFull) this.#actions.pauseReading(this.id);
    else this.#actions.resumeReading(this.id);
  }
}
