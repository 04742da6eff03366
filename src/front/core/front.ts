/**
 * The front's core: what happens to connections and requests. It is fed events (a connection opened, bytes arrived, a
 * worker has said something, time has passed) and answers with actions; it opens no socket, reads no clock and starts
 * no timer, so it can be driven through any order of events in a test. Drivers do the rest.
 *
 * Every event ends with the books in balance: each request is looking, reading, waiting or running, or it is over, and
 * no request waits that could start.
 */

import { LuafcgidError } from '../../base/errors.js';
import { type CgiRequest, parseRequest } from '../../cgi/request.js';
import { BodyFault, MAX_FRONT_REQUEST } from '../../channel/messages.js';
import { decodeParams, type ServerValues } from '../../fcgi/session.js';
import { Pool, type PoolCounts } from '../../pool/pool.js';
import { hasDigest, isUnchanged } from '../../scripts/fingerprint.js';
import { LookUps } from '../../scripts/path-cache.js';
import { Answers } from '../answers/answers.js';
import { readAheadForAbort } from '../clients/abort-read-ahead.js';
import { LoadShedding } from '../clients/load-shedding.js';
import { Timeouts } from '../clients/timeouts.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { AccessRecord } from '../model/access-record.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import { Connection, type ConnectionOwner, type Meters } from '../model/connection.js';
import { FrontRequest } from '../model/request.js';
import type { WorkerLink } from '../model/worker-link.js';
import { auditFront } from './audit.js';

export type { FrontActions, FrontOptions, LogSubject } from '../model/actions.js';

/** Stands for the request of a client whose parameters cannot be used. */
const UNREADABLE: CgiRequest = { method: 'GET', scriptPath: '', contentLength: undefined, params: new Uint8Array(0) };

/** How much there is of everything. */
export interface FrontCounts extends PoolCounts {
  readonly connections: number;
  readonly requests: number;
  /** Memory of requests that no worker runs, and of those that run. */
  readonly requestBytes: number;
  readonly runningBytes: number;
  /** What waits in memory to be sent. */
  readonly unsentBytes: number;
}

export class Front {
  /** Shared with the parts below, which find new settings in it after a reload. */
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  readonly #connections = new Map<number, Connection>();
  readonly #crew: Dispatcher;
  /** All requests that are not over, by number. */
  readonly #requests = new Map<number, FrontRequest>();
  /** What script paths were found to be; housekeeping keeps it true. */
  readonly lookUps = new LookUps((path) => this.#crew.forgetName(path));
  readonly #serverValues: ServerValues;
  readonly #connectionOwner: ConnectionOwner = {
    begin: (connection, fcgiId, params) => this.#begin(connection, fcgiId, params),
    takeBody: (connection, fcgiId, bytes) => this.#takeBody(connection, fcgiId, bytes),
    endBody: (connection, fcgiId) => this.#endBody(connection, fcgiId),
    abort: (connection, fcgiId) => this.#abort(connection, fcgiId),
    refuseParams: (connection, fcgiId, limit) => {
      const request = this.#list(connection, fcgiId, UNREADABLE);
      this.#answers.refuse(request, new LuafcgidError('LUAFCGID_FCGI_PARAMS_TOO_LARGE', { limit }));
    },
  };
  /** What all requests and all answers hold in memory. */
  readonly #meters: Meters = { requests: { bytes: 0 }, running: { bytes: 0 }, unsent: { bytes: 0 } };
  readonly #timeouts: Timeouts;
  readonly #relief: LoadShedding;
  #lastRequest = 0;
  /** The number of a request that a worker runs already, while its bytes are read. */
  #adoptedId = 0;
  /** The time of the last tick, and of the last bytes that arrived. */
  #nowMs = 0;
  #arrivalMs = 0;

  constructor(options: FrontOptions, actions: FrontActions) {
    this.#options = { ...options };
    this.#actions = actions;
    this.#serverValues = serverValues(options);
    this.#pool = new Pool(options.pool, {
      mayOffer: (worker, request) => this.#crew.mayOffer(worker, request),
      revoke: (worker, offer) => this.#crew.revoke(worker, offer),
    });
    this.#answers = new Answers(this.#options, actions, this.#pool, this.#requests, () => this.#crew.isOut);
    this.#timeouts = new Timeouts(this.#options, actions, {
      lateParams: (connection, fcgiId) => {
        const seconds = this.#options.readTimeoutMs / 1000;
        this.#giveUpParams(connection, fcgiId, new LuafcgidError('LUAFCGID_REQUEST_PARAMS_LATE', { seconds }));
      },
      lateBody: (request) => this.#lateBody(request),
      recall: (connection) => this.#crew.loans.recall(connection),
      reviewPause: (connection) => {
        readAheadForAbort(connection, this.#meters, this.#options);
        connection.regulateReading(this.#options);
      },
    });
    this.#relief = new LoadShedding(this.#options, actions, this.#meters, this.#connections, this.#timeouts, {
      recall: (connection) => this.#crew.loans.recall(connection),
      turnAway: (request, error) => {
        if (request.stage === 'waiting' && !this.#pool.leave(request)) return false;
        this.#answers.turnAway(request, error);
        return true;
      },
      turnAwayParams: (connection, fcgiId, error) => this.#giveUpParams(connection, fcgiId, error),
    });
    const room = {
      meters: this.#meters,
      hasSendRoom: () => this.#relief.hasSendRoom(),
      hasConnectionRoom: (count: number) => this.#relief.hasRoomFor(count),
    };
    this.#crew = new Dispatcher(this.#options, actions, this.#pool, this.#answers, this.#requests, room, {
      fileOf: (path) => this.lookUps.find(path),
      connection: (id) => this.#connections.get(id),
      arrived: (connection, bytes, nowMs) => this.bytesArrived(connection.id, bytes, nowMs),
      adopt: (connection, request, bytes) => this.#adopt(connection, request, bytes),
    });
  }

  // ---- events of connections ---------------------------------------------------------------------------------------

  /** Whether one more connection may be opened as it is. */
  get hasRoom(): boolean {
    return this.#relief.hasRoom;
  }

  /** To be called when somebody waits to be connected: whether one more connection may be opened. One that has no request may be closed for it. */
  admits(): boolean {
    return this.#relief.admits();
  }

  connectionOpened(id: number): void {
    const connection = new Connection(id, this.#actions, this.#serverValues, this.#connectionOwner, this.#meters);
    this.#connections.set(id, connection);
    if (this.#answers.drain.isUnderWay) this.#answers.drain.add(connection);
  }

  bytesArrived(id: number, bytes: Uint8Array, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    connection.heardBytes += bytes.length;
    this.#arrivalMs = nowMs;
    try {
      connection.session.receive(bytes);
    } catch (error) {
      if (!(error instanceof LuafcgidError)) throw error;
      this.#actions.log('warn', `${error.code}: ${error.message}. ${error.solve}`);
      connection.close(true);
      for (const request of connection.requests.values()) this.#lose(request);
    }
    // Before they wait or run: whoever has too much is turned away, or they are.
    if (this.#meters.requests.bytes > this.#options.bodyTotalBytes) this.#relief.relieveRequests();
    for (const request of connection.changed) this.#advance(request, nowMs);
    connection.changed.length = 0;
    if (this.#meters.unsent.bytes > this.#options.sendTotalBytes) this.#relief.hasSendRoom();
    // What waited for this connection need not wait any more if its request has just ended.
    if (connection.unsentBytes > this.#options.sendBufferBytes) this.#crew.hearHeld(connection, nowMs);
    this.#crew.startWaiting(nowMs);
    connection.regulateReading(this.#options);
    // A request that was ended in mid-stream (its role is not served, it was aborted) may still be coming.
    connection.closeIfDone(this.#answers.drain.closes(connection), true);
  }

  /** The peer has sent its last byte; it may still be listening. */
  readEnded(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    connection.isReadEnded = true;
    for (const request of connection.requests.values()) {
      // Who still listens has to put up with it: a script that wants to be stopped takes this for the client's end.
      if (request.stopsOnAbort) this.#crew.clientGone(request);
      if (request.isBodyComplete) continue;
      if (!request.needsNoBody || request.receivedBytes > 0) {
        this.#failBody(request, BodyFault.SHORT);
        continue;
      }
      request.isBodyComplete = true;
      this.#advance(request, nowMs);
    }
    this.#crew.startWaiting(nowMs);
    connection.closeIfDone(this.#answers.drain.closes(connection), false);
  }

  /** The peer has sent its last byte, while reading was paused: what is left is read, and then the request's fate known. */
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
    this.#relief.connectionGone(id);
    connection.markClosed();
    for (const request of connection.requests.values()) this.#lose(request);
    this.#answers.drain.look();
    this.#crew.hearHeld(connection, nowMs);
    this.#crew.startWaiting(nowMs);
  }

  /** Some of what was written has been sent; `unsentBytes` are left. */
  sent(id: number, unsentBytes: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.unsentBytes = unsentBytes;
    if (unsentBytes <= this.#options.sendBufferBytes) this.#crew.hearHeld(connection, nowMs);
    connection.regulateReading(this.#options);
    this.#crew.startWaiting(nowMs);
  }

  // ---- events of look-ups ------------------------------------------------------------------------------------------

  /** The script of a request is this file (absolute, links resolved). */
  scriptFound(requestId: number, file: string, nowMs: number): void {
    const request = this.#requests.get(requestId);
    if (request === undefined || request.stage !== 'looking') return;
    this.lookUps.remember(request.cgi.scriptPath, file);
    request.script = file;
    request.stage = 'reading';
    this.#advance(request, nowMs);
    this.#crew.startWaiting(nowMs);
  }

  scriptRefused(requestId: number, error: LuafcgidError): void {
    const request = this.#requests.get(requestId);
    if (request !== undefined && request.stage === 'looking') this.#answers.refuse(request, error);
  }

  // ---- events of workers -------------------------------------------------------------------------------------------

  /** A worker is ready. `index` is its place among the workers. */
  workerReady(link: WorkerLink, index: number, nowMs: number): void {
    this.#crew.ready(link, index, nowMs);
  }

  /** Settings change: for whatever happens from now on. */
  configure(options: FrontOptions, nowMs: number): void {
    Object.assign(this.#options, options);
    Object.assign(this.#serverValues, serverValues(options));
    this.#pool.setLimits(options.pool, nowMs);
    if (this.#meters.requests.bytes > options.bodyTotalBytes) this.#relief.relieveRequests();
  }

  /** These workers are to end when they have done what they have begun with. */
  retireWorkers(ids: readonly number[], nowMs: number): void {
    this.#crew.retire(ids, nowMs);
  }

  /** All workers are told to end when they have done what they were given. */
  stopWorkers(): void {
    this.#crew.stop();
  }

  /** A worker's thread has ended. Its request is answered, its states are gone. */
  workerGone(id: number, reason: string, nowMs: number): void {
    this.#crew.gone(id, reason, nowMs);
  }

  /** The thread of a worker that was given up has ended. */
  workerEnded(id: number): void {
    this.#crew.ended(id);
  }

  /**
   * Some worker has written to its ring, or made room in the other one. Also to be called after `bytesArrived`, `sent`,
   * `tick` and `connectionClosed`, since they may leave some of what workers say for later.
   * @returns whether any had something to say: there may be more, which is heard at the next call
   */
  workersSpoke(nowMs: number): boolean {
    return this.#crew.spoke(nowMs);
  }

  // ---- time and housekeeping ---------------------------------------------------------------------------------------

  /** Time has passed: who has waited too long is told so. */
  tick(nowMs: number): void {
    const { queueTimeoutMs } = this.#options;
    for (const request of this.#pool.waitingSince(nowMs - queueTimeoutMs)) {
      if (!this.#pool.leave(request)) continue;
      const values = { seconds: queueTimeoutMs / 1000 };
      this.#answers.turnAway(request, new LuafcgidError('LUAFCGID_POOL_TIMEOUT', values));
    }
    this.#nowMs = nowMs;
    this.#relief.tick();
    this.#timeouts.tick(this.#connections.values(), nowMs);
    this.#crew.watch(nowMs);
    // A request whose worker was given up waits again.
    if (this.#meters.requests.bytes > this.#options.bodyTotalBytes) this.#relief.relieveRequests();
    this.#crew.freeHeld(nowMs);
    this.#answers.drain.tick(nowMs);
    this.#actions.flushLogs?.();
  }

  /** To be called after events, when no more are known at once: workers that were given something short are woken. */
  wakeWorkers(): void {
    this.#crew.wake();
  }

  /** Whether `workersSpoke` has to be called within a millisecond, even if nobody rings. */
  get isReviewDue(): boolean {
    return this.#pool.hasOffers || this.#crew.isReviewDue;
  }

  /** Every file that a state was made from, and whether its content is needed to tell its versions apart. */
  dependencies(): Map<string, boolean> {
    const paths = new Map<string, boolean>();
    for (const state of this.#pool.states()) {
      for (const [path, fingerprint] of state.dependencies) {
        paths.set(path, hasDigest(fingerprint) || (paths.get(path) ?? false));
      }
    }
    return paths;
  }

  /**
   * Flushes the states made from files that are not any more what they were.
   * @param fingerprints of files now; undefined: the file is gone. Files that are not listed count as unchanged.
   * @returns how many states that were
   */
  flushStale(fingerprints: ReadonlyMap<string, string | undefined>): number {
    let flushed = 0;
    const idle = this.#pool.retireStale((state) => {
      for (const [path, fingerprint] of state.dependencies) {
        if (fingerprints.has(path) && !isUnchanged(fingerprint, fingerprints.get(path))) {
          flushed += 1;
          return true;
        }
      }
      return false;
    });
    this.#crew.close(idle);
    return flushed;
  }

  /** Lets idle states collect garbage. */
  collectIdle(): void {
    this.#crew.collectIdle();
  }

  /** No new connections will come: what has begun is finished, then each connection is closed. */
  drain(nowMs: number): void {
    this.#crew.recallAll(nowMs);
    this.#answers.drain.begin([...this.#connections.values()], nowMs);
  }

  /** The server ends, and with it what still runs: tells the access log of it. */
  tellUnfinished(): void {
    this.#answers.tellUnfinished();
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

  /** What does not balance, in words; for tests. */
  audit(): string[] {
    return [
      ...this.#pool.audit(),
      ...auditFront({
        requests: this.#requests,
        connections: this.#connections,
        meters: this.#meters,
        limits: this.#options,
        busyWorkers: this.#crew.busyCount,
        waitingInPool: this.#pool.counts().waiting,
        leaving: this.#relief.leaving,
        workers: this.#crew.workers,
      }),
    ];
  }

  // ---- a request's way to a worker ---------------------------------------------------------------------------------

  #begin(connection: Connection, fcgiId: number, params: Uint8Array): void {
    // Sent after the last request that this connection was opened for.
    if (connection.isClosing) return;
    const { maxPostBytes } = this.#options;
    let cgi: CgiRequest;
    try {
      cgi = parseRequest(params);
    } catch (error) {
      // Without a status the pairs themselves are malformed: a protocol error, which costs the connection.
      if (!(error instanceof LuafcgidError) || error.status === 0) throw error;
      const method = decodeParams(params).get('REQUEST_METHOD') ?? UNREADABLE.method;
      return this.#answers.refuse(this.#list(connection, fcgiId, { ...UNREADABLE, method, params }), error);
    }
    const request = this.#list(connection, fcgiId, cgi);
    const known = this.lookUps.find(cgi.scriptPath);
    if (this.#adoptedId > 0) {
      request.script = known ?? cgi.scriptPath;
      return;
    }
    if ((cgi.contentLength ?? 0) > maxPostBytes) return this.#answers.refuse(request, tooLarge(maxPostBytes));
    if (known === undefined) return this.#actions.lookUp(cgi.scriptPath, request.id);
    request.script = known;
    request.stage = 'reading';
    connection.changed.push(request);
  }

  /** A worker runs the request already that these bytes are, the whole of it. */
  #adopt(connection: Connection, id: number, bytes: Uint8Array): FrontRequest {
    this.#adoptedId = id;
    try {
      connection.heardBytes += bytes.length;
      connection.session.receive(bytes);
    } finally {
      this.#adoptedId = 0;
      connection.changed.length = 0;
    }
    const request = this.#requests.get(id);
    if (request === undefined) throw new Error(`the bytes of request ${id} are none`);
    request.isBodyComplete = true;
    request.hasHandedOn = true;
    return request;
  }

  #nextId(): number {
    do {
      this.#lastRequest = (this.#lastRequest % MAX_FRONT_REQUEST) + 1;
    } while (this.#requests.has(this.#lastRequest));
    return this.#lastRequest;
  }

  #list(connection: Connection, fcgiId: number, cgi: CgiRequest): FrontRequest {
    const id = this.#adoptedId || this.#nextId();
    const request = new FrontRequest(id, fcgiId, connection, cgi, this.#meters.requests);
    if (this.#options.tracesRequests) request.trace = new AccessRecord(this.#arrivalMs);
    connection.isUsed = true;
    request.avoidsDirectWorkers = connection.wasShed;
    connection.wasShed = false;
    connection.requests.add(fcgiId, request);
    this.#requests.set(request.id, request);
    return request;
  }

  #takeBody(connection: Connection, fcgiId: number, bytes: Uint8Array): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined || this.#adoptedId > 0) return;
    const { contentLength } = request.cgi;
    const wantedBytes = contentLength === undefined ? bytes.length : contentLength - request.receivedBytes;
    const taken = bytes.length > wantedBytes ? bytes.subarray(0, wantedBytes) : bytes;
    if (taken.length < bytes.length && !request.isBodyTooLong) {
      request.isBodyTooLong = true;
      const text = `the body is longer than its CONTENT_LENGTH of ${contentLength} bytes; the rest is dropped`;
      this.#answers.log(request, 'warn', text);
    }
    if (request.isBodyComplete) return;
    request.receivedBytes += taken.length;
    if (request.receivedBytes > this.#options.maxPostBytes) return this.#failBody(request, BodyFault.TOO_LARGE);
    request.keepBody(taken);
    if (request.receivedBytes === contentLength) request.isBodyComplete = true;
    connection.changed.push(request);
  }

  #endBody(connection: Connection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined || request.isBodyComplete || this.#adoptedId > 0) return;
    if (request.cgi.contentLength !== undefined) return this.#failBody(request, BodyFault.SHORT);
    request.isBodyComplete = true;
    connection.changed.push(request);
  }

  /** The body will not be what it should: a script that runs is told when it reads, other requests are answered. */
  #failBody(request: FrontRequest, fault: Exclude<BodyFault, typeof BodyFault.CLIENT_GONE>): void {
    if (request.worker !== undefined) return request.worker.failBody(request, fault);
    this.#answers.refuse(request, this.#bodyError(fault));
  }

  #bodyError(fault: BodyFault): LuafcgidError {
    const { maxPostBytes, readTimeoutMs } = this.#options;
    if (fault === BodyFault.TOO_LARGE) return tooLarge(maxPostBytes);
    if (fault === BodyFault.SHORT) return new LuafcgidError('LUAFCGID_REQUEST_BODY_SHORT');
    return new LuafcgidError('LUAFCGID_REQUEST_BODY_LATE', { seconds: readTimeoutMs / 1000 });
  }

  /** The body has stopped coming. */
  #lateBody(request: FrontRequest): void {
    if (!request.needsNoBody || request.receivedBytes > 0) return this.#failBody(request, BodyFault.LATE);
    request.isBodyComplete = true;
    this.#advance(request, this.#nowMs);
  }

  #giveUpParams(connection: Connection, fcgiId: number, error: LuafcgidError): void {
    if (!connection.session.giveUpParams(fcgiId)) return;
    const request = this.#list(connection, fcgiId, UNREADABLE);
    if (error.status === 503) this.#answers.turnAway(request, error);
    else this.#answers.refuse(request, error);
  }

  #abort(connection: Connection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined) return;
    this.#answers.abort(request);
    this.#crew.clientGone(request);
  }

  /** The connection of a request is gone. */
  #lose(request: FrontRequest): void {
    this.#answers.detach(request);
    this.#crew.clientGone(request);
  }

  /** Does for a request what can be done now. */
  #advance(request: FrontRequest, nowMs: number): void {
    if (request.worker !== undefined) return this.#crew.passBody(request);
    if (request.stage !== 'reading' || !request.isReady(this.#options.bodyMemoryBytes)) return;
    request.stage = 'waiting';
    request.arrivedMs = nowMs;
    this.#pool.join(request);
  }
}

function serverValues({ pool, connectionLimit }: FrontOptions): ServerValues {
  return { maxConnections: connectionLimit, maxRequests: pool.workers + pool.queue };
}

function tooLarge(limit: number): LuafcgidError {
  return new LuafcgidError('LUAFCGID_REQUEST_BODY_TOO_LARGE', { limit });
}
