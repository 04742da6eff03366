/** PostgreSQL's way to break off a statement: a connection of its own that names the one to break into. */
import { connect as connectSocket, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { ResolvedSource } from '../sources.js';

const CANCEL_REQUEST = 80877102;
const SSL_REQUEST = 80877103;
const LIMIT_MS = 2000;

function words(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [index, number] of numbers.entries()) bytes.writeInt32BE(number, 4 * index);
  return bytes;
}

/** Resolves when the server has dealt with it, or cannot be told: it says nothing but closes the connection. */
export function sendCancelRequest(
  { socket: directory, host, port }: ResolvedSource,
  tls: ConnectionOptions | false,
  processId: number,
  secretKey: number,
): Promise<void> {
  const request = words(16, CANCEL_REQUEST, processId, secretKey);
  return new Promise((resolve) => {
    const socket: Socket =
      directory === undefined ? connectSocket(port, host) : connectSocket(`${directory}/.s.PGSQL.${port}`);
    socket.setTimeout(LIMIT_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.once('close', () => resolve());
    socket.once('connect', () => {
      if (tls === false) return void socket.end(request);
      socket.write(words(8, SSL_REQUEST));
      socket.once('data', (answer) => {
        if (answer.toString('latin1') !== 'S') return void socket.destroy();
        const secure = connectTls({ ...tls, socket, host }, () => secure.end(request));
        secure.on('error', () => socket.destroy());
        secure.on('data', () => {});
      });
    });
    if (tls === false) socket.on('data', () => {});
  });
}
