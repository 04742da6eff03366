/**
 * Gives waiting requests to the workers that are free, and hands bodies on. What workers post is read by the mailbox,
 * their failures are handled by `worker-failure.ts`. A part of the front's core, as pure as that.
 */
import { NOTHING } from '../../base/bytes.js';
import { LuafcgidError } from '../../base/errors.js';
import {
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_RETIRE,
  START_WHOLE_BODY,
  ToWorker,
} from '../../channel/messages.js';
import { type Assignment, LONG_MS, type Pool, type PoolState } from '../../pool/pool.js';
import type { Answers } from '../answers/answers.js';
import { Lending } from '../lending/lending.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Tally } from '../model/tally.js';
import type { WorkerLink } from '../model/worker-link.js';
import { type Arrival, LentRequests, type LentRequestsOwner } from './lent-requests.js';
import { Mailbox } from './mailbox.js';
import { WorkerFailure } from './worker-failure.js';
import { WorkerTable } from './worker-table.js';

/** States of one worker that collect garbage in one sweep: few, since a request that comes meanwhile has to wait. */
const COLLECTED_PER_SWEEP = 4;

/** A request that a busy worker can begin within this time is given to that one: waking another one takes longer. */
const AT_ONCE_MS = 0.05;

/** A request waits this long for a worker that has its script's state and is at duties; after that others serve it. */
const AWAY_MS = 20;

/** What all connections have to share. */
export interface SharedRoom {
  readonly meters: Meters;
  readonly tally: Tally;
  /** Whether more output may be written. */
  hasSendRoom(): boolean;
  /** Whether so many connections more may be open. */
  hasConnectionRoom(count: number): boolean;
}

/** What the front does about connections that were lent. */
export interface DispatcherOwner extends LentRequestsOwner {
  /** The file that a script path leads to now, as far as that is known. */
  fileOf(path: string): string | undefined;
}

export class Dispatcher {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  readonly #room: SharedRoom;
  readonly #workers: WorkerTable;
  readonly #lending: Lending;
  readonly #lentRequests: LentRequests;
  readonly #mailbox: Mailbox;
  readonly #failure: WorkerFailure;
  /** Workers that were given short requests and not woken for them yet. */
  readonly #toWake = new Set<WorkerLink>();
  /** Some request was refused for want of a state since the last look at held workers. */
  #hasTurnedAway = false;

  /** @param requests all that are not over, by number */
  constructor(
    options: FrontOptions,
    actions: FrontActions,
    pool: Pool<FrontRequest>,
    answers: Answers,
    requests: ReadonlyMap<number, FrontRequest>,
    room: SharedRoom,
    owner: DispatcherOwner,
  ) {
    const { tally } = room;
    this.#options = options;
    this.#actions = actions;
    this.#pool = pool;
    this.#answers = answers;
    this.#room = room;
    const { meters } = room;
    const workers = new WorkerTable(options, actions, pool, meters, tally);
    const lending = new Lending(actions, pool, {
      recalled: (connection) => answers.settle(connection, false),
      fileOf: (path) => owner.fileOf(path),
    });
    const lentRequests = new LentRequests(workers, lending, pool, answers, owner);
    const mailbox = new Mailbox(
      { options, actions, pool, answers, workers, lending, lentRequests, requests, tally },
      {
        startWaiting: (nowMs) => this.startWaiting(nowMs),
        beginOffered: (worker, nowMs) => this.#beginOffered(worker, nowMs),
        hasSendRoom: () => room.hasSendRoom(),
      },
    );
    this.#failure = new WorkerFailure(
      { options, actions, pool, answers, meters, workers, lending, lentRequests, mailbox },
      (worker, nowMs) => {
        this.#toWake.delete(worker);
        this.startWaiting(nowMs);
      },
    );
    this.#workers = workers;
    this.#lending = lending;
    this.#lentRequests = lentRequests;
    this.#mailbox = mailbox;
  }

  /** All workers. */
  get workers(): Iterable<WorkerLink> {
    return this.#workers;
  }

  /** Requests that workers run. */
  get runCount(): number {
    let count = 0;
    for (const { runs } of this.#workers) count += runs.size;
    return count;
  }

  // ---- workers come and go -----------------------------------------------------------------------------------------

  /** A worker is ready. `index` is its place among the workers. */
  ready(link: WorkerLink, index: number, nowMs: number): void {
    link.place = index;
    this.#workers.add(link);
    this.#lending.workerReady(link);
    this.#pool.addWorker(link.id, index);
    this.startWaiting(nowMs);
  }

  /** These workers are to end when they have done what they have begun with; others take their places. */
  retire(ids: readonly number[], nowMs: number): void {
    for (const id of ids) {
      const worker = this.#workers.get(id);
      if (worker === undefined) continue;
      worker.isRetired = true;
      this.#workers.reviewOccupied(worker);
      this.#lentRequests.review(worker, nowMs);
      this.#pool.retireWorker(id);
      this.#workers.stopIfDone(worker);
    }
    this.startWaiting(nowMs);
  }

  /** All workers are told to end when they have done what they were given. */
  stop(): void {
    for (const worker of this.#workers) worker.send(ToWorker.STOP, 0, 0);
  }

  /** A worker's thread has ended. Its request is answered, its states are gone. */
  gone(id: number, reason: string, nowMs: number): void {
    this.#failure.gone(id, reason, nowMs);
  }

  /** The thread of a worker that was given up has ended. */
  threadEnded(id: number): void {
    this.#failure.threadEnded(id);
  }

  /** Looks at the time that requests have run. To be called every so often. */
  watch(nowMs: number): void {
    this.#room.tally.tick(nowMs);
    this.#failure.watch(nowMs);
  }

  /** Time has passed: accepts the connections that workers have not accepted. */
  acceptLeft(): void {
    this.#lending.accepting.tick();
  }

  /** Asks for the Lua stack of a request. @returns whether a worker has it */
  askForStack(request: FrontRequest): boolean {
    return this.#workers.askForStack(request);
  }

  /** The client of a request has gone, or does not want the answer any more. */
  clientGone(request: FrontRequest): void {
    this.#workers.clientGone(request);
  }

  // ---- what workers post -------------------------------------------------------------------------------------------

  /**
   * Some worker has written to its ring, or made room in the other one. To be called again as long as it returns true.
   * Afterwards there may be arrivals.
   * @returns whether any had posted something: there may be more, which is read at the next call
   */
  poll(nowMs: number): boolean {
    let hasRead = false;
    this.#actions.takeLines?.();
    this.#pool.reviewOffers(nowMs);
    for (const worker of this.#workers) {
      hasRead = this.#mailbox.read(worker, nowMs) || hasRead;
      if (!worker.duties.isEmpty) this.#reviewDuties(worker, nowMs);
      if (worker.lending.mayBeServing) this.#lentRequests.review(worker, nowMs);
      worker.flush();
      worker.passBodies(this.#passBody);
    }
    this.startWaiting(nowMs);
    const hasRoom = !this.#answers.drain.isUnderWay && this.#room.hasConnectionRoom(this.#workers.size);
    this.#lending.accepting.review(this.#workers, hasRoom, nowMs);
    return hasRead;
  }

  /** A worker that is at its duties for long is not waited for: its scripts get states on other workers. */
  #reviewDuties({ id, duties, executing }: WorkerLink, nowMs: number): void {
    duties.sinceMs ??= nowMs;
    if (executing === undefined && nowMs - duties.sinceMs >= AWAY_MS) this.#pool.setAway(id);
  }

  /** Bytes that a worker has read from a connection that is the front's now; to be taken until there are none. */
  takeArrival(): Arrival | undefined {
    return this.#lentRequests.takeArrival();
  }

  /** Reads the workers whose output had to wait for this connection. */
  readHeldFor(connection: FrontConnection, nowMs: number): void {
    this.#mailbox.readHeldFor(connection, nowMs);
  }

  /** Frees workers that a slow reader holds while others need them. */
  freeHeld(nowMs: number): void {
    this.#mailbox.freeHeld(this.#pool.isAnyoneWaiting || this.#hasTurnedAway, nowMs);
    this.#hasTurnedAway = false;
    this.startWaiting(nowMs);
  }

  // ---- lent connections --------------------------------------------------------------------------------------------

  /** Takes a connection back from its worker. Returns false while that cannot be. */
  recall(connection: FrontConnection): boolean {
    return this.#lending.recall(connection);
  }

  /** Takes the connections back that workers do not serve now, and sees to it that the others follow. */
  recallAll(nowMs: number): void {
    for (const worker of this.#workers) {
      this.#mailbox.read(worker, nowMs);
      this.#lentRequests.review(worker, nowMs);
      if (worker.lending.mayBeServing) this.#lending.setServingDirect(worker, true);
    }
  }

  /** Whether workers may serve connections that the books do not know, or not as theirs, or have read from some. */
  get hasUnknownRequests(): boolean {
    return this.#lentRequests.hasArrivals || this.#lending.mayAnyBeServing(this.#workers);
  }

  /** Whether `poll` has to be called within a millisecond, even if nobody rings. */
  get isReviewDue(): boolean {
    for (const { id, isOccupied, duties } of this.#workers) {
      if (isOccupied && !duties.isEmpty && !this.#pool.isAway(id)) return true;
    }
    return this.#lending.isReviewDue(this.#workers, this.#answers.drain.isUnderWay);
  }

  /** The file that a script path leads to has changed. */
  forgetPath(path: string): void {
    this.#lending.forgetPath(path, this.#workers);
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  /** Starts the requests that can start, turns away those past the queue's limit, and posts others to busy workers. */
  startWaiting(nowMs: number): void {
    const isNeeded = this.#pool.isAnyoneWaiting || this.#lending.isAnyServingDirect(this.#workers);
    if (isNeeded) this.#lending.holdGates(this.#workers);
    try {
      this.#startAll(nowMs);
    } finally {
      this.#lending.releaseGates(this.#workers);
    }
    this.#lending.reviewStatesWanted(this.#workers);
  }

  #startAll(nowMs: number): void {
    for (;;) {
      // Waking a worker that sleeps takes longer than a short script that runs on another.
      if (this.#offerNext(AT_ONCE_MS, nowMs)) continue;
      const next = this.#pool.assign(nowMs);
      if (next === undefined) break;
      this.#start(next, nowMs);
    }
    this.#room.tally.noteWaiting(this.#pool.waitingCount);
    for (let extra = this.#pool.excess(); extra !== undefined; extra = this.#pool.excess()) {
      this.#hasTurnedAway = true;
      this.#answers.turnAway(extra, new LuafcgidError('LUAFCGID_POOL_FULL', { queue: this.#options.pool.queue }));
    }
    while (this.#offerNext(LONG_MS, nowMs));
  }

  #start({ waiter: request, state, create, evicted, retire }: Assignment<FrontRequest>, nowMs: number): void {
    const worker = this.#workers.get(state.worker) as WorkerLink;
    const hasBody = request.body.isToBeSent;
    // Its lent connections must not wait behind a request that may be long.
    if (worker.lending.isGateHeld && (create || this.#lending.isLong(state))) this.#lending.takeAllBack(worker);
    this.#workers.beginRun(worker, request, state, nowMs, evicted);
    const flags =
      (create ? START_CREATE : 0) |
      (retire ? START_RETIRE : 0) |
      (hasBody ? 0 : START_NO_BODY) |
      (request.body.isComplete ? START_WHOLE_BODY : 0) |
      (request.cgi.method === 'HEAD' ? START_HEAD : 0);
    const path = create ? Buffer.from(request.script, 'latin1') : NOTHING;
    if (evicted !== undefined && worker.canStartRevocably) {
      // The finalizers of a state may never end: then the request is taken back from behind its closing.
      this.#workers.close(worker, evicted);
      worker.startRevocably(flags, request, state.id, path);
    } else worker.start(flags, request, state.id, evicted?.id ?? 0, path);
    if (state.expectedMs <= AT_ONCE_MS) this.#toWake.add(worker);
    else worker.wake();
    if (request.isInputToBeSent) this.passBody(request);
  }

  /**
   * Wakes the workers that were given short requests since this was last called. To be called when nothing more is to be
   * given to them at once: waking a thread can cost more than all they will do.
   */
  wake(): void {
    for (const worker of this.#toWake) worker.wake();
    this.#toWake.clear();
  }

  /** Hands on what there is room for of a running request's body. */
  readonly #passBody = (request: FrontRequest): void => this.passBody(request);

  passBody(request: FrontRequest): void {
    if (request.worker === undefined || request.isInputSent) return;
    request.worker.passBody(request);
    request.connection.regulateReading(this.#options);
  }

  // ---- offers ------------------------------------------------------------------------------------------------------

  /** Whether a request can be offered to this worker now. */
  mayOffer(worker: number, request: FrontRequest): boolean {
    const link = this.#workers.get(worker);
    return link?.mayOffer(request) === true && this.#lending.mayPostBehind(link);
  }

  /** Takes an offer back. Returns false when the worker has claimed it before. */
  revoke(worker: number, offer: number): boolean {
    return this.#workers.get(worker)?.revoke(offer) ?? false;
  }

  #offerNext(withinMs: number, nowMs: number): boolean {
    const order = this.#pool.offer(withinMs, nowMs);
    if (order === undefined) return false;
    const { waiter, state, offer } = order;
    const flags = START_NO_BODY | (waiter.cgi.method === 'HEAD' ? START_HEAD : 0);
    const worker = this.#workers.get(state.worker) as WorkerLink;
    worker.offer(offer, waiter, state.id, flags);
    this.#toWake.add(worker);
    return true;
  }

  /** The worker has ended a request: it runs the next one that it was offered, if any. */
  #beginOffered(worker: WorkerLink, nowMs: number): void {
    const begun = this.#pool.beginOffered(worker.id, nowMs);
    if (begun === undefined) return this.#workers.stopIfDone(worker);
    worker.forgetOffer(begun.offer);
    this.#workers.beginRun(worker, begun.waiter, begun.state, nowMs);
  }

  // ---- states ------------------------------------------------------------------------------------------------------

  /** Tells workers to close idle states of theirs, which the pool does not use any more. */
  close(states: readonly PoolState[]): void {
    for (const state of states) {
      const worker = this.#workers.get(state.worker);
      if (worker !== undefined) this.#workers.close(worker, state);
    }
  }

  /** Lets free workers collect garbage in a few of the states that were used since they last did. */
  collectIdle(): void {
    for (const state of this.#pool.takeUncollected(COLLECTED_PER_SWEEP)) {
      const worker = this.#workers.get(state.worker);
      if (worker !== undefined) this.#workers.collect(worker, state);
    }
  }
}
