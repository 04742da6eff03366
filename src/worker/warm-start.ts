/** Loads scripts before their first request, so that states are made from their images from the beginning. */

import { LuafcgidError } from '../base/errors.js';
import type { Config } from '../config/load.js';
import type { ByteString, InterruptSource, LogLevel } from '../lua/state.js';
import { describeFailure } from './error-detail.js';
import type { Images } from './images.js';
import type { Handler } from './script-state.js';
import { holdsOperations, type WaitOwner, type Waits, type WaitsParts } from './waits.js';

/** What has become of a script that was to be loaded. */
export interface WarmedScript {
  readonly script: ByteString;
  readonly tookMs: number;
  /** What a state with the script takes; 0 when it could not be loaded. */
  readonly memoryBytes: number;
  /** What its image takes; 0 when there is none. */
  readonly imageBytes: number;
  /** Why it could not be loaded, or why there is no image; empty: all is well. */
  readonly reason: string;
  readonly isLoaded: boolean;
  /** Another worker has loaded it, and its image is used here. */
  readonly isTaken: boolean;
  /** What it has printed. */
  readonly lines: readonly { readonly level: LogLevel; readonly text: ByteString }[];
}

/** A script that is being loaded without a request. It has as much time as a request. */
class Loading implements WaitOwner {
  /** No request has this number. */
  readonly id = 0;
  readonly tokens = new Set<number>();
  readonly locks = new Map<string, number>();
  readonly script: ByteString;
  readonly #limitMs: number;
  readonly #startedMs = performance.now();
  /** There is none. */
  readonly body = { isReady: true, awaitMore() {} };
  readonly isOutputHeld = false;
  holdsPlace = false;
  hasPosted = false;

  /** @param limitMs 0: no limit */
  constructor(script: ByteString, limitMs: number) {
    this.script = script;
    this.#limitMs = limitMs;
  }

  /** When its time is over, as `performance.now()` counts. */
  get endMs(): number {
    return this.#limitMs === 0 ? Number.POSITIVE_INFINITY : this.#startedMs + this.#limitMs;
  }

  get isOverdue(): boolean {
    return performance.now() >= this.endMs;
  }

  get tookMs(): number {
    return performance.now() - this.#startedMs;
  }

  stopReason(): Error {
    return new LuafcgidError('LUAFCGID_SCRIPT_TIMEOUT', { seconds: this.#limitMs / 1000 });
  }

  /** Ends the script's code when its time is over. */
  get interrupts(): InterruptSource {
    const loading = this;
    return {
      get isStopWanted() {
        return loading.isOverdue;
      },
      stopReason: () => loading.stopReason(),
      takeTrace: () => false,
      traced() {},
    };
  }
}

export class WarmStart {
  #loading: Loading | undefined;

  /** What is loaded now. */
  get loading(): WaitOwner | undefined {
    return this.#loading;
  }

  load(
    scripts: readonly ByteString[],
    images: Images,
    { handler, watchdogMs }: Pick<Config, 'handler' | 'watchdogMs'>,
    waits: Pick<Waits, 'endOwner'>,
  ): WarmedScript[] {
    return scripts.map((script) => {
      const loading = new Loading(script, watchdogMs);
      this.#loading = loading;
      try {
        return warmScript(images, loading, { name: handler, role: 'RESPONDER' });
      } finally {
        waits.endOwner(loading);
        this.#loading = undefined;
      }
    });
  }

  /** Sleeps as a script wants to, but no longer than it may be loaded. @throws when its time is over */
  sleep(sleep: WaitsParts['sleep'], isDone: () => boolean, untilMs = Number.POSITIVE_INFINITY): void {
    const endMs = Math.min(untilMs, this.#loading?.endMs ?? Number.POSITIVE_INFINITY);
    sleep(isDone, endMs === Number.POSITIVE_INFINITY ? undefined : endMs);
    if (this.#loading?.isOverdue) throw this.#loading.stopReason();
  }
}

/** Loads a script and keeps its image. Throws nothing that lies with the script. */
function warmScript(images: Images, loading: Loading, handler: Handler): WarmedScript {
  const { script } = loading;
  const lines: { level: LogLevel; text: ByteString }[] = [];
  const reports = { depends() {}, log: (level: LogLevel, text: ByteString) => void lines.push({ level, text }) };
  try {
    const kept = images.keep(script, handler, { reports, interrupts: loading.interrupts }, () =>
      holdsOperations(loading),
    );
    return { script, tookMs: loading.tookMs, ...kept, isLoaded: true, lines };
  } catch (error) {
    const { logText } = describeFailure(error, () => false);
    const nothing = { memoryBytes: 0, imageBytes: 0, isLoaded: false, isTaken: false };
    return { script, tookMs: loading.tookMs, ...nothing, reason: logText, lines };
  }
}
