/**
 * What a worker was told to do between two requests and has not answered yet. All of it may run finalizers of scripts,
 * which no watchdog reaches: as long as anything is open here nothing that a client waits for may stand behind it.
 */
import { toText } from '../../base/byte-string.js';

export interface Duty {
  readonly kind: 'collect' | 'close' | 'stop' | 'begin';
  /** The state, and the script that it was made from; 0 and '' where it concerns none alone. */
  readonly state: number;
  readonly script: string;
}

const DOING = { collect: 'collecting the garbage of', close: 'closing', begin: 'coming to a request for' } as const;

export class Duties {
  /** In the order in which the worker does them. */
  readonly #open: Duty[] = [];
  /** When they were first seen open, since none was. */
  sinceMs: number | undefined;
  /** For how long no answer has come while no request ran, as far as the ticks tell. */
  unansweredMs = 0;

  get isEmpty(): boolean {
    return this.#open.length === 0;
  }

  /** What the worker is at, or comes to next. */
  get first(): Duty | undefined {
    return this.#open[0];
  }

  add(duty: Duty): void {
    this.#open.push(duty);
  }

  /** The worker has done something. Nothing changes if it was told to by another message. */
  answered(kind: Duty['kind'], state: number): void {
    const at = this.#open.findIndex((duty) => duty.kind === kind && duty.state === state);
    if (at < 0) return;
    this.#open.splice(at, 1);
    this.unansweredMs = 0;
    if (this.#open.length === 0) this.sinceMs = undefined;
  }
}

/** What a worker hangs in that does not do this, as the end of a sentence about it. */
export function describeDuty({ kind, state, script }: Duty): string {
  if (kind === 'stop') return 'it hangs in closing its states';
  return `it hangs in ${DOING[kind]} state ${state} of ${toText(script)}`;
}
