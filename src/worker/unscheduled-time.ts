/**
 * The time in which a script was executing and its thread had no processor. On a busy machine a script that takes 50 µs may need
 * milliseconds on the clock. How long its requests usually take would then say that they are long, and the front would
 * serve their connections by itself, which takes more of the processors.
 *
 * A look at the processor's clock costs as much as a tenth of a small script. So it is looked at only after something that
 * looked long: that one counts as the longest that is still short, and the next one is measured.
 */
import { SHORT_MS } from '../base/usual-time.js';
import type { CpuClock } from './usage-meter.js';

export class UnscheduledTime {
  readonly #cpuMs: CpuClock | undefined;
  readonly #nowMs: () => number;
  #beganMs = 0;
  /** Undefined when it was not looked at. */
  #beganCpuMs: number | undefined;
  /** What executed last looked long. */
  #isInDoubt = false;

  /** @param cpuMs undefined where there is no such clock: then all time counts */
  constructor(cpuMs: CpuClock | undefined, nowMs: () => number) {
    this.#cpuMs = cpuMs;
    this.#nowMs = nowMs;
  }

  /** A script begins to execute, or goes on. */
  begin(): void {
    this.#beganMs = this.#nowMs();
    this.#beganCpuMs = this.#isInDoubt ? this.#cpuMs?.() : undefined;
  }

  /** It does not execute any more. @returns how much of the time since then does not count */
  end(): number {
    if (this.#cpuMs === undefined) return 0;
    const tookMs = this.#nowMs() - this.#beganMs;
    this.#isInDoubt = tookMs > SHORT_MS;
    if (!this.#isInDoubt) return 0;
    const countedMs = this.#beganCpuMs === undefined ? SHORT_MS : this.#cpuMs() - this.#beganCpuMs;
    return Math.max(0, tookMs - countedMs);
  }
}
