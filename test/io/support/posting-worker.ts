/**
 * A worker thread of a test: posts operations and sleeps in its ring from the front until they are complete, as a worker of
 * the server does. It never returns to its event loop meanwhile.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { RingReader } from '../../../src/channel/ring.js';
import type { IoChannel, ParkedAt } from '../../../src/io/channel.js';
import { IoClient } from '../../../src/io/client.js';
import { decodeError, type OperationRequest } from '../../../src/io/protocol.js';
import { ValueReader } from '../../../src/io/values.js';
import { futexSleeper } from '../../../src/linux/futex.js';
import { toPlain } from './data-source.js';

export interface PostingWorkerData {
  readonly channel: IoChannel;
  readonly parkedAt: ParkedAt;
}

/** What it is asked for: post these at once, wait for all, then end these runs. */
export interface PostingTask {
  readonly post: readonly OperationRequest[];
  readonly end: readonly number[];
  /** Do not wait for completions. */
  readonly isImpatient?: boolean;
}

const { channel, parkedAt } = workerData as PostingWorkerData;
const client = new IoClient(channel);
const ring = new RingReader(parkedAt.ring, parkedAt.usesFutex ? futexSleeper() : undefined);

function perform({ post, end, isImpatient = false }: PostingTask): unknown[] {
  const places = new Map<number | undefined, number>();
  for (const [at, request] of post.entries())
    places.set(client.post({ ...request, body: Buffer.from(request.body) }), at);
  const results: unknown[] = [];
  while (places.size > 0 && !isImpatient) {
    // A frame in this ring is the test's call to come to an end.
    ring.waitForFrame(() => client.hasCompletion);
    for (let next = client.next(); next !== undefined; next = client.next()) {
      const at = places.get(next.id) as number;
      places.delete(next.id);
      results[at] = next.isError ? decodeError(next.payload) : toPlain(new ValueReader(next.payload).read());
    }
  }
  for (const run of end) client.endRun(run);
  return results;
}

parentPort?.on('message', (task: PostingTask) => parentPort?.postMessage(perform(task)));
