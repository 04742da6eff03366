/**
 * A request's way in: what the records of a connection mean for its requests, until they wait for a worker. One intake
 * handles the events of all connections.
 */
import { NOTHING } from '../../base/bytes.js';
import { describeError, LuafcgidError } from '../../base/errors.js';
import { type CgiRequest, parseRequest, type RoleRequest } from '../../cgi/request.js';
import { asksForStatus, statusQuestionOf } from '../../cgi/status-path.js';
import { INPUT_ERRORS } from '../../channel/input-faults.js';
import { BodyFault, MAX_FRONT_REQUEST } from '../../channel/messages.js';
import { decodeParams, findWholeRequest, type Meter, Role } from '../../fcgi/session.js';
import type { Pool } from '../../pool/pool.js';
import type { LookUps } from '../../scripts/path-cache.js';
import type { Answers } from '../answers/answers.js';
import { AccessRecord } from '../model/access-record.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Body } from '../model/body.js';
import type { ConnectionOwner } from '../model/connection.js';
import { type FrontConnection, FrontRequest } from '../model/request.js';

/** Stands for the request of a client whose parameters cannot be used. */
const UNREADABLE: CgiRequest = {
  method: 'GET',
  scriptPath: '',
  contentLength: undefined,
  dataLength: undefined,
  params: NOTHING,
};

export interface IntakeParts {
  readonly options: FrontOptions;
  readonly actions: FrontActions;
  readonly pool: Pool<FrontRequest>;
  readonly answers: Answers;
  /** All requests that are not over, by number. */
  readonly requests: Map<number, FrontRequest>;
  readonly lookUps: LookUps;
  /** Gets the memory that new requests hold. */
  readonly meter: Meter;
  /** News for the workers of running requests. */
  readonly worker: {
    clientGone(request: FrontRequest): void;
    passBody(request: FrontRequest): void;
  };
}

export class Intake implements ConnectionOwner<FrontRequest> {
  readonly #parts: IntakeParts;
  #lastRequest = 0;
  /** The time of the bytes that are being read. */
  arrivalMs = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  // ---- events of connections ---------------------------------------------------------------------------------------

  begin(connection: FrontConnection, fcgiId: number, role: Role, params: Uint8Array): void {
    // Sent after the last request that this connection was opened for.
    if (connection.isClosing) return;
    const { answers, actions, lookUps } = this.#parts;
    const { maxPostBytes } = this.#parts.options;
    const { statusPath } = this.#parts.options;
    // Of an Authorizer an answer of status 200 would be a yes.
    if (statusPath !== undefined && role === Role.RESPONDER && asksForStatus(params, statusPath)) {
      return this.#answerStatus(connection, fcgiId, role, params);
    }
    let cgi: CgiRequest;
    try {
      cgi = parseRequest(params, this.#byRole(role));
    } catch (error) {
      // Without a status the pairs themselves are malformed: a protocol error, which costs the connection.
      if (!(error instanceof LuafcgidError) || error.status === 0) throw error;
      const method = decodeParams(params).get('REQUEST_METHOD') ?? UNREADABLE.method;
      return answers.refuse(this.#list(connection, fcgiId, role, { ...UNREADABLE, method, params }), error);
    }
    const request = this.#list(connection, fcgiId, role, cgi);
    if ((cgi.contentLength ?? 0) > maxPostBytes) return answers.refuse(request, tooLarge('BODY', maxPostBytes));
    if ((request.data?.announcedBytes ?? 0) > maxPostBytes) {
      return answers.refuse(request, tooLarge('DATA', maxPostBytes));
    }
    const known = lookUps.find(cgi.scriptPath);
    if (known === undefined) return actions.lookUp(cgi.scriptPath, request.id);
    request.script = known;
    request.stage = 'reading';
    connection.changed.push(request);
  }

  /** The server's own page: made here, before anything is looked up, and however busy all workers are. */
  #answerStatus(connection: FrontConnection, fcgiId: number, role: Role, params: Uint8Array): void {
    const { actions, answers } = this.#parts;
    const page = actions.renderStatus?.(statusQuestionOf(decodeParams(params))) ?? NOTHING;
    // Listed only now: the page does not show the request for itself.
    const request = this.#list(connection, fcgiId, role, { ...UNREADABLE, params });
    answers.finish(request, page, 0);
  }

  /** What the role of a request says of it. */
  #byRole(role: Role): RoleRequest {
    const { authScript, filterScript } = this.#parts.options;
    if (role === Role.AUTHORIZER) return { script: authScript, isBodiless: true };
    return role === Role.FILTER ? { script: filterScript } : {};
  }

  refuseRole(role: number): void {
    const error = new LuafcgidError('LUAFCGID_FCGI_ROLE', { role });
    this.#parts.actions.log('warn', describeError(error));
  }

  receiveBody(connection: FrontConnection, fcgiId: number, bytes: Uint8Array): void {
    const request = connection.requests.get(fcgiId);
    if (request !== undefined) this.#receive(request, request.body, bytes);
  }

  endBody(connection: FrontConnection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request !== undefined) this.#end(request, request.body);
  }

  receiveData(connection: FrontConnection, fcgiId: number, bytes: Uint8Array): void {
    const request = connection.requests.get(fcgiId);
    if (request?.data !== undefined) this.#receive(request, request.data, bytes);
  }

  endData(connection: FrontConnection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request?.data !== undefined) this.#end(request, request.data);
  }

  #receive(request: FrontRequest, stream: Body, bytes: Uint8Array): void {
    if (stream.isFirstSurplus(bytes.length)) {
      const [what, length] = stream === request.body ? ['body', 'CONTENT_LENGTH'] : ['file', 'FCGI_DATA_LENGTH'];
      const text = `the ${what} is longer than its ${length} of ${stream.announcedBytes} bytes; the rest is dropped`;
      this.#parts.answers.log(request, 'warn', text);
    }
    const result = stream.receive(bytes, this.#parts.options.maxPostBytes);
    if (result === 'too large') return this.#failInput(request, BodyFault.TOO_LARGE);
    if (result === 'kept') request.connection.changed.push(request);
  }

  #end(request: FrontRequest, stream: Body): void {
    if (stream.isComplete) return;
    if (stream.announcedBytes !== undefined) return this.#failInput(request, BodyFault.SHORT);
    stream.complete();
    request.connection.changed.push(request);
  }

  abort(connection: FrontConnection, fcgiId: number): void {
    const request = connection.requests.get(fcgiId);
    if (request === undefined) return;
    this.#parts.answers.abort(request);
    this.#parts.worker.clientGone(request);
  }

  refuseParams(connection: FrontConnection, fcgiId: number, limit: number): void {
    const request = this.#list(connection, fcgiId, connection.session.roleOf(fcgiId), UNREADABLE);
    this.#parts.answers.refuse(request, new LuafcgidError('LUAFCGID_FCGI_PARAMS_TOO_LARGE', { limit }));
  }

  // ---- other events on the way in -------------------------------------------------------------------------------

  /** A worker runs a request already, whose records are these bytes. */
  adopt(connection: FrontConnection, id: number, bytes: Uint8Array, nowMs: number): FrontRequest {
    const whole = findWholeRequest(bytes);
    if (whole === undefined) throw new Error(`the ${bytes.length} bytes of request ${id} are no whole request`);
    const { requestId, keepsConnection, params, bodyBytes } = whole;
    connection.receivedBytes += bytes.length;
    connection.hasAsked = true;
    connection.session.adopt(requestId, Role.RESPONDER, keepsConnection);
    this.arrivalMs = nowMs;
    // The bytes are a view into shared memory, and a request keeps its parameters.
    const request = this.#list(connection, requestId, Role.RESPONDER, parseRequest(Buffer.from(params)), id);
    request.script = this.#parts.lookUps.find(request.cgi.scriptPath) ?? request.cgi.scriptPath;
    request.body.completeElsewhere(bodyBytes);
    return request;
  }

  /** The script of a request is this file (absolute, links resolved). */
  scriptFound(requestId: number, file: string, nowMs: number): void {
    const request = this.#parts.requests.get(requestId);
    if (request === undefined || request.stage !== 'looking') return;
    this.#parts.lookUps.remember(request.cgi.scriptPath, file);
    request.script = file;
    request.stage = 'reading';
    this.advance(request, nowMs);
  }

  scriptRefused(requestId: number, error: LuafcgidError): void {
    const request = this.#parts.requests.get(requestId);
    if (request !== undefined && request.stage === 'looking') this.#parts.answers.refuse(request, error);
  }

  /** Takes a request a step further if it can be: into the queue, or its body to its worker. */
  advance(request: FrontRequest, nowMs: number): void {
    if (request.worker !== undefined) return this.#parts.worker.passBody(request);
    if (request.stage !== 'reading' || !request.isReady(this.#parts.options.bodyMemoryBytes)) return;
    request.stage = 'waiting';
    request.times.queuedMs = nowMs;
    this.#parts.pool.join(request);
  }

  /** The client has sent its last byte; it may still be listening. */
  inputEnded(request: FrontRequest, nowMs: number): void {
    // With onabort = "stop" a half-close counts as the client's end, even if the client still reads.
    if (request.stopsOnAbort) this.#parts.worker.clientGone(request);
    if (request.arriving !== undefined) this.#endInput(request, BodyFault.SHORT, nowMs);
  }

  /** The body has stopped coming. */
  lateBody(request: FrontRequest, nowMs: number): void {
    this.#endInput(request, BodyFault.LATE, nowMs);
  }

  /** No more body comes: where none had to come, that was all of it. */
  #endInput(request: FrontRequest, fault: typeof BodyFault.SHORT | typeof BodyFault.LATE, nowMs: number): void {
    const { body, data } = request;
    // A Filter is always given a file, behind its body.
    if (!request.needsNoBody || body.receivedBytes > 0 || data !== undefined) return this.#failInput(request, fault);
    body.complete();
    this.advance(request, nowMs);
  }

  /** Answers a request whose parameters are incomplete. */
  giveUpParams(connection: FrontConnection, fcgiId: number, error: LuafcgidError): void {
    if (!connection.session.giveUpParams(fcgiId)) return;
    const request = this.#list(connection, fcgiId, connection.session.roleOf(fcgiId), UNREADABLE);
    if (error.status === 503) this.#parts.answers.turnAway(request, error);
    else this.#parts.answers.refuse(request, error);
  }

  /** The connection of a request is gone. */
  lose(request: FrontRequest): void {
    this.#parts.answers.lose(request);
    this.#parts.worker.clientGone(request);
  }

  /** The rest of a request will never arrive. A script that runs gets an error when it reads the body; a request that waits is refused. */
  #failInput(request: FrontRequest, fault: Exclude<BodyFault, typeof BodyFault.CLIENT_GONE>): void {
    if (request.worker !== undefined) return request.worker.failBody(request, fault);
    const { maxPostBytes, readTimeoutMs } = this.#parts.options;
    const what = request.body.isComplete ? 'DATA' : 'BODY';
    const codes = INPUT_ERRORS[what];
    const { answers } = this.#parts;
    if (fault === BodyFault.TOO_LARGE) return answers.refuse(request, tooLarge(what, maxPostBytes));
    if (fault === BodyFault.SHORT) return answers.refuse(request, new LuafcgidError(codes.short));
    const seconds = readTimeoutMs / 1000;
    answers.refuse(request, new LuafcgidError(codes.late, { seconds }));
  }

  #nextId(): number {
    const { requests } = this.#parts;
    do {
      this.#lastRequest = (this.#lastRequest % MAX_FRONT_REQUEST) + 1;
    } while (requests.has(this.#lastRequest));
    return this.#lastRequest;
  }

  #list(
    connection: FrontConnection,
    fcgiId: number,
    role: Role,
    cgi: CgiRequest,
    id: number = this.#nextId(),
  ): FrontRequest {
    const { options, requests, meter } = this.#parts;
    const request = new FrontRequest({ id, fcgiId, role, cgi, arrivedMs: this.arrivalMs }, connection, meter);
    if (options.tracesRequests) request.record = new AccessRecord();
    connection.isUsed = true;
    connection.requests.add(fcgiId, request);
    requests.set(request.id, request);
    return request;
  }
}

function tooLarge(what: 'BODY' | 'DATA', limit: number): LuafcgidError {
  return new LuafcgidError(INPUT_ERRORS[what].tooLarge, { limit });
}
