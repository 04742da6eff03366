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
  /** Everybody, in order of arrival: those in the lines and those beside them. */
  readonly #all = new Set<W>();
  #newest: W | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether somebody stands in a line. */
  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  /** Lets a waiter join at the end of its script's line. */
  join(waiter: W): void {
    const line = this.#lines.get(waiter.script);
    if (line === undefined) this.#lines.set(waiter.script, new Set([waiter]));
    else line.add(waiter);
    this.#all.add(waiter);
    this.#newest = waiter;
  }

  /** A waiter steps beside its line: it is about to be served, and still counts as waiting. */
  stepAside(waiter: W): void {
    this.#leaveLine(waiter);
  }

  /** A waiter steps back to the head of its line. */
  stepBack(waiter: W): void {
    const line = this.#lines.get(waiter.script) ?? [];
    this.#lines.set(waiter.script, new Set([waiter, ...line]));
  }

  /**
   * While more wait than may: who has to be turned away, which is the last to come of those in the longest lines. To be
   * asked when everybody has left who can start: who need not wait is not too many.
   */
  excess(): W | undefined {
    if (this.#all.size <= this.#limit) return undefined;
    let longest = 0;
    for (const line of this.#lines.values()) longest = Math.max(longest, line.size);
    const isInLongest = (waiter: W): boolean => {
      const line = this.#lines.get(waiter.script);
      return line?.size === longest && line.has(waiter);
    };
    // In a flood the newest is the one: this spares a walk along the line for each that is turned away.
    if (this.#newest !== undefined && isInLongest(this.#newest)) return this.#newest;
    let last: W | undefined;
    for (const waiter of this.#all) if (isInLongest(waiter)) last = waiter;
    return last;
  }

  /** Takes a waiter out, served or not; unknown ones are ignored. */
  leave(waiter: W): void {
    if (!this.#all.delete(waiter)) return;
    if (this.#newest === waiter) this.#newest = undefined;
    this.#leaveLine(waiter);
  }

  /** The script has had its turn: its line moves behind all others. */
  endTurn(script: string): void {
    const line = this.#lines.get(script);
    if (line === undefined || this.#lines.size === 1) return;
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

  #leaveLine(waiter: W): void {
    const line = this.#lines.get(waiter.script);
    if (line?.delete(waiter) && line.size === 0) this.#lines.delete(waiter.script);
  }
}
