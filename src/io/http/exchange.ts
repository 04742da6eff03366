/** A request under way on a connection, and its answer: limits of time and size, and back-pressure. Runs in the I/O thread. */
import type { Hold, Run } from '../source.js';
import type { AnswerController, AnswerHead } from './connection.js';
import type { Lease } from './origins.js';
import { type HttpRequest, httpFault, isIdempotent } from './request.js';

/** Bytes of an answer that wait for a script to read them; then its server has to wait. */
const WAITING_BYTES = 64 * 1024;

/** Nothing has come on a connection that had been idle: its server had closed it. The request may be sent once more. */
export class StaleConnection extends Error {}

interface Reader {
  resolve(piece: Buffer | undefined): void;
  reject(error: Error): void;
}

export class Exchange implements Hold {
  readonly request: HttpRequest;
  readonly #lease: Lease;
  readonly #run: Run;
  #controller: AnswerController | undefined;
  #head: ((head: AnswerHead) => void) | undefined;
  #failHead: ((error: Error) => void) | undefined;
  readonly #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #reader: Reader | undefined;
  #error: Error | undefined;
  /** The answer has come to its end. */
  #isComplete = false;
  #isOver = false;
  readonly #total: NodeJS.Timeout;
  #silence: NodeJS.Timeout | undefined;

  /** @param leftMs what is left of the request's time */
  constructor(request: HttpRequest, lease: Lease, run: Run, leftMs: number) {
    this.request = request;
    this.#lease = lease;
    this.#run = run;
    this.#total = setTimeout(() => this.#tooLate(request.totalMs, 'all of it'), leftMs);
    run.add(this);
  }

  /** Sends the request. Resolves with the start of its answer. @throws StaleConnection, DataError */
  begin(): Promise<AnswerHead> {
    return new Promise((resolve, reject) => {
      this.#head = resolve;
      this.#failHead = reject;
      // The run may have ended meanwhile.
      if (this.#error !== undefined) return reject(this.#error);
      this.#awaitMore('no answer began');
      this.#lease.connection.send(this.request, {
        started: (controller) => {
          this.#controller = controller;
        },
        head: (head) => {
          this.#awaitMore('nothing more of the answer came');
          this.#head?.(head);
        },
        data: (chunk) => this.#data(chunk),
        ended: () => this.#ended(),
        failed: (error) => this.#failed(error),
      });
    });
  }

  /** The next piece of the body; undefined at its end. One call at a time. @throws DataError */
  read(): Promise<Buffer | undefined> {
    const piece = this.#take();
    if (piece !== undefined) return Promise.resolve(piece);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#isComplete) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  get isReading(): boolean {
    return this.#reader !== undefined;
  }

  /** All of the body. @throws DataError, also when there is more of it than is allowed */
  async readAll(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const { maxBodyBytes, url } = this.request;
    let sizeBytes = 0;
    for (let piece = await this.read(); piece !== undefined; piece = await this.read()) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBodyBytes) {
        const error = httpFault('LUAFCGID_HTTP_SIZE', url, { what: 'the answer', limit: maxBodyBytes });
        this.#stop(error);
        throw error;
      }
      pieces.push(piece);
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }

  /** Nobody wants the rest: the connection is closed if more is to come. */
  release(): void {
    this.#stop(httpFault('LUAFCGID_HTTP_CLOSED', this.request.url, { reason: 'the script has closed it' }));
  }

  #data(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#reader !== undefined) {
      const { resolve } = this.#reader;
      this.#reader = undefined;
      resolve(this.#take());
    }
    if (this.#waitingBytes >= WAITING_BYTES) {
      this.#controller?.pause();
      // It is the script that has to do something now.
      clearTimeout(this.#silence);
    } else this.#awaitMore('nothing more of the answer came');
  }

  #take(): Buffer | undefined {
    if (this.#chunks.length === 0) return undefined;
    const piece = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    this.#waitingBytes = 0;
    if (this.#controller?.paused === true && !this.#isOver) {
      this.#awaitMore('nothing more of the answer came');
      // Not from inside of the parser, which may have called this.
      setImmediate(() => {
        if (!this.#isOver) this.#controller?.resume();
      });
    }
    return piece;
  }

  #ended(): void {
    if (this.#isOver) return;
    this.#finish();
    // The client closes a connection that does not stay open only after this call.
    setImmediate(() => {
      this.#lease.release();
      this.#isComplete = true;
      this.#reader?.resolve(undefined);
      this.#reader = undefined;
    });
  }

  #failed(error: Error): void {
    const { url } = this.request;
    const { connection } = this.#lease;
    if (connection.isReused && !connection.hasReceived && isIdempotent(this.request)) {
      return this.#stop(new StaleConnection(), true);
    }
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'UND_ERR_HEADERS_OVERFLOW') {
      this.#stop(
        httpFault('LUAFCGID_HTTP_SIZE', url, { what: 'the head of the answer', limit: 64 * 1024 }, false, error),
      );
    } else if (error.name === 'HTTPParserError' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
      this.#stop(httpFault('LUAFCGID_HTTP_ANSWER', url, { reason: message }, false, error));
    } else {
      this.#stop(httpFault('LUAFCGID_HTTP_CLOSED', url, { reason: message }, true, error));
    }
  }

  #tooLate(limitMs: number, what: string): void {
    this.#stop(httpFault('LUAFCGID_HTTP_TIMEOUT', this.request.url, { seconds: limitMs / 1000, what }, true));
  }

  #awaitMore(what: string): void {
    clearTimeout(this.#silence);
    const { answerMs } = this.request;
    this.#silence = setTimeout(() => this.#tooLate(answerMs, what), answerMs);
  }

  #stop(error: Error, othersToo = false): void {
    if (this.#isOver) return;
    this.#error = error;
    this.#finish();
    this.#lease.discard(othersToo);
    this.#failHead?.(error);
    this.#reader?.reject(error);
    this.#reader = undefined;
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#total);
    clearTimeout(this.#silence);
    this.#run.remove(this);
  }
}
