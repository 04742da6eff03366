/** What waits need of their surroundings. */
import type { IoClient } from '../io/client.js';
import type { SourceGrant } from '../io/handle.js';
import type { DirectData, DirectDataParts } from './data/direct-data.js';
import type { OwnReads } from './data/own-reads.js';
import type { KeyJobs } from './key-jobs.js';
import type { LockParts } from './lock-waits.js';
import type { WaitOwner } from './wait-owner.js';

export interface WaitsParts {
  /** Undefined where no data source is configured. */
  readonly io: IoClient | undefined;
  /** Undefined where the main thread makes no keys. */
  readonly keys: KeyJobs | undefined;
  /** Left out where this worker uses no data source by itself. */
  readonly createData?: ((events: Pick<DirectDataParts, 'over' | 'post'>) => DirectData | undefined) | undefined;
  /** Left out where this worker reads no database by itself. */
  readonly ownReads?: Pick<OwnReads, 'perform'> | undefined;
  /** The data sources, and which scripts may use them. */
  readonly sources: readonly SourceGrant[];
  /** Locks of all workers. */
  readonly locks: LockParts;
  /** The number of the data source that the locks of scripts lie in; undefined: memory. */
  readonly lockSource: number | undefined;
  /** One word: how many requests of all workers wait. */
  readonly waiting: SharedArrayBuffer;
  readonly waitingLimit: number;
  readonly nowMs: () => number;
  /** The owner of the code that executes. */
  owner(): WaitOwner;
  /** An operation of a suspended run is over. */
  isReady(owner: WaitOwner): void;
  /** Sleeps until `isDone`, or something may have happened, at most until a moment. @throws why the script has to stop */
  sleep(isDone: () => boolean, untilMs: number | undefined): void;
  /**
   * A script blocks this worker at this place in Lua: other requests have to wait for it.
   * @param isForClient it waits for its client to read
   */
  blocks(owner: WaitOwner, place: string, isForClient: boolean): void;
}
