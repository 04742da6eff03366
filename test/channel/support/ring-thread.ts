/** The other end of a ring, in a thread of its own: writes or reads as many frames as it is told, blocking. */
import { parentPort, workerData } from 'node:worker_threads';
import { RingReader, RingWriter } from '../../../src/channel/ring.js';
import { faultIn, payloadOf, wordsOf } from './frames.js';

export interface RingThreadData {
  readonly role: 'writer' | 'reader';
  readonly ring: SharedArrayBuffer;
  readonly frames: number;
}

const { role, ring, frames } = workerData as RingThreadData;

if (role === 'writer') {
  const writer = new RingWriter(ring);
  for (let n = 0; n < frames; n++) {
    const { type, id, argument } = wordsOf(n);
    const payload = payloadOf(n, writer.maxPayloadBytes);
    while (!writer.tryWrite(type, id, argument, payload)) {
      writer.wakeReader();
      parentPort?.postMessage('bell');
      writer.waitForRoom();
    }
    writer.wakeReader();
    // The reader on the other side does not block: it asks for a bell, which here is rung now and then, and at the end.
    if (n % 64 === 0) parentPort?.postMessage('bell');
  }
  parentPort?.postMessage('bell');
} else {
  const reader = new RingReader(ring);
  const { maxPayloadBytes } = new RingWriter(ring);
  for (let n = 0; n < frames; n++) {
    let frame = reader.peek();
    while (frame === undefined) {
      reader.waitForFrame();
      frame = reader.peek();
    }
    const fault = faultIn(frame, n, maxPayloadBytes);
    if (fault !== undefined) throw new Error(fault);
    if (reader.release()) parentPort?.postMessage('bell');
  }
  parentPort?.postMessage('done');
}
