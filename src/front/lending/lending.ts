/**
 * Kept connections that are lent to workers: who is lent, to whom, and when they are taken back. A lent connection has
 * no request here: its worker serves short ones by itself, and gives back or hands over all others. A part of the
 * front's core; the words and the gate that it shares with each worker are those of `channel/loans.ts`.
 */
import { MAX_LENT_BYTES } from '../../channel/lending.js';
import { PROMOTED_MORE_BYTES, ToWorker } from '../../channel/messages.js';
import { LONG_MS, type Pool, type PoolState } from '../../pool/pool.js';
import type { FrontActions, FrontOptions, LendingDriver } from '../model/actions.js';
import type { Connection } from '../model/connection.js';
import type { FrontRequest } from '../model/request.js';
import type { WorkerLink } from '../model/worker-link.js';

/** Only scripts that usually take no longer than this are left to a worker's own turns. */
const SHORT_MS = 0.25;

/** Most connections lent to one worker. */
const LENT_AT_MOST = 256;

/** What comes on a connection that came back unused, again and again, is not for its worker: it is lent less and less often. */
const LONGEST_PAUSE = 64;

/** Without a request for so long, a worker need not be looked at every millisecond. */
const QUIET_MS = 5;

/** New connections in a row with which workers could do nothing: so many, and the front accepts for a while. */
const ACCEPT_MISSES = 64;
const FRONT_ACCEPTS_MS = 20;
/** Longer and longer, if it is always the same. */
const FRONT_ACCEPTS_AT_MOST_MS = 1280;

/** Connections of a worker that is given one request after the other do not wait longer than this for a turn of their own. */
const STARVED_MS = 10;

/** What the front knows, and does, about connections that are lent. */
export interface LendingOwner {
  /** A connection has come home. */
  recalled(connection: Connection): void;
  /** The file that this script path leads to now, as far as that is known. */
  fileOf(path: string): string | undefined;
}

export class Lending {
  readonly #options: FrontOptions;
  readonly #lending: LendingDriver | undefined;
  readonly #pool: Pool<FrontRequest>;
  readonly #owner: LendingOwner;
  #frontAccepts = true;
  /** The kernel has told one worker of each connection, which may have come to something long, or to its end, before that. */
  #mayBeLeft = false;
  #vainAccepts = 0;
  #frontAcceptsMs = FRONT_ACCEPTS_MS;
  /** Until then workers do not accept. */
  #acceptingFromMs = 0;

  constructor(
    options: FrontOptions,
    actions: Pick<FrontActions, 'lending'>,
    pool: Pool<FrontRequest>,
    owner: LendingOwner,
  ) {
    this.#options = options;
    this.#lending = actions.lending;
    this.#pool = pool;
    this.#owner = owner;
  }

  /** Whether workers may be at connections that the books do not know, or not as theirs. */
  areOut(workers: Iterable<WorkerLink>): boolean {
    for (const worker of workers) if (!worker.isHome) return true;
    return false;
  }

  /** The connection of a descriptor that a worker has named; opened here if it has accepted it. */
  connectionOf(descriptor: number): number | undefined {
    return this.#lending?.connectionOf(descriptor) ?? this.#lending?.openAccepted(descriptor);
  }

  /** The same, if it is known. */
  knownConnectionOf(descriptor: number): number | undefined {
    return this.#lending?.connectionOf(descriptor);
  }

  /** A worker is ready, and can be lent connections from now on. */
  workerReady(worker: WorkerLink): void {
    const lending = this.#lending;
    // All that it may have read has to fit into one message.
    if (worker.maxFrameBytes < MAX_LENT_BYTES + PROMOTED_MORE_BYTES) return;
    if (lending?.open(worker.lender) !== true) return;
    worker.ringElsewhere = () => lending.ring(worker.lender);
  }

  /** A request has just been answered, by this worker: what follows may be left to it, if that promises anything. */
  consider({ connection, cgi, state }: FrontRequest, worker: WorkerLink): void {
    const lending = this.#lending;
    if (lending === undefined || state === undefined || state.status === 'closing' || !this.isShort(state)) return;
    // It may have been asked for by a name that leads elsewhere by now.
    if (this.#owner.fileOf(cgi.scriptPath) !== state.script) return;
    if (!this.#isAllowed || !mayBorrow(worker)) return;
    const lends = mayLend(connection);
    // The name before the connection: who gets the one can read the other.
    if ((lends || worker.accepts) && worker.routes.get(cgi.scriptPath) !== state.id) {
      worker.routes.set(cgi.scriptPath, state.id);
      worker.routedStates.add(state.id);
      worker.send(ToWorker.ROUTE, worker.routesEpoch, state.id, Buffer.from(cgi.scriptPath, 'latin1'));
    }
    if (!lends || !lending.lend(connection.id, worker.lender)) return;
    connection.lentTo = worker;
    connection.lentRoutesEpoch = worker.routesEpoch;
    worker.loans.add(connection);
    worker.isHome = false;
    worker.lender.noteLent(worker.loans.size, false);
    // One that waits in its ring only has to begin to look elsewhere.
    if (worker.loans.size === 1) worker.wake();
  }

  /** The access log wants to know each request, and a state that retires has its requests counted one by one. */
  get #isAllowed(): boolean {
    return this.#options.tracesRequests !== true && this.#options.pool.maxCount === 0;
  }

  /** Takes a connection back. Returns false while that cannot be: its worker may be at it. */
  recall(connection: Connection): boolean {
    const worker = connection.lentTo;
    if (worker === undefined) return true;
    if (!worker.lender.hold()) return false;
    this.#takeBack(connection, worker);
    worker.lender.noteLent(worker.loans.size, true);
    worker.lender.release();
    return true;
  }

  /** Takes all connections back from a worker. Returns false while that cannot be. */
  recallAll(worker: WorkerLink): boolean {
    if (worker.isHome) return true;
    if (!worker.isHeld && !worker.lender.hold()) return false;
    this.takeAllBack(worker);
    if (!worker.isHeld) worker.lender.release();
    return true;
  }

  /** The same, when the gate is held, or the worker will never be at one again. */
  takeAllBack(worker: WorkerLink): void {
    const all = [...worker.loans];
    for (const connection of all) this.#takeBack(connection, worker);
    worker.lender.noteLent(0, true);
    if (!worker.accepts) worker.isHome = true;
    for (const connection of all) this.#owner.recalled(connection);
  }

  /** The worker has given a connection back. @param isVain it could not do anything with what came */
  returned(connection: Connection, worker: WorkerLink, isVain: boolean): void {
    const wasUsed = this.#lending?.takeUse(connection.id, worker.lender) === true;
    if (wasUsed) {
      connection.loanMisses = 0;
      connection.isUsed = true;
    }
    // What it was routes may have been forgotten meanwhile, which is not for the connection to pay.
    if (isVain && connection.lentRoutesEpoch === worker.routesEpoch) {
      connection.loanMisses += 1;
      connection.loanBackoff = wasUsed ? 0 : Math.min(LONGEST_PAUSE, 2 ** connection.loanMisses);
    }
    this.#takeBack(connection, worker);
    worker.lender.noteLent(worker.loans.size, false);
  }

  #takeBack(connection: Connection, worker: WorkerLink): void {
    if (!worker.loans.delete(connection)) return;
    if (this.#lending?.takeUse(connection.id, worker.lender) === true) connection.isUsed = true;
    connection.lentTo = undefined;
    this.#lending?.takeBack(connection.id, worker.lender);
  }

  /** Scripts with this name may be others by now: no worker runs requests for it by itself before it is routes again. */
  forgetName(name: string, workers: Iterable<WorkerLink>): void {
    for (const worker of workers) if (worker.routes.has(name)) worker.invalidateRoutes();
  }

  /** Whether a state's requests are none that others could not wait for. */
  isShort(state: PoolState): boolean {
    return state.usualMs <= SHORT_MS;
  }

  /** A state may have become one whose requests take long. */
  noteTime(state: PoolState, worker: WorkerLink): void {
    if (!this.isShort(state) && worker.routedStates.has(state.id)) worker.invalidateRoutes();
  }

  // ---- the workers' turns ------------------------------------------------------------------------------------------

  /** Sees to it that workers which may get something to run are not at lent connections meanwhile; until `giveWay`. */
  claim(workers: Iterable<WorkerLink>): void {
    for (const worker of workers) {
      if ((worker.isHome && !worker.isServingDirect) || worker.running !== undefined) continue;
      // Once more when it is told that it is wanted: it may have left in between, and lie down without ringing.
      if (!this.hold(worker)) this.setOccupied(worker, true);
      if (this.hold(worker)) this.setOccupied(worker, false);
    }
  }

  /** Keeps a worker from lent connections until `giveWay`. Returns false while it is at one. */
  hold(worker: WorkerLink): boolean {
    worker.isHeld ||= worker.lender.hold();
    return worker.isHeld;
  }

  /**
   * The same, for something that the worker is to find behind what it runs. It may be done with that already and at a lent
   * connection: then it would find it later than the books believe.
   */
  keepsTurn(worker: WorkerLink): boolean {
    return worker.isHome || this.hold(worker);
  }

  /** They may go to them again. */
  giveWay(workers: Iterable<WorkerLink>): void {
    for (const worker of workers) {
      if (!worker.isHeld) continue;
      worker.isHeld = false;
      worker.lender.release();
    }
  }

  /** Whether a worker is at lent connections when it is wanted: it is as good as busy, and begins with nothing more there. */
  setOccupied(worker: WorkerLink, isServingDirect: boolean): void {
    if (worker.isServingDirect === isServingDirect) return;
    worker.isServingDirect = isServingDirect;
    this.#pool.setOccupied(worker.id, isServingDirect);
    worker.lender.isWanted = isServingDirect;
    // It waits for nothing but its ring meanwhile.
    if (!isServingDirect) worker.wake();
  }

  /** Whether some worker is kept from lent connections, so that `claim` and `giveWay` are due. */
  isClaimDue(workers: Iterable<WorkerLink>): boolean {
    for (const worker of workers) if (worker.isServingDirect) return true;
    return false;
  }

  // ---- time --------------------------------------------------------------------------------------------------------

  /**
   * Looks at what a worker does with its connections: they are taken back from one that is not for them any more, or busy
   * with something long.
   * @returns whether it runs something long from one of them, which is to be taken over
   */
  review(worker: WorkerLink, isEnding: boolean, nowMs: number): boolean {
    const { lender, running } = worker;
    if (isEnding || worker.isRetired) {
      this.#setAccepting(worker, false);
      if (this.recallAll(worker)) return false;
      // Whose former request has ended without that being heard cannot have another one yet.
      return running === undefined && lender.isRunning;
    }
    const { begun } = lender;
    const hasBegun = begun !== worker.seenBegun;
    if (hasBegun) {
      worker.seenBegun = begun;
      worker.seenMs = nowMs;
    }
    if (running !== undefined) {
      if (worker.loans.size === 0) return false;
      const isStarving = nowMs - Math.max(worker.givenSinceMs, worker.seenMs) >= STARVED_MS;
      if ((isStarving || nowMs - worker.busySinceMs >= LONG_MS) && this.recallAll(worker))
        worker.loansStarve = isStarving;
      return false;
    }
    if (hasBegun || !lender.isWatched) return false;
    const quietMs = nowMs - worker.seenMs;
    if (lender.isRunning) return quietMs >= LONG_MS;
    if (quietMs >= QUIET_MS) lender.stopWatching();
    return false;
  }

  /**
   * Says who accepts: workers, where they serve what comes, and the front as long as none of them comes to it.
   * @param hasRoom whether so many connections may be open as workers can accept before the front hears of it
   */
  reviewAccepting(workers: Iterable<WorkerLink>, hasRoom: boolean, nowMs: number): void {
    const may = this.#isAllowed && hasRoom && nowMs >= this.#acceptingFromMs;
    let doWorkers = false;
    for (const worker of workers) {
      this.#setAccepting(worker, may && !worker.isRetired && worker.ringElsewhere !== undefined);
      const isBusy = worker.running !== undefined && nowMs - worker.busySinceMs >= LONG_MS;
      if (worker.accepts && isBusy && !worker.isLongBusy) this.#mayBeLeft = true;
      worker.isLongBusy = isBusy;
      if (worker.accepts && !isBusy) doWorkers = true;
    }
    if (this.#mayBeLeft) {
      this.#mayBeLeft = false;
      this.acceptWaiting();
    }
    if (this.#frontAccepts !== doWorkers) return;
    this.#frontAccepts = !doWorkers;
    this.#lending?.setFrontAccepting(this.#frontAccepts);
  }

  #setAccepting(worker: WorkerLink, accepts: boolean): void {
    if (worker.accepts === accepts) return;
    worker.accepts = accepts;
    if (accepts) worker.isHome = false;
    else this.#mayBeLeft = true;
    this.#lending?.setAccepting(worker.lender, accepts);
    if (accepts) worker.wake();
  }

  /** A worker is given up. */
  endAccepting(worker: WorkerLink): void {
    this.#setAccepting(worker, false);
  }

  /** A worker could do nothing with a connection that it has accepted. */
  noteAcceptMiss(nowMs: number): void {
    this.#vainAccepts += 1;
    if (this.#vainAccepts < ACCEPT_MISSES) return;
    this.#vainAccepts = ACCEPT_MISSES / 2;
    this.#acceptingFromMs = nowMs + this.#frontAcceptsMs;
    this.#frontAcceptsMs = Math.min(FRONT_ACCEPTS_AT_MOST_MS, 2 * this.#frontAcceptsMs);
  }

  /** Workers have served so many requests by themselves. */
  noteServed(count: number): void {
    this.#vainAccepts = Math.max(0, this.#vainAccepts - count);
    if (this.#vainAccepts === 0) this.#frontAcceptsMs = FRONT_ACCEPTS_MS;
  }

  /** Accepts what waits, or finds out why that cannot be done. */
  acceptWaiting(): void {
    this.#lending?.acceptWaiting();
  }

  /** Whether `review` has to be called within a millisecond. */
  isReviewDue(workers: Iterable<WorkerLink>, isEnding: boolean): boolean {
    let doAllRun = !this.#frontAccepts;
    for (const worker of workers) {
      if (worker.accepts && worker.running === undefined) doAllRun = false;
      if (worker.accepts && worker.running !== undefined && !worker.isLongBusy) return true;
      if (worker.isHome) continue;
      if (isEnding || worker.isRetired || worker.lender.isWatched) return true;
      if (worker.loans.size > 0 && worker.running !== undefined) return true;
    }
    return doAllRun;
  }

  /** A worker's thread has ended. */
  threadEnded(worker: WorkerLink): void {
    if (worker.ringElsewhere !== undefined) this.#lending?.close(worker.lender);
  }
}

/** Whether nothing is under way on a connection, and it has not been lent in vain too often. */
function mayLend(connection: Connection): boolean {
  if (!connection.isLendable) return false;
  if (connection.loanBackoff === 0) return true;
  connection.loanBackoff -= 1;
  return false;
}

function mayBorrow(worker: WorkerLink): boolean {
  if (worker.ringElsewhere === undefined) return false;
  if (worker.isRetired || worker.isServingDirect || worker.isHeld || worker.loansStarve) return false;
  if (worker.loans.size >= LENT_AT_MOST) return false;
  // What it is given next may be none of the short ones.
  return (worker.running?.state?.usualMs ?? 0) <= SHORT_MS;
}
