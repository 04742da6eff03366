/**
 * The blocks of a dictionary's memory. All have one size, and what needs several gets a chain of them: so memory never is
 * free in pieces that are too small. Chains are linked in a table of their own, and the bytes of blocks that lie beside each
 * other are copied at once.
 */
import type { GuardedMemory } from './guarded-memory.js';
import { BLOCK_BYTES, BLOCK_WORDS, type Layout, StateWord } from './layout.js';

const { FREE_HEAD, FRESH, USED } = StateWord;

/** Fewer bytes are copied one by one, which takes less time than making views of them. */
const SHORT_BYTES = 48;

export interface Chain {
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

export class Blocks {
  readonly #memory: GuardedMemory;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #count: number;
  readonly #nextAt: number;
  readonly #blocksAt: number;

  constructor(memory: GuardedMemory, { blocks, nextAt, blocksAt }: Layout) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#bytes = new Uint8Array(memory.words.buffer);
    this.#count = blocks;
    this.#nextAt = nextAt;
    this.#blocksAt = blocksAt;
  }

  get free(): number {
    return this.#count - (this.#words[USED] as number);
  }

  /** The first word of a block. */
  wordAt(block: number): number {
    return this.#blocksAt + block * BLOCK_WORDS;
  }

  /** Takes blocks, at least one. The caller knows that there are as many. */
  take(count: number): Chain {
    const memory = this.#memory;
    const words = this.#words;
    const nextAt = this.#nextAt;
    let taken = 0;
    let first = words[FREE_HEAD] as number;
    let last = 0;
    let free = first;
    for (; taken < count && free !== 0; taken += 1) {
      last = free;
      free = words[nextAt + free] as number;
    }
    if (taken > 0) memory.set(FREE_HEAD, free);
    if (taken < count) {
      const fresh = words[FRESH] as number;
      const end = fresh + count - taken;
      // Nothing refers to these blocks: their words need no journal.
      for (let block = fresh; block < end; block += 1) words[nextAt + block] = block + 1 < end ? block + 1 : 0;
      memory.set(FRESH, end);
      if (last === 0) first = fresh;
      else memory.set(nextAt + last, fresh);
      last = end - 1;
    } else memory.set(nextAt + last, 0);
    memory.set(USED, (words[USED] as number) + count);
    return { first, last, count };
  }

  /** Gives a chain back. Its blocks must not be taken again before that is committed. */
  give({ first, last, count }: Chain): void {
    const memory = this.#memory;
    memory.set(this.#nextAt + last, this.#words[FREE_HEAD] as number);
    memory.set(FREE_HEAD, first);
    memory.set(USED, (this.#words[USED] as number) - count);
  }

  /** Writes bytes into a chain, from a byte of its first block on. Only into blocks that nothing refers to yet. */
  write(first: number, offset: number, bytes: Uint8Array): void {
    let from = 0;
    this.#eachRun(first, offset, bytes.length, (at, length) => {
      if (length < SHORT_BYTES) for (let i = 0; i < length; i += 1) this.#bytes[at + i] = bytes[from + i] as number;
      else this.#bytes.set(bytes.subarray(from, from + length), at);
      from += length;
    });
  }

  /** Reads as many bytes as `into` has. */
  read(first: number, offset: number, into: Uint8Array): void {
    let to = 0;
    this.#eachRun(first, offset, into.length, (at, length) => {
      if (length < SHORT_BYTES) for (let i = 0; i < length; i += 1) into[to + i] = this.#bytes[at + i] as number;
      else into.set(this.#bytes.subarray(at, at + length), to);
      to += length;
    });
  }

  /** Whether these bytes are there. */
  equals(first: number, offset: number, bytes: Uint8Array): boolean {
    let from = 0;
    let isEqual = true;
    this.#eachRun(first, offset, bytes.length, (at, length) => {
      for (let i = 0; isEqual && i < length; i += 1) isEqual = this.#bytes[at + i] === bytes[from + i];
      from += length;
    });
    return isEqual;
  }

  /** The places of bytes of a chain, where those of adjacent blocks are one. @param offset may lie behind the first block */
  #eachRun(first: number, offset: number, length: number, visit: (at: number, length: number) => void): void {
    const words = this.#words;
    const nextAt = this.#nextAt;
    let block = first;
    let skip = offset;
    for (; skip >= BLOCK_BYTES; skip -= BLOCK_BYTES) block = words[nextAt + block] as number;
    for (let left = length; left > 0; ) {
      let last = block;
      let run = BLOCK_BYTES - skip;
      while (run < left && words[nextAt + last] === last + 1) {
        last += 1;
        run += BLOCK_BYTES;
      }
      if (run > left) run = left;
      visit(this.wordAt(block) * 4 + skip, run);
      left -= run;
      skip = 0;
      block = words[nextAt + last] as number;
    }
  }
}
