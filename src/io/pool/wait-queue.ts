/**
 * The queue of operations that wait for a connection. Scripts take turns; within a script the order is that of arrival. When
 * the queue is full, the script with the longest line loses its newest operation. Pure.
 */

/** One that waits. */
export interface Waiting {
  /** What tells scripts apart. */
  readonly script: number;
}

export class WaitQueue<Waiter extends Waiting> {
  readonly #limit: () => number;
  /** Lines by script, in the order of their turns. No line is empty. */
  readonly #lines = new Map<number, Waiter[]>();
  #size = 0;

  /** @param limit most who wait here */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds one. Returns the one that has to go for it: itself where its script has the longest line, or undefined. */
  push(waiter: Waiter): Waiter | undefined {
    let refused: Waiter | undefined;
    if (this.#size >= this.#limit()) {
      const longest = this.#longest();
      const own = this.#lines.get(waiter.script)?.length ?? 0;
      if (longest === undefined || longest.length <= own + 1) return waiter;
      refused = longest[longest.length - 1] as Waiter;
      this.remove(refused);
    }
    const line = this.#lines.get(waiter.script);
    if (line === undefined) this.#lines.set(waiter.script, [waiter]);
    else line.push(waiter);
    this.#size += 1;
    return refused;
  }

  /** Takes the first one of the script whose turn it is. */
  shift(): Waiter | undefined {
    for (const [script, line] of this.#lines) {
      const waiter = line.shift() as Waiter;
      this.#size -= 1;
      // The next turn is another script's.
      this.#lines.delete(script);
      if (line.length > 0) this.#lines.set(script, line);
      return waiter;
    }
    return undefined;
  }

  /** Takes one out of its line. Returns false when it is not there. */
  remove(waiter: Waiter): boolean {
    const line = this.#lines.get(waiter.script);
    const at = line?.indexOf(waiter) ?? -1;
    if (line === undefined || at < 0) return false;
    line.splice(at, 1);
    this.#size -= 1;
    if (line.length === 0) this.#lines.delete(waiter.script);
    return true;
  }

  /** Takes all out. */
  clear(): Waiter[] {
    const all = [...this.#lines.values()].flat();
    this.#lines.clear();
    this.#size = 0;
    return all;
  }

  #longest(): Waiter[] | undefined {
    let longest: Waiter[] | undefined;
    for (const line of this.#lines.values()) if (line.length > (longest?.length ?? 0)) longest = line;
    return longest;
  }
}
