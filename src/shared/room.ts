/**
 * Room in a dictionary: what is removed when there is not enough. What has expired or was flushed goes first; then, only in
 * dictionaries that evict, what was not used for the longest time. Each step is committed by itself.
 */
import {
  BODY_COUNT,
  CHAIN_COUNT,
  CHAIN_LAST,
  FLAGS,
  GENERATION,
  LIST_FIRST,
  LIST_LAST,
  NEWER,
  TO_FIRST,
  TO_LAST,
  TYPE,
  ValueType,
} from './item-words.js';
import type { Items } from './items.js';
import { Counter, StateWord } from './layout.js';

const { OLDEST } = StateWord;
/** Elements of a list that are removed in one step. */
const ELEMENTS_AT_ONCE = 64;
/** The generation of an item that is no item any more. */
const NO_GENERATION = -1;

export class Room {
  readonly #items: Items;
  readonly #blockCount: number;
  readonly #evicts: boolean;
  /** Whether something was evicted since this was set to false. */
  hasEvicted = false;

  constructor(items: Items, blockCount: number, evicts: boolean) {
    this.#items = items;
    this.#blockCount = blockCount;
    this.#evicts = evicts;
  }

  /**
   * Makes room for the value of a new item, or of this one. Returns the item to write to, 0 when a new one has to be made
   * (this one was removed, since there is no room for both values), or undefined when there is no room.
   */
  forValue(item: number, bodyBlocks: number, nowMs: number): number | undefined {
    const { blocks, memory } = this.#items;
    if (bodyBlocks + 1 > this.#blockCount) return undefined;
    const wanted = bodyBlocks + (item === 0 ? 1 : 0);
    this.#removeDead(wanted, item, nowMs);
    if (blocks.free >= wanted) return item;
    const isEnough = item !== 0 && blocks.free + this.#items.get(item, BODY_COUNT) >= bodyBlocks;
    if (!isEnough && !this.#evicts) return undefined;
    if (item !== 0) {
      this.#items.remove(item);
      memory.commit();
    }
    return this.#evict(bodyBlocks + 1, 0) ? 0 : undefined;
  }

  /** Makes room for so many blocks, and keeps this item. */
  beside(item: number, wanted: number, nowMs: number): boolean {
    if (wanted > this.#blockCount) return false;
    this.#removeDead(wanted, item, nowMs);
    return this.#evict(wanted, item);
  }

  #evict(wanted: number, kept: number): boolean {
    const items = this.#items;
    const { words, floats } = items.memory;
    while (items.blocks.free < wanted) {
      if (!this.#evicts) return false;
      let victim = words[OLDEST] as number;
      if (victim === kept) victim = items.get(kept, NEWER);
      if (victim === 0) return false;
      if (!this.removeStep(victim)) continue;
      this.hasEvicted = true;
      floats[Counter.EVICTIONS] = (floats[Counter.EVICTIONS] as number) + 1;
    }
    return true;
  }

  #removeDead(wanted: number, kept: number, nowMs: number): void {
    while (this.#items.blocks.free < wanted) {
      const dead = this.deadItem(nowMs);
      if (dead === 0 || dead === kept) return;
      this.removeDeadStep(dead);
    }
  }

  /** An item that has expired or was flushed; 0: there is none. */
  deadItem(nowMs: number): number {
    const items = this.#items;
    // Items of former generations are the oldest ones: nothing touches them.
    const oldest = items.memory.words[OLDEST] as number;
    if (oldest !== 0 && items.isFlushed(oldest)) return oldest;
    const { first } = items.heap;
    return first !== 0 && items.isDead(first, nowMs) ? first : 0;
  }

  /** Returns whether the item is gone. */
  removeDeadStep(item: number): boolean {
    const { floats } = this.#items.memory;
    const isGone = this.removeStep(item);
    if (isGone) floats[Counter.EXPIRED] = (floats[Counter.EXPIRED] as number) + 1;
    return isGone;
  }

  /** Removes an item, or some elements of a list. Commits. Returns whether the item is gone. */
  removeStep(item: number): boolean {
    const items = this.#items;
    const isList = items.get(item, TYPE) === ValueType.LIST;
    for (let left = ELEMENTS_AT_ONCE; isList && left > 0 && items.get(item, LIST_FIRST) !== 0; left -= 1) {
      this.removeElement(item, items.get(item, LIST_FIRST));
    }
    const isGone = !isList || items.get(item, LIST_FIRST) === 0;
    if (isGone) items.remove(item);
    items.memory.commit();
    return isGone;
  }

  /** Removes the first or the last element of a list. */
  removeElement(item: number, element: number): void {
    const items = this.#items;
    const toFirst = items.get(element, TO_FIRST);
    const toLast = items.get(element, TO_LAST);
    if (toFirst === 0) items.set(item, LIST_FIRST, toLast);
    else items.set(toFirst, TO_LAST, toLast);
    if (toLast === 0) items.set(item, LIST_LAST, toFirst);
    else items.set(toLast, TO_FIRST, toFirst);
    items.set(item, FLAGS, items.get(item, FLAGS) - 1);
    const chain = { first: element, last: items.get(element, CHAIN_LAST), count: items.get(element, CHAIN_COUNT) };
    items.blocks.give(chain);
  }

  /** Removes an item of any size at once: a list is only taken out of reach, and its blocks are given back when they are needed. */
  discard(item: number): void {
    const items = this.#items;
    if (items.get(item, TYPE) !== ValueType.LIST || items.get(item, LIST_FIRST) === 0) return items.remove(item);
    items.detach(item);
    items.set(item, GENERATION, NO_GENERATION);
  }
}
