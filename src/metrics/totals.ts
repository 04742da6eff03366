/** Counts of scripts, added up over workers: those that run now, and those that are no more. */
import { type CountersView, NUMBERS, OTHER_SCRIPTS } from './counters.js';

/** Scripts that are told apart. The numbers of all others are added up under one name. */
export const MOST_TOTALS = 1_000;

export class ScriptTotals {
  readonly #scripts = new Map<string, Float64Array>();

  /** The numbers of each script, see `At`; those of all that are not told apart under `OTHER_SCRIPTS`. */
  get scripts(): ReadonlyMap<string, Float64Array> {
    return this.#scripts;
  }

  /** Adds what a worker has counted until now. */
  add(counters: CountersView): void {
    counters.visitScripts((script, numbers) => this.#addTo(script, numbers));
  }

  /** Adds other totals. */
  addAll({ scripts }: Pick<ScriptTotals, 'scripts'>): void {
    for (const [script, numbers] of scripts) this.#addTo(script, numbers);
  }

  /** One of the numbers, over all scripts. @param at see `At` */
  sum(at: number): number {
    let sum = 0;
    for (const numbers of this.#scripts.values()) sum += numbers[at] as number;
    return sum;
  }

  #addTo(script: string, numbers: Float64Array): void {
    const sums = this.#sumsOf(script);
    for (let at = 0; at < NUMBERS; at += 1) sums[at] = (sums[at] as number) + (numbers[at] as number);
  }

  #sumsOf(script: string): Float64Array {
    const known = this.#scripts.get(script);
    if (known !== undefined) return known;
    const isOther = script === OTHER_SCRIPTS || this.#scripts.size >= MOST_TOTALS;
    if (isOther && script !== OTHER_SCRIPTS) return this.#sumsOf(OTHER_SCRIPTS);
    const sums = new Float64Array(NUMBERS);
    this.#scripts.set(script, sums);
    return sums;
  }
}
