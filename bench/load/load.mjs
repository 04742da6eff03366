/** The load generator as a benchmark sees it: one thread, one job at a time. And a load on the machine alone. */
import { Worker } from 'node:worker_threads';

/** How much longer than planned a job may take before something is plainly broken. */
const SLACK_MS = 15_000;

export class LoadGenerator {
  #thread = new Worker(new URL('./generator.mjs', import.meta.url));

  /**
   * @param {import('./generator.mjs').Job} job
   * @returns {Promise<import('./generator.mjs').Outcome>}
   */
  run(job) {
    return new Promise((resolve, reject) => {
      const fail = (/** @type {unknown} */ error) => {
        clearTimeout(timer);
        reject(error);
      };
      const limitMs = job.warmupMs + job.measureMs + SLACK_MS;
      const timer = setTimeout(() => fail(new Error(`the load on ${job.address} did not end`)), limitMs);
      this.#thread.once('error', fail);
      this.#thread.once('message', (outcome) => {
        clearTimeout(timer);
        this.#thread.removeListener('error', fail);
        resolve(outcome);
      });
      this.#thread.postMessage(job);
    });
  }

  async stop() {
    await this.#thread.terminate();
  }
}

/** Keeps one processor busy, as a program would that has nothing to do with what is measured. */
export class BusyThread {
  #thread = new Worker('for (;;);', { eval: true });

  async stop() {
    await this.#thread.terminate();
  }
}
