/** The items of a dictionary that expire, as a heap: the next one to expire is its first. */
import type { Blocks } from './blocks.js';
import type { GuardedMemory } from './guarded-memory.js';
import { EXPIRES, HEAP_AT } from './item-words.js';
import { type Layout, StateWord } from './layout.js';

const { EXPIRING } = StateWord;

export class ExpiryHeap {
  readonly #memory: GuardedMemory;
  readonly #blocks: Blocks;
  readonly #heapAt: number;

  constructor(memory: GuardedMemory, blocks: Blocks, { heapAt }: Layout) {
    this.#memory = memory;
    this.#blocks = blocks;
    this.#heapAt = heapAt;
  }

  /** 0: there is none. */
  get first(): number {
    return this.#length === 0 ? 0 : this.#itemAt(1);
  }

  /** @param expiresMs 0: never */
  setExpiry(item: number, expiresMs: number): void {
    const memory = this.#memory;
    const at = this.#blocks.wordAt(item);
    const place = memory.words[at + HEAP_AT] as number;
    memory.setFloat(at + EXPIRES, expiresMs);
    if (expiresMs === 0) {
      if (place !== 0) this.#remove(place);
    } else if (place === 0) {
      const length = this.#length + 1;
      memory.set(EXPIRING, length);
      this.#put(item, length);
      this.#rise(length);
    } else {
      this.#rise(place);
      this.#sink(memory.words[at + HEAP_AT] as number);
    }
  }

  #remove(place: number): void {
    const memory = this.#memory;
    const length = this.#length;
    memory.set(this.#blocks.wordAt(this.#itemAt(place)) + HEAP_AT, 0);
    memory.set(EXPIRING, length - 1);
    if (place === length) return;
    const last = this.#itemAt(length);
    this.#put(last, place);
    this.#rise(place);
    this.#sink(memory.words[this.#blocks.wordAt(last) + HEAP_AT] as number);
  }

  get #length(): number {
    return this.#memory.words[EXPIRING] as number;
  }

  #itemAt(place: number): number {
    return this.#memory.words[this.#heapAt + place] as number;
  }

  #put(item: number, place: number): void {
    this.#memory.set(this.#heapAt + place, item);
    this.#memory.set(this.#blocks.wordAt(item) + HEAP_AT, place);
  }

  #expiryAt(place: number): number {
    return this.#memory.floats[(this.#blocks.wordAt(this.#itemAt(place)) + EXPIRES) >> 1] as number;
  }

  #rise(from: number): void {
    for (let at = from; at > 1; ) {
      const above = at >> 1;
      if (this.#expiryAt(above) <= this.#expiryAt(at)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #sink(from: number): void {
    const length = this.#length;
    for (let at = from; ; ) {
      let least = at;
      for (const below of [2 * at, 2 * at + 1]) {
        if (below <= length && this.#expiryAt(below) < this.#expiryAt(least)) least = below;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#itemAt(a), this.#itemAt(b)];
    this.#put(first, b);
    this.#put(second, a);
  }
}
