/**
 * HTTP as scripts use it: requests to the servers that the setting `http` allows, whole or as streams, with redirects that are
 * followed when the script wants that. What a run has under way ends with it. Runs in the I/O thread.
 */
import { LuafcgidError } from '../../base/errors.js';
import { Action, DataError } from '../protocol.js';
import {
  type Hold,
  type Log,
  loadDriver,
  type Operation,
  type Run,
  type Source,
  type SourceStatus,
} from '../source.js';
import type { HttpSettings } from '../sources.js';
import { ValueWriter } from '../values.js';
import { Permissions } from './addresses.js';
import { type AnswerHead, Connection } from './connection.js';
import { Connector, type Network, systemNetwork } from './connector.js';
import { Exchange, StaleConnection } from './exchange.js';
import { Origins } from './origins.js';
import { redirected } from './redirects.js';
import { type HttpRequest, httpFault, portOf, readRequest } from './request.js';

type Undici = typeof import('undici');

/** An answer whose body a script reads piece by piece. It ends with its run at the latest. */
interface Stream {
  readonly run: Run;
  readonly exchange: Exchange;
  readonly hold: Hold;
}

/** The start of an answer, with the exchange that brings the rest. */
interface Begun {
  readonly head: AnswerHead;
  readonly exchange: Exchange;
}

export class HttpSource implements Source {
  readonly name: string;
  readonly #settings: HttpSettings;
  readonly #permissions: Permissions;
  readonly #connector: Connector;
  readonly #origins: Origins;
  readonly #streams = new Map<number, Stream>();
  #undici: Promise<Undici> | undefined;
  #lastHandle = 0;

  constructor(settings: HttpSettings, _log: Log, network: Network = systemNetwork) {
    this.name = settings.name;
    this.#settings = settings;
    this.#permissions = new Permissions(settings);
    this.#connector = new Connector(settings, this.#permissions, network);
    this.#origins = new Origins(settings, async (url, gone) => {
      const undici = await this.#load();
      const socket = await this.#connector.open(url);
      const connection: Connection = new Connection(undici, url, socket, settings, () => gone(connection));
      return connection;
    });
  }

  start(operation: Operation): void {
    this.#perform(operation).then(
      (result) => operation.done(result),
      (error) => operation.fail(error),
    );
  }

  status(): SourceStatus {
    const { open, busy, waiting, down } = this.#origins.counts();
    const { connections, servers, queue } = this.#settings;
    return {
      name: this.name,
      kind: 'http',
      open,
      busy,
      waiting,
      connections: connections * servers,
      queue,
      down: down[0],
    };
  }

  /** Asks no server for anything: nobody has said for what. */
  async probe(): Promise<string> {
    await this.#load();
    return `requests to ${this.#settings.allow.join(', ')}`;
  }

  close(): Promise<void> {
    return this.#origins.close();
  }

  /** The package is loaded when it is first needed. */
  #load(): Promise<Undici> {
    this.#undici ??= loadDriver('HTTP', 'undici', () => import('undici'), 'LUAFCGID_HTTP_DRIVER');
    return this.#undici;
  }

  async #perform(operation: Operation): Promise<Uint8Array> {
    switch (operation.action) {
      case Action.HTTP_REQUEST:
        return this.#request(operation);
      case Action.HTTP_OPEN:
        return this.#openStream(operation);
      case Action.HTTP_READ:
        return this.#readStream(operation);
      case Action.HTTP_CLOSE:
        return this.#closeStream(operation);
      default:
        throw new LuafcgidError('LUAFCGID_DATA_ACTION', { source: this.name, action: operation.action });
    }
  }

  async #request(operation: Operation): Promise<Uint8Array> {
    const { head, exchange } = await this.#begin(operation);
    const body = await exchange.readAll();
    const writer = new ValueWriter(body.length + 1024);
    writer.map(4);
    writeHead(writer, head, exchange.request.url);
    writer.text('body');
    writer.string(body);
    return writer.take();
  }

  async #openStream(operation: Operation): Promise<Uint8Array> {
    const { run } = operation;
    const { head, exchange } = await this.#begin(operation);
    this.#lastHandle = (this.#lastHandle % 0x7ffffff0) + 1;
    const handle = this.#lastHandle;
    const hold: Hold = {
      release: () => {
        this.#streams.delete(handle);
        exchange.release();
      },
    };
    this.#streams.set(handle, { run, exchange, hold });
    run.add(hold);
    const writer = new ValueWriter();
    writer.map(4);
    writeHead(writer, head, exchange.request.url);
    writer.text('handle');
    writer.number(handle);
    return writer.take();
  }

  async #readStream({ run, handle }: Operation): Promise<Uint8Array> {
    const writer = new ValueWriter();
    const stream = this.#streams.get(handle);
    if (stream === undefined || stream.run !== run) {
      throw new DataError('LUAFCGID_HTTP_STREAM', { reason: 'it is closed' });
    }
    if (stream.exchange.isReading) throw new DataError('LUAFCGID_HTTP_STREAM', { reason: 'it is being read already' });
    try {
      const piece = await stream.exchange.read();
      if (piece === undefined) {
        this.#forget(handle, stream);
        writer.nil();
      } else writer.string(piece);
    } catch (error) {
      this.#forget(handle, stream);
      throw error;
    }
    return writer.take();
  }

  async #closeStream({ run, handle }: Operation): Promise<Uint8Array> {
    const stream = this.#streams.get(handle);
    if (stream !== undefined && stream.run === run) {
      this.#forget(handle, stream);
      stream.exchange.release();
    }
    const writer = new ValueWriter();
    writer.nil();
    return writer.take();
  }

  #forget(handle: number, { run, hold }: Stream): void {
    this.#streams.delete(handle);
    run.remove(hold);
  }

  /** Sends a request, and those that redirects ask for. Resolves with the start of the last answer. @throws DataError */
  async #begin(operation: Operation): Promise<Begun> {
    const first = readRequest(operation.body, this.#settings, operation.limitMs);
    const endMs = performance.now() + first.totalMs;
    for (let request = first; ; ) {
      const begun = await this.#send(request, operation, endMs);
      if (first.redirects === 0) return begun;
      const next = await this.#next(begun, request);
      if (next === undefined) return begun;
      request = next;
    }
  }

  /** The request that an answer redirects to; undefined when it does not. */
  async #next({ head, exchange }: Begun, request: HttpRequest): Promise<HttpRequest | undefined> {
    let next: HttpRequest | undefined;
    try {
      next = redirected(request, head.status, locationOf(head));
      if (next !== undefined && next.redirects < 0) {
        throw httpFault('LUAFCGID_HTTP_REDIRECT', request.url, { reason: 'it was one redirect too many' });
      }
    } catch (error) {
      exchange.release();
      throw error;
    }
    if (next === undefined) return undefined;
    // With its body read the connection can be used again; one that does not end is not worth that.
    await exchange.readAll().catch(() => {});
    return next;
  }

  /** Sends one request; once more when the connection had been closed before anything was answered. */
  async #send(request: HttpRequest, operation: Operation, endMs: number): Promise<Begun> {
    const { url } = request;
    if (!this.#permissions.allowsServer(url.hostname, portOf(url))) {
      throw httpFault('LUAFCGID_HTTP_DENIED', url, { allowed: this.#settings.allow.join(', ') });
    }
    for (let isAgain = false; ; isAgain = true) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        throw httpFault('LUAFCGID_HTTP_TIMEOUT', url, { seconds: request.totalMs / 1000, what: 'all of it' }, true);
      }
      const lease = await this.#origins.acquire(url, operation, leftMs);
      const exchange = new Exchange(request, lease, operation.run, Math.max(1, endMs - performance.now()));
      try {
        return { head: await exchange.begin(), exchange };
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
        if (isAgain) throw httpFault('LUAFCGID_HTTP_CLOSED', url, { reason: 'the server has closed it twice' }, true);
      }
    }
  }
}

function locationOf({ headers }: AnswerHead): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toString('latin1').toLowerCase() === 'location') return headers[at + 1]?.toString('latin1');
  }
  return undefined;
}

function writeHead(writer: ValueWriter, { status, headers }: AnswerHead, url: URL): void {
  writer.text('status');
  writer.number(status);
  writer.text('url');
  writer.text(url.href);
  writer.text('headers');
  writer.array(headers.length);
  for (const part of headers) writer.string(part);
}
