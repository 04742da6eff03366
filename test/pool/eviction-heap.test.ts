import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EvictionHeap, type HeapMember } from '../../src/pool/eviction-heap.js';
import { goesBefore } from '../../src/pool/policy.js';

interface Member extends HeapMember {
  readonly lastUse: number;
}

/** Adds (a score) or removes (the member at this place of those inside). */
const MOVE = fc.oneof(
  { arbitrary: fc.record({ add: fc.integer({ min: 0, max: 20 }) }), weight: 3 },
  { arbitrary: fc.record({ remove: fc.nat(1000) }), weight: 2 },
  { arbitrary: fc.record({ removeFirst: fc.constant(true) }), weight: 1 },
);

function inOrder(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => (goesBefore(a, b) ? -1 : 1));
}

describe('the victim heap', () => {
  it('behaves as a sorted list does, whoever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(MOVE, { maxLength: 200, size: 'max' }), (moves) => {
        const heap = new EvictionHeap<Member>();
        let model: Member[] = [];
        for (const [lastUse, move] of moves.entries()) {
          if ('add' in move) {
            const member = { score: move.add, lastUse, heapIndex: -1 };
            heap.add(member);
            model = inOrder([...model, member]);
          } else if (model.length > 0) {
            const leaving = model['remove' in move ? move.remove % model.length : 0] as Member;
            heap.remove(leaving);
            assert.equal(leaving.heapIndex, -1);
            model = model.filter((member) => member !== leaving);
          }
          assert.equal(heap.first, model[0]);
          assert.equal(heap.size, model.length);
        }
        for (const member of model) {
          assert.equal(heap.first, member);
          heap.remove(member);
        }
        assert.equal(heap.first, undefined);
        assert.equal(heap.size, 0);
      }),
      { numRuns: 300 },
    );
  });

  it('lets go of nobody who is not in it', () => {
    const heap = new EvictionHeap<Member>();
    const inside = { score: 1, lastUse: 1, heapIndex: -1 };
    const outside = { score: 1, lastUse: 2, heapIndex: -1 };
    heap.add(inside);
    heap.remove(outside);
    heap.remove({ ...inside });
    assert.equal(heap.first, inside);
    heap.remove(inside);
    heap.remove(inside);
    assert.equal(heap.size, 0);
  });
});
