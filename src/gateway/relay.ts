/**
 * One HTTP request through FastCGI: the body one way, the answer the other, each as fast as its receiver takes it.
 * Whatever happens on either side ends both.
 */

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { ProtocolStatus } from '../fcgi/session.js';
import { type AnswerHead, AnswerReader } from './answer.js';
import type { Params } from './cgi-params.js';
import { allowAdditions } from './content-security.js';
import { EVENTS_PATH, htmlTrailer, SCRIPT_PATH, trailerWithNonce } from './live-reload.js';
import { sendErrorPage } from './pages.js';
import { NOTES_STYLES, renderNotes, type TakeNotes } from './script-notes.js';
import { Upstream, type UpstreamAddress } from './upstream.js';

/** Longest line of a server's error stream that is logged whole. */
const MOST_LINE_BYTES = 8 * 1024;

export type GatewayLog = (level: 'info' | 'warn' | 'error', text: string) => void;

/** Logs that have a line about pages that get nothing added. */
const hasToldForbidden = new WeakSet<GatewayLog>();

export interface RelayOptions {
  readonly address: UpstreamAddress;
  readonly params: Params;
  readonly log: GatewayLog;
  /** Begins to collect what the script prints; left out: nobody shows it. */
  readonly collectNotes?: ((script: string) => TakeNotes) | undefined;
}

/** Sends the request on and the answer back. */
export function relay(request: IncomingMessage, response: ServerResponse, options: RelayOptions): void {
  new Relay(request, response, options);
}

class Relay {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: RelayOptions;
  readonly #upstream: Upstream;
  readonly #answer = new AnswerReader();
  /** What the script's Content-Length leaves to be sent; without one there is no bound. */
  #bodyBytesLeft = Number.POSITIVE_INFINITY;
  #errorText = '';
  /** Ends the collecting of what the script prints. */
  readonly #takeNotes: TakeNotes | undefined;
  /** Sent after the answer. */
  #trailer: Buffer | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: RelayOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
    const { collectNotes, params } = options;
    // Only a page that the browser shows can show them.
    const script = htmlTrailer(response) === undefined ? undefined : new Map(params).get('SCRIPT_FILENAME');
    this.#takeNotes = script === undefined ? undefined : collectNotes?.(script);
    this.#upstream = new Upstream(options.address, options.params, {
      onOutput: (bytes) => this.#takeOutput(bytes),
      onErrorText: (bytes) => this.#takeErrorText(bytes),
      onDrain: () => request.resume(),
      onEnd: (protocolStatus) => this.#end(protocolStatus),
      onFailure: (error) => this.#fail(unreachable(options.address, error)),
    });
    request.on('data', (chunk: Buffer) => {
      if (!this.#upstream.sendBody(chunk)) request.pause();
    });
    request.on('end', () => this.#upstream.endBody());
    request.on('error', () => this.#upstream.close());
    response.on('drain', () => this.#upstream.resume());
    response.on('error', () => this.#upstream.close());
    // The client has gone. Of requests that wait behind others on the connection only the socket knows it.
    const abort = (): void => this.#upstream.close();
    request.socket.on('close', abort);
    response.on('close', () => {
      this.#takeNotes?.();
      request.socket.off('close', abort);
      abort();
    });
  }

  #takeOutput(bytes: Uint8Array): void {
    if (this.#answer.hasHead) return this.#sendBody(bytes);
    try {
      const complete = this.#answer.push(bytes);
      if (complete === undefined) return;
      this.#sendHead(complete.head);
      // A script that flushes its headers alone wants them seen.
      if (complete.body.length === 0) this.#response.flushHeaders();
      else this.#sendBody(complete.body);
    } catch (error) {
      this.#fail(badAnswer(`with ${error instanceof Error ? error.message : String(error)}`));
    }
  }

  #sendHead(head: AnswerHead): void {
    const { status, reason, bodyBytes } = head;
    const hasBody = this.#request.method !== 'HEAD' && status !== 204 && status !== 304;
    if (bodyBytes !== undefined && hasBody) this.#bodyBytesLeft = bodyBytes;
    const headers = (hasBody ? this.#withTrailer(head) : head.headers).flat();
    if (reason === '') this.#response.writeHead(status, headers);
    else this.#response.writeHead(status, reason, headers);
  }

  /** The headers of an answer that gets something at its end, if it is an HTML page. */
  #withTrailer({ headers }: AnswerHead): AnswerHead['headers'] {
    const header = (wanted: string) => headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
    const isHtml = /^text\/html\b/i.test(header('content-type') ?? '') && header('content-encoding') === undefined;
    if (!isHtml || htmlTrailer(this.#response) === undefined) return headers;
    const nonce = randomBytes(16).toString('base64');
    const additions = { scriptPath: SCRIPT_PATH, eventsPath: EVENTS_PATH, styles: NOTES_STYLES, nonce };
    const allowed = allowAdditions(headers, this.#request.headers.host ?? '', additions);
    if (allowed === undefined) {
      this.#tellForbidden();
      return headers;
    }
    this.#trailer = trailerWithNonce(nonce);
    return allowed.filter(([name]) => name.toLowerCase() !== 'content-length');
  }

  /** Once: every look at such a page would tell it. */
  #tellForbidden(): void {
    if (hasToldForbidden.has(this.#options.log)) return;
    hasToldForbidden.add(this.#options.log);
    const why = 'its Content-Security-Policy has sandbox, or the address has no name that a policy can hold';
    this.#log('info', `the page is not loaded anew when it changes, and shows nothing that is printed: ${why}`);
  }

  #sendBody(bytes: Uint8Array): void {
    const body = bytes.length > this.#bodyBytesLeft ? bytes.subarray(0, this.#bodyBytesLeft) : bytes;
    this.#bodyBytesLeft -= body.length;
    if (body.length < bytes.length)
      this.#log('warn', 'the answer is longer than its Content-Length: the rest is dropped');
    if (body.length > 0 && !this.#response.write(body)) this.#upstream.pause();
  }

  #end(protocolStatus: number): void {
    if (protocolStatus === ProtocolStatus.OVERLOADED)
      return this.#fail(new LuafcgidError('LUAFCGID_GATEWAY_OVERLOADED'));
    if (protocolStatus !== ProtocolStatus.REQUEST_COMPLETE) {
      return this.#fail(badAnswer(`with protocol status ${protocolStatus}`));
    }
    if (this.#answer.isEmpty) return this.#fail(badAnswer('without any output'));
    if (!this.#answer.hasHead) return this.#fail(badAnswer('with headers that do not end'));
    const left = this.#bodyBytesLeft;
    if (left > 0 && Number.isFinite(left)) return this.#fail(badAnswer(`${left} bytes short of its Content-Length`));
    this.#takeErrorText(undefined);
    const notes = renderNotes(this.#takeNotes?.() ?? []);
    if (this.#trailer !== undefined && notes !== '') this.#response.write(notes);
    this.#response.end(this.#trailer);
    this.#dropBody();
  }

  #fail(error: LuafcgidError): void {
    this.#upstream.close();
    this.#takeErrorText(undefined);
    this.#log('error', error.message);
    // After the headers only a connection that ends too early can tell the client that something is missing.
    if (this.#response.headersSent) this.#request.socket.destroySoon();
    else sendErrorPage(this.#response, error);
    this.#dropBody();
  }

  /** Reads what is left of the request's body, so that the client comes to read the answer. */
  #dropBody(): void {
    this.#request.removeAllListeners('data');
    this.#request.resume();
  }

  /** Logs complete lines; undefined says that no more comes. */
  #takeErrorText(bytes: Uint8Array | undefined): void {
    const text = this.#errorText + (bytes === undefined ? '\n' : Buffer.from(bytes).toString('latin1'));
    const lines = text.split(/\r?\n/);
    const rest = bytes === undefined ? '' : (lines.pop() ?? '');
    // A line that does not end is logged in pieces: it would be kept, and looked through, again and again.
    if (rest.length > MOST_LINE_BYTES) lines.push(rest);
    this.#errorText = rest.length > MOST_LINE_BYTES ? '' : rest;
    for (const line of lines) if (line !== '') this.#log('warn', toText(line));
  }

  #log(level: 'info' | 'warn' | 'error', text: string): void {
    this.#options.log(level, `${this.#request.method} ${this.#request.url}: ${text}`);
  }
}

function unreachable(address: UpstreamAddress, error: Error): LuafcgidError {
  const name = typeof address === 'string' ? address : `${address.host}:${address.port}`;
  return new LuafcgidError('LUAFCGID_GATEWAY_UPSTREAM', { address: name, detail: error.message }, error);
}

function badAnswer(detail: string): LuafcgidError {
  return new LuafcgidError('LUAFCGID_GATEWAY_ANSWER', { detail });
}
