/**
 * One connection to a web server, open already, and the client of the package undici that speaks HTTP on it. It is never opened
 * again: what opens connections is the pool. Runs in the I/O thread.
 */
import type { Socket } from 'node:net';
import type { Client, Dispatcher } from 'undici';
import type { HttpSettings } from '../sources.js';
import type { HttpRequest } from './request.js';

type Undici = typeof import('undici');

/** The start of an answer. */
export interface AnswerHead {
  readonly status: number;
  /** Names and values in turn, as they came. */
  readonly headers: readonly Buffer[];
}

/** Receives the parts of an answer. The last call is either `ended` or `failed`, and it comes once. */
export interface AnswerListener {
  /** The request is being sent. */
  started(controller: AnswerController): void;
  head(head: AnswerHead): void;
  data(chunk: Buffer): void;
  ended(): void;
  failed(error: Error): void;
}

export type AnswerController = Dispatcher.DispatchController;

const MOST_HEADER_BYTES = 64 * 1024;
/** An idle connection is closed so much earlier than its server says that it will. */
const MARGIN_MS = 1_000;

export class Connection {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  readonly #unused: NodeJS.Timeout;
  #uses = 0;
  #hasReceived = false;

  /** @param gone called when it is no more, whatever ended it */
  constructor({ Client }: Undici, url: URL, socket: Socket, { idleMs }: HttpSettings, gone: () => void) {
    let isTaken = false;
    this.#socket = socket;
    this.#client = new Client(url.origin, {
      connect: (_options, callback) => {
        if (isTaken) return callback(new Error('the connection was closed'), null);
        isTaken = true;
        queueMicrotask(() => callback(null, socket));
      },
      pipelining: 1,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: idleMs,
      keepAliveTimeoutThreshold: MARGIN_MS,
      maxHeaderSize: MOST_HEADER_BYTES,
      // Its timers count in whole seconds; `exchange.ts` has its own.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    // The client looks after it only from its first request on.
    this.#unused = setTimeout(() => void this.destroy(), idleMs).unref();
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(this.#unused);
        gone();
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Whether a request was answered on it before: its server may have closed it meanwhile. */
  get isReused(): boolean {
    return this.#uses > 1;
  }

  /** Whether anything of an answer has come since the last request was begun. */
  get hasReceived(): boolean {
    return this.#hasReceived;
  }

  /** Sends a request. One at a time. */
  send(request: HttpRequest, listener: AnswerListener): void {
    const { method, url, headers, body } = request;
    this.#uses += 1;
    clearTimeout(this.#unused);
    this.#hasReceived = false;
    this.#client.dispatch(
      { method, path: `${url.pathname}${url.search}`, headers: [...headers], body: body ?? null },
      {
        onRequestStart: (controller) => listener.started(controller),
        onResponseStarted: () => {
          this.#hasReceived = true;
        },
        onResponseStart(controller, status) {
          // Before the answer there may be others that only inform (RFC 9110, 15.2).
          if (status < 200) return;
          listener.head({ status, headers: (controller.rawHeaders ?? []) as Buffer[] });
        },
        onResponseData: (_controller, chunk) => listener.data(chunk),
        onResponseEnd: () => listener.ended(),
        onResponseError: (_controller, error) => listener.failed(error),
      },
    );
  }

  /** Closes it at once; an answer that is still to come fails. Resolves when it is closed. */
  destroy(): Promise<void> {
    this.#client.destroy().catch(() => {});
    this.#socket.destroy();
    return this.#closed;
  }
}
