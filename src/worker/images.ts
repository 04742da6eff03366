/**
 * Images of scripts: copies of the memory that scripts have after they were loaded. Further states of a script are made
 * from its image without running its files again. An image is used only as long as each of those files is what it was.
 */

import { toText } from '../base/byte-string.js';
import { describeError, LuafcgidError } from '../base/errors.js';
import type { ByteString, Isolation, LogLevel, StateImage } from '../lua/state.js';
import { LuaError, type WhyNoImage } from '../lua/state.js';
import type { NoImage, WorkerCounters } from '../metrics/counters.js';
import type { ImageExchange } from './image-exchange.js';
import { type Handler, type ScriptImage, ScriptState, type StateSettings } from './script-state.js';
import { UsedFiles } from './used-files.js';

/**
 * Scripts that take longer to load, altogether and for each MiB of their images, have images that all workers share. The others are
 * loaded by each worker: that takes less time than to provide new memory, to copy the image into it and to ask for it.
 */
const SHARED_FROM_MS = 20;
const SHARED_FROM_MS_PER_MIB = 10;
const MIB = 2 ** 20;

const TEXTS: Readonly<Record<WhyNoImage, string>> = {
  files: 'it has files open',
  source: 'it holds something of a data source',
};

export interface ImagesParts {
  /** Undefined: there are no other workers to share images with. */
  readonly exchange: Pick<ImageExchange, 'ask' | 'offer' | 'drop'> | undefined;
  readonly counters: Pick<WorkerCounters, 'noteClone' | 'noteNoImage'>;
  /** Most bytes of all images of this worker. */
  readonly limitBytes: number;
  /** What holds for scripts that say nothing. */
  readonly isolation: Isolation;
  /** Time between two sweeps. */
  readonly sweepMs: number;
  readonly settings: StateSettings;
  readonly log: (level: LogLevel, text: string) => void;
}

interface KeptImage extends ScriptImage {
  readonly script: ByteString;
  /** What a state with the script takes. */
  readonly memoryBytes: number;
  /** Its key among the images that workers share; undefined: it is this worker's alone. */
  readonly key: string | undefined;
  /** States that go back to it after each request. */
  users: number;
}

/** What has come of loading a script for its image. */
export interface KeptSizes {
  readonly memoryBytes: number;
  /** 0: there is no image. */
  readonly imageBytes: number;
  /** Why there is no image; empty: there is one. */
  readonly reason: string;
  /** Another worker has made the image; nothing was loaded. */
  readonly isTaken: boolean;
}

/** What becomes of a state after each request. */
type Rewinding = { readonly to: KeptImage } | 'impossible';

export class Images {
  readonly #parts: ImagesParts;
  /** By script; the one that was used last is last. */
  readonly #images = new Map<ByteString, KeptImage>();
  /** Images of files that have changed, which states still go back to. */
  readonly #stale = new Set<KeptImage>();
  readonly #rewinding = new Map<ScriptState, Rewinding>();
  /** Why scripts have no image, by script: each reason is logged once. */
  readonly #reasons = new Map<ByteString, string>();
  #bytes = 0;
  /** When it looked at the files of all images. */
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ImagesParts) {
    this.#parts = parts;
  }

  /** Memory that the images of this worker take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A new state: loaded if there is an image of its script, else empty. */
  open(id: number, script: ByteString): ScriptState {
    const image = this.#find(script);
    const state = new ScriptState(id, script, this.#parts.settings, image);
    if (image !== undefined) {
      this.#begin(state, image);
      this.#parts.counters.noteClone(script);
    }
    return state;
  }

  /**
   * The state's script was loaded: takes an image of it.
   * @param handler the function that is called first
   * @param holdsOperations it has started operations that are not over
   */
  loaded(state: ScriptState, handler: Handler, holdsOperations: boolean): void {
    const { settings } = this.#parts;
    if (!settings.engine.hasImages) return;
    const image = this.#take(state, handler, holdsOperations);
    if (typeof image !== 'string') {
      this.#reasons.delete(state.path);
      return this.#begin(state, image);
    }
    const isRewound = this.#isolationOf(state) === 'request';
    if (isRewound) this.#rewinding.set(state, 'impossible');
    this.#report(state.path, image, isRewound);
  }

  /**
   * Loads a script for its image only, unless another worker has done so.
   * @param holdsOperations whether it has started operations that are not over
   * @throws what loading throws
   */
  keep(
    script: ByteString,
    handler: Handler,
    surroundings: Pick<StateSettings, 'reports' | 'interrupts'>,
    holdsOperations: () => boolean,
  ): KeptSizes {
    const kept = this.#find(script);
    if (kept !== undefined) {
      const { memoryBytes, lua } = kept;
      return { memoryBytes, imageBytes: lua.sizeBytes, reason: '', isTaken: true };
    }
    const state = new ScriptState(0, script, { ...this.#parts.settings, ...surroundings });
    try {
      state.load(handler);
      const image = this.#take(state, handler, holdsOperations());
      const memoryBytes = state.lua.memoryBytes();
      if (typeof image === 'string') return { memoryBytes, imageBytes: 0, reason: image, isTaken: false };
      return { memoryBytes, imageBytes: image.lua.sizeBytes, reason: '', isTaken: false };
    } finally {
      state.lua.close();
    }
  }

  /** Whether the state cannot go back: it has to be closed after its request. */
  isSpent(state: ScriptState): boolean {
    return this.#rewinding.get(state) === 'impossible';
  }

  /** Whether the state goes back to what it was after each request. */
  isRewound(state: ScriptState): boolean {
    return this.#rewinding.has(state);
  }

  /** The state's request is over: nothing of it may be left. @throws LuaError when the state has to be closed */
  rewind(state: ScriptState): void {
    const rewinding = this.#rewinding.get(state);
    if (rewinding !== undefined && rewinding !== 'impossible') state.lua.restore?.(rewinding.to.lua);
  }

  /** The state is no more. */
  closed(state: ScriptState): void {
    const rewinding = this.#rewinding.get(state);
    this.#rewinding.delete(state);
    if (rewinding === undefined || rewinding === 'impossible') return;
    const image = rewinding.to;
    image.users -= 1;
    if (image.users === 0 && this.#stale.delete(image)) this.#release(image);
  }

  /** Drops the images of files that have changed; looks at them once for each sweep. */
  dropStale(): void {
    const now = performance.now();
    if (now - this.#lookedMs < this.#parts.sweepMs / 2) return;
    this.#lookedMs = now;
    for (const image of [...this.#images.values()]) if (!this.#isFresh(image)) this.#drop(image);
  }

  #find(script: ByteString): KeptImage | undefined {
    const image = this.#images.get(script);
    if (image === undefined) return this.#fetch(script);
    if (!this.#isFresh(image)) {
      this.#drop(image);
      return this.#fetch(script);
    }
    this.#images.delete(script);
    this.#images.set(script, image);
    return image;
  }

  /** An image that another worker has made. */
  #fetch(script: ByteString): KeptImage | undefined {
    const { exchange, settings } = this.#parts;
    const offered = exchange?.ask(script);
    if (offered === undefined) return undefined;
    const { key, memoryBytes } = offered;
    const lua = settings.engine.openImage?.(offered.lua);
    const image = lua && { lua, files: new UsedFiles(offered.files), script, memoryBytes, key, users: 0 };
    if (image === undefined || !this.#isFresh(image) || !this.#makeRoom(image.lua.sizeBytes)) {
      exchange?.drop(script, key);
      return undefined;
    }
    this.#keep(image);
    return image;
  }

  /** Shares an image with the other workers, if that is worth it. */
  #share(image: KeptImage, { loadedInMs }: ScriptState): KeptImage {
    const { exchange, settings } = this.#parts;
    const { engine } = settings;
    const { lua, files, script, memoryBytes } = image;
    const isSlow = loadedInMs >= SHARED_FROM_MS && loadedInMs >= (lua.sizeBytes / MIB) * SHARED_FROM_MS_PER_MIB;
    const shared = exchange && isSlow ? engine.shareImage?.(lua) : undefined;
    const opened = shared && engine.openImage?.(shared);
    if (shared === undefined || opened === undefined) return image;
    const key = exchange?.offer({ script, lua: shared, files: files.entries(), memoryBytes });
    return { ...image, lua: opened, key };
  }

  #keep(image: KeptImage): void {
    this.#images.set(image.script, image);
    this.#bytes += image.lua.sizeBytes;
  }

  #isFresh({ script, files }: KeptImage): boolean {
    return files.areUnchanged(script, this.#parts.settings.rules);
  }

  /** A state begins as this image. */
  #begin(state: ScriptState, image: KeptImage): void {
    if (this.#isolationOf(state) !== 'request') return;
    image.users += 1;
    this.#rewinding.set(state, { to: image });
  }

  #isolationOf({ lua }: ScriptState): Isolation {
    return lua.isolation ?? this.#parts.isolation;
  }

  /** Gives why there is no image, if there is none. */
  #take(state: ScriptState, { name, role }: Handler, holdsOperations: boolean): KeptImage | string {
    const { limitBytes } = this.#parts;
    const none = (why: NoImage, text: string): string => {
      this.#parts.counters.noteNoImage(state.path, why);
      return text;
    };
    if (limitBytes === 0) return none('limit', 'images = 0');
    if (holdsOperations) return none('operations', 'it holds a lock, or has started operations that are not over');
    let lua: StateImage | WhyNoImage;
    try {
      lua = state.lua.takeImage?.(name, role) ?? 'files';
    } catch (error) {
      if (!(error instanceof LuaError) || error.kind !== 'runtime') throw error;
      return none('finalizer', error.message);
    }
    if (typeof lua === 'string') return none(lua, TEXTS[lua]);
    const former = this.#images.get(state.path);
    if (former !== undefined) this.#drop(former);
    if (!this.#makeRoom(lua.sizeBytes)) {
      // The text does not say how large the image is: `#report` logs a reason once, and sizes differ from load to load.
      return none('limit', `it takes more than the ${limitBytes} bytes that the images of this worker may take`);
    }
    const about = { files: state.files.copy(), script: state.path, memoryBytes: state.lua.memoryBytes() };
    const image = this.#share({ lua, ...about, key: undefined, users: 0 }, state);
    this.#keep(image);
    return image;
  }

  #makeRoom(sizeBytes: number): boolean {
    const { limitBytes } = this.#parts;
    if (sizeBytes > limitBytes) return false;
    for (const image of [...this.#images.values()]) {
      if (this.#bytes + sizeBytes <= limitBytes) break;
      if (image.users === 0) this.#drop(image);
    }
    return this.#bytes + sizeBytes <= limitBytes;
  }

  /** No further state begins as this image. */
  #drop(image: KeptImage): void {
    this.#images.delete(image.script);
    if (image.users > 0) this.#stale.add(image);
    else this.#release(image);
  }

  /** Nothing of this worker uses the image any more. */
  #release({ lua, script, key }: KeptImage): void {
    this.#bytes -= lua.sizeBytes;
    if (key !== undefined) this.#parts.exchange?.drop(script, key);
  }

  #report(script: ByteString, reason: string, isRewound: boolean): void {
    if (this.#reasons.get(script) === reason) return;
    this.#reasons.set(script, reason);
    const values = { path: toText(script), reason: toText(reason) };
    const code = isRewound ? 'LUAFCGID_ISOLATION_RELOADS' : 'LUAFCGID_IMAGE_NONE';
    this.#parts.log(isRewound ? 'warn' : 'debug', describeError(new LuafcgidError(code, values)));
  }
}
