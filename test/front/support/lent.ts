/** Workers with lent connections, for tests of lending. */
import assert from 'node:assert/strict';
import type { Pause } from './direct-worker.js';
import type { FakeWorker } from './fake-worker.js';
import { answer, request } from './requests.js';
import { type Peer, Rig } from './rig.js';

export interface Setting {
  readonly rig: Rig;
  readonly worker: FakeWorker;
  readonly peer: Peer;
}

/** One worker, which knows that the script is short: its first request tells nothing, since that had to load it. */
export function begun(options: ConstructorParameters<typeof Rig>[0] = {}): {
  readonly rig: Rig;
  readonly worker: FakeWorker;
} {
  const rig = new Rig({ ...options, lends: true });
  const worker = rig.addWorker();
  rig.settle();
  runOnce(rig, worker);
  return { rig, worker };
}

/** One request that has nothing to do with others. */
export function runOnce(rig: Rig, worker: FakeWorker, script = '/srv/a.lua'): void {
  const peer = rig.open();
  rig.send(peer, request({ script, keepConn: false }));
  rig.settle();
  answerShort(rig, worker);
  rig.close(peer);
}

/** The same, and a connection that was lent to it after its first request. */
export function lent(options: ConstructorParameters<typeof Rig>[0] = {}): Setting {
  const { rig, worker } = begun(options);
  const peer = lend(rig, worker);
  return { rig, worker, peer };
}

/** One more connection that is lent after a short request. */
export function lend(rig: Rig, worker: FakeWorker, script = '/srv/a.lua'): Peer {
  const peer = rig.open();
  rig.send(peer, request({ script }));
  rig.settle();
  answerShort(rig, worker);
  assert.equal(peer.lentTo, worker.lender, 'it is lent');
  return peer;
}

export function answerShort(rig: Rig, worker: FakeWorker, text = 'first'): void {
  assert.ok(worker.running, 'it runs');
  worker.tookMs = 0;
  worker.end(answer(text));
  rig.settle();
}

/** Lets the worker go, and does something before it takes this step for the first time. */
export function goUntil(worker: FakeWorker, step: Pause, then: () => void): void {
  const direct = worker.direct ?? assert.fail('it serves no connections');
  let isThere = false;
  direct.onPause = (pause) => {
    if (pause !== step || isThere) return;
    isThere = true;
    then();
  };
  while (worker.go());
  direct.onPause = () => {};
  assert.ok(isThere, `it never comes to "${step}"`);
}
