/**
 * Opens connections of the HTTP client, to addresses that have been checked and to no others: a name is resolved once, and what it
 * resolved to is what is connected to. Runs in the I/O thread.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import { rootCertificates, connect as tlsConnect } from 'node:tls';
import type { DataError } from '../protocol.js';
import type { HttpSettings } from '../sources.js';
import { type Permissions, withoutBrackets } from './addresses.js';
import { httpFault, portOf } from './request.js';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** What the connector does outside of this process; tests record it and do less. */
export interface Network {
  resolve(name: string): Promise<readonly ResolvedAddress[]>;
  /** Begins to connect to one of these addresses. */
  connect(addresses: readonly ResolvedAddress[], port: number): Socket;
}

export const systemNetwork: Network = {
  resolve: (name) => systemLookup(name, { all: true }),
  connect(addresses, port) {
    const [first] = addresses;
    // Node.js asks this for all addresses and tries one after the other, or takes the only one.
    const lookup = ((_name, options, found) => {
      if (options.all) found(null, addresses as { address: string; family: number }[]);
      else found(null, first?.address ?? '', first?.family);
    }) as LookupFunction;
    return netConnect({ host: 'checked.invalid', port, lookup, noDelay: true, keepAlive: true });
  },
};

/** Errors after which the same may succeed. */
const RETRY = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE']);

export class Connector {
  readonly #settings: HttpSettings;
  readonly #permissions: Permissions;
  readonly #network: Network;

  constructor(settings: HttpSettings, permissions: Permissions, network: Network) {
    this.#settings = settings;
    this.#permissions = permissions;
    this.#network = network;
  }

  /** A connection to the server of a URL, encrypted for https. @throws DataError */
  async open(url: URL): Promise<Socket> {
    const { connectMs } = this.#settings;
    let socket: Socket | undefined;
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        reject(httpFault('LUAFCGID_HTTP_CONNECT', url, { reason: `it took more than ${connectMs / 1000} s` }, true));
        socket?.destroy();
      }, connectMs);
    });
    const keep = (opened: Socket): void => {
      socket = opened;
      if (isLate) opened.destroy();
    };
    try {
      return await Promise.race([this.#open(url, keep), late]);
    } catch (error) {
      socket?.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(url: URL, keep: (socket: Socket) => void): Promise<Socket> {
    const port = portOf(url);
    const socket = this.#network.connect(await this.#addresses(url), port);
    keep(socket);
    await opened(socket, 'connect', (error) => httpFault('LUAFCGID_HTTP_CONNECT', url, ...reasonOf(error)));
    this.#check(url, socket.remoteAddress ?? 'no address');
    if (url.protocol === 'http:') return socket;
    const host = withoutBrackets(url.hostname);
    const secure = tlsConnect({
      socket,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ...(await this.#trusted(url)),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
    });
    keep(secure);
    await opened(secure, 'secureConnect', (error) => httpFault('LUAFCGID_HTTP_TLS', url, ...reasonOf(error)));
    return secure;
  }

  /** The addresses of the server that may be connected to. */
  async #addresses(url: URL): Promise<readonly ResolvedAddress[]> {
    const host = withoutBrackets(url.hostname);
    const family = isIP(host);
    const found = family === 0 ? await this.#resolve(url) : [{ address: host, family }];
    const allowed = found.filter(({ address }) => this.#permissions.allowsAddress(url.hostname, portOf(url), address));
    if (allowed.length === 0) this.#check(url, found[0]?.address ?? 'no address');
    return allowed;
  }

  async #resolve(url: URL): Promise<readonly ResolvedAddress[]> {
    try {
      return await this.#network.resolve(url.hostname);
    } catch (error) {
      throw httpFault('LUAFCGID_HTTP_DNS', url, ...reasonOf(error as Error));
    }
  }

  #check(url: URL, address: string): void {
    if (this.#permissions.allowsAddress(url.hostname, portOf(url), address)) return;
    throw httpFault('LUAFCGID_HTTP_BLOCKED', url, { address });
  }

  /** Certificates of the setting are trusted beside those that Node.js trusts. */
  async #trusted(url: URL): Promise<{ readonly ca?: string[] }> {
    const { caFile } = this.#settings;
    if (caFile === undefined) return {};
    try {
      return { ca: [...rootCertificates, await readFile(caFile, 'latin1')] };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw httpFault('LUAFCGID_HTTP_TLS', url, { reason: `cannot read ${caFile} (${code})` });
    }
  }
}

function reasonOf(error: Error): [{ readonly reason: string }, boolean, Error] {
  // With several addresses it is one error for all of them.
  const [first = error] = (error as AggregateError).errors ?? [];
  const { code, message } = first as NodeJS.ErrnoException;
  const reason = message === '' ? String(code) : message;
  return [{ reason }, code !== undefined && RETRY.has(code), error];
}

/** Resolves with the event. @throws what `fault` makes of an error, or of an end before that */
function opened(socket: Socket, event: string, fault: (error: Error) => DataError): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => done(() => reject(fault(error)));
    const closed = (): void => failed(new Error('the connection was closed'));
    const done = (settle: () => void): void => {
      socket.off('error', failed).off('close', closed);
      // An error without a listener would end the thread.
      socket.on('error', () => {});
      settle();
    };
    socket
      .once(event, () => done(resolve))
      .on('error', failed)
      .on('close', closed);
  });
}
