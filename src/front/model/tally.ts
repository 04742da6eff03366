/**
 * What the front has counted since the start of the server: what workers cannot count, and the counts of workers that are
 * no more. Nothing here is lost when a worker ends or a configuration is reloaded.
 */
import { type CountersView, OTHER_SCRIPTS } from '../../metrics/counters.js';
import { placeOf, TIME_PLACES } from '../../metrics/histogram.js';
import { MOST_TOTALS, ScriptTotals } from '../../metrics/totals.js';

/** Samples of the number of requests, from which the rate is taken. */
const SAMPLE_MS = 1_000;
const SAMPLES = 11;

/** How long requests of one script waited for a state. */
export class QueueTimes {
  readonly counts = new Float64Array(TIME_PLACES);
  sumMs = 0;
}

export class Tally {
  /** Connections that the front knows, or has known. */
  opened = 0;
  evicted = 0;
  slow = 0;
  /** Requests whose client went before they were answered. */
  aborted = 0;
  /** Most requests that have waited for a state at a time. */
  waitingMax = 0;
  /** Counts of workers that are no more. */
  readonly #ended = new ScriptTotals();
  /** What all workers have counted, when it was asked for last. */
  readonly #sums = new ScriptTotals();
  /** Requests of those workers, and connections that they accepted and closed without the front. */
  #endedTotal = 0;
  #endedConnections = 0;
  readonly #refused = new Map<string, { readonly status: number; count: number }>();
  readonly #queued = new Map<string, QueueTimes>();
  readonly #living = new Set<CountersView>();
  /** Times and numbers of requests, the oldest first. */
  readonly #samples: { readonly nowMs: number; readonly total: number }[] = [];

  /** What all workers have counted until now, those included that are no more. Holds until it is asked for again. */
  sums(): ScriptTotals {
    this.#sums.clear();
    this.#sums.addAll(this.#ended);
    for (const counters of this.#living) this.#sums.add(counters);
    return this.#sums;
  }

  /** Answers that the server gave in the place of scripts, by the codes of their errors. */
  get refused(): ReadonlyMap<string, { readonly status: number; readonly count: number }> {
    return this.#refused;
  }

  /** How long requests waited for states, by script. */
  get queued(): ReadonlyMap<string, QueueTimes> {
    return this.#queued;
  }

  /** Requests that are over, as far as workers or the front have answered them. */
  get total(): number {
    let total = this.#endedTotal;
    for (const counters of this.#living) total += counters.total;
    for (const { count } of this.#refused.values()) total += count;
    return total;
  }

  /** All connections that were opened. */
  get openedTotal(): number {
    let total = this.opened + this.#endedConnections;
    for (const { ownConnections } of this.#living) total += ownConnections;
    return total;
  }

  /** Requests a second, over the last ten seconds at most. */
  get perSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.nowMs === first.nowMs) return 0;
    return ((last.total - first.total) * 1000) / (last.nowMs - first.nowMs);
  }

  workerReady(counters: CountersView): void {
    this.#living.add(counters);
  }

  /** A worker is no more, or counts no more: it was given up. */
  workerGone(counters: CountersView): void {
    if (!this.#living.delete(counters)) return;
    this.#ended.add(counters);
    this.#endedTotal += counters.total;
    this.#endedConnections += counters.ownConnections;
  }

  noteRefused(code: string, status: number): void {
    const known = this.#refused.get(code);
    if (known === undefined) this.#refused.set(code, { status, count: 1 });
    else known.count += 1;
  }

  noteWaiting(count: number): void {
    if (count > this.waitingMax) this.waitingMax = count;
  }

  /** A request of this script has waited so long for a state. */
  noteQueued(script: string, waitedMs: number): void {
    const times = this.#queued.get(script) ?? this.#newQueued(script);
    const place = placeOf(waitedMs);
    times.counts[place] = (times.counts[place] as number) + 1;
    times.sumMs += Math.max(0, waitedMs);
  }

  tick(nowMs: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.nowMs < SAMPLE_MS) return;
    this.#samples.push({ nowMs, total: this.total });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  #newQueued(script: string): QueueTimes {
    const name = this.#queued.size < MOST_TOTALS ? script : OTHER_SCRIPTS;
    const known = this.#queued.get(name);
    if (known !== undefined) return known;
    const times = new QueueTimes();
    this.#queued.set(name, times);
    return times;
  }
}
