/**
 * How requests end. Each is answered exactly once, by its script's output or by a page made here, unless its connection is
 * gone. After that the request is parted from its connection; it is over when no worker runs it any more.
 */

import { toShortText } from '../../base/bounded-text.js';
import { toByteString } from '../../base/byte-string.js';
import { NOTHING } from '../../base/bytes.js';
import type { LuafcgidError } from '../../base/errors.js';
import { renderErrorPage } from '../../cgi/error-page.js';
import { errorFormFor } from '../../cgi/negotiation.js';
import { BodyFault, type LogLevel, requestName } from '../../channel/messages.js';
import {
  AnswerEncoder,
  decodeParams,
  encodeEndRequest,
  encodeRecord,
  ProtocolStatus,
  RecordType,
  Role,
  silentEnd,
} from '../../fcgi/session.js';
import type { Pool } from '../../pool/pool.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import { askedOf } from '../model/asked.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Tally } from '../model/tally.js';
import { Drain } from './drain.js';

/**
 * nginx keeps a connection only if END_REQUEST is the last that it reads: this is an empty record of the management behind
 * it. Other web servers would read it when they use the connection again, and not notice that it is closed.
 */
const NOT_TO_BE_KEPT = encodeRecord(RecordType.GET_VALUES_RESULT, 0, NOTHING);

export class Answers {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  /** All requests that are not over, by number. */
  readonly #requests: Map<number, FrontRequest>;
  readonly #tally: Tally;
  readonly #encoder = new AnswerEncoder();
  /** From its begin on, connections are closed when their requests are answered. */
  readonly drain: Drain;

  constructor(
    options: FrontOptions,
    actions: FrontActions,
    pool: Pool<FrontRequest>,
    requests: Map<number, FrontRequest>,
    isLending: () => boolean,
    tally: Tally,
  ) {
    this.#tally = tally;
    this.#options = options;
    this.#actions = actions;
    this.#pool = pool;
    this.#requests = requests;
    this.drain = new Drain(requests, isLending, () => actions.drained());
  }

  /** Passes output of a script on. The bytes are copied. */
  pass(request: FrontRequest, output: Uint8Array): void {
    if (request.isAnswered || output.length === 0) return;
    request.hasOutput = true;
    request.record?.sent(output);
    request.connection.write(this.#encoder.output(request.fcgiId, output));
  }

  /** Makes the end of an answer. */
  finish(request: FrontRequest, lastOutput: Uint8Array, appStatus: number): void {
    if (request.isAnswered) return;
    const { fcgiId, record } = request;
    record?.sent(lastOutput);
    record?.end(appStatus === 0 ? 'done' : 'failed');
    const end = this.#encoder.end(fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE);
    request.connection.write(this.#closesAfter(request) ? Buffer.concat([end, NOT_TO_BE_KEPT]) : end);
    this.#answered(request);
  }

  /**
   * Whether an answer is the last one on a connection that nginx would keep. nginx might send the next request on it before it
   * has seen that the connection is closed, and that request would be lost.
   */
  #closesAfter({ connection, cgi }: FrontRequest): boolean {
    if (!this.drain.closes(connection)) return false;
    const { session } = connection;
    if (session.openRequests > 1 || !session.keepsConnection) return false;
    return decodeParams(cgi.params).get('SERVER_SOFTWARE')?.startsWith('nginx') === true;
  }

  /** Answers a request that no script has answered. If some of an answer was sent already, the answer ends there. */
  refuse(request: FrontRequest, error: LuafcgidError): void {
    if (request.isAnswered) return;
    const text = `${error.code}: ${error.message}. ${error.solve}`;
    this.#tally.noteRefused(error.code, error.status);
    this.log(request, error.blame === 'peer' ? 'info' : 'error', text);
    request.record?.end(request.hasOutput ? 'cut' : 'refused');
    if (request.hasOutput) return this.finish(request, NOTHING, 1);
    const page = renderErrorPage({
      status: error.status,
      requestName: this.nameOf(request),
      form: errorFormFor(request.cgi.params),
      detail: this.#options.showErrors ? { message: toByteString(`${error.message}\n${error.solve}`) } : undefined,
    });
    this.finish(request, request.cgi.method === 'HEAD' ? page.subarray(0, page.indexOf('\r\n\r\n') + 4) : page, 0);
  }

  /** Refuses a request for want of a state. */
  turnAway(request: FrontRequest, error: LuafcgidError): void {
    // A web server may take an Authorizer's OVERLOADED for a yes.
    const isAuthorizer = request.role === Role.AUTHORIZER;
    if (this.#options.overload === 'page' || isAuthorizer) return this.refuse(request, error);
    this.#tally.noteRefused(error.code, error.status);
    this.log(request, 'error', `${error.code}: ${error.message}. ${error.solve}`);
    request.record?.end('refused', error.status);
    request.connection.write(encodeEndRequest(request.fcgiId, 0, ProtocolStatus.OVERLOADED));
    this.#answered(request);
  }

  /** The web server does not want the answer any more (FastCGI 1.0, 5.4). */
  abort(request: FrontRequest): void {
    this.#tally.aborted += 1;
    request.record?.abort();
    if (request.hasOutput) return this.finish(request, NOTHING, 0);
    request.connection.write(silentEnd(request.fcgiId, request.role, ProtocolStatus.REQUEST_COMPLETE));
    this.#answered(request);
  }

  /** The connection of a request is gone before it was answered. */
  lose(request: FrontRequest): void {
    if (!request.isAnswered) this.#tally.aborted += 1;
    this.detach(request);
  }

  /** Parts a request from its connection, which has nothing more to do with it. A script that runs goes on by itself. */
  detach(request: FrontRequest): void {
    request.isAnswered = true;
    request.record?.abort();
    request.connection.requests.delete(request.fcgiId);
    // A request that cannot leave the queue has just been begun by the worker that it was offered to.
    const isWithWorker = request.stage === 'running' || (request.stage === 'waiting' && !this.#pool.leave(request));
    if (!isWithWorker) this.over(request);
    else if (request.arriving !== undefined) request.worker?.failBody(request, BodyFault.CLIENT_GONE);
  }

  /** Nothing more will happen with the request. */
  over(request: FrontRequest): void {
    request.end();
    this.#requests.delete(request.id);
    this.#report(request);
    this.drain.look();
  }

  /** The server ends: reports the requests that are not over. */
  reportUnfinished(): void {
    for (const request of this.#requests.values()) {
      request.record?.end('cut');
      this.#report(request);
    }
  }

  /** @param isOfScript the text is the script's own */
  log(request: FrontRequest, level: LogLevel, text: string, isOfScript = false): void {
    this.#actions.log(level, text, {
      request: this.nameOf(request),
      // Where the parameters were not to be read, none is known.
      script: toShortText(request.script || request.cgi.scriptPath) || undefined,
      state: request.state?.id,
      worker: request.worker?.place,
      isOfScript,
      asked: level === 'error' ? askedOf(request) : undefined,
    });
  }

  /** Reports a request to the access log, once. */
  #report(request: FrontRequest): void {
    const { record, times, script, state, cgi, body, role } = request;
    if (record === undefined) return;
    request.record = undefined;
    this.#actions.requestOver?.({
      name: this.nameOf(request),
      record,
      times,
      script: script || cgi.scriptPath,
      state: state?.id,
      role,
      method: cgi.method,
      receivedBytes: body.receivedBytes,
      params: cgi.params,
    });
  }

  /** END_REQUEST is made. */
  #answered(request: FrontRequest): void {
    const { connection, fcgiId } = request;
    const isReceiving = connection.session.isReceiving(fcgiId);
    this.detach(request);
    connection.session.finish(fcgiId);
    connection.regulateReading(this.#options);
    connection.closeIfDone(this.drain.closes(connection), isReceiving);
  }

  /**
   * To be called when a connection may have come to its end: closes it if nothing more will happen on it, and looks
   * whether it was the last one.
   * @param linger the peer may still be sending
   */
  settle(connection: FrontConnection, linger: boolean): void {
    connection.closeIfDone(this.drain.closes(connection), linger);
    this.drain.look();
  }

  nameOf(request: FrontRequest): string {
    return requestName(this.#options.runName, request.id);
  }
}
