/**
 * How requests end. Each is answered exactly once, by its script's output or by a page made here, or its connection is
 * gone; after that it is parted from its connection, and it is over when no worker runs it any more.
 */
import { toByteString, toText } from '../../base/byte-string.js';
import type { LuafcgidError } from '../../base/errors.js';
import { renderErrorPage } from '../../cgi/error-page.js';
import { BodyFault, type LogLevel, requestName } from '../../channel/messages.js';
import { AnswerEncoder, encodeEndRequest, ProtocolStatus } from '../../fcgi/session.js';
import type { Pool } from '../../pool/pool.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { FrontRequest } from '../model/request.js';
import { Drain } from './drain.js';

const NOTHING = new Uint8Array(0);

export class Answers {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  /** All requests that are not over, by number. */
  readonly #requests: Map<number, FrontRequest>;
  readonly #encoder = new AnswerEncoder();
  /** From its begin on, connections are closed when their requests are answered. */
  readonly drain: Drain;

  constructor(
    options: FrontOptions,
    actions: FrontActions,
    pool: Pool<FrontRequest>,
    requests: Map<number, FrontRequest>,
    isLending: () => boolean,
  ) {
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
    request.trace?.sent(output);
    request.connection.write(this.#encoder.output(request.fcgiId, output));
  }

  /** Makes the end of an answer. */
  finish(request: FrontRequest, lastOutput: Uint8Array, appStatus: number): void {
    if (request.isAnswered) return;
    const { fcgiId, trace } = request;
    trace?.sent(lastOutput);
    trace?.end(appStatus === 0 ? 'done' : 'failed');
    request.connection.write(this.#encoder.end(fcgiId, lastOutput, appStatus, ProtocolStatus.REQUEST_COMPLETE));
    this.#answered(request);
  }

  /** Answers a request that no script has answered. What was sent already cannot be taken back: it just ends there. */
  refuse(request: FrontRequest, error: LuafcgidError): void {
    if (request.isAnswered) return;
    const text = `${error.code}: ${error.message}. ${error.solve}`;
    this.log(request, error.blame === 'peer' ? 'info' : 'error', text);
    request.trace?.end(request.hasOutput ? 'cut' : 'refused');
    if (request.hasOutput) return this.finish(request, NOTHING, 1);
    const page = renderErrorPage({
      status: error.status,
      requestName: this.nameOf(request),
      detail: this.#options.showErrors ? { message: toByteString(`${error.message}\n${error.solve}`) } : undefined,
    });
    this.finish(request, request.cgi.method === 'HEAD' ? page.subarray(0, page.indexOf('\r\n\r\n') + 4) : page, 0);
  }

  /** Refuses a request for want of a state. */
  turnAway(request: FrontRequest, error: LuafcgidError): void {
    if (this.#options.overload === 'page') return this.refuse(request, error);
    this.log(request, 'error', `${error.code}: ${error.message}. ${error.solve}`);
    request.trace?.end('refused', error.status);
    request.connection.write(encodeEndRequest(request.fcgiId, 0, ProtocolStatus.OVERLOADED));
    this.#answered(request);
  }

  /** The web server does not want the answer any more (FastCGI 1.0, 5.4). */
  abort(request: FrontRequest): void {
    request.trace?.abort();
    if (request.hasOutput) return this.finish(request, NOTHING, 0);
    request.connection.write(encodeEndRequest(request.fcgiId, 0, ProtocolStatus.REQUEST_COMPLETE));
    this.#answered(request);
  }

  /** Parts a request from its connection, which has nothing more to do with it. A script that runs goes on by itself. */
  detach(request: FrontRequest): void {
    request.isAnswered = true;
    request.trace?.abort();
    request.connection.requests.delete(request.fcgiId);
    // Who cannot leave has just been begun with, and will be found to run.
    const isWithWorker = request.stage === 'running' || (request.stage === 'waiting' && !this.#pool.leave(request));
    if (!isWithWorker) this.over(request);
    else if (!request.isBodyComplete) request.worker?.failBody(request, BodyFault.CLIENT_GONE);
  }

  /** Nothing more will happen with the request. */
  over(request: FrontRequest): void {
    request.end();
    this.#requests.delete(request.id);
    this.#told(request);
    this.drain.look();
  }

  /** What is known of requests that are not over will not become more: the server ends. */
  tellUnfinished(): void {
    for (const request of this.#requests.values()) {
      request.trace?.end('cut');
      this.#told(request);
    }
  }

  /** @param isOfScript the text is the script's own */
  log(request: FrontRequest, level: LogLevel, text: string, isOfScript = false): void {
    this.#actions.log(level, text, {
      request: this.nameOf(request),
      // Where the parameters were not to be read, none is known.
      script: toText(request.script || request.cgi.scriptPath) || undefined,
      state: request.state?.id,
      worker: request.worker?.place,
      isOfScript,
    });
  }

  #told(request: FrontRequest): void {
    if (request.trace === undefined) return;
    this.#actions.requestOver?.(request, this.nameOf(request));
    request.trace = undefined;
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

  nameOf(request: FrontRequest): string {
    return requestName(this.#options.runName, request.id);
  }
}
