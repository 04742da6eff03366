/** What waits need of their surroundings, and what they know of a request. */
import type { ByteString } from '../base/byte-string.js';
import type { IoClient } from '../io/client.js';
import type { SourceGrant } from '../io/handle.js';
import type { DirectData, DirectDataParts } from './data/direct-data.js';
import type { LockOwner, LockParts } from './lock-waits.js';
import type { RequestInlet } from './request-channels.js';

/** A stream of the request. */
export type Input = Pick<RequestInlet, 'isReady' | 'awaitMore'>;

/** The run that started an operation. */
export interface WaitOwner extends LockOwner {
  /** The number of the request. */
  readonly id: number;
  /** Operations that it has started and not taken the results of. Most requests start none. */
  tokens: Set<number> | undefined;
  /** The script's file. */
  readonly script: ByteString;
  /** Whether its output has to wait for its client to read. */
  readonly isOutputHeld: boolean;
  /** What was not read of its body, and of the file that a Filter is given. */
  readonly body: Input & { readonly file?: Input | undefined };
  /** It counts among the requests that wait. */
  holdsPlace: boolean;
  /** The I/O thread knows of it. */
  hasPosted: boolean;
  /** See `DataOwner`. */
  boundSources?: Set<number> | undefined;
}

export interface WaitsParts {
  /** Undefined where no data source is configured. */
  readonly io: IoClient | undefined;
  /** Left out where this worker uses no data source by itself. */
  readonly createData?: ((events: Pick<DirectDataParts, 'over' | 'post'>) => DirectData | undefined) | undefined;
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
