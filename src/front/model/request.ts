/** One request, from its parameters to the last byte of its answer, as the front knows it. */
import type { CgiRequest } from '../../cgi/request.js';
import type { BodyFault } from '../../channel/messages.js';
import { type Meter, REQUEST_BYTES, Role } from '../../fcgi/session.js';
import type { Place, PoolState, Waiter } from '../../pool/pool.js';
import type { AccessRecord } from './access-record.js';
import { Body } from './body.js';
import type { Connection } from './connection.js';
import { type RequestTimes, timesOf } from './times.js';

/**
 * Where a request stands.
 * - `looking`: its script is being looked up
 * - `reading`: its body is still coming and has not filled the front's buffer
 * - `waiting`: it waits for a state
 * - `running`: a worker has it
 * - `over`: nothing more will happen
 */
export type Stage = 'looking' | 'reading' | 'waiting' | 'running' | 'over';

/** Methods whose requests carry no body unless they say how long it is: they need not wait for its end. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** A connection with its requests. */
export type FrontConnection = Connection<FrontRequest>;

/** The worker that runs a request, as far as the request needs it. */
export interface RequestWorker {
  readonly id: number;
  /** Its place among the workers. */
  readonly place: number;
  /** Hands on what there is room for of the request's body, and its end. */
  passBody(request: FrontRequest): void;
  /** Tells the running script that its request's body will never be complete. */
  failBody(request: FrontRequest, fault: BodyFault): void;
}

/** What is known of a request when it begins. */
export interface NewRequest {
  /** Unique among the requests under way; the name of the request towards workers. */
  readonly id: number;
  /** Its id on its connection. */
  readonly fcgiId: number;
  readonly role: Role;
  readonly cgi: CgiRequest;
  readonly arrivedMs: number;
}

export class FrontRequest implements Waiter {
  readonly id: number;
  readonly fcgiId: number;
  readonly role: Role;
  readonly connection: FrontConnection;
  readonly cgi: CgiRequest;
  readonly times: RequestTimes;
  readonly body: Body;
  /** The file that a Filter is given, which follows its body; undefined for other roles. */
  readonly data: Body | undefined;
  stage: Stage = 'looking';
  /** The script's file, links resolved, by which the pool knows it. Set when the look-up is done. */
  script = '';
  place: Place | undefined;
  state: PoolState | undefined;
  /** The worker that runs it. */
  worker: RequestWorker | undefined;
  /** END_REQUEST is made (or cannot be any more): output that still comes from the script goes nowhere. */
  isAnswered = false;
  /** Some of the answer is on its way: it is too late for another one. */
  hasOutput = false;
  /** For the access log, if there is one. */
  record: AccessRecord | undefined;
  /** The running time after which it is stopped; 0: never. */
  watchdogMs = 0;
  /** Whether its script is stopped when the client goes. */
  stopsOnAbort = false;
  /** The client has gone, or does not want the answer any more. */
  isClientGone = false;
  #meter: Meter;

  /** @param meter gets the memory that it holds */
  constructor({ id, fcgiId, role, cgi, arrivedMs }: NewRequest, connection: FrontConnection, meter: Meter) {
    this.#meter = meter;
    meter.bytes += REQUEST_BYTES + cgi.params.length;
    this.id = id;
    this.fcgiId = fcgiId;
    this.role = role;
    this.connection = connection;
    this.cgi = cgi;
    this.times = timesOf(arrivedMs);
    this.body = new Body(cgi.contentLength, meter);
    this.data = role === Role.FILTER ? new Body(cgi.dataLength, meter) : undefined;
  }

  /** Since when it waits for a state. */
  get queuedMs(): number {
    return this.times.queuedMs ?? 0;
  }

  /** Its memory counts on this meter from now on. */
  chargeTo(meter: Meter): void {
    const bytes = this.heldBytes;
    this.#meter.bytes -= bytes;
    meter.bytes += bytes;
    this.#meter = meter;
    this.body.meter = meter;
    if (this.data !== undefined) this.data.meter = meter;
  }

  /** Memory that it holds. */
  get heldBytes(): number {
    return REQUEST_BYTES + this.cgi.params.length + this.body.heldBytes + (this.data?.heldBytes ?? 0);
  }

  /** Whether a worker can start it: nothing more will come, or the front holds as much as it may. */
  isReady(bodyMemoryBytes: number): boolean {
    const { body, data } = this;
    const isBodyReady = body.isComplete || this.needsNoBody || body.bufferedBytes >= bodyMemoryBytes;
    if (!isBodyReady || data === undefined) return isBodyReady;
    return data.isComplete || body.bufferedBytes + data.bufferedBytes >= bodyMemoryBytes;
  }

  /** What still comes to it, body before file; undefined when all is here, as far as it ever will be. */
  get arriving(): Body | undefined {
    if (!this.body.isComplete) return this.body;
    return this.data?.isComplete === false ? this.data : undefined;
  }

  /** The worker was told that nothing more will come. */
  get isInputSent(): boolean {
    return this.body.isEndSent && this.data?.isEndSent !== false;
  }

  /** Whether the worker is to be sent any input, or the end of some. */
  get isInputToBeSent(): boolean {
    return this.data !== undefined || this.body.isToBeSent;
  }

  /** Some of its input is with the worker: another worker could not have all of it. */
  get hasHandedOnInput(): boolean {
    return this.body.hasHandedOn || this.data?.hasHandedOn === true;
  }

  /** Whether nothing says that there is a body. */
  get needsNoBody(): boolean {
    return this.cgi.contentLength === undefined && BODILESS.has(this.cgi.method);
  }

  /** Nothing more will happen: gives its memory back. */
  end(): void {
    if (this.stage === 'over') return;
    this.stage = 'over';
    this.body.end();
    this.data?.end();
    this.#meter.bytes -= this.heldBytes;
  }
}
