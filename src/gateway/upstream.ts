/** One request to a FastCGI server: a connection of its own, records on it, and how it ended. */
import net from 'node:net';
import {
  encodeBeginRequest,
  encodeParams,
  encodeStream,
  encodeStreamEnd,
  RecordDecoder,
  RecordType,
  Role,
} from '../fcgi/session.js';
import type { Params } from './cgi-params.js';

/** Path of a Unix socket, or a TCP address. */
export type UpstreamAddress = string | { readonly host: string; readonly port: number };

export interface UpstreamEvents {
  /** Output of the script; never empty. */
  onOutput(bytes: Uint8Array): void;
  /** Text for the log; never empty. */
  onErrorText(bytes: Uint8Array): void;
  /** `sendBody` may be called again after it returned false. */
  onDrain(): void;
  /** END_REQUEST: the last event. */
  onEnd(protocolStatus: number, appStatus: number): void;
  /** The connection could not be made, or broke before END_REQUEST: the last event. */
  onFailure(error: Error): void;
}

/** Any id does: it is the only request of its connection. */
const REQUEST_ID = 1;

export class Upstream {
  readonly #socket: net.Socket;
  readonly #decoder = new RecordDecoder();
  readonly #events: UpstreamEvents;
  #isOver = false;

  constructor(address: UpstreamAddress, params: Params, events: UpstreamEvents) {
    this.#events = events;
    this.#socket = net.connect(typeof address === 'string' ? { path: address } : address);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    this.#socket.on('drain', () => {
      if (!this.#isOver) events.onDrain();
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('it closed the connection before the end of the answer')));
    // The connection is asked to be kept although it is closed after one answer: a server that closes it itself while
    // the body is still being sent would make the answer unreadable (a reset), e.g. of a body that is refused.
    this.#socket.write(
      Buffer.concat([
        encodeBeginRequest(REQUEST_ID, Role.RESPONDER, true),
        encodeStream(RecordType.PARAMS, REQUEST_ID, encodeParams(params)),
        encodeStreamEnd(RecordType.PARAMS, REQUEST_ID),
      ]),
    );
  }

  /** Sends a piece of the body. False: wait for `onDrain` before the next. */
  sendBody(bytes: Uint8Array): boolean {
    if (this.#isOver || bytes.length === 0) return true;
    return this.#socket.write(encodeStream(RecordType.STDIN, REQUEST_ID, bytes));
  }

  endBody(): void {
    if (!this.#isOver) this.#socket.write(encodeStreamEnd(RecordType.STDIN, REQUEST_ID));
  }

  /** Takes no more output until `resume`, so that the script feels a slow client. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the connection, which aborts a running request. No event comes after it. */
  close(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#decoder.feed(chunk);
      while (!this.#isOver) {
        const record = this.#decoder.next();
        if (record === undefined) return;
        if (record.requestId === REQUEST_ID) this.#take(record.type, record.content);
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take(type: number, content: Uint8Array): void {
    if (type === RecordType.STDOUT && content.length > 0) this.#events.onOutput(content);
    else if (type === RecordType.STDERR && content.length > 0) this.#events.onErrorText(content);
    else if (type === RecordType.END_REQUEST) {
      if (content.length !== 8) throw new Error(`END_REQUEST of ${content.length} bytes instead of 8`);
      this.close();
      const appStatus = new DataView(content.buffer, content.byteOffset).getInt32(0);
      this.#events.onEnd(content[4] as number, appStatus);
    }
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.close();
    this.#events.onFailure(error);
  }
}
