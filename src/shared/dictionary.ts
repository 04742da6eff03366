/**
 * A dictionary in memory that all workers share: keys and values of bytes, numbers and booleans, each with a time to live. It
 * never forgets a value to make room for another, unless it was made to (`evicts`).
 *
 * Every call takes the lock for a few microseconds, plus the time to copy the bytes of one value.
 */
import { CONTROL_BYTES, GuardedMemory } from './guarded-memory.js';
import { FLAGS, NUMBER, TYPE, ValueType } from './item-words.js';
import { Items, typeOf, type Value } from './items.js';
import { hashKey } from './key-hash.js';
import { BLOCK_BYTES, Counter, layoutOf, StateWord } from './layout.js';
import { Lists } from './lists.js';
import type { DictionaryStatus, Found, Incremented, Refusal, SetOptions, Stored } from './results.js';
import { Room } from './room.js';

export type { Value } from './items.js';
export type { DictionaryStatus, Found, Incremented, Pushed, Refusal, SetOptions, Stored } from './results.js';

export const MOST_KEY_BYTES = 65_535;
/** A value is copied while nobody else can use the dictionary: this bounds how long that takes. */
export const MOST_VALUE_BYTES = 8 * 2 ** 20;

/** Buckets that are looked at while others wait. */
const BUCKETS_AT_ONCE = 256;
const ITEMS_AT_ONCE = 64;

/** @param secrets two random words, by which keys are spread */
export function createDictionary(sizeBytes: number, secrets: readonly [number, number]): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(Math.ceil(sizeBytes / 8) * 8);
  const words = new Int32Array(shared);
  words[StateWord.FRESH] = 1;
  words[StateWord.SECRET0] = secrets[0];
  words[StateWord.SECRET1] = secrets[1];
  return shared;
}

/** Read without the lock: numbers of one moment may differ by a change that is under way. */
export function readStatus(shared: SharedArrayBuffer): DictionaryStatus {
  const words = new Int32Array(shared, 0, CONTROL_BYTES / 4 + 32);
  const floats = new Float64Array(shared, 0, CONTROL_BYTES / 8 + 16);
  return {
    sizeBytes: shared.byteLength,
    usedBytes: (words[StateWord.USED] as number) * BLOCK_BYTES,
    items: words[StateWord.ITEMS] as number,
    hits: floats[Counter.HITS] as number,
    misses: floats[Counter.MISSES] as number,
    evictions: floats[Counter.EVICTIONS] as number,
    failures: floats[Counter.FAILURES] as number,
    expired: floats[Counter.EXPIRED] as number,
  };
}

export interface DictionaryParts {
  readonly shared: SharedArrayBuffer;
  /** The number of this thread, unlike that of any other thread; at least 1. */
  readonly owner: number;
  /** What was not used for the longest time makes room. */
  readonly evicts: boolean;
  /** The same clock in all threads, which never goes back. */
  readonly nowMs: () => number;
}

export class Dictionary {
  readonly #memory: GuardedMemory;
  readonly #items: Items;
  readonly #room: Room;
  readonly #safeRoom: Room;
  readonly #evicts: boolean;
  readonly #buckets: number;
  readonly #nowMs: () => number;
  readonly #secret0: number;
  readonly #secret1: number;
  readonly lists: Lists;
  readonly capacityBytes: number;

  constructor({ shared, owner, evicts, nowMs }: DictionaryParts) {
    const memory = new GuardedMemory(shared, owner);
    const layout = layoutOf(shared.byteLength);
    this.#memory = memory;
    this.#items = new Items(memory, layout);
    this.#room = new Room(this.#items, layout.blocks, evicts);
    this.#safeRoom = new Room(this.#items, layout.blocks, false);
    this.#evicts = evicts;
    this.#buckets = layout.buckets;
    this.#nowMs = nowMs;
    this.#secret0 = memory.words[StateWord.SECRET0] as number;
    this.#secret1 = memory.words[StateWord.SECRET1] as number;
    this.capacityBytes = shared.byteLength;
    this.lists = new Lists(memory, this.#items, this.#room, {
      hash: (key) => this.#hash(key),
      live: (key, hash, now) => this.#live(key, hash, now),
      discardDead: (key, hash) => this.#discardDead(key, hash),
      nowMs,
      stored: (refusal) => this.#stored(refusal),
    });
  }

  /** @param allowsStale also what has expired, as long as it was not removed */
  get(key: Uint8Array, allowsStale = false): Found | undefined {
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    const { floats } = this.#memory;
    return this.#memory.exclusive(() => {
      const items = this.#items;
      const item = items.find(key, hash);
      const isStale = item !== 0 && items.isDead(item, nowMs);
      if (item === 0 || (isStale && (!allowsStale || items.isFlushed(item)))) {
        floats[Counter.MISSES] = (floats[Counter.MISSES] as number) + 1;
        return undefined;
      }
      floats[Counter.HITS] = (floats[Counter.HITS] as number) + 1;
      const value = items.value(item);
      if (this.#evicts && !isStale) items.touch(item);
      return { value, flags: value === undefined ? 0 : items.get(item, FLAGS), isStale };
    });
  }

  set(key: Uint8Array, value: Value, options: SetOptions = {}): Stored {
    const { condition = 'always', ttlMs = 0, flags = 0, isSafe = false } = options;
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    return this.#memory.exclusive(() => {
      const item = this.#live(key, hash, nowMs);
      if (condition === 'absent' && item !== 0) return this.#stored('exists');
      if (condition === 'present' && item === 0) return this.#stored('not found');
      return this.#put(item, key, hash, value, { nowMs, ttlMs, flags, room: isSafe ? this.#safeRoom : this.#room });
    });
  }

  /**
   * Sets a value if the present one is `old`, in one step.
   * @param old undefined: there is none
   * @param value undefined: removes it
   */
  compareAndSet(key: Uint8Array, old: Value | undefined, value: Value | undefined, ttlMs = 0): Stored {
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    return this.#memory.exclusive(() => {
      const item = this.#live(key, hash, nowMs);
      if (item === 0 ? old !== undefined : !this.#holds(item, old)) return this.#stored('changed');
      if (value !== undefined) return this.#put(item, key, hash, value, { nowMs, ttlMs, flags: 0, room: this.#room });
      if (item !== 0) this.#room.discard(item);
      return this.#stored(undefined);
    });
  }

  /** Returns whether there was such a key. */
  delete(key: Uint8Array): boolean {
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    return this.#memory.exclusive(() => {
      const item = this.#live(key, hash, nowMs);
      if (item !== 0) this.#room.discard(item);
      return item !== 0;
    });
  }

  /**
   * Adds to a number, and keeps when it expires.
   * @param init what a key that is not there counts as, for `initTtlMs`; undefined: that is refused
   */
  increment(key: Uint8Array, by: number | bigint, init?: number | bigint, initTtlMs = 0): Incremented {
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    return this.#memory.exclusive(() => {
      const items = this.#items;
      const item = this.#live(key, hash, nowMs);
      if (item === 0) {
        if (init === undefined) return { ...this.#stored('not found'), value: 0 };
        const value = sum(init, by);
        const options = { nowMs, ttlMs: initTtlMs, flags: 0, room: this.#room };
        return { ...this.#put(0, key, hash, value, options), value };
      }
      const type = items.get(item, TYPE);
      if (type !== ValueType.NUMBER && type !== ValueType.INTEGER) return { ...this.#stored('not a number'), value: 0 };
      const at = items.blocks.wordAt(item) + NUMBER;
      const value = sum(items.readNumber(type, at) as number | bigint, by);
      items.writeNumber(value, at);
      items.set(item, TYPE, typeOf(value));
      items.touch(item);
      return { ...this.#stored(undefined), value };
    });
  }

  /** Milliseconds until it expires; 0: never; undefined: there is no such key. */
  ttlMs(key: Uint8Array): number | undefined {
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    return this.#memory.exclusive(() => {
      const item = this.#live(key, hash, nowMs);
      if (item === 0) return undefined;
      const expiresMs = this.#items.expiresMs(item);
      return expiresMs === 0 ? 0 : expiresMs - nowMs;
    });
  }

  /** Returns whether there is such a key. @param ttlMs 0: for ever */
  expire(key: Uint8Array, ttlMs: number): boolean {
    const hash = this.#hash(key);
    const nowMs = this.#nowMs();
    return this.#memory.exclusive(() => {
      const item = this.#live(key, hash, nowMs);
      if (item !== 0) this.#items.heap.setExpiry(item, ttlMs === 0 ? 0 : nowMs + ttlMs);
      return item !== 0;
    });
  }

  /** Everything is gone. Its memory is given back when it is needed. */
  flushAll(): void {
    const memory = this.#memory;
    memory.exclusive(() => {
      const at = StateWord.GENERATION;
      memory.set(at, ((memory.words[at] as number) + 1) & 0x7fffffff);
    });
  }

  /** Gives back the memory of what has expired. Returns how many items that were. @param most 0: all */
  flushExpired(most = 0): number {
    const wanted = most === 0 ? Number.POSITIVE_INFINITY : most;
    const nowMs = this.#nowMs();
    let count = 0;
    for (let isLeft = true; isLeft && count < wanted; ) {
      isLeft = this.#memory.exclusive(() => {
        for (let steps = 0; steps < ITEMS_AT_ONCE && count < wanted; steps += 1) {
          const item = this.#room.deadItem(nowMs);
          if (item === 0) return false;
          if (this.#room.removeDeadStep(item)) count += 1;
        }
        return true;
      });
    }
    return count;
  }

  /** Keys in no order. A key that comes or goes meanwhile may be among them. @param most 0: all */
  keys(most = 1024): Uint8Array[] {
    const wanted = most === 0 ? Number.POSITIVE_INFINITY : most;
    const nowMs = this.#nowMs();
    const keys: Uint8Array[] = [];
    for (let bucket = 0; bucket < this.#buckets && keys.length < wanted; bucket += BUCKETS_AT_ONCE) {
      this.#memory.exclusive(() => {
        const end = Math.min(this.#buckets, bucket + BUCKETS_AT_ONCE);
        for (let at = bucket; at < end; at += 1) {
          for (const item of this.#items.inBucket(at)) {
            if (keys.length < wanted && !this.#items.isDead(item, nowMs)) keys.push(this.#items.key(item));
          }
        }
      });
    }
    return keys;
  }

  get freeBytes(): number {
    return this.#items.blocks.free * BLOCK_BYTES;
  }

  #hash(key: Uint8Array): number {
    if (key.length === 0 || key.length > MOST_KEY_BYTES) throw new RangeError(`a key has 1 to ${MOST_KEY_BYTES} bytes`);
    return hashKey(key, this.#secret0, this.#secret1);
  }

  /** The item of a key that is there; 0: there is none. */
  #live(key: Uint8Array, hash: number, nowMs: number): number {
    const item = this.#items.find(key, hash);
    return item !== 0 && this.#items.isDead(item, nowMs) ? 0 : item;
  }

  #put(
    live: number,
    key: Uint8Array,
    hash: number,
    value: Value,
    { nowMs, ttlMs, flags, room }: { nowMs: number; ttlMs: number; flags: number; room: Room },
  ): Stored {
    if (value instanceof Uint8Array && value.length > MOST_VALUE_BYTES) return this.#stored('no memory');
    const items = this.#items;
    const body = items.bodyBlocks(key.length, value);
    const isList = live !== 0 && items.get(live, TYPE) === ValueType.LIST;
    if (live === 0) this.#discardDead(key, hash);
    if (isList) {
      // It stays if there is no room for the value that takes its place.
      if (!room.beside(live, body + 1, nowMs)) return this.#stored('no memory');
      room.discard(live);
    }
    const item = room.forValue(isList ? 0 : live, body, nowMs);
    if (item === undefined) return this.#stored('no memory');
    let target = item;
    if (item === 0) target = items.create(key, hash, value);
    else items.overwrite(item, key, value);
    items.heap.setExpiry(target, ttlMs === 0 ? 0 : nowMs + ttlMs);
    if (flags !== 0) items.set(target, FLAGS, flags);
    return this.#stored(undefined);
  }

  #discardDead(key: Uint8Array, hash: number): void {
    const item = this.#items.find(key, hash);
    if (item === 0) return;
    this.#room.discard(item);
    this.#memory.commit();
  }

  #holds(item: number, old: Value | undefined): boolean {
    const items = this.#items;
    if (old === undefined || items.get(item, TYPE) !== typeOf(old)) return false;
    if (!(old instanceof Uint8Array)) return items.value(item) === old;
    if (items.get(item, NUMBER) !== old.length) return false;
    return items.holdsBytes(item, old);
  }

  #stored(refusal: Refusal | undefined): Stored {
    const { floats } = this.#memory;
    if (refusal === 'no memory') floats[Counter.FAILURES] = (floats[Counter.FAILURES] as number) + 1;
    const { hasEvicted } = this.#room;
    this.#room.hasEvicted = false;
    return { refusal, hasEvicted };
  }
}

/** Whole numbers of Lua 5.4 wrap around, as they do in Lua. */
function sum(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'bigint' && typeof b === 'bigint') return BigInt.asIntN(64, a + b);
  return Number(a) + Number(b);
}
