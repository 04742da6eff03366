/**
 * The workers together: gives waiting requests to those that are free, hands bodies on, and hears what they say. A
 * part of the front's core, as pure as that.
 */
import { toText } from '../../base/byte-string.js';
import { describeError, LuafcgidError } from '../../base/errors.js';
import { InterruptRequest } from '../../channel/interrupts.js';
import type { LentRequest } from '../../channel/lending.js';
import {
  decodeDependency,
  decodePromoted,
  decodeServed,
  decodeUsage,
  END_STATE_GONE,
  FromWorker,
  LOG_LEVELS,
  LOG_OF_SCRIPT,
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_RETIRE,
  ToWorker,
  tookMsOf,
  typeOf,
} from '../../channel/messages.js';
import type { Frame } from '../../channel/ring.js';
import { type Assignment, LONG_MS, type Pool, type PoolState } from '../../pool/pool.js';
import type { Answers } from '../answers/answers.js';
import { Lending } from '../lending/lending.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Connection, Meters } from '../model/connection.js';
import type { FrontRequest } from '../model/request.js';
import { isStuck } from '../model/run-clock.js';
import type { WorkerLink } from '../model/worker-link.js';
import { CRASH_MINUTES, CrashCount } from './crash-count.js';

/** States of one worker that collect garbage in one sweep: few, since a request that comes meanwhile has to wait. */
const COLLECTED_PER_SWEEP = 4;

/**
 * What is heard of one worker before the others' and the sockets' turn: a script that writes without an end must not
 * hold the front. A frame counts as some bytes, whatever it carries.
 */
const HEARD_AT_ONCE_BYTES = 256 * 1024;
const FRAME_COST_BYTES = 1024;

/** Ticks for which a slow reader may hold a worker that others want: it might just be at its own work. */
const PATIENCE_TICKS = 2;

/** Who is a busy worker's turn within this time need not wake another one. */
const AT_ONCE_MS = 0.05;

const STUCK = 'it hangs in closing a state, or in collecting its garbage';

const NOTHING = new Uint8Array(0);

/** What all connections have to share. */
export interface SharedRoom {
  readonly meters: Meters;
  /** Whether more output may be written. */
  hasSendRoom(): boolean;
  /** Whether so many connections more may be open. */
  hasConnectionRoom(count: number): boolean;
}

/** What the front does about connections that were lent. */
export interface DispatcherOwner {
  /** The file that a script path leads to now, as far as that is known. */
  fileOf(path: string): string | undefined;
  connection(id: number): Connection | undefined;
  /** Bytes have come on a connection. */
  arrived(connection: Connection, bytes: Uint8Array, nowMs: number): void;
  /** A worker runs the request already that these bytes are. */
  adopt(connection: Connection, request: number, bytes: Uint8Array): FrontRequest;
}

export class Dispatcher {
  readonly loans: Lending;
  readonly #owner: DispatcherOwner;
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  /** All requests that are not over, by number. */
  readonly #requests: ReadonlyMap<number, FrontRequest>;
  readonly #room: SharedRoom;
  readonly #workers = new Map<number, WorkerLink>();
  /** Workers that were given short requests and not woken for them yet. */
  readonly #toWake = new Set<WorkerLink>();
  /** Workers that were given up, and whose threads have not ended: what those wait with has to stay. */
  readonly #givenUp = new Map<number, WorkerLink>();
  readonly #crashes = new CrashCount();
  /** When `watch` was last called. */
  #watchedMs = 0;
  /** Some request was refused for want of a state since the last look at held workers. */
  #hasTurnedAway = false;
  #isStarting = false;

  constructor(
    options: FrontOptions,
    actions: FrontActions,
    pool: Pool<FrontRequest>,
    answers: Answers,
    requests: ReadonlyMap<number, FrontRequest>,
    room: SharedRoom,
    owner: DispatcherOwner,
  ) {
    this.#owner = owner;
    this.loans = new Lending(options, actions, pool, {
      recalled: (connection) => {
        connection.closeIfDone(answers.drain.closes(connection), false);
        answers.drain.look();
      },
      fileOf: (path) => owner.fileOf(path),
    });
    this.#options = options;
    this.#actions = actions;
    this.#pool = pool;
    this.#answers = answers;
    this.#requests = requests;
    this.#room = room;
  }

  /** All of them; for tests. */
  get workers(): Iterable<WorkerLink> {
    return this.#workers.values();
  }

  /** Workers that run a request. */
  get busyCount(): number {
    return [...this.#workers.values()].filter((worker) => worker.running !== undefined).length;
  }

  /** A worker is ready. `index` is its place among the workers. */
  ready(link: WorkerLink, index: number, nowMs: number): void {
    link.place = index;
    this.#workers.set(link.id, link);
    this.loans.workerReady(link);
    this.#pool.addWorker(link.id, index);
    this.startWaiting(nowMs);
  }

  /** These workers are to end when they have done what they have begun with; others take their places. */
  retire(ids: readonly number[], nowMs: number): void {
    for (const id of ids) {
      const worker = this.#workers.get(id);
      if (worker === undefined) continue;
      worker.isRetired = true;
      this.#review(worker, nowMs);
      this.#pool.retireWorker(id);
      this.#stopIfDone(worker);
    }
    this.startWaiting(nowMs);
  }

  #stopIfDone(worker: WorkerLink): void {
    if (!worker.isRetired || worker.running !== undefined || !worker.isHome || worker.isStopped) return;
    worker.isStopped = true;
    worker.owed += 1;
    worker.send(ToWorker.STOP, 0, 0);
  }

  /** All workers are told to end when they have done what they were given. */
  stop(): void {
    for (const worker of this.#workers.values()) worker.send(ToWorker.STOP, 0, 0);
  }

  /** A worker's thread has ended. Its request is answered, its states are gone. */
  gone(id: number, reason: string, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.#pool.retireWorker(id);
    // Its last words: the news of its end may have overtaken the end of its requests.
    for (let frame = worker.peek(); frame !== undefined; frame = worker.peek()) this.#takeNext(worker, frame, nowMs);
    const error = this.#answers.drain.isUnderWay
      ? new LuafcgidError('LUAFCGID_SERVER_STOPPED')
      : new LuafcgidError('LUAFCGID_WORKER_GONE', { reason });
    this.#endLoans(worker, nowMs);
    if (worker.running !== undefined) this.#noteCrash(worker.running, nowMs);
    this.#part(worker, error, nowMs);
    this.ended(id);
  }

  /** The thread of a worker has ended that is no more. */
  ended(id: number): void {
    const worker = this.#givenUp.get(id);
    if (worker === undefined) return;
    this.#givenUp.delete(id);
    this.loans.threadEnded(worker);
  }

  /**
   * Looks at the time that requests have run: who is over his is stopped, and who does not stop loses his worker. To be
   * called every so often.
   */
  watch(nowMs: number): void {
    for (const worker of [...this.#workers.values()]) {
      const { running } = worker;
      if (running === undefined) {
        if (isStuck(worker, nowMs - this.#watchedMs)) this.#abandonStuck(worker, nowMs);
        continue;
      }
      worker.owedMs = 0;
      if (worker.time.look(worker, running, this.#actions, nowMs, this.#options.slowTimeMs))
        this.#abandon(worker, running, nowMs);
    }
    this.#watchedMs = nowMs;
  }

  /** A worker without a request hangs. */
  #abandonStuck(worker: WorkerLink, nowMs: number): void {
    this.#hear(worker, nowMs);
    if (worker.running !== undefined || worker.owed === 0) return;
    this.#pool.retireWorker(worker.id);
    this.#endLoans(worker, nowMs);
    this.#actions.abandon(worker.id, STUCK);
    this.#part(worker, new LuafcgidError('LUAFCGID_WORKER_GONE', { reason: STUCK }), nowMs);
  }

  /** Nobody wants the answer of a running request any more. */
  clientGone(request: FrontRequest): void {
    request.isClientGone = true;
    if (request.stopsOnAbort && request.worker !== undefined) {
      this.#actions.interrupt(request.worker.id, request.id, InterruptRequest.UNWANTED);
    }
  }

  /** A worker hangs. Its request is answered, or begins anew if the worker had not begun with it. */
  #abandon(worker: WorkerLink, request: FrontRequest, nowMs: number): void {
    // It may have ended in this very moment.
    this.#hear(worker, nowMs);
    if (worker.running !== request) return;
    // It has ended, and says so behind the rest of its output, which had to wait: nobody hangs.
    if (!worker.hasBegun(request) && worker.peek() !== undefined) return;
    this.#pool.retireWorker(worker.id);
    if (worker.hasBegun(request)) {
      this.#tellSlow(worker, request, undefined);
      const script = toText(request.script);
      const ran = (worker.time.ranMs / 1000).toFixed(1);
      this.#actions.abandon(worker.id, `${script} does not stop after ${ran} s`);
      this.#noteCrash(request, nowMs);
      return this.#part(worker, new LuafcgidError('LUAFCGID_SCRIPT_HANGS', { script, ran }), nowMs);
    }
    this.#actions.abandon(worker.id, STUCK);
    // A script that has done its work must not do it twice.
    const isWhole = !request.hasHandedOn && !request.isAnswered && !worker.isOver(request);
    if (isWhole) {
      worker.running = undefined;
      request.worker = undefined;
      request.state = undefined;
      request.stage = 'waiting';
      request.chargeTo(this.#room.meters.requests);
    }
    this.#part(
      worker,
      new LuafcgidError('LUAFCGID_WORKER_GONE', { reason: STUCK }),
      nowMs,
      isWhole ? request : undefined,
    );
  }

  /** A worker is given up: what it was lent comes home, and what it runs from there is the front's. */
  #endLoans(worker: WorkerLink, nowMs: number): void {
    this.#hearOfLoans(worker, nowMs);
    const lent = worker.running === undefined ? worker.lender.takeOver() : undefined;
    const descriptor = worker.lender.shut();
    if (lent !== undefined) this.#begun(worker, lent, nowMs);
    // What it has read and given back is in its ring, and nowhere else.
    this.#hearOfLoans(worker, nowMs);
    // One that it has accepted is not known here; one that it has given back by now is not its any more.
    const known = descriptor === undefined ? undefined : this.loans.knownConnectionOf(descriptor);
    const isItsOwn = known === undefined || this.#owner.connection(known)?.lentTo === worker;
    this.loans.endAccepting(worker);
    this.loans.takeAllBack(worker);
    // Nobody knows what was read from it, or sent.
    if (descriptor !== undefined && isItsOwn) this.#connectionOf(descriptor).destroy();
  }

  /** Takes what a worker has said, up to the last that it said about connections. */
  #hearOfLoans(worker: WorkerLink, nowMs: number): void {
    while (!worker.lender.isUpToDate) {
      const frame = worker.peek();
      // It ends, or hangs, while it says it.
      if (frame === undefined) return;
      this.#takeNext(worker, frame, nowMs);
    }
  }

  /** Strikes a worker off. What it had begun with ends with this error. @param again a request to be begun anew */
  #part(worker: WorkerLink, error: LuafcgidError, nowMs: number, again?: FrontRequest): void {
    this.#endLoans(worker, nowMs);
    const lost = this.#pool.removeWorker(worker.id);
    this.#workers.delete(worker.id);
    this.#givenUp.set(worker.id, worker);
    this.#toWake.delete(worker);
    if (worker.running !== undefined) lost.push(worker.running);
    worker.running = undefined;
    for (const request of lost) {
      // No worker has it any more, and nobody has it wait.
      if (request.stage !== 'running') request.chargeTo(this.#room.meters.running);
      request.stage = 'running';
      request.worker = undefined;
      this.#answers.refuse(request, error);
      this.#answers.over(request);
    }
    if (again !== undefined) this.#pool.join(again);
    this.startWaiting(nowMs);
  }

  #tellSlow(worker: WorkerLink, request: FrontRequest, traceback: string | undefined): void {
    if (!worker.time.isTraceWanted) return;
    worker.time.traced();
    this.#actions.slow({
      request: this.#answers.nameOf(request),
      script: toText(request.script),
      state: request.state?.id,
      worker: worker.place,
      runningMs: worker.time.ranMs,
      traceback,
    });
  }

  #noteCrash(request: FrontRequest, nowMs: number): void {
    const times = this.#crashes.note(request.script, nowMs);
    if (times === undefined) return;
    const error = new LuafcgidError('LUAFCGID_SCRIPT_CRASHES', {
      script: toText(request.script),
      times,
      minutes: CRASH_MINUTES,
    });
    this.#actions.log('error', describeError(error));
  }

  /**
   * Some worker has written to its ring, or made room in the other one. To be called again as long as it
   * returns true.
   * @returns whether any had something to say: there may be more, which is heard at the next call
   */
  spoke(nowMs: number): boolean {
    let heard = false;
    this.#pool.reviewOffers(nowMs);
    for (const worker of this.#workers.values()) {
      heard = this.#hear(worker, nowMs) || heard;
      if (!worker.isHome) this.#review(worker, nowMs);
      worker.flush();
      if (worker.running !== undefined) this.passBody(worker.running);
    }
    this.startWaiting(nowMs);
    this.#reviewAccepting(nowMs);
    return heard;
  }

  #reviewAccepting(nowMs: number): void {
    const workers = this.#workers.values();
    const hasRoom = !this.#answers.drain.isUnderWay && this.#room.hasConnectionRoom(this.#workers.size);
    this.loans.reviewAccepting(workers, hasRoom, nowMs);
  }

  /** Looks at what a worker does with the connections that it was lent. */
  #review(worker: WorkerLink, nowMs: number): void {
    if (this.loans.review(worker, this.#answers.drain.isUnderWay, nowMs)) {
      const lent = worker.lender.takeOver();
      if (lent !== undefined) {
        try {
          this.#begun(worker, lent, nowMs);
          this.loans.takeAllBack(worker);
        } finally {
          worker.lender.release();
        }
      }
    }
    this.#stopIfDone(worker);
  }

  /** Takes the connections back that workers are not at, and sees to it that the others follow. */
  recallAll(nowMs: number): void {
    for (const worker of this.#workers.values()) {
      this.#hear(worker, nowMs);
      this.#review(worker, nowMs);
      if (!worker.isHome) this.loans.setOccupied(worker, true);
    }
  }

  /** Whether workers may be at connections of their own. */
  get isOut(): boolean {
    return this.loans.areOut(this.#workers.values());
  }

  /** Whether `spoke` has to be called within a millisecond, even if nobody rings. */
  get isReviewDue(): boolean {
    return this.loans.isReviewDue(this.#workers.values(), this.#answers.drain.isUnderWay);
  }

  /** What a script is by this name has changed. */
  forgetName(name: string): void {
    this.loans.forgetName(name, this.#workers.values());
  }

  /** A worker runs a request from a lent connection, and from now on that is one like all others. */
  #begun(worker: WorkerLink, lent: LentRequest, nowMs: number): void {
    const connection = this.#connectionOf(lent.descriptor);
    worker.lender.noteNewcomer();
    this.loans.returned(connection, worker, false);
    const request = this.#owner.adopt(connection, lent.request, lent.bytes);
    this.loans.setOccupied(worker, false);
    const state = this.#pool.begun(worker.id, lent.state, request.script, nowMs);
    request.script = state.script;
    this.#nowRuns(worker, request, state, nowMs);
    request.isBodyEndSent = true;
  }

  /** The connection that a worker has named; it is new here if that has accepted it. */
  #connectionOf(descriptor: number): Connection {
    const id = this.loans.connectionOf(descriptor);
    const connection = id === undefined ? undefined : this.#owner.connection(id);
    if (connection === undefined)
      throw new Error(`a worker has named descriptor ${descriptor}, which is no connection`);
    return connection;
  }

  /** A worker has accepted a connection, which is the front's from now on. */
  #newcomer(worker: WorkerLink, frame: Frame, nowMs: number): void {
    const { id: descriptor, argument: isAnswered, payload: bytes } = frame;
    worker.lender.noteHeard();
    if (descriptor < 0) this.loans.acceptWaiting();
    else {
      const connection = this.#connectionOf(descriptor);
      if (isAnswered !== 0) {
        connection.hasAsked = true;
        connection.isUsed = true;
      } else this.loans.noteAcceptMiss(nowMs);
      if (bytes.length > 0) this.#owner.arrived(connection, bytes, nowMs);
      connection.closeIfDone(this.#answers.drain.closes(connection), false);
      this.#answers.drain.look();
    }
    worker.lender.noteNewcomer();
  }

  /** A worker has given a connection back, with what it has read. */
  #returned(worker: WorkerLink, descriptor: number, bytes: Uint8Array, nowMs: number): void {
    worker.lender.noteHeard();
    const connection = this.#connectionOf(descriptor);
    this.loans.returned(connection, worker, bytes.length > 0);
    if (bytes.length > 0) this.#owner.arrived(connection, bytes, nowMs);
    else connection.wasShed = true;
    connection.closeIfDone(this.#answers.drain.closes(connection), false);
    this.#answers.drain.look();
  }

  /** Starts who can start, turns away who is too many, and lets busy workers find what they can do next. */
  startWaiting(nowMs: number): void {
    if (this.#isStarting) return this.#startAll(nowMs);
    this.#isStarting = true;
    try {
      if (this.#isClaimDue) this.loans.claim(this.#workers.values());
      this.#startAll(nowMs);
    } finally {
      this.loans.giveWay(this.#workers.values());
      this.#isStarting = false;
    }
  }

  get #isClaimDue(): boolean {
    return this.#pool.isAnyoneWaiting || this.loans.isClaimDue(this.#workers.values());
  }

  #startAll(nowMs: number): void {
    for (;;) {
      // Waking a worker that sleeps takes longer than a short script that runs on another.
      if (this.#offerNext(AT_ONCE_MS, nowMs)) continue;
      const next = this.#pool.assign(nowMs);
      if (next === undefined) break;
      this.#start(next, nowMs);
    }
    for (let extra = this.#pool.excess(); extra !== undefined; extra = this.#pool.excess()) {
      this.#hasTurnedAway = true;
      this.#answers.turnAway(extra, new LuafcgidError('LUAFCGID_POOL_FULL', { queue: this.#options.pool.queue }));
    }
    while (this.#offerNext(LONG_MS, nowMs));
  }

  /**
   * Wakes the workers that were given short requests since this was last called. To be called when nothing more is to be
   * given to them at once: waking a thread can cost more than all they will do.
   */
  wake(): void {
    for (const worker of this.#toWake) worker.wake();
    this.#toWake.clear();
  }

  /** Whether a request can be offered to this worker now. */
  mayOffer(worker: number, request: FrontRequest): boolean {
    const link = this.#workers.get(worker);
    return link?.mayOffer(request) === true && this.loans.keepsTurn(link);
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

  /** The worker has ended a request: what it was offered next is what it runs now. */
  #beginOffered(worker: WorkerLink, nowMs: number): void {
    const begun = this.#pool.beginOffered(worker.id, nowMs);
    if (begun === undefined) return this.#stopIfDone(worker);
    worker.forgetOffer(begun.offer);
    this.#nowRuns(worker, begun.waiter, begun.state, nowMs);
    begun.waiter.isBodyEndSent = true;
  }

  #nowRuns(worker: WorkerLink, request: FrontRequest, state: PoolState, nowMs: number): void {
    request.trace?.started(worker.place, nowMs);
    worker.time.begin(nowMs);
    worker.busySinceMs = nowMs;
    worker.givenSinceMs = Math.min(worker.givenSinceMs, nowMs);
    request.watchdogMs = this.#options.watchdogMs;
    request.stopsOnAbort = this.#options.onAbort === 'stop';
    request.stage = 'running';
    request.chargeTo(this.#room.meters.running);
    request.extraBodyBytes = 0;
    request.state = state;
    request.worker = worker;
    worker.running = request;
  }

  #start({ waiter: request, state, create, evicted, retire }: Assignment<FrontRequest>, nowMs: number): void {
    const worker = this.#workers.get(state.worker) as WorkerLink;
    const { hasBody } = request;
    // What may be long is nothing to wait behind.
    if (worker.isHeld && !this.loans.isShort(state)) this.loans.takeAllBack(worker);
    this.#nowRuns(worker, request, state, nowMs);
    request.isBodyEndSent = !hasBody;
    const flags =
      (create ? START_CREATE : 0) |
      (retire ? START_RETIRE : 0) |
      (hasBody ? 0 : START_NO_BODY) |
      (request.cgi.method === 'HEAD' ? START_HEAD : 0);
    const path = create ? Buffer.from(request.script, 'latin1') : NOTHING;
    worker.start(flags, request, state.id, evicted?.id ?? 0, path);
    if (state.expectedMs <= AT_ONCE_MS) this.#toWake.add(worker);
    else worker.wake();
    if (hasBody) this.passBody(request);
  }

  /** Hands on what there is room for of a running request's body. */
  passBody(request: FrontRequest): void {
    if (request.worker === undefined || request.isBodyEndSent) return;
    request.worker.passBody(request);
    request.connection.regulateReading(this.#options);
  }

  /** Tells workers to close idle states of theirs, which the pool does not use any more. */
  close(states: readonly PoolState[]): void {
    for (const state of states) {
      const worker = this.#workers.get(state.worker);
      if (worker !== undefined) this.#close(worker, state.id);
    }
  }

  #close(worker: WorkerLink, state: number): void {
    worker.owed += 1;
    worker.send(ToWorker.CLOSE, 0, state);
  }

  /** Lets free workers collect garbage in a few of the states that were used since they last did. */
  collectIdle(): void {
    for (const state of this.#pool.takeUncollected(COLLECTED_PER_SWEEP)) {
      this.#workers.get(state.worker)?.send(ToWorker.COLLECT, 0, state.id);
    }
  }

  /** Hears the workers whose output had to wait for this connection. */
  hearHeld(connection: Connection, nowMs: number): void {
    for (const worker of this.#workers.values()) {
      if (worker.heldBy === connection) this.#hear(worker, nowMs);
    }
  }

  /**
   * A worker that waits for a slow reader is no harm while nobody else wants it. When somebody does, the rest of the
   * answer goes to a file, at the speed of the disk.
   */
  freeHeld(nowMs: number): void {
    const isWanted = this.#pool.counts().waiting > 0 || this.#hasTurnedAway;
    this.#hasTurnedAway = false;
    for (const worker of this.#workers.values()) {
      const connection = worker.heldBy;
      worker.heldTicks = connection === undefined ? 0 : worker.heldTicks + 1;
      if (connection === undefined || worker.heldTicks < PATIENCE_TICKS) continue;
      // What it has given back, or handed over, waits there as well.
      if (!isWanted && worker.lender.isUpToDate) continue;
      if (connection.unsentBytes <= this.#options.sendBufferBytes) continue;
      if (!this.#actions.spool(connection.id)) continue;
      connection.startSpooling();
      this.#hear(worker, nowMs);
    }
    this.startWaiting(nowMs);
  }

  /** Takes what a worker has said, until its output has to wait for a slow reader or it is others' turn. */
  #hear(worker: WorkerLink, nowMs: number): boolean {
    let heard = false;
    worker.heldBy = undefined;
    for (let left = HEARD_AT_ONCE_BYTES; left > 0; left -= FRAME_COST_BYTES) {
      const reader = worker.running?.isAnswered === false ? worker.running.connection : undefined;
      if (reader !== undefined && (reader.unsentBytes > this.#options.sendBufferBytes || !this.#room.hasSendRoom())) {
        worker.heldBy = reader;
        return heard;
      }
      const frame = worker.peek();
      if (frame === undefined) return heard;
      heard = true;
      left -= frame.payload.length;
      this.#takeNext(worker, frame, nowMs);
    }
    return heard;
  }

  /** An error in what follows from a message must not have it taken again and again. */
  #takeNext(worker: WorkerLink, frame: Frame, nowMs: number): void {
    try {
      this.#take(worker, frame, nowMs);
    } finally {
      worker.release();
    }
  }

  #take(worker: WorkerLink, frame: Frame, nowMs: number): void {
    const request = worker.running;
    switch (typeOf(frame.type)) {
      case FromWorker.OUTPUT:
        if (request !== undefined) this.#answers.pass(request, frame.payload);
        return;
      case FromWorker.FINISH:
        if (request !== undefined) this.#answers.finish(request, frame.payload, frame.argument);
        return;
      case FromWorker.END:
        if (request !== undefined) this.#end(worker, request, frame, nowMs);
        return;
      case FromWorker.PROMOTED: {
        worker.lender.noteHeard();
        const { descriptor, bytes } = decodePromoted(frame.payload);
        return this.#begun(worker, { descriptor, bytes, request: frame.id, state: frame.argument }, nowMs);
      }
      case FromWorker.RETURNED:
        return this.#returned(worker, frame.id, frame.payload, nowMs);
      case FromWorker.ACCEPTED:
        return this.#newcomer(worker, frame, nowMs);
      case FromWorker.ANSWER_REST:
        return this.#connectionOf(frame.id).write(frame.payload);
      case FromWorker.CLOSE_WHEN_SENT:
        return this.#connectionOf(frame.id).close(false);
      case FromWorker.SERVED: {
        this.loans.noteServed(frame.id);
        const state = this.#pool.served(frame.argument, frame.id, decodeServed(frame.payload), nowMs);
        return state === undefined ? undefined : this.loans.noteTime(state, worker);
      }
      case FromWorker.LOG:
        return this.#takeLog(worker, frame);
      case FromWorker.USAGE:
        request?.trace?.used(decodeUsage(frame.payload));
        return;
      case FromWorker.DEPENDS: {
        const { path, fingerprint } = decodeDependency(frame.payload);
        return this.#pool.addDependency(frame.argument, path, fingerprint);
      }
      case FromWorker.TRACE:
        if (request !== undefined) this.#tellSlow(worker, request, Buffer.from(frame.payload).toString());
        return;
      case FromWorker.WATCHDOG:
        if (request === undefined) return;
        request.watchdogMs = frame.argument;
        return worker.time.restart();
      case FromWorker.ON_ABORT:
        if (request === undefined) return;
        request.stopsOnAbort = frame.argument === 1;
        if (request.isClientGone || (!request.isAnswered && request.connection.isReadEnded)) this.clientGone(request);
        return;
      case FromWorker.CLOSED:
        // An evicted one was not asked for by a message of its own.
        if (!this.#pool.isEvicted(frame.argument)) worker.owed -= 1;
        return this.#pool.closed(frame.argument);
      case FromWorker.OFFER_REJECTED:
        this.#pool.bounced(worker.id);
        worker.forgetOffer(frame.argument);
        this.#beginOffered(worker, nowMs);
        return this.startWaiting(nowMs);
      default:
        throw new Error(`message of type ${frame.type} from worker ${worker.id}`);
    }
  }

  #end(worker: WorkerLink, request: FrontRequest, frame: Frame, nowMs: number): void {
    // In C, where Lua does not come to tell it, or just over.
    this.#tellSlow(worker, request, undefined);
    const { state } = request;
    const stateId = state?.id ?? 0;
    worker.running = undefined;
    request.worker = undefined;
    const hasToClose = this.#pool.release(stateId, (frame.type & END_STATE_GONE) !== 0, tookMsOf(frame.type));
    if (hasToClose) this.#close(worker, stateId);
    if (state !== undefined) this.loans.noteTime(state, worker);
    this.#beginOffered(worker, nowMs);
    // The worker gets its next request before this one's answer is written: it need not sleep meanwhile.
    this.startWaiting(nowMs);
    if (worker.running === undefined) {
      worker.givenSinceMs = Number.POSITIVE_INFINITY;
      worker.loansStarve = false;
    }
    this.#answers.finish(request, frame.payload, frame.argument);
    this.#answers.over(request);
    this.loans.consider(request, worker);
  }

  #takeLog(worker: WorkerLink, frame: Frame): void {
    const level = LOG_LEVELS[frame.argument] ?? 'info';
    const text = Buffer.from(frame.payload).toString();
    const request = this.#requests.get(frame.id);
    const isOfScript = (frame.type & LOG_OF_SCRIPT) !== 0;
    if (request === undefined) this.#actions.log(level, text, { worker: worker.place, isOfScript });
    else this.#answers.log(request, level, text, isOfScript);
  }
}
