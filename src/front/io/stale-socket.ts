/** The place of a Unix socket: made free before a server listens there, never taken from one that still answers. */
import { lstatSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { LuafcgidError } from '../../base/errors.js';
import { holdPlace, UntrustedPath } from '../../linux/trusted-path.js';

/**
 * Removes a socket file that nobody listens on any more.
 * @throws LuafcgidError when another server answers there, or the path is something else
 */
export async function clearStaleSocket(path: string): Promise<void> {
  requireTrustedWay(path);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new LuafcgidError('LUAFCGID_LISTEN_NOT_A_SOCKET', { path });
  if (await answers(path)) throw new LuafcgidError('LUAFCGID_LISTEN_IN_USE', { address: path });
  unlinkSync(path);
}

/** Root makes and removes no sockets where a link of another user leads it. */
function requireTrustedWay(path: string): void {
  try {
    holdPlace(path).close();
  } catch (error) {
    if (!(error instanceof UntrustedPath)) return;
    throw new LuafcgidError('LUAFCGID_LISTEN_FAILED', { address: path, reason: error.message }, error);
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // ECONNREFUSED: nobody listens there any more. All others (a full backlog, no permission) leave it to its owner.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}
