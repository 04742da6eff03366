/**
 * Duties of a worker: what the front told it to do between two requests, and it has not answered yet. Each may run
 * finalizers of scripts, which no watchdog reaches and which may never end. So no request is started behind a duty: its
 * client would wait for ever.
 */
import { toText } from '../../base/byte-string.js';

export interface Duty {
  readonly kind: 'collect' | 'close' | 'cancel' | 'stop' | 'begin';
  /** The state, and the script that it was made from; 0 and '' where it concerns none alone. */
  readonly state: number;
  readonly script: string;
}

const DOING = {
  collect: 'collecting the garbage of',
  close: 'closing',
  cancel: 'ending the request that waits in',
  begin: 'coming to a request for',
} as const;

export class Duties {
  /** In the order in which the worker does them. */
  readonly #open: Duty[] = [];
  /** Since when there has been a duty, as far as it was seen. */
  sinceMs: number | undefined;
  /** The time since the last answer, without that in which a request ran; counted tick by tick. */
  unansweredMs = 0;

  get isEmpty(): boolean {
    return this.#open.length === 0;
  }

  /** The duty that the worker does now, or next. */
  get first(): Duty | undefined {
    return this.#open[0];
  }

  add(duty: Duty): void {
    this.#open.push(duty);
  }

  /** The worker has done a duty. Evicted states that a START had closed are no duties: they change nothing here. */
  answered(kind: Duty['kind'], state: number): void {
    const at = this.#open.findIndex((duty) => duty.kind === kind && duty.state === state);
    if (at < 0) return;
    this.#open.splice(at, 1);
    this.unansweredMs = 0;
    if (this.#open.length === 0) this.sinceMs = undefined;
  }
}

/** A sentence about a worker that does not do this duty. */
export function describeDuty({ kind, state, script }: Duty): string {
  if (kind === 'stop') return 'it hangs in closing its states';
  return `it hangs in ${DOING[kind]} state ${state} of ${toText(script)}`;
}
