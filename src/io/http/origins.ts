/**
 * The connections of the HTTP client: a pool for each server, and not more servers than the setting says. Runs in the I/O thread.
 */
import { systemClock } from '../clock.js';
import { Pool, type PoolRefusal } from '../pool/pool.js';
import { useOf } from '../pool/refusals.js';
import { DataError } from '../protocol.js';
import type { Operation } from '../source.js';
import type { HttpSettings } from '../sources.js';
import type { Connection } from './connection.js';
import { httpFault, serverOf } from './request.js';

const MAX_AGE_MS = 3_600_000;
/** A server that nobody has asked for so long is forgotten, and not tried again if it was down. */
const FORGET_MS = 60_000;
/** Errors that say of themselves what is wrong, however often. */
const LASTING = new Set(['LUAFCGID_HTTP_BLOCKED', 'LUAFCGID_HTTP_DRIVER', 'LUAFCGID_HTTP_TLS']);

interface Origin {
  readonly url: URL;
  readonly pool: Pool<Connection>;
  usedMs: number;
  /** Its connections are being closed: it counts until that is done. */
  closing: Promise<void> | undefined;
}

/** A connection that an operation has; exactly one of the two is called, once. */
export interface Lease {
  readonly connection: Connection;
  /** It may serve others. */
  release(): void;
  /** It is closed. @param othersToo those that are idle are not worth more */
  discard(othersToo: boolean): void;
}

export class Origins {
  readonly #settings: HttpSettings;
  readonly #open: (url: URL, gone: (connection: Connection) => void) => Promise<Connection>;
  /** By scheme, name and port; the one used last comes last. */
  readonly #origins = new Map<string, Origin>();
  #forget: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param open makes a connection, and calls `gone` when it is no more */
  constructor(settings: HttpSettings, open: (url: URL, gone: (connection: Connection) => void) => Promise<Connection>) {
    this.#settings = settings;
    this.#open = open;
  }

  /** Connections that are open, those in use, and operations that wait for one. */
  counts(): { readonly open: number; readonly busy: number; readonly waiting: number; readonly down: string[] } {
    const counts = { open: 0, busy: 0, waiting: 0, down: [] as string[] };
    for (const { pool } of this.#origins.values()) {
      counts.open += pool.open;
      counts.busy += pool.busy;
      counts.waiting += pool.waiting;
      if (pool.down !== undefined) counts.down.push(pool.down.message);
    }
    return counts;
  }

  /** A connection to the server of a URL. @throws DataError */
  async acquire(url: URL, { run, script }: Operation, limitMs: number): Promise<Lease> {
    const origin = await this.#origin(url);
    const { pool } = origin;
    return new Promise((resolve, reject) => {
      let giveUp = (): void => {};
      const hold = {
        release: () => {
          giveUp();
          reject(new DataError('LUAFCGID_DATA_RUN_OVER', {}));
        },
      };
      if (run.isOver) return hold.release();
      run.add(hold);
      const ask = (): void => {
        giveUp = pool.acquire({ script, limitMs, got, refused });
      };
      const got = (connection: Connection): void => {
        // Its server may just have closed it.
        if (!connection.isOpen) {
          pool.discard(connection);
          return ask();
        }
        run.remove(hold);
        resolve({
          connection,
          release: () => (connection.isOpen ? pool.release(connection) : pool.discard(connection)),
          discard: (othersToo) => (othersToo ? pool.lost(connection) : pool.discard(connection)),
        });
      };
      const refused = (refusal: PoolRefusal): void => {
        run.remove(hold);
        reject(this.#refusal(url, refusal));
      };
      ask();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#forget);
    await Promise.all([...this.#origins.values()].map((origin) => this.#closeOrigin(origin)));
  }

  async #origin(url: URL): Promise<Origin> {
    const key = url.origin;
    for (;;) {
      if (this.#isClosed) throw new DataError('LUAFCGID_DATA_SOURCE', { source: this.#settings.name });
      const known = this.#origins.get(key);
      if (known?.closing !== undefined) {
        await known.closing;
        continue;
      }
      if (known !== undefined) {
        this.#origins.delete(key);
        this.#origins.set(key, known);
        known.usedMs = performance.now();
        return known;
      }
      if (this.#origins.size < this.#settings.servers) return this.#add(key, url);
      const unused = [...this.#origins.values()].find(isUnused);
      if (unused === undefined) {
        throw httpFault('LUAFCGID_HTTP_SERVERS', url, { servers: this.#settings.servers }, true);
      }
      await this.#closeOrigin(unused);
    }
  }

  #add(key: string, url: URL): Origin {
    const pool = new Pool<Connection>(
      { ...this.#settings, maxAgeMs: MAX_AGE_MS },
      {
        connect: (opened, failed) => {
          this.#open(url, (connection) => pool.retire(connection)).then(opened, failed);
        },
        close: (connection, closed) => {
          void connection.destroy().then(closed);
        },
      },
      systemClock,
    );
    const origin: Origin = { url, pool, usedMs: performance.now(), closing: undefined };
    this.#origins.set(key, origin);
    this.#forget ??= setTimeout(() => this.#forgetUnused(), FORGET_MS).unref();
    return origin;
  }

  #forgetUnused(): void {
    this.#forget = undefined;
    const latestMs = performance.now() - FORGET_MS;
    for (const origin of this.#origins.values()) {
      if (origin.usedMs <= latestMs && isUnused(origin)) void this.#closeOrigin(origin);
    }
    if (this.#origins.size > 0) this.#forget = setTimeout(() => this.#forgetUnused(), FORGET_MS).unref();
  }

  #closeOrigin(origin: Origin): Promise<void> {
    origin.closing ??= origin.pool.close().then(() => {
      this.#origins.delete(origin.url.origin);
    });
    return origin.closing;
  }

  #refusal(url: URL, refusal: PoolRefusal): Error {
    const { connections, queue } = this.#settings;
    switch (refusal.why) {
      case 'full':
        return httpFault('LUAFCGID_HTTP_QUEUE', url, { queue }, true);
      case 'timeout':
        return httpFault(
          'LUAFCGID_HTTP_WAIT',
          url,
          { seconds: refusal.waitedMs / 1000, use: useOf(refusal, connections) },
          true,
        );
      case 'closed':
        return new DataError('LUAFCGID_DATA_SOURCE', { source: this.#settings.name });
      case 'down': {
        const { error, isFresh, retryMs } = refusal;
        if (isFresh || (error instanceof DataError && LASTING.has(error.code))) return error;
        const reason = error instanceof DataError ? String(error.values.reason) : error.message;
        const values = { reason, seconds: (retryMs / 1000).toFixed(1) };
        return httpFault('LUAFCGID_HTTP_DOWN', serverOf(url), values, true, error);
      }
    }
  }
}

function isUnused({ pool, closing }: Origin): boolean {
  return closing === undefined && pool.busy === 0 && pool.waiting === 0;
}
