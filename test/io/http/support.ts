/** The HTTP client of tests: settings with small limits, and a network that never leaves this machine. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { type Network, type ResolvedAddress, systemNetwork } from '../../../src/io/http/connector.js';
import { HttpSource } from '../../../src/io/http/http-source.js';
import { Action } from '../../../src/io/protocol.js';
import { Run } from '../../../src/io/source.js';
import type { HttpSettings } from '../../../src/io/sources.js';
import type { Cleanup } from '../../support/cleanup.js';
import { ask, encode, type Plain } from '../support/data-source.js';

export function httpSettings(given: Partial<HttpSettings> = {}): HttpSettings {
  return {
    name: 'http',
    kind: 'http',
    allow: [],
    networks: [],
    caFile: undefined,
    servers: 50,
    connections: 10,
    queue: 100,
    // What a test does not set is no limit that a busy machine comes to.
    waitMs: 60_000,
    connectMs: 60_000,
    answerMs: 60_000,
    totalMs: 60_000,
    idleMs: 60_000,
    maxBodyBytes: 1024 * 1024,
    scripts: [],
    ...given,
  };
}

/** Answers names from a table, records what is to be connected to, and connects to loopback only. */
export class TestNetwork implements Network {
  readonly names: Record<string, string[]> = {};
  readonly resolved: string[] = [];
  readonly connected: string[] = [];

  async resolve(name: string): Promise<readonly ResolvedAddress[]> {
    this.resolved.push(name);
    const addresses = this.names[name];
    if (addresses === undefined) {
      throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
    }
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  }

  connect(addresses: readonly ResolvedAddress[], port: number): Socket {
    this.connected.push(...addresses.map(({ address }) => `${address} ${port}`));
    if (addresses.some(({ address }) => !/^(127\.|::1$)/.test(address))) throw new Error('a test leaves this machine');
    return systemNetwork.connect(addresses, port);
  }
}

export interface TestServer {
  readonly port: number;
  /** Connections that were opened, and of them those that are open. */
  readonly opened: number;
  readonly open: number;
  readonly mostOpen: number;
  readonly requests: readonly IncomingMessage[];
  readonly sockets: ReadonlySet<Socket>;
}

/** A server whose connections are counted. */
export async function listen(t: Cleanup, server: Server | ReturnType<typeof createTcpServer>): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const counts = { opened: 0, mostOpen: 0 };
  const requests: IncomingMessage[] = [];
  server.on('connection', (socket: Socket) => {
    counts.opened += 1;
    sockets.add(socket);
    counts.mostOpen = Math.max(counts.mostOpen, sockets.size);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  });
  server.on('request', (request: IncomingMessage) => requests.push(request));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  );
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    get opened() {
      return counts.opened;
    },
    get open() {
      return sockets.size;
    },
    get mostOpen() {
      return counts.mostOpen;
    },
  };
}

export function serve(t: Cleanup, listener: RequestListener): Promise<TestServer> {
  return listen(t, createServer({ keepAliveTimeout: 60_000 }, listener));
}

/** A server that says what the test says, whatever it is asked. */
export function serveBytes(t: Cleanup, onRequest: (socket: Socket, count: number) => void): Promise<TestServer> {
  let count = 0;
  const server = createTcpServer((socket) => {
    socket.on('data', () => {
      count += 1;
      onRequest(socket, count);
    });
  });
  return listen(t, server);
}

export interface TestAnswer {
  readonly status: number;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly handle: number;
}

export interface Client {
  readonly source: HttpSource;
  readonly network: TestNetwork;
  request(fields: { readonly [name: string]: Plain }, run?: Run): Promise<TestAnswer>;
  open(fields: { readonly [name: string]: Plain }, run?: Run): Promise<TestAnswer>;
  read(handle: number, run?: Run): Promise<string | Buffer | undefined>;
  end(handle: number, run?: Run): Promise<void>;
  newRun(): Run;
}

let runs = 0;

/** A client that may reach these ports of loopback, under any name that its network knows. */
export function startClient(
  t: Cleanup,
  ports: readonly number[],
  given: Partial<HttpSettings> = {},
  network = new TestNetwork(),
): Client {
  const own: Run[] = [];
  const newRun = (): Run => {
    runs += 1;
    const run = new Run(runs);
    own.push(run);
    return run;
  };
  const settings = httpSettings({ allow: ports.flatMap((port) => [`127.0.0.1:${port}`, `*:${port}`]), ...given });
  const source = new HttpSource(settings, () => {}, network);
  t.after(async () => {
    for (const run of own) run.end();
    await source.close();
  });
  const first = newRun();
  return {
    source,
    network,
    newRun,
    request: async (fields, run = first) => (await ask(source, run, Action.HTTP_REQUEST, encode(fields))) as TestAnswer,
    open: async (fields, run = first) => (await ask(source, run, Action.HTTP_OPEN, encode(fields))) as TestAnswer,
    read: async (handle, run = first) =>
      (await ask(source, run, Action.HTTP_READ, encode(), { handle })) as string | Buffer | undefined,
    end: async (handle, run = first) => void (await ask(source, run, Action.HTTP_CLOSE, encode(), { handle })),
  };
}

/** Answers with what it was asked. */
export function echo(request: IncomingMessage, response: ServerResponse): void {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        method: request.method,
        path: request.url,
        headers: request.headers,
        body: Buffer.concat(pieces).toString('latin1'),
      }),
    );
  });
}
