/** One connection to Redis: the package's client, as far as it is used. Runs in the I/O thread. */
import type { RedisClientOptions } from '@redis/client';
import { readPassword, tlsOptions } from '../credentials.js';
import { DataError } from '../protocol.js';
import { loadDriver } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import type { Reply } from './replies.js';

type Words = readonly (string | Buffer)[];

/** The members of the package's client that are used. */
interface Client {
  on(event: 'error' | 'terminated' | 'end', listener: (error?: Error) => void): void;
  connect(): Promise<unknown>;
  destroy(): void;
  close(): Promise<void>;
  sendCommand(words: Words, options: { readonly typeMapping: object }): Promise<Reply>;
}

export class RedisConnection {
  readonly #client: Client;
  readonly #typeMapping: object;
  readonly #errorReply: abstract new (
    ...args: never[]
  ) => Error;
  #isGone = false;

  private constructor(client: Client, typeMapping: object, errorReply: abstract new (...args: never[]) => Error) {
    this.#client = client;
    this.#typeMapping = typeMapping;
    this.#errorReply = errorReply;
  }

  /** @param lost called when it is no more @throws DataError */
  static async open(source: ResolvedSource, lost: (reason: string) => void): Promise<RedisConnection> {
    const { createClient, ErrorReply, RESP_TYPES } = await loadDriver(
      'Redis',
      '@redis/client',
      () => import('@redis/client'),
    );
    const client = createClient(await clientOptions(source)) as unknown as Client;
    const typeMapping = {
      [RESP_TYPES.SIMPLE_STRING]: Buffer,
      [RESP_TYPES.BLOB_STRING]: Buffer,
      [RESP_TYPES.VERBATIM_STRING]: Buffer,
      // Whole numbers have 64 bits: as text they lose no digit.
      [RESP_TYPES.NUMBER]: String,
      [RESP_TYPES.BIG_NUMBER]: String,
      // The package takes the keys of maps for text, which fields of hashes need not be.
      [RESP_TYPES.MAP]: Array,
      [RESP_TYPES.SET]: Array,
    };
    const connection = new RedisConnection(client, typeMapping, ErrorReply);
    const gone = (error?: Error): void => {
      if (connection.#isGone) return;
      connection.#isGone = true;
      // What waits for an answer has to be told, too.
      connection.destroy();
      lost(error?.message ?? 'the connection was closed');
    };
    // Without a listener, an error would end the thread.
    client.on('error', () => {});
    client.on('terminated', gone);
    client.on('end', () => gone());
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`no answer within ${source.connectMs / 1000} s`)), source.connectMs).unref();
    });
    try {
      await Promise.race([client.connect(), late]);
    } catch (error) {
      connection.#isGone = true;
      connection.destroy();
      const text =
        error instanceof Error ? error.message || String((error as NodeJS.ErrnoException).code) : String(error);
      throw new DataError('LUAFCGID_DATA_CONNECT', { source: source.name, reason: text }, { retry: true }, error);
    }
    return connection;
  }

  get isOpen(): boolean {
    return !this.#isGone;
  }

  /** Sends a command. What is sent in one turn of the event loop goes out together, in this order. */
  send(words: Words): Promise<Reply> {
    return this.#client.sendCommand(words, { typeMapping: this.#typeMapping });
  }

  /** Whether the server said it, not the package or the system. */
  isServerError(error: unknown): boolean {
    return error instanceof this.#errorReply;
  }

  destroy(): void {
    try {
      this.#client.destroy();
    } catch {
      // It is closed already.
    }
  }

  async end(): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    this.destroy();
  }
}

async function clientOptions(source: ResolvedSource): Promise<RedisClientOptions> {
  const { host, port, socket, user, database, connectMs } = source;
  const tls = await tlsOptions(source);
  const password = await readPassword(source);
  const place = socket === undefined ? { host, port } : { path: socket };
  return {
    socket: {
      ...place,
      ...(tls !== false && { ...tls, tls: true }),
      connectTimeout: connectMs,
      // The pool connects anew.
      reconnectStrategy: false,
    },
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    database: Number(database),
    RESP: 3,
    // A server that is gone is an error at once, and no queue that grows.
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  } as RedisClientOptions;
}
