/** Which blocks of the server's code have run, by V8's own account. */
import { Session } from 'node:inspector';

interface CoverageRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly CoverageRange[] }[];
}

export class Coverage {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** The blocks that have run since the last call. */
  take(): Set<string> {
    const blocks = new Set<string>();
    const { result } = this.#post('Profiler.takePreciseCoverage') as { readonly result: readonly ScriptCoverage[] };
    for (const { url, functions } of result) {
      const file = /\/dist\/src\/(.*)$/.exec(url)?.[1];
      if (file === undefined) continue;
      for (const { ranges } of functions) {
        // Ranges are nested: what an inner one says counts there.
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) blocks.add(`${file}:${startOffset}-${endOffset}`);
        }
      }
    }
    return blocks;
  }

  close(): void {
    this.#session.disconnect();
  }

  /** In the same thread, so that the answer is there when the call returns. */
  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, params, (error: Error | null, result: unknown) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}
