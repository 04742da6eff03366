/** A thread that reads a database until it is terminated, which a worker can be in the middle of a read. */
import { parentPort, workerData } from 'node:worker_threads';
import { Abandoned, Interrupts } from '../../../../src/channel/interrupts.js';
import { findSqlite } from '../../../../src/io/sql/sqlite-driver.js';
import { SqliteShortReads } from '../../../../src/io/sql/sqlite-short-reads.js';

const { file, words } = workerData as { readonly file: string; readonly words: SharedArrayBuffer };
const interrupts = new Interrupts(words);
const reads = new SqliteShortReads(await findSqlite(), file, () => performance.now());
parentPort?.postMessage('reads');
try {
  for (;;) {
    interrupts.beginCall();
    reads.read({ text: 'select * from notes limit 20', values: [] });
    interrupts.endCall();
  }
} catch (error) {
  if (!(error instanceof Abandoned)) throw error;
}
