/** A short run of the attacks on the wire, with each driver (issue 11.3). */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { attackWire } from './wire.js';

/** `npm run torture -- --mode wire` has ten thousand. */
const ATTACKS = 120;

for (const io of process.platform === 'linux' ? ['epoll', 'node'] : ['node'])
  it(`attacks on the wire cost nobody else an answer, and get no byte of another's (io = ${io}, issue 11.3)`, async (t) => {
    const { failures, summary } = await attackWire(t, { io, seed: 1, attacks: ATTACKS });
    t.diagnostic(summary);
    assert.deepEqual(failures, []);
  });
