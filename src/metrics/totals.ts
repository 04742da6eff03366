/** Counts of scripts, added up over workers: those that run now, and those that are no more. */
import { type CountersView, NUMBERS, OTHER_SCRIPTS } from './counters.js';

/** Scripts that are told apart. The numbers of all others are added up under one name. */
export const MOST_TOTALS = 1_000;
/** Rows that there is room for at first. */
const FIRST_ROWS = 16;

export class ScriptTotals {
  /** Where the numbers of each script begin. */
  readonly #starts = new Map<string, number>();
  #numbers = new Float64Array(FIRST_ROWS * NUMBERS);

  /** Where the numbers of each script begin in `numbers`; those of all that are not told apart under `OTHER_SCRIPTS`. */
  get starts(): ReadonlyMap<string, number> {
    return this.#starts;
  }

  /** `NUMBERS` numbers of each script, see `At`. */
  get numbers(): Float64Array {
    return this.#numbers;
  }

  /** Forgets all numbers. The scripts stay known, and the memory is used again. */
  clear(): void {
    this.#numbers.fill(0);
  }

  /** Adds what a worker has counted until now. */
  add(counters: CountersView): void {
    counters.visitScripts((script, numbers, start) => this.#addTo(script, numbers, start));
  }

  /** Adds other totals. */
  addAll({ starts, numbers }: Pick<ScriptTotals, 'starts' | 'numbers'>): void {
    for (const [script, start] of starts) this.#addTo(script, numbers, start);
  }

  /** One of the numbers, over all scripts. @param at see `At` */
  sum(at: number): number {
    let sum = 0;
    for (const start of this.#starts.values()) sum += this.#numbers[start + at] as number;
    return sum;
  }

  #addTo(script: string, numbers: Float64Array, from: number): void {
    const start = this.#startOf(script);
    const sums = this.#numbers;
    for (let at = 0; at < NUMBERS; at += 1) {
      sums[start + at] = (sums[start + at] as number) + (numbers[from + at] as number);
    }
  }

  #startOf(script: string): number {
    const known = this.#starts.get(script);
    if (known !== undefined) return known;
    const isOther = script === OTHER_SCRIPTS || this.#starts.size >= MOST_TOTALS;
    if (isOther && script !== OTHER_SCRIPTS) return this.#startOf(OTHER_SCRIPTS);
    const start = this.#starts.size * NUMBERS;
    if (start === this.#numbers.length) {
      const larger = new Float64Array(2 * this.#numbers.length);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#starts.set(script, start);
    return start;
  }
}
