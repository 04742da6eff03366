/**
 * Kept connections that are lent to workers: which are lent, to which worker, and when they are taken back. A lent
 * connection has no request in the front: its worker serves short requests by itself, and gives back or hands over all
 * others. A part of the front's core; the words and the gate that it shares with each worker are those of
 * `channel/lending.ts`.
 */
import { SHORT_MS, UNKNOWN_MS } from '../../base/usual-time.js';
import { type Lender, MAX_LENT_BYTES } from '../../channel/lending.js';
import { PROMOTED_MORE_BYTES, ToWorker } from '../../channel/messages.js';
import { LONG_MS, type Pool, type PoolState } from '../../pool/pool.js';
import type { FrontActions, LendingDriver } from '../model/actions.js';
import type { Loans } from '../model/connection.js';
import type { LoanBook } from '../model/loan-book.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { WorkerLink } from '../model/worker-link.js';
import { Accepting } from './accepting.js';
import { hasIdleLoans, mayBorrow, mayLend } from './loan-rules.js';
import { LongLook } from './long-look.js';

/** After n loans in a row that came back unused, the next 2^n requests (at most so many) of a connection stay with the front. */
const LONGEST_BACKOFF = 64;

const NONE: ReadonlySet<number> = new Set();

/** A script is long when so many of its states are. */
const SHARE_OF_LONG = 1 / 4;

/** A worker that has begun no request by itself for so long need not be looked at every millisecond. */
const QUIET_MS = 5;

/**
 * A worker that is given one request after the other may leave its lent connections unserved for no longer than this. By
 * then most of the clients that keep it busy have connections that are lent, if they may be.
 */
const STARVED_MS = 50;

/** What the front knows, and does, about connections that are lent. */
export interface LendingOwner {
  /** A connection was taken back from its worker. */
  recalled(connection: FrontConnection): void;
  /** The file that this script path leads to now, as far as that is known. */
  fileOf(path: string): string | undefined;
}

export class Lending {
  readonly accepting: Accepting;
  readonly #driver: LendingDriver | undefined;
  readonly #pool: Pool<FrontRequest>;
  readonly #owner: LendingOwner;
  readonly #longLook: LongLook;

  constructor(actions: Pick<FrontActions, 'lending'>, pool: Pool<FrontRequest>, owner: LendingOwner) {
    this.#driver = actions.lending;
    this.#pool = pool;
    this.#owner = owner;
    this.accepting = new Accepting(actions.lending);
    this.#longLook = new LongLook(actions.lending);
  }

  /** Whether workers may be serving connections that the books do not know, or not as theirs. */
  mayAnyBeServing(workers: Iterable<WorkerLink>): boolean {
    for (const { lending } of workers) if (lending.mayBeServing) return true;
    return false;
  }

  /** The connection of a descriptor that a worker has named; opened here if it has accepted it. */
  connectionOf(descriptor: number): number | undefined {
    return this.#driver?.connectionOf(descriptor) ?? this.#driver?.openAccepted(descriptor);
  }

  /** The same, if it is known. */
  knownConnectionOf(descriptor: number): number | undefined {
    return this.#driver?.connectionOf(descriptor);
  }

  /** A worker is ready, and can be lent connections from now on. */
  workerReady(worker: WorkerLink): void {
    const driver = this.#driver;
    const { lending } = worker;
    // All that it may have read has to fit into one message.
    if (worker.maxFrameBytes < MAX_LENT_BYTES + PROMOTED_MORE_BYTES) return;
    if (driver?.open(lending.lender) !== true) return;
    lending.ringElsewhere = () => driver.ring(lending.lender);
  }

  /** A request has just been answered by this worker: lends it the connection if that promises anything. */
  considerLending({ connection, cgi, state }: FrontRequest, worker: WorkerLink, nowMs: number): void {
    const driver = this.#driver;
    if (driver === undefined || state === undefined || state.status === 'closing') return;
    // What the first request of a state took says nothing, since it may have loaded the script: others of the script do.
    const isKnownShort = state.usualMs === UNKNOWN_MS && worker.lending.routes.has(cgi.scriptPath);
    if (!this.isShort(state) && !isKnownShort) return;
    // The path that was asked for may lead to another file by now.
    if (this.#owner.fileOf(cgi.scriptPath) !== state.script) return;
    if (!mayBorrow(worker, nowMs)) return;
    const { lending } = worker;
    const lends = mayLend(connection);
    // The route before the connection: a worker that has the connection can then read the route.
    const states = lending.routes.get(cgi.scriptPath) ?? new Set();
    if ((lends || lending.accepts) && !states.has(state.id)) {
      lending.routes.set(cgi.scriptPath, states.add(state.id));
      lending.routedStates.add(state.id);
      worker.send(ToWorker.ROUTE, lending.routesEpoch, state.id, Buffer.from(cgi.scriptPath, 'latin1'));
    }
    if (!lends || !driver.lend(connection.id, lending.lender)) return;
    connection.lentTo = lending;
    connection.lentRoutesEpoch = lending.routesEpoch;
    lending.connections.add(connection);
    lending.mayBeServing = true;
    lending.lender.noteLent(lending.connections.size, false);
    // Its first loan: wake the worker, which sleeps on its ring and has to wait with epoll from now on.
    if (lending.connections.size > 1) return;
    lending.lentSinceMs = nowMs;
    worker.wake();
  }

  /** Takes a connection back. Returns false while that cannot be: its worker may be serving it. */
  recall(connection: FrontConnection): boolean {
    const { lentTo } = connection;
    if (lentTo === undefined) return true;
    const { lender, connections } = lentTo;
    if (!lender.hold()) return false;
    const mayTake = !this.#waitingOn(lender).has(connection.id);
    if (mayTake) {
      this.#takeBack(connection, lentTo);
      lender.noteLent(connections.size, true);
    }
    lender.release();
    return mayTake;
  }

  /**
   * Takes all connections back from a worker, but for those on which requests of its own wait for results.
   * @returns false while that cannot be
   */
  recallAll(worker: WorkerLink): boolean {
    const { lending } = worker;
    if (!lending.mayBeServing) return true;
    if (!lending.isGateHeld && !this.#hold(lending)) return false;
    this.takeAllBack(worker);
    if (!lending.isGateHeld) lending.lender.release();
    return true;
  }

  /** The same, when the gate is held. */
  takeAllBack({ lending }: WorkerLink): void {
    const waiting = this.#waitingOn(lending.lender);
    this.#takeThemBack(
      lending,
      [...lending.connections].filter(({ id }) => !waiting.has(id)),
    );
  }

  /** A worker will never serve one again: takes all back. */
  takeFromGone({ lending }: WorkerLink): void {
    lending.waitingStates.clear();
    this.#takeThemBack(lending, [...lending.connections]);
  }

  #takeThemBack(lending: LoanBook, connections: readonly FrontConnection[]): void {
    for (const connection of connections) this.#takeBack(connection, lending);
    lending.lender.noteLent(lending.connections.size, true);
    if (!lending.accepts && lending.connections.size === 0) lending.mayBeServing = false;
    for (const connection of connections) this.#owner.recalled(connection);
  }

  /** The connections on which requests of the worker wait for results. The gate is held, or shut. */
  #waitingOn({ waiting }: Lender): ReadonlySet<number> {
    if (waiting.count === 0) return NONE;
    return new Set(waiting.list().map(({ descriptor }) => this.#driver?.connectionOf(descriptor) ?? -1));
  }

  /**
   * Holds the gate of a worker, if that can be. The books then say which of its states are busy. As long as they have a
   * request in one of these that is over by now, they are not true: nothing may be posted behind that request.
   */
  #hold(lending: LoanBook): boolean {
    const { lender, waitingStates } = lending;
    if (!lender.hold()) return false;
    if (lender.waiting.count === 0) return true;
    for (const { place, state, isKnown } of lender.waiting.list()) {
      if (isKnown) continue;
      if (!this.#pool.noteWaiting(state)) {
        lender.release();
        return false;
      }
      waitingStates.add(state);
      lender.waiting.noteKnown(place);
    }
    return true;
  }

  /** A request is over that a worker has served by itself, in a state that the books had busy. @returns the state, if it has to be closed */
  freed(stateId: number, { lending }: WorkerLink, tookMs: number): PoolState | undefined {
    if (!lending.waitingStates.delete(stateId)) return undefined;
    const state = this.#pool.state(stateId);
    return this.#pool.release(stateId, false, tookMs) ? state : undefined;
  }

  /** The worker has given a connection back. @param isMiss it could not do anything with what came */
  returned(connection: FrontConnection, { lending }: WorkerLink, isMiss: boolean): void {
    const wasUsed = this.#driver?.takeUse(connection.id, lending.lender) === true;
    if (wasUsed) {
      connection.loanMisses = 0;
      connection.isUsed = true;
    }
    // If its routes were invalidated meanwhile, that is the reason, and says nothing about the connection.
    if (isMiss && connection.lentRoutesEpoch === lending.routesEpoch) {
      connection.loanMisses += 1;
      connection.loanBackoff = wasUsed ? 0 : Math.min(LONGEST_BACKOFF, 2 ** connection.loanMisses);
    }
    this.#takeBack(connection, lending);
    lending.lender.noteLent(lending.connections.size, false);
  }

  #takeBack(connection: FrontConnection, { lender, connections }: Loans<FrontConnection>): void {
    if (!connections.delete(connection)) return;
    if (this.#driver?.takeUse(connection.id, lender) === true) connection.isUsed = true;
    connection.lentTo = undefined;
    this.#driver?.takeBack(connection.id, lender);
  }

  /** A script path may lead to another file by now: no worker runs requests for it by itself before it has a new route. */
  forgetPath(path: string, workers: Iterable<WorkerLink>): void {
    for (const { lending } of workers) if (lending.routes.has(path)) lending.invalidateRoutes();
  }

  /** Whether requests of a state are so short that others can wait for them. */
  isShort(state: PoolState): boolean {
    return state.usualMs <= SHORT_MS;
  }

  /** Whether its requests are surely long. Others are looked at when they have run for a millisecond. */
  isLong(state: PoolState): boolean {
    return state.usualMs >= LONG_MS / 2 && state.usualMs !== UNKNOWN_MS;
  }

  /** The usual time of a state's requests has changed, perhaps to a long one. */
  noteTime(state: PoolState, { lending }: WorkerLink): void {
    if (this.isShort(state) || !lending.routedStates.has(state.id)) return;
    const states = lending.statesRoutedWith(state.id);
    const long = states.filter((id) => !this.isShort(this.#pool.state(id) ?? state));
    // One of many is an exception, which its script is not.
    if (long.length >= states.length * SHARE_OF_LONG) lending.invalidateRoutes();
  }

  // ---- the gate ----------------------------------------------------------------------------------------------------

  /** Keeps workers that may get a request from lent connections, until `releaseGates`. */
  holdGates(workers: Iterable<WorkerLink>): void {
    for (const worker of workers) {
      const { lending } = worker;
      if ((!lending.mayBeServing && !lending.isServingDirect) || worker.executing !== undefined) continue;
      // Try again after setting WANTED: the worker may have left the gate before it could see the flag, and then it
      // sleeps without ringing.
      if (!this.#holdGate(worker)) this.setServingDirect(worker, true);
      if (this.#holdGate(worker)) this.setServingDirect(worker, false);
    }
  }

  /** Keeps a worker from lent connections until `releaseGates`. Returns false while it serves one. */
  #holdGate({ lending }: WorkerLink): boolean {
    lending.isGateHeld ||= this.#hold(lending);
    return lending.isGateHeld;
  }

  /**
   * Requests lack states, of which some are busy with requests that workers serve by themselves: these begin with nothing
   * more on their own until that is over, or they would always have such requests.
   */
  reviewStatesWanted(workers: Iterable<WorkerLink>): void {
    for (const worker of workers) {
      const { lending } = worker;
      const isWanted = lending.waitingStates.size > 0 && lacksStates(this.#pool);
      if (lending.isWantedForStates === isWanted) continue;
      lending.isWantedForStates = isWanted;
      this.#tellWanted(worker);
    }
  }

  #tellWanted(worker: WorkerLink): void {
    const { lending } = worker;
    const isWanted = lending.isServingDirect || lending.isWantedForStates;
    if (lending.lender.isWanted === isWanted) return;
    lending.lender.isWanted = isWanted;
    // While it was needed it waited for nothing but its ring.
    if (!isWanted) worker.wake();
  }

  /**
   * Whether a worker finds what is posted to it now behind the request that it runs. It may have ended that one already
   * and serve a lent connection: it would then find the message later than the books believe.
   */
  mayPostBehind(worker: WorkerLink): boolean {
    return !worker.lending.mayBeServing || this.#holdGate(worker);
  }

  /** Workers may serve lent connections again. */
  releaseGates(workers: Iterable<WorkerLink>): void {
    for (const { lending } of workers) {
      if (!lending.isGateHeld) continue;
      lending.isGateHeld = false;
      lending.lender.release();
    }
  }

  /** Whether a worker serves lent connections when it is needed: it counts as busy, and begins with nothing more there. */
  setServingDirect(worker: WorkerLink, isServingDirect: boolean): void {
    const { lending } = worker;
    if (lending.isServingDirect === isServingDirect) return;
    lending.isServingDirect = isServingDirect;
    this.#pool.setOccupied(worker.id, worker.isOccupied);
    this.#tellWanted(worker);
  }

  /** Whether some worker counts as busy for that reason, so that `holdGates` is due. */
  isAnyServingDirect(workers: Iterable<WorkerLink>): boolean {
    for (const { lending } of workers) if (lending.isServingDirect) return true;
    return false;
  }

  // ---- time --------------------------------------------------------------------------------------------------------

  /**
   * Looks at what a worker does with its connections. They are taken back from one that ends, or is busy for long.
   * @returns whether it runs a long request from one of them, which is to be taken over
   */
  review(worker: WorkerLink, isEnding: boolean, nowMs: number): boolean {
    const { lending, executing } = worker;
    const { lender } = lending;
    if (isEnding || worker.isRetired) {
      this.accepting.set(worker, false);
      if (this.recallAll(worker)) return false;
      // While the END of its last request is unread, the books still have it busy: do not take over a second one.
      return executing === undefined && lender.isRunning;
    }
    const { begun } = lender;
    const hasBegun = begun !== lending.seenBegun;
    if (hasBegun) {
      lending.seenBegun = begun;
      lending.seenMs = nowMs;
    }
    if (executing !== undefined) {
      // As long as requests of its own go on, nobody knows when it came to that one.
      const { executingSinceMs } = executing;
      if (worker.hasBegun(executing.request))
        executing.begunMs ??= lending.seenMs <= executingSinceMs ? executingSinceMs : nowMs;
      // A request that waited is executed before that one. As long as such ones are short, they and it have their turns.
      else if (lender.isRunning) return this.#longLook.isLong(lending, lending.seenMs, nowMs);
      if (!hasIdleLoans(lending)) return false;
      const isStarving = nowMs - Math.max(lending.givenSinceMs, lending.lentSinceMs, lending.seenMs) >= STARVED_MS;
      const isLong = this.#longLook.isLong(lending, executing.begunMs ?? nowMs, nowMs);
      if ((isStarving || isLong) && this.recallAll(worker) && isStarving) lending.pause(nowMs);
      return false;
    }
    const { busySinceMs } = worker;
    const isLongBusy = busySinceMs !== undefined && nowMs - busySinceMs >= LONG_MS;
    if (isLongBusy && hasIdleLoans(lending) && this.recallAll(worker)) return false;
    if (hasBegun || !lender.isWatched) return false;
    if (lender.isRunning) return this.#longLook.isLong(lending, lending.seenMs, nowMs);
    if (nowMs - lending.seenMs >= QUIET_MS) lender.stopWatching();
    return false;
  }

  /** Whether `review` has to be called within a millisecond. */
  isReviewDue(workers: Iterable<WorkerLink>, isEnding: boolean): boolean {
    for (const { lending, isRetired, isBusy } of workers) {
      if (!lending.mayBeServing) continue;
      if (isEnding || isRetired || lending.lender.isWatched) return true;
      if (hasIdleLoans(lending) && isBusy) return true;
    }
    return this.accepting.isReviewDue(workers);
  }

  /** A worker's thread has ended. */
  threadEnded({ lending }: WorkerLink): void {
    if (lending.ringElsewhere !== undefined) this.#driver?.close(lending.lender);
  }
}

/** Whether requests wait although a worker is free. */
export function lacksStates(pool: Pool<FrontRequest>): boolean {
  return pool.isAnyoneWaiting && pool.counts().freeWorkers > 0;
}
