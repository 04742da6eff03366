/** What a worker thread is made of besides its loop: the access log, and the data sources that it uses by itself. */
import { Interrupts } from '../channel/interrupts.js';
import type { Borrower } from '../channel/lending.js';
import { LineRingWriter } from '../channel/line-ring.js';
import type { IoClient } from '../io/client.js';
import { OwnConnections } from '../io/loan-words.js';
import type { AccessFormat } from '../logging/access-format.js';
import type { LentConnections } from './data/lent-connections.js';
import type { findOwnReads } from './data/own-reads.js';
import { AccessLines } from './direct/access-lines.js';
import type { System } from './system.js';
import type { ThreadData } from './thread-data.js';
import type { UsageMeter } from './usage-meter.js';

/** The clock of this thread. */
export const nowMs = (): number => performance.now();

/** The access log of requests that this worker serves by itself. */
export function accessLines(
  { lines, runName, index }: ThreadData,
  format: AccessFormat | undefined,
  usage: UsageMeter | undefined,
  scriptOf: (state: number) => string,
  ringBell: () => void,
): AccessLines | undefined {
  if (format === undefined || lines === undefined) return undefined;
  return new AccessLines({
    format,
    ring: new LineRingWriter(lines),
    runName,
    place: index,
    scriptOf,
    usage,
    nowMs,
    timeMs: () => Date.now(),
    ringBell,
  });
}

/** Connections to data sources that this worker uses by itself; undefined where none can be lent. */
export function lentConnections(
  { io: channel, sources }: ThreadData,
  { direct }: System,
  io: IoClient | undefined,
  borrower: Borrower,
): LentConnections | undefined {
  const isAny = sources.some(({ limits }) => limits !== undefined);
  if (direct === undefined || channel === undefined || io === undefined || !isAny) return undefined;
  const { loans, waiting } = channel;
  const { openList, createData } = direct;
  const { clearBell, sockets } = direct.calls;
  return createData({ io, sources, loans, waiting, sockets, nowMs, borrower, openList, clearBell });
}

/** Databases that this worker reads by itself. */
export function ownReadsParts({ io, sources, interrupts }: ThreadData): Parameters<typeof findOwnReads>[0] {
  if (io === undefined) return undefined;
  const connections = new OwnConnections(io.loans, io.waiting);
  return { sources, connections, interrupts: new Interrupts(interrupts), nowMs };
}
