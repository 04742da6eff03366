/** A proxy for TCP that a test can have cut, or hold back what passes, at the very byte that matters. */
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Cleanup } from './cleanup.js';

export interface CuttingProxy {
  readonly port: number;
  /** Looks at what a client sends before it goes on. */
  onRequest: (bytes: Buffer, connection: ProxiedConnection) => void;
  /** Looks at what the server sends before it goes on. */
  onReply: (bytes: Buffer, connection: ProxiedConnection) => void;
  /** Nothing passes any more, and nobody is told. */
  freeze(): void;
  thaw(): void;
  /** Cuts all connections. */
  cutAll(): void;
  readonly connections: number;
}

export interface ProxiedConnection {
  /** Both ends lose the other at once; what was looked at last does not go on. */
  cut(): void;
  /** The client loses the server; what was looked at last still goes to the server. */
  cutBehind(): void;
  /** These go on in the place of what was looked at last. */
  replace(bytes: Buffer): void;
}

export async function startCuttingProxy(t: Cleanup, target: number): Promise<CuttingProxy> {
  const pairs = new Set<{ readonly client: Socket; readonly server: Socket }>();
  let isFrozen = false;
  const proxy = {
    onRequest: (_bytes: Buffer, _connection: ProxiedConnection): void => {},
    onReply: (_bytes: Buffer, _connection: ProxiedConnection): void => {},
    freeze(): void {
      isFrozen = true;
      for (const { client, server } of pairs) {
        client.pause();
        server.pause();
      }
    },
    thaw(): void {
      isFrozen = false;
      for (const { client, server } of pairs) {
        client.resume();
        server.resume();
      }
    },
    cutAll(): void {
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
    },
    get connections(): number {
      return pairs.size;
    },
  };
  const listener = net.createServer((client) => {
    const server = net.connect(target, '127.0.0.1');
    const pair = { client, server };
    pairs.add(pair);
    const pass = (from: Socket, to: Socket, look: (bytes: Buffer, connection: ProxiedConnection) => void): void => {
      from.on('data', (bytes) => {
        let isCut = false;
        let passed: Buffer = bytes;
        look(bytes, {
          cut: () => {
            isCut = true;
            client.destroy();
            server.destroy();
          },
          cutBehind: () => {
            isCut = true;
            client.destroy();
            to.end(bytes);
          },
          replace: (other) => {
            passed = other;
          },
        });
        if (!isCut) to.write(passed);
      });
      from.on('error', () => {});
      from.on('close', () => {
        pairs.delete(pair);
        if (!to.writableEnded) to.destroy();
      });
    };
    pass(client, server, (bytes, connection) => proxy.onRequest(bytes, connection));
    pass(server, client, (bytes, connection) => proxy.onReply(bytes, connection));
    if (isFrozen) {
      client.pause();
      server.pause();
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    proxy.cutAll();
    listener.close();
  });
  return Object.assign(proxy, { port: (listener.address() as AddressInfo).port });
}
