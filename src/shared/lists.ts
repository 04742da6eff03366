/** The values of a dictionary that are lists: values are added and removed at both ends. */
import type { GuardedMemory } from './guarded-memory.js';
import {
  CHAIN_COUNT,
  CHAIN_LAST,
  ELEMENT_BYTES,
  ELEMENT_NUMBER,
  ELEMENT_OFFSET,
  ELEMENT_TYPE,
  FLAGS,
  LIST_FIRST,
  LIST_LAST,
  TO_FIRST,
  TO_LAST,
  TYPE,
  ValueType,
} from './item-words.js';
import { type Items, typeOf, type Value } from './items.js';
import { BLOCK_BYTES } from './layout.js';
import type { Pushed, Refusal, Stored } from './results.js';
import type { Room } from './room.js';

export type ListEnd = 'first' | 'last';

/** What the dictionary does for its lists. */
export interface DictionaryAccess {
  hash(key: Uint8Array): number;
  /** The item of a key that is there; 0: there is none. */
  live(key: Uint8Array, hash: number, nowMs: number): number;
  /** Takes what is left of a key that has expired out of the way. */
  discardDead(key: Uint8Array, hash: number): void;
  nowMs(): number;
  stored(refusal: Refusal | undefined): Stored;
}

export class Lists {
  readonly #memory: GuardedMemory;
  readonly #items: Items;
  readonly #room: Room;
  readonly #access: DictionaryAccess;

  constructor(memory: GuardedMemory, items: Items, room: Room, access: DictionaryAccess) {
    this.#memory = memory;
    this.#items = items;
    this.#room = room;
    this.#access = access;
  }

  /** Adds a value to a list, which is made if it is not there. */
  push(key: Uint8Array, end: ListEnd, value: Value, mostBytes: number): Pushed {
    const access = this.#access;
    const hash = access.hash(key);
    const nowMs = access.nowMs();
    return this.#memory.exclusive(() => {
      const items = this.#items;
      const refuse = (refusal: Refusal): Pushed => ({ ...access.stored(refusal), length: 0 });
      const live = access.live(key, hash, nowMs);
      if (live !== 0 && items.get(live, TYPE) !== ValueType.LIST) return refuse('value not a list');
      if (live === 0) access.discardDead(key, hash);
      const bytes = value instanceof Uint8Array ? value.length : 0;
      const element = Math.ceil((ELEMENT_OFFSET + bytes) / BLOCK_BYTES);
      const wanted = element + (live === 0 ? 1 + items.bodyBlocks(key.length, undefined) : 0);
      if (bytes > mostBytes || !this.#room.beside(live, wanted, nowMs)) return refuse('no memory');
      const item = live === 0 ? items.create(key, hash, undefined) : live;
      this.#link(item, this.#create(value, element), end);
      items.touch(item);
      return { ...access.stored(undefined), length: items.get(item, FLAGS) };
    });
  }

  /** Removes the value at an end; undefined: there is no such list. */
  pop(key: Uint8Array, end: ListEnd): Value | Refusal | undefined {
    const hash = this.#access.hash(key);
    const nowMs = this.#access.nowMs();
    return this.#memory.exclusive(() => {
      const items = this.#items;
      const item = this.#access.live(key, hash, nowMs);
      if (item === 0) return undefined;
      if (items.get(item, TYPE) !== ValueType.LIST) return 'value not a list';
      const element = items.get(item, end === 'first' ? LIST_FIRST : LIST_LAST);
      const value = this.#value(element);
      this.#room.removeElement(item, element);
      if (items.get(item, LIST_FIRST) === 0) items.remove(item);
      return value;
    });
  }

  /** How many values a list has; 0: there is none. */
  length(key: Uint8Array): number | Refusal {
    const hash = this.#access.hash(key);
    const nowMs = this.#access.nowMs();
    return this.#memory.exclusive(() => {
      const item = this.#access.live(key, hash, nowMs);
      if (item === 0) return 0;
      return this.#items.get(item, TYPE) === ValueType.LIST ? this.#items.get(item, FLAGS) : 'value not a list';
    });
  }

  #create(value: Value, blockCount: number): number {
    const { blocks, memory } = this.#items;
    const { words } = memory;
    const chain = blocks.take(blockCount);
    const at = blocks.wordAt(chain.first);
    // Nothing refers to these blocks yet.
    words[at + ELEMENT_TYPE] = typeOf(value);
    words[at + CHAIN_LAST] = chain.last;
    words[at + CHAIN_COUNT] = chain.count;
    if (value instanceof Uint8Array) {
      words[at + ELEMENT_BYTES] = value.length;
      blocks.write(chain.first, ELEMENT_OFFSET, value);
    } else this.#items.writeNumber(value, at + ELEMENT_NUMBER);
    return chain.first;
  }

  #value(element: number): Value {
    const items = this.#items;
    const type = items.get(element, ELEMENT_TYPE);
    if (type !== ValueType.BYTES) return items.readNumber(type, items.blocks.wordAt(element) + ELEMENT_NUMBER);
    const bytes = new Uint8Array(items.get(element, ELEMENT_BYTES));
    items.blocks.read(element, ELEMENT_OFFSET, bytes);
    return bytes;
  }

  #link(item: number, element: number, end: ListEnd): void {
    const items = this.#items;
    const isFirst = end === 'first';
    const neighbour = items.get(item, isFirst ? LIST_FIRST : LIST_LAST);
    items.set(element, isFirst ? TO_LAST : TO_FIRST, neighbour);
    items.set(element, isFirst ? TO_FIRST : TO_LAST, 0);
    if (neighbour === 0) items.set(item, isFirst ? LIST_LAST : LIST_FIRST, element);
    else items.set(neighbour, isFirst ? TO_FIRST : TO_LAST, element);
    items.set(item, isFirst ? LIST_FIRST : LIST_LAST, element);
    items.set(item, FLAGS, items.get(item, FLAGS) + 1);
  }
}
