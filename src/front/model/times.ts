/**
 * When a request came how far: the one record that the watchdog, the slow log and the access log read. Times are those
 * of the front's clock, in milliseconds; undefined: it has not come that far.
 */
export interface RequestTimes {
  /** The last of its parameters arrived. */
  readonly arrivedMs: number;
  /** It was ready for a worker and began to wait for a state. */
  queuedMs: number | undefined;
  /** A worker was given it. */
  startedMs: number | undefined;
  /** Nothing more happens with it. */
  endedMs: number | undefined;
  /** For how long its script has run, without the time in which it waited for its client. Grows tick by tick. */
  executedMs: number;
}

export function timesOf(arrivedMs: number): RequestTimes {
  return { arrivedMs, queuedMs: undefined, startedMs: undefined, endedMs: undefined, executedMs: 0 };
}
