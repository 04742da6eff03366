/**
 * The scores of states that are gone, by script: who comes back soon was popular before. Without this a newcomer starts
 * at one use, is the first to go again, and a new favourite never gets the uses that would keep it.
 */
import { type Score, UNUSED } from './policy.js';

export class GhostScores {
  readonly #limit: number;
  /** Two generations: the older is forgotten as a whole when the younger is full, so that forgetting costs nothing. */
  #younger = new Map<string, Score>();
  #older = new Map<string, Score>();

  /** @param limit scripts that are remembered at least; at most twice as many are */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A state of the script is gone. Of several the most popular counts. */
  keep(script: string, score: Score): void {
    this.#younger.set(script, Math.max(this.take(script), score));
    if (this.#younger.size < this.#limit) return;
    this.#older = this.#younger;
    this.#younger = new Map();
  }

  /** The score that a new state of the script begins with; it is handed out once. */
  take(script: string): Score {
    const score = this.#younger.get(script) ?? this.#older.get(script) ?? UNUSED;
    this.#younger.delete(script);
    this.#older.delete(script);
    return score;
  }
}
