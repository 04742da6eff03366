/** How a worker thread and the front wake each other, and the kernel's calls by which it serves sockets, where there are any. */
import { parentPort } from 'node:worker_threads';
import type { Parker } from '../channel/park.js';
import type { Epoll } from '../linux/epoll.js';
import type { LentConnections, LentConnectionsParts } from './data/lent-connections.js';
import type { DirectCalls, DirectServer, DirectServerParts } from './direct/server.js';
import type { ThreadData } from './thread-data.js';

/** Events of sockets taken from the kernel at once. */
const EVENTS_AT_ONCE = 64;

export interface System {
  readonly wakeFront: () => void;
  /** Left out: the language's own. */
  readonly parker?: Parker | undefined;
  /** Left out where connections cannot be lent. */
  readonly direct?: {
    readonly calls: DirectCalls;
    readonly openList: (fd?: number) => Epoll;
    readonly createServer: (parts: DirectServerParts) => DirectServer;
    readonly createData: (parts: LentConnectionsParts) => LentConnections;
  };
}

/** Only where threads are woken by the kernel's calls FFI is loaded for it. */
export async function findSystem({ fd }: ThreadData['bell']): Promise<System> {
  if (fd === undefined) return { wakeFront: () => parentPort?.postMessage('bell') };
  const [{ Epoll }, { clearEventfd, ringEventfd }, { futexSleeper }, { kernelSockets }, { DirectServer }, data] =
    await Promise.all([
      import('../linux/epoll.js'),
      import('../linux/eventfd.js'),
      import('../linux/futex.js'),
      import('../linux/sockets.js'),
      import('./direct/server.js'),
      import('./data/lent-connections.js'),
    ]);
  return {
    wakeFront: () => ringEventfd(fd),
    parker: futexSleeper(),
    direct: {
      calls: { sockets: kernelSockets, nowMs: () => performance.now(), clearBell: clearEventfd },
      openList: (list) => new Epoll(EVENTS_AT_ONCE, list),
      createServer: (parts) => new DirectServer(parts),
      createData: (parts) => new data.LentConnections(parts),
    },
  };
}
