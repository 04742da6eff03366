/** What a worker thread is given when it starts; all of it can be cloned or shared between threads. */
import type { ImageChannel } from '../channel/image-messages.js';
import type { Config } from '../config/load.js';
import type { IoChannel } from '../io/channel.js';
import type { SourceGrant } from '../io/handle.js';
import type { EngineData } from '../lua/engine.js';
import type { LuaValue } from '../lua/state.js';
import type { FileGrants } from '../scripts/held-directory.js';
import type { SharedGrant } from '../shared/settings.js';

export interface ThreadData {
  readonly config: Config;
  /** What `con:config` reads, by the names in the configuration. */
  readonly luaConfig: Readonly<Record<string, LuaValue>>;
  readonly engine: EngineData;
  /** Directories of `root`, one character per byte; none: scripts lie anywhere. */
  readonly roots: readonly string[];
  /** Directories of `files`, held open by the main thread; undefined: scripts have no files. */
  readonly files: FileGrants | undefined;
  /** How many bytes of them are written (`scripts/write-quota.ts`); undefined: without a limit. */
  readonly filesUsed: SharedArrayBuffer | undefined;
  /** Scripts that are loaded before the first request: files, links resolved, one character per byte. */
  readonly warmScripts: readonly string[];
  /** How it shares images of scripts with other workers; undefined: it does not. */
  readonly images: ImageChannel | undefined;
  /** One word: how many keys the main thread has made for it; undefined: it makes none. */
  readonly keysMade: SharedArrayBuffer | undefined;
  /** Begins the name of every request. */
  readonly runName: string;
  /** The number of this worker, as the log has it. */
  readonly index: number;
  /** Rings, see `channel/ring.ts`. */
  readonly toWorker: SharedArrayBuffer;
  readonly toFront: SharedArrayBuffer;
  /** Connections that are lent to it, see `channel/loans.ts`. */
  readonly loans: SharedArrayBuffer;
  /** What it has done, see `metrics/counters.ts`. */
  readonly counters: SharedArrayBuffer;
  /** The format of the access log, and where lines of it go (`channel/line-ring.ts`); undefined: there is none. */
  readonly accessFormat: string | undefined;
  readonly lines: SharedArrayBuffer | undefined;
  /** Requests that come on lent connections are numbered from here on. */
  readonly firstRequest: number;
  /** One word: how many requests of all workers wait for results. */
  readonly waiting: SharedArrayBuffer;
  /** Its channel to the I/O thread; undefined where no data source is configured. */
  readonly io: IoChannel | undefined;
  /** The data sources of the configuration. */
  readonly sources: readonly SourceGrant[];
  /** The server is starting: a worker without room for a single state fails. */
  readonly needsRoom: boolean;
  /** The number of this worker, unlike that of any other. */
  readonly worker: number;
  /** Locks of all workers, see `shared/lock-table.ts`. */
  readonly locks: SharedArrayBuffer;
  /** Dictionaries in memory that all workers share. */
  readonly shared: readonly SharedGrant[];
  /** How a running request is broken into, see `channel/interrupts.ts`. */
  readonly interrupts: SharedArrayBuffer;
  /** How to wake the front. */
  readonly bell: {
    /** One word: 1 while the front sleeps and wants to be told of messages. */
    readonly asleep: SharedArrayBuffer;
    /** The eventfd to ring; undefined: tell the main thread. */
    readonly fd: number | undefined;
  };
}
