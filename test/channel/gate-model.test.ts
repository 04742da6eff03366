/** Every order of the steps at a gate, up to a few rounds of each end: what must never be, and what has to be possible. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Flaw, walk } from './support/gate-model.js';

/** The table at the head of src/channel/gate.ts. */
const TABLE = [
  'OPEN → READING by worker',
  'READING → RUNNING by worker',
  'RUNNING → ANSWERING by worker',
  'READING → OPEN by worker',
  'ANSWERING → OPEN by worker',
  'OPEN → HELD by front',
  'HELD → OPEN by front',
  'RUNNING → HELD by front',
  'any → SHUT by front',
];

describe('the gate, in every order of steps', () => {
  it('keeps worker and front apart, and the books true, through every transition of its table', (t) => {
    const { states, transitions, fault } = walk({ worker: 2, front: 2 });
    assert.equal(fault, undefined);
    assert.deepEqual([...transitions].sort(), [...TABLE].sort());
    t.diagnostic(`${states} states`);
  });

  const flaws: readonly (readonly [Flaw, RegExp])[] = [
    ['the front does not compare what was posted with what it has handled', /not handled|books/],
    ['a message is posted after the gate is left', /does not have/],
    ['connections are taken back after the gate is released', /does not have/],
    ['a connection is watched until after it is noted as taken back', /does not have/],
    ['the worker does not look whether connections were taken back', /does not have/],
    ['the worker does not look whether it is wanted', /although it is wanted/],
    ['the worker accepts before the front knows its last connection', /two connections/],
    ['the gate does not say which request runs', /not handled/],
    ['the worker answers without a claim', /both answer/],
    ['the descriptor is stored after the gate is moved', /is told/],
  ];
  for (const [flaw, finding] of flaws) {
    it(`would be found out if ${flaw}`, () => {
      assert.match(walk({ worker: 2, front: 2 }, flaw).fault ?? 'nothing was found', finding);
    });
  }
});
