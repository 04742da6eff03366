/**
 * While a request waits with a full body buffer its connection is not read, so an abort, or the end of the connection,
 * would stay unseen behind the rest of the body. So a little more of the body is read at each tick, as long as memory is
 * plentiful. A web server sends no more body when its client is gone: between the buffer and the abort lies no more than
 * the system's socket buffers hold.
 */
import type { FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import type { FrontConnection } from '../model/request.js';

const STEP_BYTES = 64 * 1024;
/** More than a Unix socket holds. */
const MOST_BYTES = 1024 * 1024;
/** Reading ahead stops at this part of `bodytotal`, so that it makes no other request pay. */
const PLENTY_PART = 1 / 2;

export function readAheadForAbort(
  { requests }: FrontConnection,
  meters: Meters,
  { bodyTotalBytes }: FrontOptions,
): void {
  if (requests.size === 0) return;
  for (const request of requests.values()) {
    const { arriving } = request;
    if (request.stage !== 'waiting' || arriving === undefined || arriving.extraBytes >= MOST_BYTES) continue;
    // It may have to move to a larger buffer, of up to twice its size.
    if (meters.requests.bytes + 2 * request.heldBytes + STEP_BYTES > bodyTotalBytes * PLENTY_PART) continue;
    arriving.extraBytes += STEP_BYTES;
  }
}
