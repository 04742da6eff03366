/** Looks at the Lua stacks of all requests that run or wait, at regular times: the material of a profile. */

/** @param isWaiting the request waits for a result */
export type TakeStack = (traceback: string, isWaiting: boolean) => void;

/** How long from one look to the next. */
export const SAMPLE_EVERY_MS = 1;

export class Sampler {
  readonly #ask: () => Promise<unknown>;
  readonly #takers = new Set<TakeStack>();
  #timer: NodeJS.Timeout | undefined;

  /** @param ask asks for the stacks of all requests; they come by `stackCame` */
  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask;
  }

  /** Begins to look. @returns what ends it */
  start(take: TakeStack): () => void {
    this.#takers.add(take);
    if (this.#timer === undefined) this.#look();
    return () => {
      this.#takers.delete(take);
      if (this.#takers.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  stackCame(traceback: string, isWaiting: boolean): void {
    for (const take of this.#takers) take(traceback, isWaiting);
  }

  #look(): void {
    this.#timer = setTimeout(() => {
      this.#ask().finally(() => {
        if (this.#takers.size > 0) this.#look();
      });
    }, SAMPLE_EVERY_MS);
  }
}
