/**
 * An independent FastCGI client for tests: it plays the web server's side over Unix sockets or TCP, sends whatever
 * bytes a test wants, and reads the answers strictly. It shares no code with `src/` (see fcgi-wire.ts).
 */
import net from 'node:net';
import { type CgiAnswer, parseCgiAnswer } from './cgi-answer.js';
import { type FcgiResponse, ResponseBook } from './fcgi-responses.js';
import {
  type Bytes,
  beginRequest,
  type FcgiRecord,
  type PairsInput,
  pairs,
  parsePairs,
  RecordReader,
  record,
  requestBytes,
  type StreamOptions,
  stream,
  TYPE,
  toBytes,
  typeName,
} from './fcgi-wire.js';

export * from './cgi-answer.js';
export type { FcgiResponse } from './fcgi-responses.js';
export * from './fcgi-wire.js';

/** A Unix socket's path, a TCP port on 127.0.0.1, or both parts of a TCP address. */
export type Target = string | number | { readonly host: string; readonly port: number };

export interface ConnectOptions {
  /** Longest wait of any await on this connection. Generous: it only ends a test that would hang. */
  readonly guardMs?: number;
  /** Keeps going after a violation of the protocol; without it every await on the connection rejects. */
  readonly lenient?: boolean;
  /** Takes STDOUT and STDERR content as it comes; it is then not collected, so its size does not matter. */
  readonly sink?: (id: number, type: number, content: Buffer) => void;
}

interface Waiter {
  readonly what: string;
  /** Settles the waiter and says so, or says that it has to wait on. */
  readonly poll: () => boolean;
  readonly fail: (error: Error) => void;
  readonly untilClosed: boolean;
}

/** How a connection ended: `error` is undefined when the peer closed it in order. */
export interface Closed {
  readonly error: Error | undefined;
}

const DEFAULT_GUARD_MS = 90_000;

/** One connection to a FastCGI application. */
export class FcgiConnection {
  /** Every record received, in order; with a sink, without the streams' records. */
  readonly records: FcgiRecord[] = [];
  /** What the application did against the specification. */
  readonly violations: string[] = [];
  receivedBytes = 0;

  readonly #socket: net.Socket;
  readonly #options: ConnectOptions;
  readonly #reader = new RecordReader();
  readonly #sent = new RecordReader();
  readonly #book: ResponseBook;
  readonly #waiters = new Set<Waiter>();
  #nextRecord = 0;
  #nextManagement = 0;
  #tracksSent = true;
  #closed: Closed | undefined;
  #error: Error | undefined;

  private constructor(socket: net.Socket, options: ConnectOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#book = new ResponseBook((text) => this.violations.push(text), options.sink);
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => {
      if (this.#reader.pendingBytes > 0) {
        this.violations.push(`connection closed in the middle of a record (${this.#reader.pendingBytes} bytes of it)`);
      }
      this.#closed = { error: this.#error };
      this.#pollAll();
    });
  }

  /** Resolves when the connection stands. */
  static async connect(target: Target, options: ConnectOptions = {}): Promise<FcgiConnection> {
    const socket = net.connect(
      typeof target === 'string'
        ? { path: target }
        : typeof target === 'number'
          ? { host: '127.0.0.1', port: target }
          : target,
    );
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.setNoDelay(true);
    socket.removeAllListeners('error');
    return new FcgiConnection(socket, options);
  }

  /**
   * Sends the parts in one write. Resolves to true when the kernel has taken them, to false when the connection broke
   * before that; it never rejects, so it need not be awaited.
   */
  send(...parts: readonly Bytes[]): Promise<boolean> {
    const bytes = Buffer.concat(parts.map(toBytes));
    this.#noteSent(bytes);
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve(false);
      else this.#socket.write(bytes, (error) => resolve(!error));
    });
  }

  /** Sends each piece in a write of its own, the next one when the kernel has taken the one before. */
  async sendPieces(pieces: Iterable<Bytes>): Promise<boolean> {
    for (const piece of pieces) if (!(await this.send(piece))) return false;
    return true;
  }

  begin(id: number, options: Parameters<typeof beginRequest>[1] = {}): Promise<boolean> {
    return this.send(beginRequest(id, options));
  }

  /** The whole PARAMS stream with its end. */
  params(id: number, params: PairsInput, options?: StreamOptions): Promise<boolean> {
    return this.send(stream(TYPE.PARAMS, id, pairs(params), options));
  }

  /** STDIN records and, unless `end` is false, the end of the stream. */
  stdin(id: number, body: Bytes = '', options?: StreamOptions): Promise<boolean> {
    return this.send(stream(TYPE.STDIN, id, body, options));
  }

  abort(id: number): Promise<boolean> {
    return this.send(record(TYPE.ABORT_REQUEST, id));
  }

  /** Asks GET_VALUES and resolves to the pairs of the answer. */
  async getValues(...names: readonly string[]): Promise<[name: string, value: string][]> {
    this.send(record(TYPE.GET_VALUES, 0, pairs(names.map((name) => [name, ''] as const))));
    const answer = await this.nextManagementRecord();
    if (answer.type !== TYPE.GET_VALUES_RESULT) throw new Error(`GET_VALUES was answered by ${typeName(answer.type)}`);
    return parsePairs(answer.content);
  }

  /** Stops reading: what the application writes fills the socket buffers and then blocks it. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Half close: nothing more is sent, answers are still read. */
  end(): void {
    this.#socket.end();
  }

  /** Closes at once. With bytes unread, or with `reset` on TCP, the peer sees a reset. */
  destroy(options: { readonly reset?: boolean } = {}): void {
    if (options.reset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** The next record that no earlier call has returned. Has nothing to do with `response`. */
  nextRecord(): Promise<FcgiRecord> {
    return this.#wait('the next record', () => {
      const found = this.records[this.#nextRecord];
      if (found) this.#nextRecord += 1;
      return found;
    });
  }

  /** The next record with request id 0 that no earlier call has returned. */
  nextManagementRecord(): Promise<FcgiRecord> {
    return this.#wait('a management record', () => {
      const found = this.records.filter((entry) => entry.id === 0)[this.#nextManagement];
      if (found) this.#nextManagement += 1;
      return found;
    });
  }

  /** The answer of the oldest request of that id which no earlier call has returned, once its END_REQUEST has come. */
  response(id: number): Promise<FcgiResponse> {
    return this.#wait(`the response to request ${id}`, () => this.#book.takeResponse(id));
  }

  /** STDOUT of the running request so far, once `enough` is true of it (a text: once it contains that). */
  stdoutUntil(id: number, enough: string | ((stdout: Buffer) => boolean)): Promise<Buffer> {
    const test = typeof enough === 'string' ? (stdout: Buffer) => stdout.includes(enough, 0, 'latin1') : enough;
    return this.#wait(
      `STDOUT of request ${id}${typeof enough === 'string' ? ` with ${JSON.stringify(enough)}` : ''}`,
      () => {
        const stdout = this.#book.stdoutSoFar(id);
        return stdout !== undefined && test(stdout) ? stdout : undefined;
      },
    );
  }

  /** Waits until at least so many bytes were received in all. */
  async received(bytes: number): Promise<void> {
    await this.#wait(`${bytes} received bytes`, () => (this.receivedBytes >= bytes ? true : undefined));
  }

  /** Resolves when the connection is closed, by whomever. */
  closed(): Promise<Closed> {
    return this.#wait('the connection to close', () => this.#closed, true);
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** What has happened on this connection, for messages. */
  describe(): string {
    const last = this.records.slice(-8).map((entry) => `${typeName(entry.type)}#${entry.id}(${entry.content.length})`);
    return [
      `received ${this.receivedBytes} bytes, ${this.records.length} records${last.length > 0 ? `, the last: ${last.join(' ')}` : ''}`,
      this.#reader.pendingBytes > 0 ? `${this.#reader.pendingBytes} bytes of an incomplete record` : '',
      this.#book.describe(),
      this.#closed ? `connection closed${this.#error ? ` (${this.#error.message})` : ''}` : 'connection open',
      ...this.violations.map((text) => `VIOLATION: ${text}`),
    ]
      .filter((text) => text !== '')
      .join('; ');
  }

  #received(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    for (const entry of this.#reader.push(chunk)) {
      this.#book.add(entry);
      const streamed = entry.type === TYPE.STDOUT || entry.type === TYPE.STDERR;
      if (!this.#options.sink || !streamed) this.records.push(entry);
    }
    this.#pollAll();
  }

  /** Which ids are in use is read from what was sent, however the test built it, until that is no FastCGI any more. */
  #noteSent(bytes: Buffer): void {
    if (!this.#tracksSent) return;
    for (const entry of this.#sent.push(bytes)) {
      if (entry.version !== 1) {
        this.#tracksSent = false;
        this.#book.trustAnyId();
        return;
      }
      if (entry.type === TYPE.BEGIN_REQUEST) this.#book.begun(entry.id);
      if (entry.type === TYPE.ABORT_REQUEST) this.#book.aborted(entry.id);
    }
  }

  #pollAll(): void {
    for (const waiter of this.#waiters) {
      if (this.violations.length > 0 && !this.#options.lenient) {
        waiter.fail(new Error(`protocol violation while waiting for ${waiter.what}: ${this.describe()}`));
      } else if (!waiter.poll() && this.#closed && !waiter.untilClosed) {
        waiter.fail(new Error(`connection closed while waiting for ${waiter.what}: ${this.describe()}`));
      }
    }
  }

  #wait<T>(what: string, look: () => T | undefined, untilClosed = false): Promise<T> {
    return new Promise((resolve, reject) => {
      const guardMs = this.#options.guardMs ?? DEFAULT_GUARD_MS;
      const settle = (): void => {
        clearTimeout(guard);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        what,
        untilClosed,
        poll: () => {
          const found = look();
          if (found === undefined) return false;
          settle();
          resolve(found);
          return true;
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const guard = setTimeout(
        () => waiter.fail(new Error(`no sign of ${what} within ${guardMs} ms: ${this.describe()}`)),
        guardMs,
      );
      this.#waiters.add(waiter);
      this.#pollAll();
    });
  }
}

export interface RequestOptions {
  /** Where to connect; not needed with `connection`. */
  readonly socket?: Target;
  /** A connection to use, which then stays open unless the request itself closes it. */
  readonly connection?: FcgiConnection;
  readonly params: PairsInput;
  readonly body?: Bytes;
  readonly keepConn?: boolean;
  readonly id?: number;
  readonly role?: number;
  /** How PARAMS and STDIN are cut into records. */
  readonly stream?: StreamOptions;
  /** Longest wait for the whole answer. */
  readonly timeoutMs?: number;
}

export interface Answer extends CgiAnswer {
  readonly stderr: Buffer;
  readonly appStatus: number;
  readonly protocolStatus: number;
  /** STDOUT as it came, header block included. */
  readonly raw: Buffer;
}

/**
 * Sends one request and reads its answer. Rejects on any violation of the protocol, and without `keepConn` also when
 * the application leaves the connection open.
 */
export async function request(options: RequestOptions): Promise<Answer> {
  const { socket, id = 1 } = options;
  if (options.connection === undefined && socket === undefined) throw new TypeError('request() needs a socket');
  const connection =
    options.connection ??
    (await FcgiConnection.connect(socket!, options.timeoutMs === undefined ? {} : { guardMs: options.timeoutMs }));
  try {
    connection.send(requestBytes(options));
    const response = await connection.response(id);
    if (!options.keepConn) await connection.closed();
    return { ...parseCgiAnswer(response.stdout), ...pick(response), raw: response.stdout };
  } finally {
    if (!options.connection) connection.destroy();
  }
}

function pick({ stderr, appStatus, protocolStatus }: FcgiResponse): Omit<Answer, keyof CgiAnswer | 'raw'> {
  return { stderr, appStatus, protocolStatus };
}

/** The parameters a web server sends for a script, with nginx's names; `extra` replaces and adds. */
export function scriptParams(
  scriptFilename: string,
  extra: Readonly<Record<string, Bytes>> = {},
): Record<string, Bytes> {
  const scriptName = scriptFilename.slice(scriptFilename.lastIndexOf('/'));
  return {
    SCRIPT_FILENAME: scriptFilename,
    QUERY_STRING: '',
    REQUEST_METHOD: 'GET',
    CONTENT_TYPE: '',
    CONTENT_LENGTH: '',
    SCRIPT_NAME: scriptName,
    REQUEST_URI: scriptName,
    DOCUMENT_URI: scriptName,
    DOCUMENT_ROOT: scriptFilename.slice(0, scriptFilename.lastIndexOf('/')),
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'http',
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_SOFTWARE: 'test',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_PORT: '12345',
    SERVER_ADDR: '127.0.0.1',
    SERVER_PORT: '80',
    SERVER_NAME: 'localhost',
    REDIRECT_STATUS: '200',
    HTTP_HOST: 'localhost',
    ...extra,
  };
}
