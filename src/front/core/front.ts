/**
 * The front's core: all decisions about connections and requests. It is fed events (a connection opened, bytes arrived, a
 * worker has posted something, time has passed) and answers with actions; it opens no socket, reads no clock and starts
 * no timer, so it can be driven through any order of events in a test. Drivers do the rest.
 *
 * Every event ends with the books in balance: each request is looking, reading, waiting or running, or it is over, and
 * no request waits that could start.
 */

import { LuafcgidError } from '../../base/errors.js';
import type { ServerValues } from '../../fcgi/session.js';
import { Pool } from '../../pool/pool.js';
import { LookUps } from '../../scripts/path-cache.js';
import type { Flushed } from '../../scripts/sweep.js';
import type { FrontSnapshot } from '../../status/model.js';
import { Answers } from '../answers/answers.js';
import { readAheadForAbort } from '../clients/abort-read-ahead.js';
import { LoadShedding } from '../clients/load-shedding.js';
import { Timeouts } from '../clients/timeouts.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import type { ConnectionPort, FrontActions, FrontCounts, FrontOptions } from '../model/actions.js';
import { Connection, type Meters } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import { serverValues } from '../model/server-values.js';
import { Tally } from '../model/tally.js';
import type { WorkerLink } from '../model/worker-link.js';
import { auditFront } from './audit.js';
import { Intake } from './intake.js';
import { takeSnapshot } from './snapshot.js';
import { dependenciesOf, retireStale } from './stale-states.js';

export type { FrontActions, FrontCounts, FrontOptions, LogSubject } from '../model/actions.js';

export class Front {
  /** Shared with the parts below, which find new settings in it after a reload. */
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  readonly #connections = new Map<number, FrontConnection>();
  readonly #dispatcher: Dispatcher;
  readonly #intake: Intake;
  /** All requests that are not over, by number. */
  readonly #requests = new Map<number, FrontRequest>();
  readonly #tally = new Tally();
  /** The files that script paths were found to lead to; the sweep keeps them true. */
  readonly lookUps = new LookUps((path) => this.#dispatcher.forgetPath(path));
  readonly #serverValues: ServerValues;
  /** Memory that all requests and all answers hold. */
  readonly #meters: Meters = { requests: { bytes: 0 }, running: { bytes: 0 }, unsent: { bytes: 0 } };
  readonly #timeouts: Timeouts;
  readonly #shedding: LoadShedding;

  constructor(options: FrontOptions, actions: FrontActions) {
    this.#options = { ...options };
    this.#actions = actions;
    this.#serverValues = serverValues(options);
    this.#pool = new Pool(options.pool, {
      mayOffer: (worker, request) => this.#dispatcher.mayOffer(worker, request),
      revoke: (worker, offer) => this.#dispatcher.revoke(worker, offer),
    });
    this.#answers = new Answers(
      this.#options,
      actions,
      this.#pool,
      this.#requests,
      () => this.#dispatcher.hasUnknownRequests,
      this.#tally,
    );
    this.#intake = new Intake({
      options: this.#options,
      actions,
      pool: this.#pool,
      answers: this.#answers,
      requests: this.#requests,
      lookUps: this.lookUps,
      meter: this.#meters.requests,
      worker: {
        clientGone: (request) => this.#dispatcher.clientGone(request),
        passBody: (request) => this.#dispatcher.passBody(request),
      },
    });
    const recall = (connection: FrontConnection): boolean => this.#dispatcher.recall(connection);
    this.#timeouts = new Timeouts(this.#options, actions, {
      lateParams: (connection, fcgiId) => {
        const seconds = this.#options.readTimeoutMs / 1000;
        this.#intake.giveUpParams(connection, fcgiId, new LuafcgidError('LUAFCGID_REQUEST_PARAMS_LATE', { seconds }));
      },
      lateBody: (request, nowMs) => this.#intake.lateBody(request, nowMs),
      recall,
      reviewPause: (connection) => {
        readAheadForAbort(connection, this.#meters, this.#options);
        connection.regulateReading(this.#options);
      },
    });
    this.#shedding = new LoadShedding(this.#options, actions, this.#meters, this.#connections, this.#timeouts, {
      recall,
      turnAway: (request, error) => {
        if (request.stage === 'waiting' && !this.#pool.leave(request)) return false;
        this.#answers.turnAway(request, error);
        return true;
      },
      turnAwayParams: (connection, fcgiId, error) => this.#intake.giveUpParams(connection, fcgiId, error),
    });
    const room = {
      meters: this.#meters,
      tally: this.#tally,
      hasSendRoom: () => this.#shedding.hasSendRoom(),
      hasConnectionRoom: (count: number) => this.#shedding.hasRoomFor(count),
    };
    this.#dispatcher = new Dispatcher(this.#options, actions, this.#pool, this.#answers, this.#requests, room, {
      fileOf: (path) => this.lookUps.find(path),
      connection: (id) => this.#connections.get(id),
      adopt: (connection, request, bytes, nowMs) => this.#intake.adopt(connection, request, bytes, nowMs),
      lose: (request) => this.#intake.lose(request),
    });
  }

  // ---- events of connections ---------------------------------------------------------------------------------------

  /** Whether one more connection may be opened as it is. */
  get hasRoom(): boolean {
    return this.#shedding.hasRoom;
  }

  /**
   * Whether one more connection may be opened; to be asked when one waits to be accepted. A connection without a request
   * may be closed for it.
   */
  admits(): boolean {
    return this.#shedding.admits();
  }

  /** @param id names the connection in the events that follow */
  connectionOpened(id: number, port: ConnectionPort): void {
    const connection = new Connection<FrontRequest>(id, port, this.#serverValues, this.#intake, this.#meters);
    this.#connections.set(id, connection);
    this.#tally.opened += 1;
    if (this.#answers.drain.isUnderWay) this.#answers.drain.add(connection);
  }

  bytesArrived(id: number, bytes: Uint8Array, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.#receive(connection, bytes, nowMs);
    this.#receiveArrivals(nowMs);
  }

  #receive(connection: FrontConnection, bytes: Uint8Array, nowMs: number): void {
    if (connection.isClosing) return;
    connection.receivedBytes += bytes.length;
    this.#intake.arrivalMs = nowMs;
    try {
      connection.session.receive(bytes);
    } catch (error) {
      if (!(error instanceof LuafcgidError)) throw error;
      this.#actions.log('warn', `${error.code}: ${error.message}. ${error.solve}`);
      connection.close(true);
      for (const request of connection.requests.values()) this.#intake.lose(request);
    }
    // Before the new requests wait or run: the largest holder of memory is turned away, which may be one of them.
    if (this.#meters.requests.bytes > this.#options.bodyTotalBytes) this.#shedding.relieveRequests();
    for (const request of connection.changed) this.#intake.advance(request, nowMs);
    connection.changed.length = 0;
    if (this.#meters.unsent.bytes > this.#options.sendTotalBytes) this.#shedding.hasSendRoom();
    // Output that waited for this connection need not wait any more if its request has just ended.
    if (connection.unsentBytes > this.#options.sendBufferBytes) this.#dispatcher.readHeldFor(connection, nowMs);
    this.#dispatcher.startWaiting(nowMs);
    connection.regulateReading(this.#options);
    // A request that was ended in mid-stream (its role is not served, it was aborted) may still be coming.
    connection.closeIfDone(this.#answers.drain.closes(connection), true);
  }

  /** Handles the bytes that workers have read from connections which are the front's now. */
  #receiveArrivals(nowMs: number): void {
    for (let next = this.#dispatcher.takeArrival(); next !== undefined; next = this.#dispatcher.takeArrival()) {
      this.#receive(next.connection, next.bytes, nowMs);
      this.#answers.settle(next.connection, false);
    }
  }

  /** The peer has sent its last byte; it may still be listening. */
  readEnded(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    connection.isReadEnded = true;
    for (const request of connection.requests.values()) this.#intake.inputEnded(request, nowMs);
    this.#dispatcher.startWaiting(nowMs);
    this.#answers.settle(connection, false);
  }

  /** The peer has sent its last byte while reading was paused: the bytes before it are read now, so that its end is seen. */
  peerEnding(id: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    connection.isEnding = true;
    connection.regulateReading(this.#options);
  }

  /** The connection is gone, for whatever reason. */
  connectionClosed(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.#connections.delete(id);
    this.#shedding.connectionGone(id);
    connection.markClosed();
    for (const request of connection.requests.values()) this.#intake.lose(request);
    this.#answers.drain.look();
    this.#dispatcher.readHeldFor(connection, nowMs);
    this.#dispatcher.startWaiting(nowMs);
    this.#receiveArrivals(nowMs);
  }

  /** Some of what was written has been sent; `unsentBytes` are left. */
  sent(id: number, unsentBytes: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.unsentBytes = unsentBytes;
    if (unsentBytes <= this.#options.sendBufferBytes) this.#dispatcher.readHeldFor(connection, nowMs);
    connection.regulateReading(this.#options);
    this.#dispatcher.startWaiting(nowMs);
    this.#receiveArrivals(nowMs);
  }

  // ---- events of look-ups ------------------------------------------------------------------------------------------

  /** The script of a request is this file (absolute, links resolved). */
  scriptFound(requestId: number, file: string, nowMs: number): void {
    this.#intake.scriptFound(requestId, file, nowMs);
    this.#dispatcher.startWaiting(nowMs);
  }

  scriptRefused(requestId: number, error: LuafcgidError): void {
    this.#intake.scriptRefused(requestId, error);
  }

  // ---- events of workers -------------------------------------------------------------------------------------------

  /** A worker is ready. `index` is its place among the workers. */
  workerReady(link: WorkerLink, index: number, nowMs: number): void {
    this.#dispatcher.ready(link, index, nowMs);
  }

  /** Settings change: for whatever happens from now on. */
  configure(options: FrontOptions, nowMs: number): void {
    Object.assign(this.#options, options);
    Object.assign(this.#serverValues, serverValues(options));
    this.#pool.setLimits(options.pool, nowMs);
    if (this.#meters.requests.bytes > options.bodyTotalBytes) this.#shedding.relieveRequests();
  }

  /** These workers are to end when they have done what they have begun with. */
  retireWorkers(ids: readonly number[], nowMs: number): void {
    this.#dispatcher.retire(ids, nowMs);
  }

  /** All workers are told to end when they have done what they were given. */
  stopWorkers(): void {
    this.#dispatcher.stop();
  }

  /** A worker's thread has ended. Its request is answered, its states are gone. */
  workerGone(id: number, reason: string, nowMs: number): void {
    this.#dispatcher.gone(id, reason, nowMs);
    this.#receiveArrivals(nowMs);
  }

  /** The thread of a worker that was given up has ended. */
  workerEnded(id: number): void {
    this.#dispatcher.threadEnded(id);
  }

  /**
   * Some worker has written to its ring, or made room in the other one. Also to be called after `bytesArrived`, `sent`,
   * `tick` and `connectionClosed`, since they may leave messages of workers for later.
   * @returns whether any had posted something: there may be more, which is read at the next call
   */
  pollWorkers(nowMs: number): boolean {
    const hasRead = this.#dispatcher.poll(nowMs);
    this.#receiveArrivals(nowMs);
    // A worker may have given its connections back.
    this.#answers.drain.look();
    return hasRead;
  }

  // ---- time and housekeeping ---------------------------------------------------------------------------------------

  /** Time has passed: requests that have waited too long are turned away, and clients and workers are looked at. */
  tick(nowMs: number): void {
    const { queueTimeoutMs } = this.#options;
    for (const request of this.#pool.waitingSince(nowMs - queueTimeoutMs)) {
      if (!this.#pool.leave(request)) continue;
      const values = { seconds: queueTimeoutMs / 1000 };
      this.#answers.turnAway(request, new LuafcgidError('LUAFCGID_POOL_TIMEOUT', values));
    }
    this.#shedding.tick();
    this.#timeouts.tick(this.#connections.values(), nowMs);
    this.#dispatcher.watch(nowMs);
    // A request whose worker was given up waits again, and holds memory of those that wait.
    if (this.#meters.requests.bytes > this.#options.bodyTotalBytes) this.#shedding.relieveRequests();
    this.#dispatcher.freeHeld(nowMs);
    this.#dispatcher.acceptLeft();
    this.#receiveArrivals(nowMs);
    this.#answers.drain.tick(nowMs);
    this.#actions.flushLogs?.();
  }

  /** To be called after events, when no more are known at once: workers that were given something short are woken. */
  wakeWorkers(): void {
    this.#dispatcher.wake();
  }

  /** Whether `pollWorkers` has to be called within a millisecond, even if nobody rings. */
  get isReviewDue(): boolean {
    return this.#pool.hasOffers || this.#dispatcher.isReviewDue;
  }

  /** Every file that a state was made from, and whether its content is needed to tell its versions apart. */
  dependencies(): Map<string, boolean> {
    return dependenciesOf(this.#pool);
  }

  /**
   * Flushes the states that were made from files which have changed.
   * @param fingerprints of files now; undefined: the file is gone. Files that are not listed count as unchanged.
   */
  flushStale(fingerprints: ReadonlyMap<string, string | undefined>): Flushed {
    const { idle, flushed } = retireStale(this.#pool, fingerprints);
    this.#dispatcher.close(idle);
    return flushed;
  }

  /** Lets idle states collect garbage. */
  collectIdle(): void {
    this.#dispatcher.collectIdle();
  }

  /** No new connections will come: requests that have begun are finished, then each connection is closed. */
  drain(nowMs: number): void {
    this.#dispatcher.recallAll(nowMs);
    this.#receiveArrivals(nowMs);
    this.#answers.drain.begin([...this.#connections.values()], nowMs);
  }

  /** The server ends, and with it the requests that still run: the access log has a line for each. */
  reportUnfinished(): void {
    this.#answers.reportUnfinished();
  }

  counts(): FrontCounts {
    const { requests, running, unsent } = this.#meters;
    return {
      ...this.#pool.counts(),
      connections: this.#connections.size,
      requests: this.#requests.size,
      requestBytes: requests.bytes,
      runningBytes: running.bytes,
      unsentBytes: unsent.bytes,
    };
  }

  /** What it is doing at this moment. */
  snapshot(nowMs: number): FrontSnapshot {
    const [options, tally, pool, meters] = [this.#options, this.#tally, this.#pool, this.#meters];
    const [connections, requests, { workers }] = [this.#connections, this.#requests, this.#dispatcher];
    const nameOf = (request: FrontRequest): string => this.#answers.nameOf(request);
    return takeSnapshot({ options, tally, pool, meters, connections, requests, workers, nameOf }, nowMs);
  }

  /** Asks for the Lua stack of a request by its name: `FrontActions.stack` gets it. @returns how things stand with it */
  askForStack(name: string): 'asked' | 'waits' | 'unknown' {
    for (const request of this.#requests.values()) {
      if (this.#answers.nameOf(request) === name) return this.#dispatcher.askForStack(request) ? 'asked' : 'waits';
    }
    return 'unknown';
  }

  /** Asks for the Lua stacks of all requests that run or wait for results. */
  askForStacks(): void {
    for (const request of this.#requests.values()) this.#dispatcher.askForStack(request);
  }

  /** Faults of the books, in words; for tests. */
  audit(): string[] {
    return [
      ...this.#pool.audit(),
      ...auditFront({
        requests: this.#requests,
        connections: this.#connections,
        meters: this.#meters,
        limits: this.#options,
        runs: this.#dispatcher.runCount,
        waitingInPool: this.#pool.counts().waiting,
        leaving: this.#shedding.leaving,
        workers: this.#dispatcher.workers,
      }),
    ];
  }
}
