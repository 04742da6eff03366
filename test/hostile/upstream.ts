/** A server that the HTTP client of hostile scripts may ask. It misbehaves in the way that the path of a request says. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Cleanup } from '../support/cleanup.js';

const HEAD = 'HTTP/1.1 200 OK\r\n';
const PIECE = `4000\r\n${'x'.repeat(0x4000)}\r\n`;

const answers: Readonly<Record<string, (socket: Socket) => void>> = {
  garbage: (socket) => socket.end('\0\x01SSH-2.0-x\r\n\r\n\r\n'),
  cut: (socket) => socket.end(`${HEAD}Content-Length: 1000\r\n\r\nshort`),
  silent: () => {},
  headers: (socket) => socket.end(`${HEAD}X: ${'x'.repeat(200_000)}\r\n\r\n`),
  manyheaders: (socket) => socket.end(`${HEAD}${'a:\r\n'.repeat(10_000)}Content-Length: 1\r\n\r\nx`),
  chunks: (socket) => {
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    const more = (): void => {
      while (!socket.destroyed && socket.write(PIECE));
    };
    socket.on('drain', more);
    more();
  },
  length: (socket) => socket.end(`${HEAD}Content-Length: -1\r\nContent-Length: 99999999999999999999\r\n\r\nx`),
  twice: (socket) => socket.write(`${HEAD}Content-Length: 1\r\n\r\nx${HEAD}Content-Length: 4\r\n\r\nevil`),
  informs: (socket) =>
    socket.end(`${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5_000)}${HEAD}Content-Length: 0\r\n\r\n`),
  loop: (socket) => socket.write('HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n'),
  badloop: (socket) => socket.write('HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n'),
  extra: (socket) => socket.write(`${HEAD}Content-Length: 0\r\n\r\n${'z'.repeat(100_000)}`),
  zero: (socket) => socket.destroy(),
};

/** Gives its port. */
export async function startUpstream(t: Cleanup): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const [, path = ''] = /^\w+ \/(\w*)/.exec(bytes.toString('latin1')) ?? [];
      const answer = answers[path];
      if (answer !== undefined) answer(socket);
      else socket.write(`${HEAD}Content-Length: 2\r\n\r\nok`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
