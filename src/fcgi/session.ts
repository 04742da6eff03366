/**
 * One FastCGI connection as the application sees it: bytes in, events out. This file is the folder's door and holds
 * everything that decides what a record means; it knows no socket, clock or log.
 *
 * Rule 1: all that changes the state of a request's id happens here, by the table below.
 * Rule 2: an event is either about one request, or bytes to send back; a protocol error is thrown, and there is no
 *         fourth answer. After a throw the connection has to be closed.
 *
 *   record          id unknown             id in `params`            id in `body`              id in `ended`
 *   BEGIN_REQUEST   → params (or refused)  protocol error            protocol error            protocol error
 *   PARAMS          ignored (3.3)          collected; empty → body   protocol error            protocol error
 *   STDIN           ignored                protocol error            body; empty → ended       ignored
 *   ABORT_REQUEST   ignored                END_REQUEST, forgotten    abort event               abort event
 *   DATA            ignored                ignored                   ignored                   ignored
 *
 * An Authorizer has no body (6.3), and web servers send it no STDIN: its parameters → ended.
 * A Filter is given a file behind its body (6.4): the end of its STDIN → `data`. There DATA is the file, and its end → ended;
 * DATA before that is a protocol error, STDIN is ignored, and the rest is as in `body`.
 *
 * An id is forgotten, and may be used again, once its END_REQUEST is made (`finish`).
 */
import { NOTHING } from '../base/bytes.js';
import { LuafcgidError } from '../base/errors.js';
import {
  KEEP_CONN,
  MAX_PARAMS_BYTES,
  MAX_REQUESTS_PER_CONNECTION,
  ProtocolStatus,
  RecordType,
  Role,
} from './constants.js';
import { RecordDecoder } from './decoder.js';
import { encodeEndRequest, encodeRecord, encodeRefusal, encodeUnknownType } from './encoder.js';
import { decodeParams, encodeParams } from './params.js';
import { RequestTable } from './request-table.js';

export { ProtocolStatus, RecordType, Role } from './constants.js';
export { type FcgiRecord, RecordDecoder } from './decoder.js';
export {
  AnswerEncoder,
  encodeBeginRequest,
  encodeEndRequest,
  encodeRecord,
  encodeRefusal,
  encodeStream,
  encodeStreamEnd,
} from './encoder.js';
export { decodeParams, encodeParams, forEachPair } from './params.js';
export { RequestTable } from './request-table.js';
export { findWholeRequest, type WholeRequest } from './whole-request.js';

/** What arriving bytes mean. Byte views in events are valid until the handler returns. */
export interface SessionEvents {
  /** BEGIN_REQUEST and all parameters have come. `params` are the encoded pairs and belong to the receiver. */
  onRequest(requestId: number, role: Role, params: Uint8Array): void;
  /** A piece of the request's body. */
  onBody(requestId: number, bytes: Uint8Array): void;
  /** The body is complete. */
  onBodyEnd(requestId: number): void;
  /** A piece of the file that a Filter is given. */
  onData(requestId: number, bytes: Uint8Array): void;
  /** That file is complete. */
  onDataEnd(requestId: number): void;
  /** BEGIN_REQUEST for a role that does not exist: it is refused, and its further records are dropped. */
  onUnknownRole(requestId: number, role: number): void;
  /** ABORT_REQUEST: the request has to be ended as soon as possible (section 5.4). */
  onAbort(requestId: number): void;
  /** The parameters passed `MAX_PARAMS_BYTES`; the request needs an answer, its further records are dropped. */
  onParamsTooLarge(requestId: number, limitBytes: number): void;
  /** Bytes that the protocol itself answers with: to be sent as they are. */
  onReply(bytes: Uint8Array): void;
}

/** What FCGI_GET_VALUES tells (section 4.1). */
export interface ServerValues {
  readonly maxConnections: number;
  readonly maxRequests: number;
}

/** Counts bytes of memory, over as many sessions and requests as share it. */
export interface Meter {
  bytes: number;
}

interface OpenRequest {
  readonly role: Role;
  stage: 'params' | 'refused' | 'body' | 'data' | 'ended';
  params: Uint8Array;
  paramsBytes: number;
  /** How long its parameters have been coming, as far as somebody has counted; -1: not yet. */
  comingMs: number;
}

/** What an open request holds besides its parameters, roughly: many requests without any hold memory, too. */
export const REQUEST_BYTES = 2048;

const BEGIN_BODY_BYTES = 8;
const FIRST_PARAMS_BYTES = 1024;
/** The status for a role that does not exist. */
const NO_SUCH_ROLE = '501 Not Implemented';
/** The status of an Authorizer's request that ends without an answer. */
const NOT_ANSWERED = '503 Service Unavailable';
/** Parameters up to this are not worth a copy. */
const LONG_PARAMS_BYTES = 8192;

export class ServerSession {
  readonly #decoder = new RecordDecoder();
  readonly #requests = new RequestTable<OpenRequest>();
  readonly #values: ServerValues;
  readonly #events: SessionEvents;
  readonly #meter: Meter;
  #hasEnded = false;
  /** What of the meter is the decoder's. */
  #decoderBytes = 0;
  /** Requests whose parameters are incomplete. */
  #collecting = 0;
  #keepConnection = true;

  /** @param meter gets the memory that requests hold here until their parameters are complete */
  constructor(values: ServerValues, events: SessionEvents, meter: Meter = { bytes: 0 }) {
    this.#values = values;
    this.#events = events;
    this.#meter = meter;
  }

  /**
   * Takes bytes from the connection and tells what they mean.
   * @throws LuafcgidError of blame `peer` on a protocol error
   */
  receive(chunk: Uint8Array): void {
    const decoder = this.#decoder;
    decoder.feed(chunk);
    for (let record = decoder.next(); record !== undefined; record = decoder.next()) {
      this.#take(record.type, record.requestId, record.content);
      // What this record has led to may have ended the session: the rest of these bytes is nobody's.
      if (this.#hasEnded) return;
    }
    if (decoder.heldBytes !== this.#decoderBytes) {
      this.#meter.bytes += decoder.heldBytes - this.#decoderBytes;
      this.#decoderBytes = decoder.heldBytes;
    }
  }

  /** Whether the bytes received so far end inside a record. */
  get isInsideRecord(): boolean {
    return this.#decoder.isInsideRecord;
  }

  /** Bytes that an incomplete record holds which belongs to no request. */
  get recordBytes(): number {
    return this.#decoderBytes;
  }

  /** All that it has on the meter; for tests. */
  get heldBytes(): number {
    let bytes = this.#decoderBytes;
    for (const { params } of this.#requests.values()) bytes += params.length + REQUEST_BYTES;
    return bytes;
  }

  /** Whether the parameters of a request are incomplete. */
  get isCollecting(): boolean {
    return this.#collecting > 0;
  }

  /** Whether the parameters of this request are incomplete. */
  isCollectingFor(requestId: number): boolean {
    return this.#requests.get(requestId)?.stage === 'params';
  }

  /** Calls `visit` for each request whose parameters are incomplete, with the memory that it holds. */
  forEachCollecting(visit: (requestId: number, bytes: number) => void): void {
    if (this.#collecting === 0) return;
    for (const id of this.#requests.ids()) {
      const request = this.#requests.get(id);
      if (request?.stage === 'params') visit(id, request.params.length + REQUEST_BYTES);
    }
  }

  /** To be called every so often: `elapsedMs` more were spent on the parameters that are incomplete. @returns whose time is up */
  lateParams(elapsedMs: number, timeoutMs: number): number[] {
    const late: number[] = [];
    this.forEachCollecting((id) => {
      const request = this.#requests.get(id) as OpenRequest;
      request.comingMs = request.comingMs < 0 ? 0 : request.comingMs + elapsedMs;
      if (request.comingMs >= timeoutMs) late.push(id);
    });
    return late;
  }

  /**
   * Gives up a request whose parameters are incomplete: it needs an answer, and its further records are dropped.
   * @returns false when they are not incomplete
   */
  giveUpParams(requestId: number): boolean {
    const request = this.#requests.get(requestId);
    if (request?.stage !== 'params') return false;
    this.#dropParams(request);
    request.stage = 'refused';
    return true;
  }

  /** Nothing more will be received: gives all memory back. */
  end(): void {
    for (const id of this.#requests.ids()) this.finish(id);
    this.#meter.bytes -= this.#decoderBytes;
    this.#decoderBytes = 0;
    this.#hasEnded = true;
  }

  /** Requests that have begun and not been finished. */
  get openRequests(): number {
    return this.#requests.size;
  }

  /** Whether the web server wants to send more after this request. */
  get keepsConnection(): boolean {
    return this.#keepConnection;
  }

  /** Whether the web server asked for a close after the answer, and every answer has been made (section 3.5). */
  get isDone(): boolean {
    return !this.#keepConnection && this.#requests.size === 0;
  }

  /** What the web server wants of the server by an open request. */
  roleOf(requestId: number): Role {
    return this.#requests.get(requestId)?.role ?? Role.RESPONDER;
  }

  /** Whether the body of this request is still to come, wholly or partly. */
  isReceiving(requestId: number): boolean {
    const stage = this.#requests.get(requestId)?.stage;
    return stage !== undefined && stage !== 'ended';
  }

  /**
   * A request has come whose records were all read elsewhere: its id is taken until `finish`.
   * @param keepsConnection the web server wants to send more after it
   */
  adopt(requestId: number, role: Role, keepsConnection: boolean): void {
    if (!keepsConnection) this.#keepConnection = false;
    if (this.#hasEnded) return;
    this.#requests.add(requestId, { role, stage: 'ended', params: NOTHING, paramsBytes: 0, comingMs: -1 });
    this.#meter.bytes += REQUEST_BYTES;
  }

  /** The request's END_REQUEST has been made: its id is free again. */
  finish(requestId: number): void {
    const request = this.#requests.get(requestId);
    if (request === undefined) return;
    if (request.stage === 'params') this.#dropParams(request);
    this.#meter.bytes -= REQUEST_BYTES;
    this.#requests.delete(requestId);
  }

  /** The parameters of a request in stage `params` are complete, or not wanted any more. */
  #dropParams(request: OpenRequest): void {
    this.#meter.bytes -= request.params.length;
    request.params = NOTHING;
    this.#collecting -= 1;
  }

  #take(type: number, requestId: number, content: Uint8Array): void {
    if (requestId === 0) return this.#takeManagement(type, content);
    if (type === RecordType.BEGIN_REQUEST) return this.#begin(requestId, content);
    const request = this.#requests.get(requestId);
    if (request === undefined) return;
    switch (type) {
      case RecordType.PARAMS:
        return this.#takeParams(requestId, request, content);
      case RecordType.STDIN:
        return this.#takeBody(requestId, request, content);
      case RecordType.ABORT_REQUEST:
        return this.#abort(requestId, request);
      case RecordType.DATA:
        return this.#takeData(requestId, request, content);
      default:
        throw violation(`record of type ${type} for request ${requestId}`);
    }
  }

  #begin(requestId: number, content: Uint8Array): void {
    if (content.length !== BEGIN_BODY_BYTES) throw violation(`BEGIN_REQUEST of ${content.length} bytes instead of 8`);
    if (this.#requests.has(requestId)) throw violation(`BEGIN_REQUEST for request ${requestId}, which is still open`);
    const role = ((content[0] as number) << 8) | (content[1] as number);
    const keeps = ((content[2] as number) & KEEP_CONN) !== 0;
    if (!keeps) this.#keepConnection = false;
    if (role !== Role.RESPONDER && role !== Role.AUTHORIZER && role !== Role.FILTER) {
      this.#events.onReply(encodeRefusal(requestId, NO_SUCH_ROLE, ProtocolStatus.UNKNOWN_ROLE));
      this.#events.onUnknownRole(requestId, role);
    } else if (this.#requests.size >= MAX_REQUESTS_PER_CONNECTION) {
      this.#events.onReply(silentEnd(requestId, role, ProtocolStatus.OVERLOADED));
    } else {
      this.#requests.add(requestId, { role, stage: 'params', params: NOTHING, paramsBytes: 0, comingMs: -1 });
      this.#collecting += 1;
      this.#meter.bytes += REQUEST_BYTES;
    }
  }

  #takeParams(requestId: number, request: OpenRequest, content: Uint8Array): void {
    if (request.stage === 'refused') return;
    if (request.stage !== 'params') throw violation(`PARAMS for request ${requestId} after the end of its parameters`);
    if (content.length === 0) {
      const params = withoutWaste(request.params, request.paramsBytes);
      this.#dropParams(request);
      request.stage = request.role === Role.AUTHORIZER ? 'ended' : 'body';
      return this.#events.onRequest(requestId, request.role, params);
    }
    const needed = request.paramsBytes + content.length;
    if (needed > MAX_PARAMS_BYTES) {
      this.#dropParams(request);
      request.stage = 'refused';
      return this.#events.onParamsTooLarge(requestId, MAX_PARAMS_BYTES);
    }
    if (needed > request.params.length) {
      const grownBytes = Math.max(needed, Math.min(2 * request.params.length, MAX_PARAMS_BYTES), FIRST_PARAMS_BYTES);
      const grown = Buffer.allocUnsafe(grownBytes);
      grown.set(request.params.subarray(0, request.paramsBytes));
      this.#meter.bytes += grown.length - request.params.length;
      request.params = grown;
    }
    request.params.set(content, request.paramsBytes);
    request.paramsBytes = needed;
  }

  #takeBody(requestId: number, request: OpenRequest, content: Uint8Array): void {
    switch (request.stage) {
      case 'params':
        throw violation(`STDIN for request ${requestId} before the end of its parameters`);
      case 'body':
        if (content.length > 0) return this.#events.onBody(requestId, content);
        request.stage = request.role === Role.FILTER ? 'data' : 'ended';
        return this.#events.onBodyEnd(requestId);
      case 'data':
      case 'refused':
      case 'ended':
        return;
    }
  }

  #takeData(requestId: number, request: OpenRequest, content: Uint8Array): void {
    if (request.role !== Role.FILTER || request.stage === 'refused' || request.stage === 'ended') return;
    if (request.stage !== 'data') throw violation(`DATA for request ${requestId} before the end of its STDIN`);
    if (content.length > 0) return this.#events.onData(requestId, content);
    request.stage = 'ended';
    this.#events.onDataEnd(requestId);
  }

  #abort(requestId: number, request: OpenRequest): void {
    if (request.stage !== 'params') return this.#events.onAbort(requestId);
    this.finish(requestId);
    this.#events.onReply(silentEnd(requestId, request.role, ProtocolStatus.REQUEST_COMPLETE));
  }

  #takeManagement(type: number, content: Uint8Array): void {
    if (type !== RecordType.GET_VALUES) return this.#events.onReply(encodeUnknownType(type));
    const known: Readonly<Record<string, string>> = {
      FCGI_MAX_CONNS: String(this.#values.maxConnections),
      FCGI_MAX_REQS: String(this.#values.maxRequests),
      FCGI_MPXS_CONNS: '1',
    };
    const asked = [...decodeParams(content).keys()].filter((name) => Object.hasOwn(known, name));
    const result = encodeParams(asked.map((name) => [name, known[name] as string]));
    this.#events.onReply(encodeRecord(RecordType.GET_VALUES_RESULT, 0, result));
  }
}

/** The end of a request that has no answer. For an Authorizer's, silence would be a yes. */
export function silentEnd(requestId: number, role: Role, protocolStatus: ProtocolStatus): Uint8Array {
  if (role === Role.AUTHORIZER) return encodeRefusal(requestId, NOT_ANSWERED, protocolStatus);
  return encodeEndRequest(requestId, 0, protocolStatus);
}

/** Its first bytes, without holding much more: what was kept for a long list is as much as that list again. */
function withoutWaste(params: Uint8Array, bytes: number): Uint8Array {
  const used = params.subarray(0, bytes);
  if (bytes <= LONG_PARAMS_BYTES || params.length - bytes < bytes / 4) return used;
  const copy = Buffer.allocUnsafeSlow(bytes);
  copy.set(used);
  return copy;
}

function violation(detail: string): LuafcgidError {
  return new LuafcgidError('LUAFCGID_FCGI_RECORD', { detail });
}
