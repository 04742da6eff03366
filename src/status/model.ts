/**
 * The status of a server as one document. The front knows what it is doing (`FrontSnapshot`), the main thread what the
 * server is (`ServerFacts`). All of it are plain values, which cross threads. Texts are text, not byte strings.
 */
import type { ErrorGroup } from '../metrics/error-groups.js';
import type { ScriptTable } from './script-table.js';

/** A request that is under way. */
export interface StatusRequest {
  /** Its name, as in the log. */
  readonly request: string;
  /** `suspended`: its script waits for a result, and its worker is free for others. */
  readonly stage: 'looking' | 'reading' | 'waiting' | 'running' | 'suspended';
  readonly method: string;
  /** The path of its URL. The query is left out: it may carry secrets. */
  readonly path: string;
  readonly client: string;
  readonly script: string;
  /** The line that its script was at when it was found to be slow, `file:line`; '' where that is not known. */
  readonly line: string;
  readonly waitsFor: string;
  readonly worker: number | undefined;
  readonly state: number | undefined;
  /** Since its parameters arrived, and since it entered its stage. */
  readonly ageMs: number;
  readonly stageMs: number;
  /** For how long its script has run so far, waits left out. */
  readonly executedMs: number;
  readonly bodyBytes: number;
}

export interface StatusWorker {
  /** Its place among the workers. */
  readonly worker: number;
  readonly state: 'idle' | 'running' | 'direct' | 'housekeeping' | 'retiring';
  /** The request that it executes, and its script; '' where it executes none. */
  readonly request: string;
  readonly script: string;
  /** For how long it has been busy with that. */
  readonly busyMs: number;
  /** Requests whose scripts wait for results there. */
  readonly suspended: number;
  readonly states: number;
  /** Connections that it was lent. */
  readonly lent: number;
  readonly requests: number;
}

export interface StatusState {
  readonly state: number;
  readonly script: string;
  readonly worker: number;
  readonly phase: 'busy' | 'idle' | 'closing';
  readonly requests: number;
  /** How often it is used, as a logarithm: the idle state with the lowest is closed first. */
  readonly score: number | undefined;
  readonly ageMs: number;
  readonly memoryBytes: number | undefined;
  /** How long its requests usually run. */
  readonly usualMs: number;
}

/** How much of something is used. */
export interface StatusLimit {
  /** The setting that limits it. */
  readonly name: string;
  readonly unit: 'count' | 'bytes';
  readonly used: number;
  readonly limit: number;
}

export interface FrontSnapshot {
  readonly connections: { readonly open: number; readonly lent: number; readonly openedTotal: number };
  readonly requests: {
    readonly total: number;
    readonly running: number;
    readonly suspended: number;
    readonly waiting: number;
    readonly waitingMax: number;
    readonly oldestWaitMs: number;
    /** Over the last seconds. */
    readonly perSecond: number;
    /** By the hundreds of their status; at 0 those without one. Those that the server refused are not among them. */
    readonly byStatus: readonly number[];
    readonly direct: number;
    readonly failed: number;
    readonly timedOut: number;
    readonly aborted: number;
    readonly slow: number;
    readonly sentBytes: number;
    /** Requests that the server answered in the place of a script, by the code of the error. */
    readonly refused: readonly { readonly code: string; readonly status: number; readonly count: number }[];
  };
  readonly workers: readonly StatusWorker[];
  readonly states: {
    readonly total: number;
    readonly idle: number;
    readonly evictedTotal: number;
    /** Not all where there are many: those that were used last. */
    readonly list: readonly StatusState[];
  };
  readonly limits: readonly StatusLimit[];
  readonly scripts: ScriptTable;
  /** The oldest first; not all where there are many. */
  readonly running: readonly StatusRequest[];
  readonly waiting: readonly StatusRequest[];
}

/** What the front's thread adds to its snapshot. */
export interface FrontReport extends FrontSnapshot {
  readonly errors: readonly ErrorGroup[];
}

/** What a data source says of itself. */
export interface StatusSource {
  readonly name: string;
  readonly kind: string;
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
  readonly connections: number;
  readonly queue: number;
  /** Why it cannot be reached; '' when it can, or was not tried. */
  readonly down: string;
}

/** A shared dictionary; its counts only grow. */
export interface StatusDictionary {
  readonly name: string;
  readonly sizeBytes: number;
  readonly usedBytes: number;
  readonly items: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  /** Values that found no room. */
  readonly failures: number;
  readonly expired: number;
}

/** The locks of scripts; all but the first two only grow. */
export interface StatusLocks {
  readonly held: number;
  readonly waiting: number;
  readonly acquired: number;
  readonly waited: number;
  readonly timeouts: number;
  readonly deadlocks: number;
  /** Locks that were released because their request was over. */
  readonly left: number;
}

/** What the main thread knows. */
export interface ServerFacts {
  readonly version: string;
  readonly pid: number;
  readonly node: string;
  readonly host: string;
  readonly engine: string;
  readonly io: string;
  /** The configuration file; '' where there is none. */
  readonly configuration: string;
  readonly user: string;
  /** Wall-clock time in milliseconds. */
  readonly startedMs: number;
  readonly listeners: readonly string[];
  readonly reloads: number;
  readonly lastReload: StatusReload | undefined;
  /** Worker threads as configured, those that had to be replaced, and those that hang and cannot be ended. */
  readonly workerCount: number;
  readonly workersReplaced: number;
  readonly workersHung: number;
  readonly residentBytes: number;
  readonly sources: readonly StatusSource[];
  readonly dictionaries: readonly StatusDictionary[];
  readonly locks: StatusLocks;
}

export interface StatusReload {
  readonly timeMs: number;
  readonly isRefused: boolean;
  /** Why it was refused, or what has changed only in the file; '' when all of it is in service. */
  readonly text: string;
}

/** The whole document. */
export interface Status extends FrontReport {
  readonly server: ServerFacts & { readonly uptimeSeconds: number; readonly timeMs: number };
}

export function composeStatus(front: FrontReport, facts: ServerFacts, timeMs: number): Status {
  const uptimeSeconds = Math.max(0, Math.round((timeMs - facts.startedMs) / 1000));
  return { server: { ...facts, uptimeSeconds, timeMs }, ...front };
}
