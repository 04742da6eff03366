/** Checks that all in a dictionary's memory refers to each other as it has to. */
import assert from 'node:assert/strict';
import {
  BODY_COUNT,
  BODY_FIRST,
  BODY_LAST,
  BUCKET_NEXT,
  CHAIN_COUNT,
  CHAIN_LAST,
  EXPIRES,
  FLAGS,
  GENERATION,
  HASH,
  HEAP_AT,
  LIST_FIRST,
  LIST_LAST,
  NEWER,
  OLDER,
  TO_FIRST,
  TO_LAST,
  TYPE,
  ValueType,
} from '../../../src/shared/item-words.js';
import { BLOCK_WORDS, layoutOf, StateWord } from '../../../src/shared/layout.js';

export function audit(shared: SharedArrayBuffer): void {
  const words = new Int32Array(shared);
  const floats = new Float64Array(shared);
  const { buckets, bucketsAt, blocks, blocksAt, heapAt, nextAt } = layoutOf(shared.byteLength);
  const word = (block: number, at: number): number => words[blocksAt + block * BLOCK_WORDS + at] as number;
  const state = (at: number): number => words[at] as number;
  const seen = new Map<number, string>();
  const visit = (block: number, as: string): void => {
    assert.ok(block >= 1 && block < state(StateWord.FRESH), `${as}: block ${block} was never used`);
    assert.equal(seen.get(block), undefined, `block ${block} is ${as}, too`);
    seen.set(block, as);
  };
  const chain = (first: number, last: number, count: number, as: string): void => {
    let block = first;
    for (let at = 1; at <= count; at += 1) {
      visit(block, as);
      if (at === count) assert.equal(block, last, `${as} ends elsewhere`);
      block = words[nextAt + block] as number;
    }
    assert.equal(block, 0, `${as} has no end`);
  };

  const items: number[] = [];
  let before = 0;
  for (let item = state(StateWord.NEWEST); item !== 0; item = word(item, OLDER)) {
    assert.equal(word(item, NEWER), before);
    visit(item, 'an item');
    items.push(item);
    before = item;
  }
  assert.equal(state(StateWord.OLDEST), before);
  assert.equal(state(StateWord.ITEMS), items.length);
  let flushed = false;
  let expiring = 0;
  for (const item of items) {
    chain(word(item, BODY_FIRST), word(item, BODY_LAST), word(item, BODY_COUNT), `the body of ${item}`);
    if (word(item, TYPE) === ValueType.LIST) {
      let count = 0;
      let previous = 0;
      for (let element = word(item, LIST_FIRST); element !== 0; element = word(element, TO_LAST)) {
        assert.equal(word(element, TO_FIRST), previous);
        chain(element, word(element, CHAIN_LAST), word(element, CHAIN_COUNT), `an element of ${item}`);
        count += 1;
        previous = element;
      }
      assert.equal(word(item, LIST_LAST), previous);
      assert.equal(word(item, FLAGS), count);
    }
    const isFlushed = word(item, GENERATION) !== state(StateWord.GENERATION);
    assert.ok(isFlushed || !flushed, 'what was flushed is the oldest');
    flushed ||= isFlushed;
    const expiresMs = floats[(blocksAt + item * BLOCK_WORDS + EXPIRES) >> 1] as number;
    if (expiresMs !== 0) {
      expiring += 1;
      assert.equal(words[heapAt + word(item, HEAP_AT)], item);
    } else assert.equal(word(item, HEAP_AT), 0);
  }
  assert.equal(state(StateWord.EXPIRING), expiring);
  for (let at = 2; at <= expiring; at += 1) {
    const expiry = (place: number): number =>
      floats[(blocksAt + (words[heapAt + place] as number) * BLOCK_WORDS + EXPIRES) >> 1] as number;
    assert.ok(expiry(at >> 1) <= expiry(at), 'the heap is in order');
  }
  let found = 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    for (let item = words[bucketsAt + bucket] as number; item !== 0; item = word(item, BUCKET_NEXT)) {
      assert.equal(seen.get(item), 'an item');
      assert.equal(word(item, HASH) & (buckets - 1), bucket);
      found += 1;
    }
  }
  const detached = items.filter((item) => word(item, GENERATION) === -1).length;
  assert.equal(found, items.length - detached);
  assert.equal(state(StateWord.USED), seen.size);
  for (let block = state(StateWord.FREE_HEAD); block !== 0; block = words[nextAt + block] as number) {
    visit(block, 'free');
  }
  assert.equal(seen.size, state(StateWord.FRESH) - 1, 'every block that was ever used is used or free');
  assert.ok(state(StateWord.FRESH) - 1 <= blocks);
}
