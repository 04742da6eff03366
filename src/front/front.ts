/**
 * The front's core: what happens to connections and requests. It is fed events (a connection opened, bytes arrived, a
 * worker has said something, time has passed) and answers with actions; it opens no socket, reads no clock and starts
 * no timer, so it can be driven through any order of events in a test. Drivers do the rest.
 *
 * Every event ends with the books in balance: each request is looking, reading, waiting or running, or it is over.
 * A request is answered exactly once: when its END_REQUEST is made, or when its connection is gone.
 */
import { type ErrorPage, renderErrorPage } from '../cgi/error-page.js';
import { parseRequest } from '../cgi/request.js';
import { hasDigest, isUnchanged } from '../channel/fingerprint.js';
import {
  BodyFault,
  decodeDependency,
  END_STATE_GONE,
  encodeStart,
  FromWorker,
  LOG_LEVELS,
  type LogLevel,
  requestName,
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_RETIRE,
  ToWorker,
  typeOf,
} from '../channel/messages.js';
import type { Frame } from '../channel/ring.js';
import { type ErrorCode, LuafcgidError } from '../errors.js';
import {
  encodeAnswerEnd,
  encodeEndRequest,
  encodeStream,
  ProtocolStatus,
  RecordType,
  ServerSession,
} from '../fcgi/session.js';
import { type Assignment, Pool, type PoolCounts, type PoolLimits } from '../pool/pool.js';
import { Connection } from './connection.js';
import { LookUps } from './look-ups.js';
import { FrontRequest } from './request.js';
import type { WorkerLink } from './worker-link.js';

/** What the front lets its driver do. Connections are named by the number with which the driver opened them. */
export interface FrontActions {
  /** Sends bytes, which now belong to the driver. Returns how many bytes of this connection are not sent yet. */
  write(connection: number, bytes: Uint8Array): number;
  /**
   * Closes when all is sent. With `linger` the peer may still be sending: what comes is read and dropped for a while,
   * since closing on unread bytes would reset the connection and could cost the peer its answer.
   */
  close(connection: number, linger: boolean): void;
  pauseReading(connection: number): void;
  resumeReading(connection: number): void;
  /** Finds a script's file; answered with `scriptFound` or `scriptRefused`, at once or later. */
  lookUp(path: string, request: number): void;
  log(level: LogLevel, text: string, about?: LogSubject): void;
  /** After `drain`: the last request is over. */
  drained(): void;
}

/** What a log line is about. */
export interface LogSubject {
  readonly request?: string;
  readonly script?: string;
}

export interface FrontOptions {
  readonly pool: PoolLimits;
  readonly maxPostBytes: number;
  /** Body bytes kept here before a worker takes over. */
  readonly bodyMemoryBytes: number;
  /** Unsent bytes of a connection past which a script that writes more has to wait. */
  readonly sendBufferBytes: number;
  readonly queueTimeoutMs: number;
  readonly overload: 'page' | 'protocol';
  readonly showErrors: boolean;
  /** Begins the name of every request, so that names of different runs differ in the log. */
  readonly runName: string;
}

const MAX_CONNECTIONS_TOLD = 65_535;
const NOTHING = new Uint8Array(0);

export class Front {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #connections = new Map<number, Connection>();
  readonly #workers = new Map<number, WorkerLink>();
  /** All requests that are not over, by number. */
  readonly #requests = new Map<number, FrontRequest>();
  readonly lookUps = new LookUps();
  #lastRequest = 0;
  #isDraining = false;

  constructor(options: FrontOptions, actions: FrontActions) {
    this.#options = options;
    this.#actions = actions;
    this.#pool = new Pool(options.pool);
  }

  // ---- connections -------------------------------------------------------------------------------------------------

  connectionOpened(id: number): void {
    const { pool } = this.#options;
    const values = { maxConnections: MAX_CONNECTIONS_TOLD, maxRequests: pool.workers + pool.queue };
    const connection: Connection = new Connection(
      id,
      new ServerSession(values, {
        onRequest: (fcgiId, params) => this.#begin(connection, fcgiId, params),
        onBody: (fcgiId, bytes) => this.#takeBody(connection, fcgiId, bytes),
        onBodyEnd: (fcgiId) => this.#endBody(connection, fcgiId),
        onAbort: (fcgiId) => this.#abort(connection, fcgiId),
        onParamsTooLarge: (fcgiId, limit) => this.#refuseParams(connection, fcgiId, limit),
        onReply: (bytes) => this.#write(connection, bytes),
      }),
    );
    this.#connections.set(id, connection);
  }

  bytesArrived(id: number, bytes: Uint8Array, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    try {
      connection.session.receive(bytes);
    } catch (error) {
      return this.#refuseConnection(connection, error, nowMs);
    }
    for (let request = connection.fresh.pop(); request !== undefined; request = connection.fresh.pop()) {
      this.#advance(request, nowMs);
    }
    this.#startWaiting(nowMs);
    this.#regulateReading(connection);
    this.#closeIfDone(connection, false);
  }

  /** The peer has sent its last byte; it may still be listening. */
  readEnded(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosing) return;
    connection.isReadEnded = true;
    for (const request of [...connection.requests.values()]) {
      if (!request.isBodyComplete) this.#failBody(request, BodyFault.SHORT);
    }
    this.#startWaiting(nowMs);
    this.#closeIfDone(connection, false);
  }

  /** The connection is gone, for whatever reason. */
  connectionClosed(id: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.#connections.delete(id);
    connection.isClosing = true;
    for (const request of [...connection.requests.values()]) this.#detach(request);
    for (const worker of this.#workers.values()) {
      if (worker.heldBy === connection) this.#hear(worker, nowMs);
    }
    this.#startWaiting(nowMs);
  }

  /** Some of what was written has been sent; `unsentBytes` are left. */
  sent(id: number, unsentBytes: number, nowMs: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.unsentBytes = unsentBytes;
    if (unsentBytes > this.#options.sendBufferBytes) return;
    for (const worker of this.#workers.values()) {
      if (worker.heldBy === connection) this.#hear(worker, nowMs);
    }
    this.#startWaiting(nowMs);
  }

  // ---- look-ups ----------------------------------------------------------------------------------------------------

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
    if (request !== undefined && request.stage === 'looking') this.#refuse(request, error);
  }

  // ---- workers -----------------------------------------------------------------------------------------------------

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
    const request = worker.running;
    worker.running = undefined;
    if (request !== undefined) {
      if (!request.isAnswered) this.#refuse(request, new LuafcgidError('LUAFCGID_WORKER_GONE', { reason }));
      this.#over(request);
    }
    this.#startWaiting(nowMs);
  }

  /** Some worker has written to its ring, or made room in the other one. */
  workersSpoke(nowMs: number): boolean {
    let heard = false;
    for (const worker of this.#workers.values()) {
      heard = this.#hear(worker, nowMs) || heard;
      if (worker.flush() && worker.running !== undefined) this.#passBody(worker, worker.running);
    }
    this.#startWaiting(nowMs);
    return heard;
  }

  // ---- time and housekeeping ---------------------------------------------------------------------------------------

  /** Time has passed: who has waited too long is told so. */
  tick(nowMs: number): void {
    const { queueTimeoutMs } = this.#options;
    for (const request of this.#pool.waitingSince(nowMs - queueTimeoutMs)) {
      this.#turnAway(request, 'LUAFCGID_POOL_TIMEOUT', { seconds: queueTimeoutMs / 1000 });
    }
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
    for (const state of idle) this.#workers.get(state.worker)?.send(ToWorker.CLOSE, 0, state.id, NOTHING);
    return flushed;
  }

  /** Lets free workers do a step of garbage collection in each of their idle states. */
  collectIdle(): void {
    for (const state of this.#pool.states()) {
      if (state.status !== 'idle' || !this.#pool.isFree(state.worker)) continue;
      this.#workers.get(state.worker)?.send(ToWorker.COLLECT, 0, state.id, NOTHING);
    }
  }

  /** No new connections will come: what has begun is finished, then each connection is closed. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of [...this.#connections.values()]) this.#closeIfDone(connection, false);
    if (this.#requests.size === 0) this.#actions.drained();
  }

  counts(): PoolCounts & { readonly connections: number; readonly requests: number } {
    return { ...this.#pool.counts(), connections: this.#connections.size, requests: this.#requests.size };
  }

  /** What does not balance, in words; for tests. */
  audit(): string[] {
    const faults = this.#pool.audit();
    let running = 0;
    let waiting = 0;
    for (const request of this.#requests.values()) {
      if (request.stage === 'running') running += 1;
      if (request.stage === 'waiting') waiting += 1;
      if (request.stage === 'over') faults.push(`request ${request.id} is over and still listed`);
      const isListed = request.connection.requests.get(request.fcgiId) === request;
      if (isListed === request.isAnswered)
        faults.push(`request ${request.id}: answered ${request.isAnswered}, listed ${isListed}`);
    }
    const busy = [...this.#workers.values()].filter((worker) => worker.running !== undefined).length;
    if (busy !== running) faults.push(`${running} requests run on ${busy} workers`);
    if (this.#pool.counts().waiting !== waiting) faults.push(`${waiting} requests wait, the pool has another number`);
    return faults;
  }

  // ---- a request's way ---------------------------------------------------------------------------------------------

  #begin(connection: Connection, fcgiId: number, params: Uint8Array): void {
    const { request, error } = this.#makeRequest(connection, fcgiId, params);
    connection.requests.set(fcgiId, request);
    this.#requests.set(request.id, request);
    if (error !== undefined) return this.#refuse(request, error);
    const { maxPostBytes } = this.#options;
    if ((request.cgi.contentLength ?? 0) > maxPostBytes) return this.#refuse(request, tooLarge(maxPostBytes));
    const known = this.lookUps.find(request.cgi.scriptPath);
    if (known === undefined) return this.#actions.lookUp(request.cgi.scriptPath, request.id);
    request.script = known;
    request.stage = 'reading';
    connection.fresh.push(request);
  }

  #makeRequest(
    connection: Connection,
    fcgiId: number,
    params: Uint8Array,
  ): { request: FrontRequest; error?: LuafcgidError } {
    const id = this.#nextRequestId();
    try {
      return { request: new FrontRequest(id, fcgiId, connection, parseRequest(params)) };
    } catch (error) {
      // Without a status the pairs themselves are malformed: that is the connection's fault, not the request's.
      if (!(error instanceof LuafcgidError) || error.status === 0) throw error;
      const cgi = { method: 'GET', scriptPath: '', contentLength: undefined, params: NOTHING };
      return { request: new FrontRequest(id, fcgiId, connection, cgi), error };
    }
  }

  #takeBody(connection: Connection, fcgiId: number, bytes: Uint8Array): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined || request.isBodyComplete) return;
    const { contentLength } = request.cgi;
    const wanted = contentLength === undefined ? bytes.length : contentLength - request.receivedBytes;
    const taken = wanted < bytes.length ? bytes.subarray(0, wanted) : bytes;
    request.receivedBytes += taken.length;
    if (request.receivedBytes > this.#options.maxPostBytes) return this.#failBody(request, BodyFault.TOO_LARGE);
    request.keepBody(taken);
    if (request.receivedBytes === contentLength) request.isBodyComplete = true;
    if (taken.length < bytes.length) {
      this.#log(request, 'warn', `body longer than its CONTENT_LENGTH of ${contentLength} bytes: the rest is dropped`);
    }
    connection.fresh.push(request);
  }

  #endBody(connection: Connection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined || request.isBodyComplete) return;
    if (request.cgi.contentLength !== undefined) return this.#failBody(request, BodyFault.SHORT);
    request.isBodyComplete = true;
    connection.fresh.push(request);
  }

  /** The body will not be what it should: a script that reads it is told, a request that has not started is answered. */
  #failBody(request: FrontRequest, fault: BodyFault): void {
    if (request.stage === 'running') {
      request.isBodyComplete = true;
      request.isBodyEndSent = true;
      const worker = this.#workers.get(request.state?.worker ?? 0);
      worker?.send(ToWorker.BODY_END, request.id, fault, NOTHING);
      return;
    }
    const error =
      fault === BodyFault.TOO_LARGE
        ? tooLarge(this.#options.maxPostBytes)
        : new LuafcgidError('LUAFCGID_REQUEST_BODY_SHORT');
    this.#refuse(request, error);
  }

  /** Does for a request what can be done now. */
  #advance(request: FrontRequest, nowMs: number): void {
    if (request.stage === 'reading' && request.isReady(this.#options.bodyMemoryBytes)) {
      request.stage = 'waiting';
      request.arrivedMs = nowMs;
      const turnedAway = this.#pool.join(request);
      if (turnedAway !== undefined)
        this.#turnAway(turnedAway, 'LUAFCGID_POOL_FULL', { queue: this.#options.pool.queue });
    } else if (request.stage === 'running') {
      const worker = this.#workers.get(request.state?.worker ?? 0);
      if (worker !== undefined) this.#passBody(worker, request);
    }
  }

  #startWaiting(nowMs: number): void {
    for (let next = this.#pool.assign(nowMs); next !== undefined; next = this.#pool.assign(nowMs)) this.#start(next);
  }

  #start(assignment: Assignment<FrontRequest>): void {
    const { waiter: request, state, create, evicted, retire } = assignment;
    const worker = this.#workers.get(state.worker) as WorkerLink;
    const hasBody = !request.isBodyComplete || request.bufferedBytes > 0;
    request.stage = 'running';
    request.state = state;
    request.isBodyEndSent = !hasBody;
    worker.running = request;
    const flags = (create ? START_CREATE : 0) | (retire ? START_RETIRE : 0) | (hasBody ? 0 : START_NO_BODY);
    const head = request.cgi.method === 'HEAD' ? START_HEAD : 0;
    const path = Buffer.from(request.script, 'latin1');
    const payload = encodeStart({ evictedState: evicted?.id ?? 0, path, params: request.cgi.params });
    worker.send(ToWorker.START | flags | head, request.id, state.id, payload);
    if (hasBody) this.#passBody(worker, request);
  }

  /** Hands on what the ring takes of a running request's body, and its end. */
  #passBody(worker: WorkerLink, request: FrontRequest): void {
    if (request.isBodyEndSent) return;
    for (let bytes = request.firstBody; bytes !== undefined; bytes = request.firstBody) {
      const sent = worker.sendStream(ToWorker.BODY, request.id, bytes);
      if (sent > 0) request.dropBody(sent);
      if (sent < bytes.length) break;
    }
    if (request.isBodyComplete && request.bufferedBytes === 0) {
      request.isBodyEndSent = true;
      worker.send(ToWorker.BODY_END, request.id, 0, NOTHING);
    }
    this.#regulateReading(request.connection);
  }

  /** Reads no more from a connection while one of its requests has its buffer full. */
  #regulateReading(connection: Connection): void {
    if (connection.isClosing) return;
    let isFull = false;
    for (const request of connection.requests.values()) {
      if (request.bufferedBytes >= this.#options.bodyMemoryBytes && !request.isBodyComplete) isFull = true;
    }
    if (isFull === connection.isPaused) return;
    connection.isPaused = isFull;
    if (isFull) this.#actions.pauseReading(connection.id);
    else this.#actions.resumeReading(connection.id);
  }

  // ---- what workers say --------------------------------------------------------------------------------------------

  /** Takes what a worker has said, until its output has to wait for a slow reader. */
  #hear(worker: WorkerLink, nowMs: number): boolean {
    let heard = false;
    worker.heldBy = undefined;
    for (;;) {
      const reader = worker.running?.isAnswered === false ? worker.running.connection : undefined;
      if (reader !== undefined && reader.unsentBytes > this.#options.sendBufferBytes) {
        worker.heldBy = reader;
        return heard;
      }
      const frame = worker.peek();
      if (frame === undefined) return heard;
      heard = true;
      this.#take(worker, frame, nowMs);
      worker.release();
    }
  }

  #take(worker: WorkerLink, frame: Frame, nowMs: number): void {
    switch (typeOf(frame.type)) {
      case FromWorker.OUTPUT:
        return this.#pass(worker.running, frame.payload);
      case FromWorker.FINISH:
        return this.#finish(worker.running, NOTHING, frame.argument);
      case FromWorker.END:
        return this.#end(worker, frame, nowMs);
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

  #pass(request: FrontRequest | undefined, output: Uint8Array): void {
    if (request === undefined || request.isAnswered || output.length === 0) return;
    request.hasOutput = true;
    this.#write(request.connection, encodeStream(RecordType.STDOUT, request.fcgiId, output));
  }

  #end(worker: WorkerLink, frame: Frame, nowMs: number): void {
    const request = worker.running;
    worker.running = undefined;
    if (request?.state === undefined) return;
    if (this.#pool.release(request.state.id, (frame.type & END_STATE_GONE) !== 0)) {
      worker.send(ToWorker.CLOSE, 0, request.state.id, NOTHING);
    }
    // The worker gets its next request before this one's answer is written: it need not sleep meanwhile.
    this.#startWaiting(nowMs);
    this.#finish(request, frame.payload, frame.argument);
    this.#over(request);
  }

  #takeLog(frame: Frame): void {
    const level = LOG_LEVELS[frame.argument] ?? 'info';
    const text = Buffer.from(frame.payload).toString();
    const request = this.#requests.get(frame.id);
    if (request === undefined) this.#actions.log(level, text);
    else this.#log(request, level, text);
  }

  // ---- answers and ends --------------------------------------------------------------------------------------------

  /** Makes the end of an answer. */
  #finish(request: FrontRequest | undefined, lastOutput: Uint8Array, appStatus: number): void {
    if (request === undefined || request.isAnswered) return;
    this.#write(
      request.connection,
      encodeAnswerEnd(request.fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE),
    );
    this.#answered(request);
  }

  /** END_REQUEST is made: the connection has nothing more to do with the request. */
  #answered(request: FrontRequest): void {
    const { connection, fcgiId } = request;
    const isReceiving = connection.session.isReceiving(fcgiId);
    this.#detach(request);
    connection.session.finish(fcgiId);
    this.#regulateReading(connection);
    this.#closeIfDone(connection, isReceiving);
  }

  /** Parts a request from its connection; a script that runs goes on by itself. */
  #detach(request: FrontRequest): void {
    request.isAnswered = true;
    if (request.connection.requests.get(request.fcgiId) === request) request.connection.requests.delete(request.fcgiId);
    if (request.stage === 'waiting') this.#pool.leave(request);
    if (request.stage !== 'running') return this.#over(request);
    if (!request.isBodyComplete) this.#failBody(request, BodyFault.CLIENT_GONE);
  }

  #over(request: FrontRequest): void {
    request.end();
    this.#requests.delete(request.id);
    if (this.#isDraining && this.#requests.size === 0) this.#actions.drained();
  }

  /** Answers a request that no script has answered. What was sent already cannot be taken back: it just ends there. */
  #refuse(request: FrontRequest, error: LuafcgidError): void {
    this.#log(request, error.blame === 'peer' ? 'info' : 'error', `${error.code}: ${error.message}. ${error.solve}`);
    if (request.hasOutput) return this.#finish(request, NOTHING, 1);
    const page: ErrorPage = {
      status: error.status,
      requestName: this.#nameOf(request),
      detail: this.#options.showErrors ? { message: `${error.message}\n${error.solve}` } : undefined,
    };
    this.#finish(request, renderErrorPage(page), 0);
  }

  #turnAway(request: FrontRequest, code: ErrorCode, values: Readonly<Record<string, unknown>>): void {
    this.#pool.leave(request);
    if (this.#options.overload === 'page') return this.#refuse(request, new LuafcgidError(code, values));
    this.#log(request, 'error', new LuafcgidError(code, values).message);
    this.#write(request.connection, encodeEndRequest(request.fcgiId, 0, ProtocolStatus.OVERLOADED));
    this.#answered(request);
  }

  #refuseParams(connection: Connection, fcgiId: number, limit: number): void {
    const cgi = { method: 'GET', scriptPath: '', contentLength: undefined, params: NOTHING };
    const request = new FrontRequest(this.#nextRequestId(), fcgiId, connection, cgi);
    connection.requests.set(fcgiId, request);
    this.#requests.set(request.id, request);
    this.#refuse(request, new LuafcgidError('LUAFCGID_FCGI_PARAMS_TOO_LARGE', { limit }));
  }

  #abort(connection: Connection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined) return;
    if (request.hasOutput) return this.#finish(request, NOTHING, 0);
    this.#write(connection, encodeEndRequest(fcgiId, 0, ProtocolStatus.REQUEST_COMPLETE));
    this.#answered(request);
  }

  #refuseConnection(connection: Connection, error: unknown, nowMs: number): void {
    if (!(error instanceof LuafcgidError)) throw error;
    this.#actions.log('warn', `${error.code}: ${error.message}. ${error.solve}`);
    this.#close(connection, true);
    for (const request of [...connection.requests.values()]) this.#detach(request);
    this.#startWaiting(nowMs);
  }

  #closeIfDone(connection: Connection, isReceiving: boolean): void {
    if (connection.isClosing) return;
    const isIdle = connection.session.openRequests === 0;
    if (
      connection.session.isDone ||
      (isIdle && this.#isDraining) ||
      (connection.isReadEnded && connection.requests.size === 0)
    ) {
      this.#close(connection, isReceiving && !connection.isReadEnded);
    }
  }

  #close(connection: Connection, linger: boolean): void {
    connection.isClosing = true;
    this.#actions.close(connection.id, linger);
  }

  #write(connection: Connection, bytes: Uint8Array): void {
    if (connection.isClosing) return;
    connection.unsentBytes = this.#actions.write(connection.id, bytes);
  }

  #nextRequestId(): number {
    do {
      this.#lastRequest = (this.#lastRequest % 0x7fffffff) + 1;
    } while (this.#requests.has(this.#lastRequest));
    return this.#lastRequest;
  }

  /** The name that finds a request in the log. */
  #nameOf(request: FrontRequest): string {
    return requestName(this.#options.runName, request.id);
  }

  #log(request: FrontRequest, level: LogLevel, text: string): void {
    const script = Buffer.from(request.script || request.cgi.scriptPath, 'latin1').toString();
    this.#actions.log(level, text, { request: this.#nameOf(request), script });
  }
}

function tooLarge(limit: number): LuafcgidError {
  return new LuafcgidError('LUAFCGID_REQUEST_BODY_TOO_LARGE', { limit });
}
