/** A tiny FastCGI application for tests of what stands in front of one: it answers with the bytes a test gives it. */
import net from 'node:net';
import { join } from 'node:path';
import { type Cleanup, guarded, tempDir } from './cleanup.js';
import { type Bytes, endRequest, parsePairs, RecordReader, stream, TYPE, toBytes } from './fcgi-wire.js';

const GUARD_MS = 90_000;

/** One request, from when its parameters are complete. */
export class Exchange {
  readonly id: number;
  readonly role: number;
  readonly keepConn: boolean;
  /** In order; a name may come twice. */
  readonly pairs: readonly (readonly [name: string, value: string])[];
  /** The same by name; the last one counts. */
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly #socket: net.Socket;
  readonly #body: Buffer[] = [];
  readonly #listeners = new Set<() => void>();
  #bodyEnded = false;
  #closed = false;

  constructor(socket: net.Socket, begin: { id: number; role: number; keepConn: boolean }, params: Buffer) {
    this.#socket = socket;
    this.id = begin.id;
    this.role = begin.role;
    this.keepConn = begin.keepConn;
    this.pairs = parsePairs(params);
    this.params = Object.fromEntries(this.pairs);
    socket.on('close', () => {
      this.#closed = true;
      this.#notify();
    });
  }

  /** Bytes as they are, onto the connection. */
  send(...parts: readonly Bytes[]): void {
    this.#socket.write(Buffer.concat(parts.map(toBytes)));
  }

  stdout(text: Bytes): void {
    this.send(stream(TYPE.STDOUT, this.id, text, { end: false }));
  }

  stderr(text: Bytes): void {
    this.send(stream(TYPE.STDERR, this.id, text));
  }

  /** The rest of the answer and its end; closes the connection unless the client wants it kept. */
  end(text: Bytes = '', appStatus = 0): void {
    this.send(stream(TYPE.STDOUT, this.id, text), endRequest(this.id, appStatus));
    if (!this.keepConn) this.#socket.end();
  }

  /** Closes the connection, whatever was sent. */
  hangUp(): void {
    this.#socket.destroy();
  }

  /** Stops reading, so that a sender feels it. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Waits for the whole body. */
  body(): Promise<Buffer> {
    return this.#wait('the end of the body', () => (this.#bodyEnded ? Buffer.concat(this.#body) : undefined));
  }

  /** Waits until the body so far contains the text. */
  bodyUntil(text: string): Promise<Buffer> {
    return this.#wait(`a body with ${JSON.stringify(text)}`, () => {
      const body = Buffer.concat(this.#body);
      return body.includes(text) ? body : undefined;
    });
  }

  /** Bytes of the answer that the kernel has not taken yet, because the client does not read. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes of the body so far. */
  get bodyBytes(): number {
    return this.#body.reduce((sum, part) => sum + part.length, 0);
  }

  get bodyHasEnded(): boolean {
    return this.#bodyEnded;
  }

  /** Waits for the connection to be closed. */
  async closed(): Promise<void> {
    await this.#wait('the connection to close', () => (this.#closed ? true : undefined));
  }

  /** Called by the responder: a STDIN record, empty at the end. */
  takeBody(content: Buffer): void {
    if (content.length === 0) this.#bodyEnded = true;
    else this.#body.push(content);
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  #wait<T>(what: string, look: () => T | undefined): Promise<T> {
    let listener = (): void => {};
    const found = new Promise<T>((resolve) => {
      listener = () => {
        const value = look();
        if (value !== undefined) resolve(value);
      };
      this.#listeners.add(listener);
      listener();
    });
    return guarded(
      found,
      GUARD_MS,
      () => `the application saw no sign of ${what}: ${this.bodyBytes} bytes of body`,
    ).finally(() => this.#listeners.delete(listener));
  }
}

export interface Responder {
  /** Path of its Unix socket. */
  readonly socket: string;
  /** Waits for the next request that no earlier call has returned. */
  next(): Promise<Exchange>;
}

/** Starts the application. `handle` answers each request; without it a test takes them with `next()`. */
export async function startResponder(t: Cleanup, handle?: (exchange: Exchange) => unknown): Promise<Responder> {
  const socket = join(tempDir(t), 'app.sock');
  const connections = new Set<net.Socket>();
  const arrived: Exchange[] = [];
  const waiting: ((exchange: Exchange) => void)[] = [];
  const server = net.createServer((connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    connection.on('error', () => {}); // a client may leave at any time
    serve(connection, (exchange) => {
      if (handle) handle(exchange);
      const waiter = waiting.shift();
      if (waiter) waiter(exchange);
      else arrived.push(exchange);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  t.after(async () => {
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const next = (): Promise<Exchange> => {
    const exchange = arrived.shift();
    const promise = exchange ? Promise.resolve(exchange) : new Promise<Exchange>((resolve) => waiting.push(resolve));
    return guarded(promise, GUARD_MS, () => 'no request came');
  };
  return { socket, next };
}

/** Reads requests, one after the other or interleaved, from one connection. */
function serve(connection: net.Socket, begun: (exchange: Exchange) => void): void {
  const reader = new RecordReader();
  const heads = new Map<number, { id: number; role: number; keepConn: boolean; params: Buffer[] }>();
  const exchanges = new Map<number, Exchange>();
  connection.on('data', (chunk) => {
    for (const { type, id, content } of reader.push(chunk)) {
      if (type === TYPE.BEGIN_REQUEST) {
        const keepConn = (content.readUInt8(2) & 1) === 1;
        heads.set(id, { id, role: content.readUInt16BE(0), keepConn, params: [] });
      } else if (type === TYPE.PARAMS && content.length > 0) {
        heads.get(id)?.params.push(content);
      } else if (type === TYPE.PARAMS) {
        const head = heads.get(id);
        if (!head) throw new Error(`PARAMS without BEGIN_REQUEST for ${id}`);
        const exchange = new Exchange(connection, head, Buffer.concat(head.params));
        exchanges.set(id, exchange);
        begun(exchange);
      } else if (type === TYPE.STDIN) {
        exchanges.get(id)?.takeBody(content);
      }
    }
  });
}
