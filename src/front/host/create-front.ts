/** Chooses where the front runs (`io`). */
import { LuafcgidError } from '../../base/errors.js';
import type { FrontEvents, FrontSettings } from './front-api.js';
import type { FrontHandle } from './handle.js';
import { InProcessFront } from './in-process.js';

/**
 * @param io `auto`: on a thread of its own where that is possible
 * @throws LuafcgidError `LUAFCGID_IO_EPOLL` when `epoll` is asked for and cannot be had
 */
export async function createFront(
  io: 'auto' | 'node' | 'epoll',
  settings: FrontSettings,
  events: FrontEvents,
): Promise<FrontHandle> {
  if (io === 'node' || (io === 'auto' && process.platform !== 'linux')) return new InProcessFront(settings, events);
  try {
    if (process.platform !== 'linux') throw new Error(`this is ${process.platform}, not Linux`);
    // Loaded only here: everywhere else the server runs without FFI.
    const { ThreadedFront } = await import('./threaded.js');
    return new ThreadedFront(settings, events);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (io === 'epoll') throw new LuafcgidError('LUAFCGID_IO_EPOLL', { reason }, error);
    events.log('warn', `io = "node" is used, which is slower: epoll cannot be had (${reason})`);
    return new InProcessFront(settings, events);
  }
}
