/**
 * What workers post about connections that were lent to them or that they have accepted: connections that come back, new
 * ones, and requests that become the front's. Bytes that come with a connection are kept as arrivals, which the front
 * handles when the mailbox is read: handling them at once would start requests in the middle of a message.
 */
import type { LentRequest } from '../../channel/lending.js';
import type { Pool } from '../../pool/pool.js';
import type { Answers } from '../answers/answers.js';
import { type Lending, lacksStates } from '../lending/lending.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { WorkerLink } from '../model/worker-link.js';
import type { WorkerTable } from './worker-table.js';

/** Bytes that a worker has read from a connection which is the front's now. */
export interface Arrival {
  readonly connection: FrontConnection;
  readonly bytes: Uint8Array;
}

/** What the front does about them. */
export interface LentRequestsOwner {
  connection(id: number): FrontConnection | undefined;
  /** A worker runs a request already: its records are these bytes. */
  adopt(connection: FrontConnection, request: number, bytes: Uint8Array, nowMs: number): FrontRequest;
  /** The connection of a request was closed before the front knew of the request. */
  lose(request: FrontRequest): void;
}

export class LentRequests {
  readonly #workers: WorkerTable;
  readonly #lending: Lending;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  readonly #owner: LentRequestsOwner;
  readonly #arrivals: Arrival[] = [];

  constructor(
    workers: WorkerTable,
    lending: Lending,
    pool: Pool<FrontRequest>,
    answers: Answers,
    owner: LentRequestsOwner,
  ) {
    this.#workers = workers;
    this.#lending = lending;
    this.#pool = pool;
    this.#answers = answers;
    this.#owner = owner;
  }

  /** Whether `takeArrival` has any. */
  get hasArrivals(): boolean {
    return this.#arrivals.length > 0;
  }

  /** The oldest bytes that are not handled yet. */
  takeArrival(): Arrival | undefined {
    return this.#arrivals.shift();
  }

  /** The connection that a worker has named; it is new here if that has accepted it. */
  connectionOf(descriptor: number): FrontConnection {
    const id = this.#lending.connectionOf(descriptor);
    const connection = id === undefined ? undefined : this.#owner.connection(id);
    if (connection === undefined)
      throw new Error(`a worker has named descriptor ${descriptor}, which is no connection`);
    return connection;
  }

  /** The connection of a descriptor, unless the books have it elsewhere than with this worker. */
  ownedBy(worker: WorkerLink, descriptor: number): FrontConnection | undefined {
    const known = this.#lending.knownConnectionOf(descriptor);
    const isElsewhere = known !== undefined && this.#owner.connection(known)?.lentTo !== worker.lending;
    return isElsewhere ? undefined : this.connectionOf(descriptor);
  }

  /** A worker runs a request from a lent connection, and from now on that is one like all others. */
  promoted(worker: WorkerLink, lent: LentRequest, nowMs: number): void {
    const connection = this.connectionOf(lent.descriptor);
    worker.lending.lender.acknowledgeAccepted();
    this.#lending.returned(connection, worker, false);
    const arrivedMs = nowMs - (lent.ageMs ?? 0);
    const request = this.#owner.adopt(connection, lent.request, lent.bytes, arrivedMs);
    const waitsFor = lent.waitsFor ?? 0;
    if (waitsFor === 0) this.#lending.setServingDirect(worker, false);
    worker.lending.waitingStates.delete(lent.state);
    const state =
      waitsFor === 0
        ? this.#pool.begun(worker.id, lent.state, request.script, nowMs)
        : this.#pool.begunWaiting(worker.id, lent.state, request.script, nowMs);
    request.script = state.script;
    if (waitsFor === 0) this.#workers.beginOwn(worker, request, state, nowMs);
    else this.#workers.beginRun(worker, request, state, nowMs);
    if (waitsFor > 0) this.#workers.suspend(worker, request, waitsFor, nowMs);
    // It has waited for nothing.
    request.times.startedMs = arrivedMs;
    if (connection.isClosing) this.#owner.lose(request);
  }

  /**
   * A worker has accepted a connection, which is the front's from now on.
   * @param descriptor -1: accepting has failed
   * @param isAnswered the worker has answered a request on it
   * @param bytes what it has read since
   */
  accepted(worker: WorkerLink, descriptor: number, isAnswered: boolean, bytes: Uint8Array, nowMs: number): void {
    const { accepting } = this.#lending;
    if (descriptor < 0) accepting.noteFailure();
    else {
      const connection = this.connectionOf(descriptor);
      if (isAnswered) {
        // While the server stops, it has a moment for one more request.
        connection.hasAsked = !this.#answers.drain.isUnderWay;
        connection.isUsed = true;
      } else accepting.noteMiss(nowMs);
      this.#received(connection, bytes);
    }
    worker.lending.lender.acknowledgeAccepted();
  }

  /** A worker has given a connection back, with what it has read. @param lacksState only an idle state was lacking */
  returned(worker: WorkerLink, descriptor: number, bytes: Uint8Array, lacksState: boolean): void {
    const connection = this.connectionOf(descriptor);
    this.#lending.returned(connection, worker, bytes.length > 0 && !lacksState);
    // Where the front can make states, the next request finds one; where it cannot, one request in two comes this way for nothing.
    if (lacksState && lacksStates(this.#pool)) connection.loanBackoff = 1;
    this.#received(connection, bytes);
  }

  #received(connection: FrontConnection, bytes: Uint8Array): void {
    if (bytes.length === 0) this.#answers.settle(connection, false);
    else this.#arrivals.push({ connection, bytes: Buffer.from(bytes) });
  }

  /** Looks at what a worker does with its connections, and makes a long request of one of them the front's. */
  review(worker: WorkerLink, nowMs: number): void {
    if (this.#lending.review(worker, this.#answers.drain.isUnderWay, nowMs)) {
      const { lender } = worker.lending;
      const lent = lender.takeOver(() => worker.peek() === undefined);
      if (lent !== undefined) {
        try {
          this.promoted(worker, lent, nowMs);
          this.#lending.takeAllBack(worker);
        } finally {
          lender.release();
        }
      }
    }
    this.#workers.stopIfDone(worker);
  }
}
