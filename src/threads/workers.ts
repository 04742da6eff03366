/**
 * The worker threads of a server: as many as configured, each replaced when it ends by itself or has to be given up.
 */

import { toText } from '../base/byte-string.js';
import { describeError, LuafcgidError } from '../base/errors.js';
import { deriveKeyLater } from '../base/key-derivation.js';
import { version } from '../base/version.js';
import type { InterruptRequest } from '../channel/interrupts.js';
import type { LogLevel } from '../channel/messages.js';
import type { WarmedScript } from '../worker/warm-start.js';
import { ImageStore } from './image-store.js';
import { KeyDesk } from './key-desk.js';
import { type WorkerEvents, WorkerHandle, type WorkerSettings, workerProgram } from './worker-handle.js';

export type { WorkerSettings } from './worker-handle.js';

/** A worker that waits for requests. */
export interface ReadyWorker {
  readonly id: number;
  /** Its place, which a replacement takes over. */
  readonly index: number;
  /** What it shares with the front. */
  readonly channels: Pick<WorkerHandle, 'toWorker' | 'toFront' | 'interrupts' | 'loans' | 'counters' | 'lines'>;
}

export interface WorkersEvents {
  /** A thread waits for requests. */
  ready(worker: ReadyWorker): Promise<void>;
  /** A thread is no more. */
  gone(id: number, reason: string): void;
  /** The thread of a worker that was given up has ended after all. */
  ended(id: number): void;
  /** Only told where there is no other bell. */
  bell(): void;
  /** Every thread has been told to end when it has done what it was given. */
  stop(): Promise<void>;
  log(level: LogLevel, text: string): void;
  bug(error: unknown): void;
  /** A thread that was given up does not end, and cannot be ended without the process. `isIdle`: it disturbs nobody. */
  hangs(isIdle: boolean): void;
}

const KIB = 1024;

/** Who served for so long was no failure. */
const LASTING_MS = 10_000;
/** Delay before a worker that ended is replaced: none at first, then doubled with each that ends before long. */
const REPLACE_MS = 100;
const MAX_REPLACE_MS = 10_000;
/** How long a thread may take until it waits for requests; a hundredth of that is usual. */
const START_LIMIT_MS = 30_000;
/** How long a thread may take to end when it is told to. */
const END_MS = 1_000;

/** Threads of one start or reload. */
interface Generation {
  readonly settings: WorkerSettings;
  isRetired: boolean;
  /** Lines about scripts that were loaded before the first request. */
  readonly told: Set<string>;
  /** Images of scripts that its workers share. */
  readonly images: ImageStore;
}

/** One place among the workers, in a generation. */
interface Place {
  readonly generation: Generation;
  readonly index: number;
  /** How many in a row ended here before long. */
  failures: number;
}

export class Workers {
  readonly #events: WorkersEvents;
  readonly #handles = new Map<number, { readonly handle: WorkerHandle; readonly place: Place }>();
  /** The one in service. */
  #generation: Generation | undefined;
  readonly #keys = new KeyDesk(deriveKeyLater);
  #lastId = 0;
  /** Workers that ended by themselves or were given up. */
  #lost = 0;
  #isStopping = false;

  readonly #programNow: () => string | undefined;
  /** That of the main thread's own version. */
  readonly #program: string | undefined;

  readonly #startLimitMs: () => number;

  /**
   * @param programNow tells the file that workers run from another that takes its place
   * @param startLimitMs the time after which a worker that is not ready is given up
   */
  constructor(events: WorkersEvents, programNow = workerProgram, startLimitMs = (): number => START_LIMIT_MS) {
    this.#events = events;
    this.#startLimitMs = startLimitMs;
    this.#programNow = programNow;
    this.#program = programNow();
  }

  /**
   * Starts `count` workers in the place of those that are there.
   * @param takeOver called when all are ready: they get requests from then on, and those that are retired none
   * @throws LuafcgidError `LUAFCGID_WORKER_START` or `LUAFCGID_SERVER_REPLACED`, and all is as before
   */
  async start(
    settings: WorkerSettings,
    count: number,
    takeOver: (ready: readonly ReadyWorker[], retired: readonly number[]) => Promise<void>,
  ): Promise<void> {
    const generation: Generation = { settings, isRetired: false, told: new Set(), images: new ImageStore() };
    const old = this.#generation;
    if (this.#isProgramReplaced()) throw new LuafcgidError('LUAFCGID_SERVER_REPLACED', { version });
    try {
      const ready = await Promise.all(Array.from({ length: count }, (_, index) => this.#startAt(generation, index)));
      // What ends of the others from now on is not replaced, and who becomes ready comes too late.
      if (old !== undefined) old.isRetired = true;
      this.#generation = generation;
      const retired = [...this.#handles].filter(([, { place }]) => place.generation !== generation).map(([id]) => id);
      await takeOver(ready, retired);
    } catch (error) {
      generation.isRetired = true;
      if (old !== undefined) old.isRetired = false;
      this.#generation = old;
      const members = [...this.#handles].filter(([, { place }]) => place.generation === generation);
      await Promise.all(members.map(([, { handle }]) => handle.abandon()));
      throw error;
    }
  }

  /** Whether the file that workers run is not the one of the start: two versions of the program would meet. */
  #isProgramReplaced(): boolean {
    return this.#program !== this.#programNow();
  }

  #startAt(generation: Generation, index: number): Promise<ReadyWorker> {
    return new Promise((resolve, reject) => {
      const failed = (reason: string): void => {
        reject(startError(reason));
      };
      this.#spawn({ generation, index, failures: 0 }, resolve, failed);
    });
  }

  /** Resolves when the threads that were there when it was called, and are retired, have ended or were given up. */
  async retiredEnded(): Promise<void> {
    const retired = [...this.#handles.values()].filter(({ place }) => place.generation.isRetired);
    await Promise.all(retired.map(({ handle }) => handle.over));
  }

  /** Workers that ended by themselves or were given up since the start, and so were replaced. */
  get lostCount(): number {
    return this.#lost;
  }

  /** Breaks into a request that a worker runs. */
  interrupt(id: number, request: number, wish: InterruptRequest): void {
    this.#handles.get(id)?.handle.interrupt(request, wish);
  }

  /** Gives up a worker that hangs: another takes its place, and its thread is ended. */
  abandon(id: number, reason: string): void {
    const member = this.#handles.get(id);
    if (member === undefined) return;
    this.#handles.delete(id);
    const { generation, index } = member.place;
    // A worker of former settings is not replaced: without this line it would be lost in silence.
    if (generation.isRetired)
      this.#events.log('error', `worker ${index} of the former settings is given up: ${reason}`);
    this.#replace(member.place, reason, member.handle.ageMs);
    void this.#endAbandoned(member.handle);
  }

  /** @param limitMs how long a thread may take to end by itself */
  async stop(limitMs = END_MS): Promise<void> {
    this.#isStopping = true;
    await this.#events.stop();
    const ends = [...this.#handles.values()].map(async ({ handle }) => {
      await endsWithin(limitMs, handle);
      await handle.terminate();
    });
    await Promise.all(ends);
  }

  async #endAbandoned(handle: WorkerHandle): Promise<void> {
    await handle.abandon();
    if ((await endsWithin(END_MS, handle)) || this.#isStopping) return;
    const isIdle = await handle.makeIdle();
    this.#events.hangs(isIdle);
  }

  #spawn(place: Place, onReady?: (worker: ReadyWorker) => void, onFailed?: (reason: string) => void): void {
    this.#lastId += 1;
    const id = this.#lastId;
    const needsRoom = this.#generation === undefined;
    const { settings, images } = place.generation;
    const events: WorkerEvents = {
      onReady: () => {
        clearTimeout(startTimer);
        if (!this.#handles.has(id)) return; // it was given up
        this.#events.log('debug', `worker ${place.index} has started in ${handle.ageMs.toFixed(1)} ms`);
        const { toWorker, toFront, interrupts, loans, counters, lines } = handle;
        const channels = { toWorker, toFront, interrupts, loans, counters, lines };
        const worker: ReadyWorker = { id, index: place.index, channels };
        if (onReady !== undefined) onReady(worker);
        else if (place.generation.isRetired) void handle.abandon();
        else this.#events.ready(worker).catch((error) => this.#events.bug(error));
      },
      onWarmed: (scripts) => this.#logWarmed(place, scripts),
      onBell: () => this.#events.bell(),
      onWake: (worker) => this.#handles.get(worker)?.handle.wake(),
      onGone: (reason) => {
        clearTimeout(startTimer);
        if (!this.#handles.delete(id)) return this.#events.ended(id);
        this.#events.gone(id, reason);
        if (onFailed !== undefined && !handle.isReady) onFailed(reason);
        else this.#replace(place, reason, handle.ageMs);
      },
    };
    const handle: WorkerHandle = new WorkerHandle(id, place.index, settings, needsRoom, events, {
      images,
      keys: this.#keys,
    });
    this.#handles.set(id, { handle, place });
    const limitMs = this.#startLimitMs();
    const startTimer = setTimeout(() => {
      if (!this.#handles.delete(id)) return;
      const reason = `it was not ready within ${limitMs / 1000} s of its start`;
      if (onFailed !== undefined) onFailed(reason);
      else this.#replace(place, reason, handle.ageMs);
      void this.#endAbandoned(handle);
    }, limitMs);
  }

  /** Each line is logged once for all workers of a start or reload. */
  #logWarmed({ generation: { told } }: Place, scripts: readonly WarmedScript[]): void {
    for (const { script, tookMs, memoryBytes, imageBytes, reason, isLoaded, isTaken, lines } of scripts) {
      const path = toText(script);
      for (const { level, text } of lines) this.#logOnce(told, level, `${path}: ${toText(text)}`);
      const sizes = `${Math.ceil(memoryBytes / KIB)} KiB, its image ${Math.ceil(imageBytes / KIB)} KiB`;
      const how = isTaken ? 'has its image from another worker' : `was loaded in ${tookMs.toFixed(1)} ms`;
      this.#events.log('debug', `${path} ${how}: it takes ${sizes}`);
      if (isLoaded && reason === '') continue;
      const code = isLoaded ? 'LUAFCGID_IMAGE_NONE' : 'LUAFCGID_PRELOAD_FAILED';
      this.#logOnce(told, isLoaded ? 'warn' : 'error', describeError(new LuafcgidError(code, { path, reason })));
    }
  }

  #logOnce(told: Set<string>, level: LogLevel, line: string): void {
    if (told.has(line)) return;
    told.add(line);
    this.#events.log(level, line);
  }

  #replace(place: Place, reason: string, ageMs: number): void {
    if (this.#isStopping || place.generation.isRetired) return;
    this.#lost += 1;
    if (this.#isProgramReplaced() && this.#handles.size > 0) {
      const error = new LuafcgidError('LUAFCGID_SERVER_REPLACED', { version });
      this.#events.log('error', `worker ${place.index} is lost: ${reason}`);
      this.#events.log('error', describeError(error));
      return;
    }
    this.#events.log('error', `worker ${place.index} is replaced: ${reason}`);
    place.failures = ageMs >= LASTING_MS ? 0 : place.failures + 1;
    const delayMs = place.failures <= 1 ? 0 : Math.min(MAX_REPLACE_MS, REPLACE_MS * 2 ** (place.failures - 2));
    setTimeout(() => {
      if (!this.#isStopping && !place.generation.isRetired) this.#spawn(place);
    }, delayMs);
  }
}

/** Whether a worker's thread ends within this time. */
async function endsWithin(limitMs: number, handle: WorkerHandle): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const hasEnded = await Promise.race([handle.ended.then(() => true), limit]);
  clearTimeout(timer);
  return hasEnded;
}

/** The error for why a worker did not start. */
function startError(reason: string): LuafcgidError {
  if (reason.includes('EMFILE') || reason.includes('ENFILE')) {
    return new LuafcgidError('LUAFCGID_SERVER_DESCRIPTORS', { reason });
  }
  const refusal = /^LuafcgidError: the system has no address space .*?\((.*)\)$/m.exec(reason)?.[1];
  if (refusal !== undefined) return new LuafcgidError('LUAFCGID_LUA_ADDRESS_SPACE', { reason: refusal });
  return new LuafcgidError('LUAFCGID_WORKER_START', { reason });
}
