/** HTTP requests of tests: small whole ones, and exchanges whose parts a test wants to see as they come. */
import http from 'node:http';
import { guarded } from './cleanup.js';

export interface HttpOptions {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly method?: string;
  /** Sent as it is: no normalisation. */
  readonly path?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  /** Sent with its Content-Length. */
  readonly body?: Uint8Array | string;
  /** Connections are not kept unless an agent is given. */
  readonly agent?: http.Agent;
  readonly guardMs?: number;
}

export interface HttpHead {
  readonly status: number;
  readonly reason: string;
  /** In order, names as they were sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The value of a header in any letter case, several ones joined with a comma. */
  header(name: string): string | undefined;
}

export interface HttpAnswer extends HttpHead {
  readonly body: Buffer;
  /** The body as UTF-8. */
  readonly text: string;
}

const DEFAULT_GUARD_MS = 90_000;
/** More than any web server passes on. */
const MAX_HEADER_BYTES = 256 * 1024;

/** Sends a request and reads the whole answer. */
export async function fetchHttp(options: HttpOptions): Promise<HttpAnswer> {
  const exchange = new HttpExchange({
    ...options,
    headers: {
      ...(options.body === undefined ? {} : { 'Content-Length': Buffer.byteLength(options.body) }),
      ...options.headers,
    },
  });
  exchange.end(options.body);
  const head = await exchange.head();
  const body = await exchange.body();
  return { ...head, body, text: body.toString('utf8') };
}

/** One request and its answer, part by part. */
export class HttpExchange {
  readonly request: http.ClientRequest;
  readonly #guardMs: number;
  readonly #head: Promise<http.IncomingMessage>;
  readonly #listeners = new Set<() => void>();
  readonly #chunks: Buffer[] = [];
  #response: http.IncomingMessage | undefined;
  #ended = false;
  #error: Error | undefined;

  constructor(options: HttpOptions) {
    this.#guardMs = options.guardMs ?? DEFAULT_GUARD_MS;
    this.request = http.request({
      host: '127.0.0.1',
      port: options.port,
      method: options.method ?? 'GET',
      path: options.path ?? '/',
      headers: options.headers,
      agent: options.agent ?? false,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    this.request.on('error', (error) => this.#fail(error));
    this.#head = new Promise((resolve, reject) => {
      this.request.once('error', reject);
      this.request.once('response', (response) => {
        this.#collect(response);
        resolve(response);
      });
    });
    this.#head.catch(() => {}); // reported to whoever awaits head() or body()
  }

  /** Sends a part of the body; resolves when it has left this process. */
  write(part: Uint8Array | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.request.write(Buffer.from(part), (error) => (error ? reject(error) : resolve()));
    });
  }

  end(part: Uint8Array | string = ''): void {
    // Never a string: node would send the headers with it in UTF-8 instead of byte for byte.
    this.request.end(Buffer.from(part));
  }

  /** Waits for status and headers. */
  async head(): Promise<HttpHead> {
    const response = await guarded(this.#head, this.#guardMs, () => 'no HTTP answer');
    const { rawHeaders } = response;
    const headers = rawHeaders
      .map((name, index) => [name, rawHeaders[index + 1] ?? ''] as const)
      .filter((_, index) => index % 2 === 0);
    return {
      status: response.statusCode ?? 0,
      reason: response.statusMessage ?? '',
      headers,
      header: (name) => {
        const values = headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
        return values.length === 0 ? undefined : values.join(', ');
      },
    };
  }

  /** The body so far, once it contains the text. */
  async bodyUntil(text: string): Promise<Buffer> {
    return this.#wait(`a body with ${JSON.stringify(text)}`, () => {
      const body = Buffer.concat(this.#chunks);
      if (body.includes(text)) return body;
      if (this.#ended) throw new Error(`the body ended without ${JSON.stringify(text)}: ${this.#describe()}`);
      return undefined;
    });
  }

  /** The whole body. Rejects when the connection breaks before its end. */
  async body(): Promise<Buffer> {
    return this.#wait('the end of the body', () => (this.#ended ? Buffer.concat(this.#chunks) : undefined));
  }

  /** Stops reading the answer, so that the sender feels it. */
  pause(): void {
    this.#response?.pause();
  }

  resume(): void {
    this.#response?.resume();
  }

  /** Gives up: closes the connection. */
  destroy(): void {
    this.request.destroy();
  }

  #collect(response: http.IncomingMessage): void {
    this.#response = response;
    response.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#notify();
    });
    response.on('end', () => {
      this.#ended = true;
      this.#notify();
    });
    response.on('error', (error) => this.#fail(error));
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  #wait<T>(what: string, look: () => T | undefined): Promise<T> {
    let listener = (): void => {};
    const found = new Promise<T>((resolve, reject) => {
      listener = () => {
        try {
          const value = look();
          if (value !== undefined) resolve(value);
          else if (this.#error)
            reject(new Error(`${this.#error.message}: ${this.#describe()}`, { cause: this.#error }));
        } catch (error) {
          reject(error);
        }
      };
      this.#listeners.add(listener);
      listener();
    });
    return guarded(found, this.#guardMs, () => `no sign of ${what}: ${this.#describe()}`).finally(() =>
      this.#listeners.delete(listener),
    );
  }

  #describe(): string {
    const body = Buffer.concat(this.#chunks);
    return `${body.length} bytes of the body, beginning ${JSON.stringify(body.toString('latin1', 0, 200))}`;
  }
}
