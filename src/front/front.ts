/**
 * The front's core: what happens to connections and requests. It is fed events (a connection opened, bytes arrived, a
 * worker has said something, time has passed) and answers with actions; it opens no socket, reads no clock and starts
 * no timer, so it can be driven through any order of events in a test. Drivers do the rest.
 *
 * Every event ends with the books in balance: each request is looking, reading, waiting or running, or it is over, and
 * no request waits that could start.
 */

import { type CgiRequest, parseRequest } from '../cgi/request.js';
import { hasDigest, isUnchanged } from '../channel/fingerprint.js';
import {
  BodyFault,
  decodeDependency,
  END_STATE_GONE,
  encodeStart,
  FromWorker,
  LOG_LEVELS,
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_RETIRE,
  ToWorker,
  typeOf,
} from '../channel/messages.js';
import type { Frame } from '../channel/ring.js';
import { LuafcgidError } from '../errors.js';
import { decodeParams, ServerSession } from '../fcgi/session.js';
import { type Assignment, Pool, type PoolCounts } from '../pool/pool.js';
import type { FrontActions, FrontOptions } from './actions.js';
import { Answers } from './answers.js';
import { Connection } from './connection.js';
import { LookUps } from './look-ups.js';
import { FrontRequest } from './request.js';
import type { WorkerLink } from './worker-link.js';

export type { FrontActions, FrontOptions, LogSubject } from './actions.js';

/** What GET_VALUES tells as FCGI_MAX_CONNS: only the system limits connections. */
const MAX_CONNECTIONS_TOLD = 65_535;

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

/** Stands for the request of a client whose parameters cannot be used. */
const UNREADABLE: CgiRequest = { method: 'GET', scriptPath: '', contentLength: undefined, params: new Uint8Array(0) };

export class Front {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  readonly #connections = new Map<number, Connection>();
  readonly #workers = new Map<number, WorkerLink>();
  /** All requests that are not over, by number. */
  readonly #requests = new Map<number, FrontRequest>();
  /** What script paths were found to be; housekeeping keeps it true. */
  readonly lookUps = new LookUps();
  #lastRequest = 0;
  /** Some request was refused for want of a state since the last tick. */
  #hasTurnedAway = false;

  constructor(options: FrontOptions, actions: FrontActions) {
    this.#options = options;
    this.#actions = actions;
    this.#pool = new Pool(options.pool);
    this.#answers = new Answers(options, actions, this.#pool, this.#requests);
  }

  // ---- events of connections ---------------------------------------------------------------------------------------

  connectionOpened(id: number): void {
    const { pool } = this.#options;
    const values = { maxConnections: MAX_CONNECTIONS_TOLD, maxRequests: pool.workers + pool.queue };
    const makeSession = (connection: Connection): ServerSession =>
      new ServerSession(values, {
        onRequest: (fcgiId, params) => this.#begin(connection, fcgiId, params),
        onBody: (fcgiId, bytes) => this.#takeBody(connection, fcgiId, bytes),
        onBodyEnd: (fcgiId) => this.#endBody(connection, fcgiId),
        onAbort: (fcgiId) => this.#abort(connection, fcgiId),
        onParamsTooLarge: (fcgiId, limit) => {
          const request = this.#list(connection, fcgiId, UNREADABLE);
          this.#answers.refuse(request, new LuafcgidError('LUAFCGID_FCGI_PARAMS_TOO_LARGE', { limit }));
        },
        onReply: (bytes) => connection.write(bytes),
      });
    const connection = new Connection(id, this.#actions, makeSession);
    this.#connections.set(id, connection);
    // Accepted in the moment in which the server began to stop.
    connection.closeIfDone(this.#answers.isDraining, false);
  }

  bytesArrived(id: number, bytes: Uint8Array, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    try {
      connection.session.receive(bytes);
    } catch (error) {
      if (!(error instanceof LuafcgidError)) throw error;
      this.#actions.log('warn', `${error.code}: ${error.message}. ${error.solve}`);
      connection.close(true);
      for (const request of [...connection.requests.values()]) this.#answers.detach(request);
    }
    for (const request of connection.changed) this.#advance(request, nowMs);
    connection.changed.length = 0;
    // What waited for this connection need not wait any more if its request has just ended.
    if (connection.unsentBytes > this.#options.sendBufferBytes) this.#hearHeld(connection, nowMs);
    this.#startWaiting(nowMs);
    connection.regulateReading(this.#options);
    // A request that was ended in mid-stream (its role is not served, it was aborted) may still be coming.
    connection.closeIfDone(this.#answers.isDraining, true);
  }

  /** The peer has sent its last byte; it may still be listening. */
  readEnded(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    connection.isReadEnded = true;
    for (const request of [...connection.requests.values()]) {
      if (request.isBodyComplete) continue;
      if (!request.needsNoBody || request.receivedBytes > 0) {
        this.#failBody(request, BodyFault.SHORT);
        continue;
      }
      request.isBodyComplete = true;
      this.#advance(request, nowMs);
    }
    this.#startWaiting(nowMs);
    connection.closeIfDone(this.#answers.isDraining, false);
  }

  /** The connection is gone, for whatever reason. */
  connectionClosed(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.#connections.delete(id);
    connection.markClosed();
    for (const request of [...connection.requests.values()]) this.#answers.detach(request);
    this.#hearHeld(connection, nowMs);
    this.#startWaiting(nowMs);
  }

  /** Some of what was written has been sent; `unsentBytes` are left. */
  sent(id: number, unsentBytes: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.unsentBytes = unsentBytes;
    if (unsentBytes <= this.#options.sendBufferBytes) this.#hearHeld(connection, nowMs);
    connection.regulateReading(this.#options);
    this.#startWaiting(nowMs);
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
    this.#startWaiting(nowMs);
  }

  scriptRefused(requestId: number, error: LuafcgidError): void {
    const request = this.#requests.get(requestId);
    if (request !== undefined && request.stage === 'looking') this.#answers.refuse(request, error);
  }

  // ---- events of workers -------------------------------------------------------------------------------------------

  /** A worker is ready. `index` is its place among the workers. */
  workerReady(link: WorkerLink, index: number, nowMs: number): void {
    this.#workers.set(link.id, link);
    this.#pool.addWorker(link.id, index);
    this.#startWaiting(nowMs);
  }

  /** A worker's thread has ended. Its request is answered, its states are gone. */
  workerGone(id: number, reason: string, nowMs: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.#workers.delete(id);
    this.#pool.removeWorker(id);
    // Its last words: the news of its end may have overtaken the end of its request.
    for (let frame = worker.peek(); frame !== undefined; frame = worker.peek()) {
      this.#take(worker, frame, nowMs);
      worker.release();
    }
    const request = worker.running;
    worker.running = undefined;
    if (request !== undefined) {
      const error = this.#answers.isDraining
        ? new LuafcgidError('LUAFCGID_SERVER_STOPPED')
        : new LuafcgidError('LUAFCGID_WORKER_GONE', { reason });
      this.#answers.refuse(request, error);
      this.#answers.over(request);
    }
    this.#startWaiting(nowMs);
  }

  /**
   * Some worker has written to its ring, or made room in the other one. Also to be called after `bytesArrived`, `sent`,
   * `tick` and `connectionClosed`, since they may leave some of what workers say for later.
   * @returns whether any had something to say: there may be more, which is heard at the next call
   */
  workersSpoke(nowMs: number): boolean {
    let heard = false;
    for (const worker of this.#workers.values()) {
      heard = this.#hear(worker, nowMs) || heard;
      worker.flush();
      if (worker.running !== undefined) this.#passBody(worker, worker.running);
    }
    this.#startWaiting(nowMs);
    return heard;
  }

  // ---- time and housekeeping ---------------------------------------------------------------------------------------

  /** Time has passed: who has waited too long is told so. */
  tick(nowMs: number): void {
    const { queueTimeoutMs } = this.#options;
    for (const request of this.#pool.waitingSince(nowMs - queueTimeoutMs)) {
      this.#answers.turnAway(request, 'LUAFCGID_POOL_TIMEOUT', { seconds: queueTimeoutMs / 1000 });
    }
    this.#freeHeldWorkers(nowMs);
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
    for (const state of idle) this.#workers.get(state.worker)?.send(ToWorker.CLOSE, 0, state.id);
    return flushed;
  }

  /** Lets free workers collect garbage in a few of the states that were used since they last did. */
  collectIdle(): void {
    for (const state of this.#pool.takeUncollected(COLLECTED_PER_SWEEP)) {
      this.#workers.get(state.worker)?.send(ToWorker.COLLECT, 0, state.id);
    }
  }

  /** No new connections will come: what has begun is finished, then each connection is closed. */
  drain(): void {
    this.#answers.drain();
    for (const connection of [...this.#connections.values()]) connection.closeIfDone(true, false);
  }

  counts(): PoolCounts & { readonly connections: number; readonly requests: number } {
    return { ...this.#pool.counts(), connections: this.#connections.size, requests: this.#requests.size };
  }

  /** What does not balance, in words; for tests. */
  audit(): string[] {
    const faults = this.#pool.audit();
    const stages = { looking: 0, reading: 0, waiting: 0, running: 0, over: 0 };
    for (const request of this.#requests.values()) {
      stages[request.stage] += 1;
      const isListed = request.connection.requests.get(request.fcgiId) === request;
      if (isListed === request.isAnswered) {
        faults.push(`request ${request.id}: answered ${request.isAnswered}, listed ${isListed}`);
      }
    }
    if (stages.over > 0) faults.push(`${stages.over} requests are over and still listed`);
    const busy = [...this.#workers.values()].filter((worker) => worker.running !== undefined).length;
    if (busy !== stages.running) faults.push(`${stages.running} requests run on ${busy} workers`);
    const { waiting } = this.#pool.counts();
    if (waiting !== stages.waiting)
      faults.push(`${stages.waiting} requests wait, ${waiting} of them in the pool's line`);
    return faults;
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
      return this.#answers.refuse(this.#list(connection, fcgiId, { ...UNREADABLE, method }), error);
    }
    const request = this.#list(connection, fcgiId, cgi);
    if ((cgi.contentLength ?? 0) > maxPostBytes) return this.#answers.refuse(request, tooLarge(maxPostBytes));
    const known = this.lookUps.find(cgi.scriptPath);
    if (known === undefined) return this.#actions.lookUp(cgi.scriptPath, request.id);
    request.script = known;
    request.stage = 'reading';
    connection.changed.push(request);
  }

  #list(connection: Connection, fcgiId: number, cgi: CgiRequest): FrontRequest {
    do {
      this.#lastRequest = (this.#lastRequest % 0x7fffffff) + 1;
    } while (this.#requests.has(this.#lastRequest));
    const request = new FrontRequest(this.#lastRequest, fcgiId, connection, cgi);
    connection.requests.set(fcgiId, request);
    this.#requests.set(request.id, request);
    return request;
  }

  #takeBody(connection: Connection, fcgiId: number, bytes: Uint8Array): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined) return;
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
    if (request === undefined || request.isBodyComplete) return;
    if (request.cgi.contentLength !== undefined) return this.#failBody(request, BodyFault.SHORT);
    request.isBodyComplete = true;
    connection.changed.push(request);
  }

  /** The body will not be what it should: a script that runs is told when it reads, other requests are answered. */
  #failBody(request: FrontRequest, fault: typeof BodyFault.SHORT | typeof BodyFault.TOO_LARGE): void {
    if (request.worker !== undefined) return request.worker.failBody(request, fault);
    const isShort = fault === BodyFault.SHORT;
    const error = isShort ? new LuafcgidError('LUAFCGID_REQUEST_BODY_SHORT') : tooLarge(this.#options.maxPostBytes);
    this.#answers.refuse(request, error);
  }

  #abort(connection: Connection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request !== undefined) this.#answers.abort(request);
  }

  /** Does for a request what can be done now. */
  #advance(request: FrontRequest, nowMs: number): void {
    if (request.worker !== undefined) return this.#passBody(request.worker, request);
    if (request.stage !== 'reading' || !request.isReady(this.#options.bodyMemoryBytes)) return;
    request.stage = 'waiting';
    request.arrivedMs = nowMs;
    this.#pool.join(request);
  }

  /** Starts who can start; then turns away who is too many. */
  #startWaiting(nowMs: number): void {
    for (let next = this.#pool.assign(nowMs); next !== undefined; next = this.#pool.assign(nowMs)) this.#start(next);
    for (let extra = this.#pool.excess(); extra !== undefined; extra = this.#pool.excess()) {
      this.#hasTurnedAway = true;
      this.#answers.turnAway(extra, 'LUAFCGID_POOL_FULL', { queue: this.#options.pool.queue });
    }
  }

  #start({ waiter: request, state, create, evicted, retire }: Assignment<FrontRequest>): void {
    const worker = this.#workers.get(state.worker) as WorkerLink;
    const hasBody = !request.isBodyComplete || request.bufferedBytes > 0;
    request.stage = 'running';
    request.state = state;
    request.worker = worker;
    request.isBodyEndSent = !hasBody;
    worker.running = request;
    const type =
      ToWorker.START |
      (create ? START_CREATE : 0) |
      (retire ? START_RETIRE : 0) |
      (hasBody ? 0 : START_NO_BODY) |
      (request.cgi.method === 'HEAD' ? START_HEAD : 0);
    const path = Buffer.from(request.script, 'latin1');
    const payload = encodeStart({ evictedState: evicted?.id ?? 0, path, params: request.cgi.params });
    worker.send(type, request.id, state.id, payload);
    if (hasBody) this.#passBody(worker, request);
  }

  #passBody(worker: WorkerLink, request: FrontRequest): void {
    if (request.isBodyEndSent) return;
    worker.passBody(request);
    request.connection.regulateReading(this.#options);
  }

  // ---- what workers say --------------------------------------------------------------------------------------------

  /** Hears the workers whose output had to wait for this connection. */
  #hearHeld(connection: Connection, nowMs: number): void {
    for (const worker of this.#workers.values()) {
      if (worker.heldBy === connection) this.#hear(worker, nowMs);
    }
  }

  /**
   * A worker that waits for a slow reader is no harm while nobody else wants it. When somebody does, the rest of the
   * answer goes to a file, at the speed of the disk.
   */
  #freeHeldWorkers(nowMs: number): void {
    const isWanted = this.#pool.counts().waiting > 0 || this.#hasTurnedAway;
    this.#hasTurnedAway = false;
    for (const worker of this.#workers.values()) {
      const connection = worker.heldBy;
      worker.heldTicks = connection === undefined ? 0 : worker.heldTicks + 1;
      if (connection === undefined || !isWanted || worker.heldTicks < PATIENCE_TICKS) continue;
      if (!this.#actions.spool(connection.id)) continue;
      connection.unsentBytes = 0;
      this.#hear(worker, nowMs);
    }
    this.#startWaiting(nowMs);
  }

  /** Takes what a worker has said, until its output has to wait for a slow reader or it is others' turn. */
  #hear(worker: WorkerLink, nowMs: number): boolean {
    let heard = false;
    worker.heldBy = undefined;
    for (let left = HEARD_AT_ONCE_BYTES; left > 0; left -= FRAME_COST_BYTES) {
      const reader = worker.running?.isAnswered === false ? worker.running.connection : undefined;
      if (reader !== undefined && reader.unsentBytes > this.#options.sendBufferBytes) {
        worker.heldBy = reader;
        return heard;
      }
      const frame = worker.peek();
      if (frame === undefined) return heard;
      heard = true;
      left -= frame.payload.length;
      this.#take(worker, frame, nowMs);
      worker.release();
    }
    return heard;
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
      case FromWorker.LOG:
        return this.#takeLog(frame);
      case FromWorker.DEPENDS: {
        const { path, fingerprint } = decodeDependency(frame.payload);
        return this.#pool.addDependency(frame.argument, path, fingerprint);
      }
      case FromWorker.CLOSED:
        return this.#pool.closed(frame.argument);
      default:
        throw new Error(`message of type ${frame.type} from worker ${worker.id}`);
    }
  }

  #end(worker: WorkerLink, request: FrontRequest, frame: Frame, nowMs: number): void {
    const stateId = request.state?.id ?? 0;
    worker.running = undefined;
    request.worker = undefined;
    const hasToClose = this.#pool.release(stateId, (frame.type & END_STATE_GONE) !== 0);
    if (hasToClose) worker.send(ToWorker.CLOSE, 0, stateId);
    // The worker gets its next request before this one's answer is written: it need not sleep meanwhile.
    this.#startWaiting(nowMs);
    this.#answers.finish(request, frame.payload, frame.argument);
    this.#answers.over(request);
  }

  #takeLog(frame: Frame): void {
    const level = LOG_LEVELS[frame.argument] ?? 'info';
    const text = Buffer.from(frame.payload).toString();
    const request = this.#requests.get(frame.id);
    if (request === undefined) this.#actions.log(level, text);
    else this.#answers.log(request, level, text);
  }
}

function tooLarge(limit: number): LuafcgidError {
  return new LuafcgidError('LUAFCGID_REQUEST_BODY_TOO_LARGE', { limit });
}
