/** Counts the workers that each script has cost: one that costs several is logged by name. */

/** Crashes further back do not count. */
export const CRASH_MINUTES = 10;
const WINDOW_MS = CRASH_MINUTES * 60_000;
const MANY = 3;

export class CrashCount {
  /** Times of each script's crashes, the latest last; scripts in the order of those. */
  readonly #crashes = new Map<string, number[]>();

  /** @returns how many workers it has cost within `CRASH_MINUTES`, if those are enough to log it */
  note(script: string, nowMs: number): number | undefined {
    for (const [other, times] of this.#crashes) {
      if ((times.at(-1) ?? 0) > nowMs - WINDOW_MS) break;
      this.#crashes.delete(other);
    }
    const times = (this.#crashes.get(script) ?? []).filter((time) => time > nowMs - WINDOW_MS);
    times.push(nowMs);
    this.#crashes.delete(script);
    this.#crashes.set(script, times);
    return times.length >= MANY ? times.length : undefined;
  }
}
