/**
 * The items of a dictionary: found by key, in the order of their use, and by when they expire. Every method belongs inside of
 * `GuardedMemory.exclusive`.
 */
import { Blocks, type Chain } from './blocks.js';
import { ExpiryHeap } from './expiry-heap.js';
import type { GuardedMemory } from './guarded-memory.js';
import {
  BODY_COUNT,
  BODY_FIRST,
  BODY_LAST,
  BUCKET_NEXT,
  EXPIRES,
  FLAGS,
  GENERATION,
  HASH,
  HEAP_AT,
  KEY_BYTES,
  NEWER,
  NUMBER,
  OLDER,
  TYPE,
  ValueType,
} from './item-words.js';
import { BLOCK_BYTES, type Layout, StateWord } from './layout.js';

const { ITEMS, NEWEST, OLDEST } = StateWord;

/** A value. Whole numbers of 64 bits are those of Lua 5.4. */
export type Value = Uint8Array | number | bigint | boolean;

export class Items {
  readonly memory: GuardedMemory;
  readonly blocks: Blocks;
  readonly heap: ExpiryHeap;
  readonly #layout: Layout;
  readonly #words: Int32Array;
  readonly #integers: BigInt64Array;

  constructor(memory: GuardedMemory, layout: Layout) {
    this.memory = memory;
    this.#layout = layout;
    this.#words = memory.words;
    this.#integers = new BigInt64Array(memory.words.buffer);
    this.blocks = new Blocks(memory, layout);
    this.heap = new ExpiryHeap(memory, this.blocks, layout);
  }

  /** A word of an item. */
  get(item: number, word: number): number {
    return this.#words[this.blocks.wordAt(item) + word] as number;
  }

  set(item: number, word: number, value: number): void {
    this.memory.set(this.blocks.wordAt(item) + word, value);
  }

  expiresMs(item: number): number {
    return this.memory.floats[(this.blocks.wordAt(item) + EXPIRES) >> 1] as number;
  }

  /** Whether it has expired or was flushed. */
  isDead(item: number, nowMs: number): boolean {
    const expiresMs = this.expiresMs(item);
    return (expiresMs !== 0 && expiresMs <= nowMs) || this.isFlushed(item);
  }

  isFlushed(item: number): boolean {
    return this.get(item, GENERATION) !== this.#words[StateWord.GENERATION];
  }

  // ---- by key --------------------------------------------------------------------------------------------------------

  bucketAt(hash: number): number {
    return this.#layout.bucketsAt + (hash & (this.#layout.buckets - 1));
  }

  /** The item of a key, dead or not; 0: there is none. */
  find(key: Uint8Array, hash: number): number {
    let item = this.#words[this.bucketAt(hash)] as number;
    while (item !== 0) {
      const at = this.blocks.wordAt(item);
      const isSame = this.#words[at + HASH] === hash && this.#words[at + KEY_BYTES] === key.length;
      if (isSame && this.blocks.equals(this.#words[at + BODY_FIRST] as number, 0, key)) return item;
      item = this.#words[at + BUCKET_NEXT] as number;
    }
    return 0;
  }

  key(item: number): Uint8Array {
    const key = new Uint8Array(this.get(item, KEY_BYTES));
    this.blocks.read(this.get(item, BODY_FIRST), 0, key);
    return key;
  }

  /** The items in a bucket, by its number. */
  *inBucket(bucket: number): Generator<number> {
    let item = this.#words[this.#layout.bucketsAt + bucket] as number;
    for (; item !== 0; item = this.get(item, BUCKET_NEXT)) yield item;
  }

  // ---- values --------------------------------------------------------------------------------------------------------

  /** The value, with its bytes copied; undefined: it is a list. */
  value(item: number): Value | undefined {
    const type = this.get(item, TYPE);
    if (type === ValueType.LIST) return undefined;
    if (type !== ValueType.BYTES) return this.readNumber(type, this.blocks.wordAt(item) + NUMBER);
    const bytes = new Uint8Array(this.get(item, NUMBER));
    this.blocks.read(this.get(item, BODY_FIRST), this.get(item, KEY_BYTES), bytes);
    return bytes;
  }

  /** Whether the value is these bytes. It has as many. */
  holdsBytes(item: number, bytes: Uint8Array): boolean {
    return this.blocks.equals(this.get(item, BODY_FIRST), this.get(item, KEY_BYTES), bytes);
  }

  /** A number or boolean of two words. */
  readNumber(type: number, at: number): Value {
    if (type === ValueType.INTEGER) return this.#integers[at >> 1] as bigint;
    const number = this.memory.floats[at >> 1] as number;
    return type === ValueType.BOOLEAN ? number !== 0 : number;
  }

  writeNumber(value: Exclude<Value, Uint8Array>, at: number): void {
    this.memory.setFloat(at, Number(value));
    if (typeof value === 'bigint') this.#integers[at >> 1] = value;
  }

  /** Blocks that the key and the bytes of a value take; an item has one more. */
  bodyBlocks(keyBytes: number, value: Value | undefined): number {
    return Math.ceil((keyBytes + (value instanceof Uint8Array ? value.length : 0)) / BLOCK_BYTES);
  }

  /** Makes an item. There are enough free blocks. Undefined: an empty list. */
  create(key: Uint8Array, hash: number, value: Value | undefined): number {
    const { first: item } = this.blocks.take(1);
    const at = this.blocks.wordAt(item);
    // Nothing refers to this block yet.
    this.#words.fill(0, at, at + BLOCK_BYTES / 4);
    this.#words[at + HASH] = hash;
    this.#words[at + KEY_BYTES] = key.length;
    this.#write(item, key, value);
    const bucket = this.bucketAt(hash);
    this.#words[at + BUCKET_NEXT] = this.#words[bucket] as number;
    this.memory.set(bucket, item);
    this.memory.set(ITEMS, (this.#words[ITEMS] as number) + 1);
    this.#link(item);
    return item;
  }

  /** Gives an item another value. It is no list, nor becomes one. */
  overwrite(item: number, key: Uint8Array, value: Value): void {
    const old = this.#body(item);
    this.#write(item, key, value);
    this.blocks.give(old);
    this.touch(item);
  }

  #body(item: number): Chain {
    return { first: this.get(item, BODY_FIRST), last: this.get(item, BODY_LAST), count: this.get(item, BODY_COUNT) };
  }

  #write(item: number, key: Uint8Array, value: Value | undefined): void {
    const body = this.blocks.take(this.bodyBlocks(key.length, value));
    this.blocks.write(body.first, 0, key);
    if (value instanceof Uint8Array) {
      this.blocks.write(body.first, key.length, value);
      this.set(item, NUMBER, value.length);
    } else if (value !== undefined) this.writeNumber(value, this.blocks.wordAt(item) + NUMBER);
    this.set(item, TYPE, typeOf(value));
    this.set(item, FLAGS, 0);
    this.set(item, GENERATION, this.#words[StateWord.GENERATION] as number);
    this.set(item, BODY_FIRST, body.first);
    this.set(item, BODY_LAST, body.last);
    this.set(item, BODY_COUNT, body.count);
  }

  /** Removes an item, which is no list or an empty one. */
  remove(item: number): void {
    this.#leaveBucket(item);
    if (this.get(item, HEAP_AT) !== 0) this.heap.setExpiry(item, 0);
    this.#unlink(item);
    this.memory.set(ITEMS, (this.#words[ITEMS] as number) - 1);
    this.blocks.give(this.#body(item));
    this.blocks.give({ first: item, last: item, count: 1 });
  }

  /** Its key finds it no more, and it is the first to be removed for want of room. */
  detach(item: number): void {
    this.#leaveBucket(item);
    this.#unlink(item);
    const oldest = this.#words[OLDEST] as number;
    this.set(item, NEWER, oldest);
    this.set(item, OLDER, 0);
    if (oldest === 0) this.memory.set(NEWEST, item);
    else this.set(oldest, OLDER, item);
    this.memory.set(OLDEST, item);
  }

  /** Does nothing when it was detached before. */
  #leaveBucket(item: number): void {
    const bucket = this.bucketAt(this.get(item, HASH));
    const next = this.get(item, BUCKET_NEXT);
    let before = this.#words[bucket] as number;
    if (before === item) return this.memory.set(bucket, next);
    while (before !== 0 && this.get(before, BUCKET_NEXT) !== item) before = this.get(before, BUCKET_NEXT);
    if (before !== 0) this.set(before, BUCKET_NEXT, next);
  }

  // ---- the order of use ------------------------------------------------------------------------------------------------

  /** The item becomes the one that was used last. */
  touch(item: number): void {
    if (this.#words[NEWEST] === item) return;
    this.#unlink(item);
    this.#link(item);
  }

  #link(item: number): void {
    const newest = this.#words[NEWEST] as number;
    this.set(item, OLDER, newest);
    this.set(item, NEWER, 0);
    if (newest === 0) this.memory.set(OLDEST, item);
    else this.set(newest, NEWER, item);
    this.memory.set(NEWEST, item);
  }

  #unlink(item: number): void {
    const newer = this.get(item, NEWER);
    const older = this.get(item, OLDER);
    if (newer === 0) this.memory.set(NEWEST, older);
    else this.set(newer, OLDER, older);
    if (older === 0) this.memory.set(OLDEST, newer);
    else this.set(older, NEWER, newer);
  }
}

function typeOf(value: Value | undefined): ValueType {
  if (value === undefined) return ValueType.LIST;
  if (value instanceof Uint8Array) return ValueType.BYTES;
  if (typeof value === 'boolean') return ValueType.BOOLEAN;
  return typeof value === 'bigint' ? ValueType.INTEGER : ValueType.NUMBER;
}

export { typeOf };
