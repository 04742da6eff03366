/**
 * One request as its script sees it: what `con` does ends here. Output is kept until it has to go (the end, a flush, a
 * full buffer), so headers can change and `reset` can drop it as long as possible.
 */

import { NOTHING } from '../base/bytes.js';
import { LuafcgidError } from '../base/errors.js';
import { Role } from '../base/roles.js';
import { type ErrorDetail, renderDetail, renderErrorPage } from '../cgi/error-page.js';
import { errorFormFor } from '../cgi/negotiation.js';
import { describeRequest } from '../cgi/request-detail.js';
import { ResponseHead } from '../cgi/response.js';
import { FromWorker, requestName } from '../channel/messages.js';
import type { ByteString, LogLevel, RequestHost, RequestPlace, RequestProblem, RequestSetting } from '../lua/state.js';
import type { OutputBuffer } from './output-buffer.js';
import type {
  RequestChannels,
  RequestInlet,
  RequestKind,
  RequestOrigin,
  RequestOutlet,
  RequestSettings,
} from './request-channels.js';
import { UploadFile } from './upload-file.js';

/** What the end of a request takes along without waiting, at the least. */
const LAST_BYTES = 64 * 1024;

export class ScriptRequest implements RequestHost {
  params: Uint8Array;
  readonly #id: number;
  #inlet: RequestInlet;
  readonly #outlet: RequestOutlet;
  readonly #buffer: OutputBuffer;
  readonly #head: ResponseHead;
  readonly #isHead: boolean;
  readonly #isAuthorizer: boolean;
  /** When it began; later by as much as it has waited. */
  #startedMs: number;
  readonly #origin: RequestOrigin;
  readonly #stateId: number;
  readonly #limitBytes: number;
  readonly #sendBufferBytes: number;
  readonly #watchdogMaxMs: number;
  #isBuffering: boolean;
  #headIsSent = false;
  #isFinished = false;
  /** An Authorizer lets the client in. */
  #isGranted = false;
  /** The status that was sent; 0 as long as none was. */
  sentStatus = 0;
  /** Bytes of the answer so far, header block included. */
  sentBytes = 0;
  #upload: UploadFile | undefined;
  problem: RequestProblem | undefined;
  /** Running time after which it is stopped. */
  watchdogMs: number;

  constructor(
    id: number,
    params: Uint8Array,
    { role, isHead }: RequestKind,
    settings: RequestSettings,
    channels: RequestChannels,
  ) {
    this.#id = id;
    this.params = params;
    this.#isHead = isHead;
    this.#isAuthorizer = role === Role.AUTHORIZER;
    this.#head = new ResponseHead(settings);
    this.#limitBytes = settings.outputBufferBytes;
    this.#sendBufferBytes = settings.sendBufferBytes;
    this.#isBuffering = settings.buffering;
    this.watchdogMs = settings.watchdogMs;
    this.#watchdogMaxMs = settings.watchdogMaxMs;
    this.#inlet = channels.inlet;
    this.#outlet = channels.outlet;
    this.#buffer = channels.buffer;
    this.#startedMs = channels.startedMs;
    this.#origin = channels.origin;
    this.#stateId = channels.stateId;
    this.#buffer.clear();
  }

  headerLine(line: ByteString): void {
    this.#requireHead('con:header');
    this.#tellLeftOut(this.#head.setLine(line));
  }

  header(name: ByteString, value: ByteString): void {
    this.#requireHead('con:header');
    this.#tellLeftOut(this.#head.set(name, value));
  }

  status(status: ByteString): void {
    this.#requireHead('con:status');
    this.#head.setStatus(status);
  }

  writeUpload(bytes: Uint8Array): number {
    this.#upload ??= new UploadFile();
    return this.#upload.write(bytes);
  }

  readUpload(offset: number, maxBytes: number): Uint8Array {
    return this.#upload?.read(offset, maxBytes) ?? NOTHING;
  }

  /** The request is over, however it ended: nothing of what it has uploaded stays. */
  release(): void {
    this.#upload?.close();
    this.#upload = undefined;
  }

  headerValues(name: ByteString): readonly ByteString[] {
    return this.#head.get(name);
  }

  removeHeader(name: ByteString): void {
    this.#requireHead('con:remove_header');
    this.#head.remove(name);
  }

  get place(): RequestPlace {
    const { runName, worker } = this.#origin;
    return { id: requestName(runName, this.#id), state: this.#stateId, worker };
  }

  /** Whether another answer can take the place of what there is of this one. */
  get canBeginAnew(): boolean {
    return !this.#headIsSent && !this.#isFinished;
  }

  /** The script has failed: what it had said is dropped, and its application answers instead. */
  beginProblem(problem: RequestProblem): void {
    this.problem = problem;
    this.#isGranted = false;
    this.#buffer.clear();
    this.#head.reset();
    this.#head.setStatus(String(problem.status));
  }

  write(body: Uint8Array): void {
    this.#requireOpen('con:puts');
    if (this.#isKept(body)) return this.#buffer.add(body);
    this.flush();
    if (this.#mayHaveBody && body.length > 0) this.#send(body);
  }

  tryWrite(body: Uint8Array): number {
    this.#requireOpen('con:puts');
    if (this.#isKept(body)) this.#buffer.add(body);
    else if (!this.tryFlush()) return 0;
    else if (this.#mayHaveBody && body.length > 0) return this.#trySend(body);
    return body.length;
  }

  /** Whether this piece of the body stays here for now. Where an Authorizer has let the client in, `end` says that it is left out. */
  #isKept(body: Uint8Array): boolean {
    return this.#isGranted || (this.#isBuffering && this.#buffer.length + body.length <= this.#limitBytes);
  }

  flush(): void {
    this.#requireOpen('con:flush');
    const output = this.#takeOutput();
    if (output.length > 0) this.#send(output);
  }

  tryFlush(): boolean {
    this.#requireOpen('con:flush');
    if (this.#headIsSent && this.#buffer.length === 0) return true;
    if (this.isHeld) return false;
    const output = this.#takeOutput();
    if (output.length === 0) return true;
    const sent = this.#trySend(output);
    if (sent === output.length) return true;
    this.#buffer.add(output.subarray(sent));
    return false;
  }

  get isHeld(): boolean {
    return this.#outlet.isHeld?.(this.#id) === true;
  }

  tryLastFlush(): boolean {
    const bytes = this.#buffer.length;
    if (this.#isFinished || this.#isAuthorizer || bytes <= LAST_BYTES) return true;
    // What fits into the send buffer goes out with the end of the request, whoever reads it.
    if (!this.#headIsSent && bytes <= this.#sendBufferBytes) return true;
    if (!this.#headIsSent && !this.#isHead) this.#checkLength();
    return this.tryFlush();
  }

  reset(): void {
    this.#requireHead('con:reset');
    this.#buffer.clear();
    this.#head.reset();
  }

  finish(): void {
    this.#requireOpen('con:finish');
    if (!this.#headIsSent && !this.#isHead) this.#checkLength();
    this.flush();
    this.#endAnswer();
  }

  tryFinish(): boolean {
    this.#requireOpen('con:finish');
    if (!this.#headIsSent && !this.#isHead) this.#checkLength();
    if (!this.tryFlush()) return false;
    this.#endAnswer();
    return true;
  }

  #endAnswer(): void {
    this.#isFinished = true;
    this.#outlet.finish(this.#id, 0);
  }

  grant(): void {
    if (!this.#isAuthorizer) return;
    // What the function for errors returns decides nothing.
    if (this.problem !== undefined) return;
    this.#isGranted = !this.#headIsSent && this.#head.grant();
    if (this.#isGranted) return;
    const why = this.#headIsSent
      ? 'its answer was already sent, as a refusal'
      : `the status of its answer is ${this.#head.statusCode}`;
    this.tell('warn', `the Authorizer returned true, and the client is refused all the same: ${why}`);
  }

  get isBodyWhole(): boolean {
    return this.#inlet.isWhole;
  }

  /** Where its body comes from. */
  get inlet(): RequestInlet {
    return this.#inlet;
  }

  readBody(maxBytes: number): Uint8Array | null {
    return this.#inlet.readBody(maxBytes);
  }

  readData(maxBytes: number): Uint8Array | null {
    return this.#inlet.readData(maxBytes);
  }

  log(level: LogLevel, text: ByteString): void {
    this.#outlet.log(this.#id, level, text, true);
  }

  /** The request is suspended for the first time: what it holds in buffers of others is copied. */
  outlive(): void {
    this.params = Uint8Array.from(this.params);
    this.#inlet = this.#inlet.outlive();
  }

  /** It has waited for so long: that time is not time which it takes of its worker. */
  noteWaited(waitedMs: number): void {
    this.#startedMs += waitedMs;
  }

  /** The server's own words about this request. */
  tell(level: LogLevel, text: ByteString): void {
    this.#outlet.log(this.#id, level, text);
  }

  configure(name: RequestSetting, value: boolean | number | ByteString): void {
    if (name === 'watchdog') return this.#limitTime(Number(value));
    if (name === 'onabort') return this.#outlet.limit(FromWorker.ON_ABORT, this.#id, value === 'stop' ? 1 : 0);
    if (name === 'buffering') {
      this.#isBuffering = value === true;
      if (!this.#isBuffering && this.#buffer.length > 0) this.flush();
      return;
    }
    this.#requireHead(`con:config("${name}")`);
    this.#head.setDefault(name === 'httpstatus' ? 'httpStatus' : 'contentType', String(value));
  }

  /** The request is over: sends what is left of its answer. @param flags of the END message */
  end(flags: number, appStatus: number): void {
    if (this.#isGranted && this.#buffer.length > 0) {
      this.tell('warn', `${this.#buffer.length} bytes of body left out: an Authorizer that lets a client in has none`);
    }
    if (!this.#headIsSent && !this.#isHead) this.#checkLength();
    const output = this.#isFinished ? NOTHING : this.#takeOutput();
    this.#endWith(flags, appStatus, output);
  }

  /**
   * The script failed: its answer becomes an error page if nothing was sent yet. Otherwise the answer ends where it is,
   * and the detail is added where a reader would see it.
   */
  fail(flags: number, errorStatus: number, error: ErrorDetail | undefined): void {
    const detail = error && { ...error, request: describeRequest(this.params) };
    const status = errorStatus >= 400 ? errorStatus : 500;
    let output: Uint8Array = NOTHING;
    if (!this.#headIsSent) {
      this.#headIsSent = true;
      this.sentStatus = status;
      const page = renderErrorPage({
        status,
        requestName: this.place.id,
        detail,
        form: errorFormFor(this.params),
      });
      output = this.#isHead ? page.subarray(0, page.indexOf('\r\n\r\n') + 4) : page;
    } else if (!this.#isFinished) {
      output = this.#takeOutput();
      const isShown = detail !== undefined && this.#mayHaveBody && !this.#head.hasContentLength;
      if (isShown && this.#head.contentType.startsWith('text/html')) {
        output = Buffer.concat([output, Buffer.from(`\n<hr>\n${renderDetail(detail)}`, 'latin1')]);
      }
    }
    this.#endWith(flags, 1, output);
  }

  /** Gives how many bytes were sent before it would have had to wait for the client. */
  #trySend(bytes: Uint8Array): number {
    if (this.#outlet.tryOutput === undefined) {
      this.#send(bytes);
      return bytes.length;
    }
    const sent = this.#outlet.tryOutput(this.#id, bytes);
    this.sentBytes += sent;
    return sent;
  }

  #send(bytes: Uint8Array): void {
    this.sentBytes += bytes.length;
    this.#outlet.output(this.#id, bytes);
  }

  #endWith(flags: number, appStatus: number, output: Uint8Array): void {
    this.sentBytes += output.length;
    this.#outlet.end(this.#id, flags, appStatus, output, this.#startedMs);
  }

  /** The whole answer is here: what the script says of its length can be compared with it. */
  #checkLength(): void {
    const bodyBytes = this.#buffer.length;
    const wrong = this.#head.leaveOutWrongLength(bodyBytes);
    if (wrong !== undefined) {
      this.tell('warn', `header Content-Length: ${wrong} left out: the body has ${bodyBytes} bytes`);
    }
  }

  #limitTime(seconds: number): void {
    const limitMs = Math.ceil(seconds * 1000);
    const mostMs = this.#watchdogMaxMs;
    // Written so that what is no number is refused, too.
    if (mostMs > 0 && !(limitMs > 0 && limitMs <= mostMs)) {
      throw new LuafcgidError('LUAFCGID_SCRIPT_WATCHDOG', { seconds, limit: mostMs / 1000 });
    }
    this.watchdogMs = limitMs;
    this.#outlet.limit(FromWorker.WATCHDOG, this.#id, this.watchdogMs);
  }

  get #mayHaveBody(): boolean {
    return !this.#isHead && this.#head.mayHaveBody;
  }

  /** The header block, unless it was sent, and the body kept so far. Valid until more is written. */
  #takeOutput(): Uint8Array {
    const buffer = this.#buffer;
    // Before an Authorizer has returned true, all that it says is a refusal.
    if (this.#isAuthorizer && !this.#isGranted && !this.#headIsSent) this.#head.refuse();
    if (!this.#mayHaveBody) buffer.clear();
    const output = this.#headIsSent ? buffer.bytes : buffer.bytesAfter(this.#head.encode());
    if (!this.#headIsSent) this.sentStatus = this.#head.statusCode;
    this.#headIsSent = true;
    buffer.clear();
    return output;
  }

  #requireOpen(call: string): void {
    if (this.#isFinished) throw new LuafcgidError('LUAFCGID_RESPONSE_FINISHED', { call });
  }

  #requireHead(call: string): void {
    this.#requireOpen(call);
    if (this.#headIsSent) throw new LuafcgidError('LUAFCGID_RESPONSE_SENT', { call });
  }

  #tellLeftOut(name: string | undefined): void {
    if (name === undefined) return;
    // Many scripts of the C daemon set Connection, in each request. It does nothing and harms nobody.
    const level = name.toLowerCase() === 'connection' ? 'debug' : 'warn';
    this.tell(level, `header ${name} left out: only the web server may set it`);
  }
}
