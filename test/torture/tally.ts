/** What happened in a run: counts by kind and outcome, and every failure with all that is known of it. */

export class Tally {
  readonly failures: string[] = [];
  readonly #counts = new Map<string, Map<string, number>>();

  add(kind: string, outcome: string): void {
    const outcomes = this.#counts.get(kind) ?? new Map<string, number>();
    this.#counts.set(kind, outcomes);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  fail(what: string): void {
    this.failures.push(what);
  }

  total(prefix: string): number {
    let total = 0;
    for (const [kind, outcomes] of this.#counts)
      if (kind.startsWith(prefix)) for (const count of outcomes.values()) total += count;
    return total;
  }

  /** A line for each kind. */
  table(): string {
    const rows = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const width = Math.max(...rows.map(([kind]) => kind.length));
    return rows
      .map(([kind, outcomes]) => {
        const parts = [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}`);
        return `  ${kind.padEnd(width)}  ${parts.join(', ')}`;
      })
      .join('\n');
  }
}
