/**
 * Who waits for a state: first come, first served within a script; scripts take turns. It is bounded, and when it is
 * full the script with the longest line pays, so that a flood of one script turns nobody else away.
 */

/** Anything that waits; only its identity and its script count here. */
export interface Waiter {
  readonly script: string;
  readonly arrivedMs: number;
}

export class WaitingLine<W extends Waiter> {
  readonly #limit: number;
  /** Lines by script, in the order in which their turns come. A Set keeps arrival order and lets anyone leave. */
  readonly #lines = new Map<string, Set<W>>();
  /** Everybody, in order of arrival. */
  readonly #all = new Set<W>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#all.size;
  }

  /**
   * Lets a waiter join at the end of its script's line. Returns who has to be turned away: nobody, the newcomer, or the
   * last of the longest line when that is another script's.
   */
  join(waiter: W): W | undefined {
    let turnedAway: W | undefined;
    if (this.#all.size >= this.#limit) {
      turnedAway = this.#lastOfLongest(waiter);
      if (turnedAway === waiter) return waiter;
      this.leave(turnedAway);
    }
    const line = this.#lines.get(waiter.script);
    if (line === undefined) this.#lines.set(waiter.script, new Set([waiter]));
    else line.add(waiter);
    this.#all.add(waiter);
    return turnedAway;
  }

  /** Takes a waiter out, served or not; unknown ones are ignored. Its script's next turn comes after all others'. */
  leave(waiter: W): void {
    if (!this.#all.delete(waiter)) return;
    const line = this.#lines.get(waiter.script) as Set<W>;
    line.delete(waiter);
    if (line.size === 0) this.#lines.delete(waiter.script);
  }

  /** The script has had its turn: its line moves behind all others. */
  endTurn(script: string): void {
    const line = this.#lines.get(script);
    if (line === undefined) return;
    this.#lines.delete(script);
    this.#lines.set(script, line);
  }

  /** The first of each script's line, in the order of turns. */
  *heads(): IterableIterator<W> {
    for (const line of this.#lines.values()) {
      for (const first of line) {
        yield first;
        break;
      }
    }
  }

  /** Everybody who arrived before `beforeMs`, oldest first. */
  arrivedBefore(beforeMs: number): W[] {
    const found: W[] = [];
    for (const waiter of this.#all) {
      if (waiter.arrivedMs >= beforeMs) break;
      found.push(waiter);
    }
    return found;
  }

  #lastOfLongest(newcomer: W): W {
    let longest: Set<W> | undefined;
    for (const line of this.#lines.values()) if (longest === undefined || line.size > longest.size) longest = line;
    const own = (this.#lines.get(newcomer.script)?.size ?? 0) + 1;
    if (longest === undefined || own >= longest.size) return newcomer;
    let last = newcomer;
    for (const waiter of longest) last = waiter;
    return last;
  }
}
