/** The smallest setting for tests of the front: one worker, one connection. */
import assert from 'node:assert/strict';
import type { FakeWorker } from './fake-worker.js';
import { answer } from './requests.js';
import { type Peer, Rig } from './rig.js';

/** A rig with one worker and one connection. */
export function setUp(options: ConstructorParameters<typeof Rig>[0] = {}): {
  rig: Rig;
  worker: FakeWorker;
  peer: Peer;
} {
  const rig = new Rig(options);
  return { rig, worker: rig.addWorker(), peer: rig.open() };
}

/** The worker answers what it runs. */
export function finishRun(rig: Rig, worker: FakeWorker, text = answer('done')): void {
  worker.end(text);
  rig.settle();
}

/** The script reads its body to the end, as the ring brings it. */
export function readToEnd(rig: Rig, worker: FakeWorker): void {
  while (worker.running?.bodyEnded === false) {
    const before = worker.running.body.length;
    const { length } = worker.readAll();
    rig.settle();
    assert.ok(length > before || worker.running.bodyEnded, 'the rest of the body never comes');
  }
}
