/**
 * The connections that were lent to this worker (`channel/lending.ts`), and new ones that it may accept: reads what comes
 * on them and runs what is one whole request for a script that it has a route for. All else goes to the front, with what
 * was read.
 */

import { NOTHING } from '../../base/bytes.js';
import { LuafcgidError } from '../../base/errors.js';
import { type CgiRequest, parseRequest } from '../../cgi/request.js';
import { asksForStatus } from '../../cgi/status-path.js';
import { type Borrower, LentMark } from '../../channel/lending.js';
import type { RingReader } from '../../channel/ring.js';
import { findWholeRequest, Role, type WholeRequest } from '../../fcgi/session.js';
import { type DirectSocketCalls, FAILED, readNow, sendNow, TRY_LATER } from '../../linux/socket-calls.js';
import type { Outbox } from '../outbox.js';
import type { SocketService } from '../reactor.js';
import type { ReadyEvents } from '../ready-events.js';
import type { RequestOutlet } from '../request-channels.js';
import type { RunStart } from '../run.js';
import { Acceptor, NO_CONNECTION } from './acceptor.js';
import type { AccessLines } from './access-lines.js';
import { DirectAnswer } from './answer.js';
import type { Origin } from './origin.js';
import { Routes } from './routes.js';
import { ServedCounts } from './served-counts.js';
import { WaitingRequests } from './waiting-requests.js';
import { WholeBody } from './whole-body.js';

/** The system's calls that it needs, and a clock in milliseconds; tests put their own in the place of the kernel's. */
export interface DirectCalls {
  readonly sockets: DirectSocketCalls;
  readonly nowMs: () => number;
  /** Stops the ringing of the bell that wakes this worker where it waits for sockets. */
  readonly clearBell: (descriptor: number) => void;
}

/** What it says to the front. */
export type DirectOutbox = RequestOutlet &
  Pick<Outbox, 'accepted' | 'closeWhenSent' | 'freed' | 'promoted' | 'rest' | 'returned' | 'served'>;

export interface DirectServerParts {
  readonly calls: DirectCalls;
  readonly borrower: Borrower;
  readonly events: ReadyEvents;
  readonly ring: Pick<RingReader, 'hasFrame'>;
  readonly outbox: DirectOutbox;
  /** Wakes the front. */
  readonly ringBell: () => void;
  /** Requests are numbered from here on. */
  readonly firstRequest: number;
  readonly maxPostBytes: number;
  /** The time that a request may take in all; 0: as long as it wants. */
  readonly requestTimeMs: number;
  /** SCRIPT_NAME of requests that the front answers by itself; undefined: there are none. */
  readonly statusPath: string | undefined;
  /** Whether a state is there, and no request executes or waits in it. */
  readonly isIdle: (state: number) => boolean;
  /** Whether a state is there. */
  readonly hasState: (state: number) => boolean;
  /** Called for each connection that was accepted, served and closed here, without the front. Left out: nobody counts. */
  readonly ownConnectionClosed?: () => void;
  /** Has a line for each request; undefined: there is no access log. */
  readonly access?: AccessLines | undefined;
  readonly run: (start: RunStart) => void;
}

/** Tries to get at the gate before it is waited for. */
const MAX_TRIES = 100;
/** Numbers of requests before they begin anew. */
const REQUEST_NUMBERS = 1 << 20;

export class DirectServer implements SocketService {
  readonly #parts: DirectServerParts;
  readonly #borrower: Borrower;
  readonly #events: ReadyEvents;
  readonly #answer: DirectAnswer;
  readonly #acceptor: Acceptor;
  readonly #served: ServedCounts;
  readonly #body = new WholeBody();
  readonly #waiting: WaitingRequests;
  readonly #routes: Routes;
  /** Events are of this epoch: they hold as long as no connection was taken back since. */
  #recallEpoch = 0;
  #tries = 0;
  /** What was read last was a request for a script all of whose states are busy. */
  #lacksState = false;
  #requests = 0;

  constructor(parts: DirectServerParts) {
    const { borrower, calls, events, outbox, ringBell } = parts;
    this.#parts = parts;
    this.#borrower = borrower;
    this.#events = events;
    this.#served = new ServedCounts(outbox, ringBell);
    this.#routes = new Routes(borrower, parts);
    const stopWatching = (descriptor: number): void => events.stopWatching(descriptor);
    const { nowMs } = calls;
    const { requestTimeMs } = parts;
    this.#waiting = new WaitingRequests({ borrower, outbox, nowMs, requestTimeMs, ringBell, stopWatching });
    this.#answer = new DirectAnswer(
      borrower,
      outbox,
      { send: (origin, records, startedMs) => this.#send(origin, records, startedMs), stopWatching },
      this.#waiting,
      nowMs,
      parts.access,
    );
    this.#acceptor = new Acceptor({
      borrower,
      events,
      outbox,
      sockets: calls.sockets,
      tellServed: () => this.#served.tell(calls.nowMs()),
      closed: () => parts.ownConnectionClosed?.(),
      serveWhole: (descriptor, bytes) => this.#serveWhole(descriptor, bytes, true),
    });
  }

  get isOpen(): boolean {
    const borrower = this.#borrower;
    return (borrower.lent > 0 || borrower.listeners > 0) && !borrower.isWanted && !borrower.isShut;
  }

  get isNeeded(): boolean {
    return this.#borrower.isWanted;
  }

  /**
   * Requests for this script name may be run in this state.
   * @param epoch of the routes when the front said so: what it says of another epoch does not hold any more
   */
  addRoute(name: string, state: number, epoch: number): void {
    this.#routes.add(name, state, epoch);
  }

  get nextMs(): number | undefined {
    return this.#waiting.nextMs;
  }

  review(): void {
    this.#waiting.promoteOverdue();
  }

  /** The front is to know of the request that waits in this state, if one does. */
  promoteIn(state: number): void {
    this.#waiting.promoteIn(state);
  }

  beforeWait(): void {
    this.#recallEpoch = this.#borrower.recalls;
    this.#served.tellIfDue(this.#parts.calls.nowMs);
  }

  serve(): void {
    const { fd, mark } = this.#events;
    if (mark === LentMark.BELL) return this.#parts.calls.clearBell(fd);
    this.#visit(fd, mark === LentMark.LISTENER);
  }

  #visit(descriptor: number, isListener: boolean): void {
    const borrower = this.#borrower;
    // A listening socket is no connection that could be lost.
    if (!borrower.begin(isListener ? NO_CONNECTION : descriptor)) {
      // The front holds the gate, for a few microseconds.
      this.#events.putBack();
      this.#tries += 1;
      if (this.#tries > MAX_TRIES) borrower.waitForGate();
      return;
    }
    this.#tries = 0;
    if (borrower.recalls !== this.#recallEpoch) {
      this.#events.drop();
      return borrower.leave();
    }
    // Behind the gate: what the front wrote while it held that is seen here.
    if (borrower.isWanted || this.#parts.ring.hasFrame) {
      this.#events.putBack();
      return borrower.leave();
    }
    if (isListener) return this.#acceptor.accept(descriptor);
    if (this.#waiting.promoteAt(descriptor)) return;
    const count = readNow(this.#parts.calls.sockets, descriptor, borrower.bytes);
    if (count === TRY_LATER) return borrower.leave();
    const bytes = borrower.bytes.subarray(0, Math.max(0, count));
    if (!this.#serveWhole(descriptor, bytes, false)) this.#giveBack(descriptor, bytes, this.#lacksState);
  }

  /** Runs the request that the bytes are. Returns false when they are none for this worker. */
  #serveWhole(descriptor: number, bytes: Uint8Array, isNew: boolean): boolean {
    const request = findWholeRequest(bytes);
    this.#lacksState = false;
    if (request === undefined || !(isNew || request.keepsConnection)) return false;
    const cgi = this.#understand(request);
    const state = cgi === undefined ? undefined : this.#routes.stateFor(cgi.scriptPath);
    this.#lacksState = cgi !== undefined && state === undefined && this.#routes.has(cgi.scriptPath);
    if (cgi === undefined || state === undefined) return false;
    const { requestId: fcgiId, keepsConnection, bodyBytes } = request;
    this.#requests = (this.#requests + 1) % REQUEST_NUMBERS;
    const id = this.#parts.firstRequest + this.#requests;
    const beganMs = this.#parts.calls.nowMs();
    const read = { descriptor, isNew, keepsConnection, fcgiId, state, bytes, cgi, bodyBytes };
    this.#run(request, { id, beganMs, isKnown: false, isCopied: false, ...read });
    return true;
  }

  #run(request: WholeRequest, origin: Origin): void {
    const borrower = this.#borrower;
    const { cgi, id } = origin;
    this.#body.begin(request.body);
    this.#answer.begin(origin);
    borrower.run(id, origin.state, origin.bytes.length);
    if (borrower.askToWatch()) this.#parts.ringBell();
    this.#parts.run({
      id,
      stateId: origin.state,
      createdFrom: undefined,
      retiresState: false,
      params: cgi.params,
      role: Role.RESPONDER,
      isDirect: true,
      isHead: cgi.method === 'HEAD',
      inlet: this.#body,
      outlet: this.#answer,
    });
  }

  #understand(request: WholeRequest): CgiRequest | undefined {
    const { statusPath, maxPostBytes } = this.#parts;
    try {
      if (statusPath !== undefined && asksForStatus(request.params, statusPath)) return undefined;
      const cgi = parseRequest(request.params);
      const isWhole = cgi.contentLength === undefined || cgi.contentLength === request.bodyBytes;
      return isWhole && request.bodyBytes <= maxPostBytes ? cgi : undefined;
    } catch (error) {
      // The front knows what to answer.
      if (error instanceof LuafcgidError) return undefined;
      throw error;
    }
  }

  /** Sends the answer of a request that ran here to its end. */
  #send(origin: Origin, records: Uint8Array, startedMs: number): void {
    const { calls, outbox } = this.#parts;
    // Before the gate is open: the front must not take the state's next request for this one.
    if (origin.isKnown) outbox.freed(origin.state, calls.nowMs() - startedMs);
    const nowMs = calls.nowMs();
    // Whoever the answer wakes may take this thread's processor.
    this.#deliver(origin, records);
    this.#served.note(origin.state, nowMs - startedMs, nowMs);
  }

  /** What the system does not take at once the front sends. The gate is ANSWERING, and open afterwards. */
  #deliver({ descriptor, isNew, keepsConnection }: Origin, records: Uint8Array): void {
    const borrower = this.#borrower;
    const { calls, outbox } = this.#parts;
    const sent = sendNow(calls.sockets, descriptor, records);
    if (sent === FAILED) {
      // Its client is gone, which the front will find out of those connections that it knows.
      return isNew ? this.#acceptor.close(descriptor) : this.#giveBack(descriptor, NOTHING);
    }
    const isSent = sent === records.length;
    if (isNew) {
      if (isSent && !keepsConnection) return this.#acceptor.close(descriptor);
      outbox.accepted(descriptor, true, NOTHING);
      outbox.rest(descriptor, records.subarray(sent));
      if (!keepsConnection) outbox.closeWhenSent(descriptor);
      return borrower.leave();
    }
    borrower.noteUse(descriptor);
    if (!isSent) {
      this.#events.stopWatching(descriptor);
      outbox.rest(descriptor, records.subarray(sent));
      outbox.returned(descriptor, NOTHING);
    }
    borrower.leave();
  }

  /** Gives a connection back to the front. The gate is open afterwards. @param bytes what was read from it */
  #giveBack(descriptor: number, bytes: Uint8Array, lacksState = false): void {
    this.#events.stopWatching(descriptor);
    this.#parts.outbox.returned(descriptor, bytes, lacksState);
    this.#borrower.leave();
  }
}
