/**
 * In which states a worker may run requests by itself: those that the front has named for a script name, as long as its
 * epoch lasts. A script has several where its requests wait: each that waits keeps its state.
 */

import type { Borrower } from '../../channel/lending.js';

export interface RoutesParts {
  /** Whether a state is there, and no request executes or waits in it. */
  readonly isIdle: (state: number) => boolean;
  /** Whether a state is there. */
  readonly hasState: (state: number) => boolean;
}

export class Routes {
  readonly #borrower: Pick<Borrower, 'routesEpoch'>;
  readonly #parts: RoutesParts;
  /** States by the name of the script, the one that was named last behind. */
  readonly #states = new Map<string, number[]>();
  #epoch = 0;

  constructor(borrower: Pick<Borrower, 'routesEpoch'>, parts: RoutesParts) {
    this.#borrower = borrower;
    this.#parts = parts;
  }

  /** @param epoch of the routes when the front said so: what it says of another epoch does not hold any more */
  add(name: string, state: number, epoch: number): void {
    this.#dropOld();
    if (epoch !== this.#epoch) return;
    const states = this.#states.get(name)?.filter((other) => other !== state && this.#parts.hasState(other)) ?? [];
    states.push(state);
    this.#states.set(name, states);
  }

  /** An idle state for a request; undefined when there is none. */
  stateFor(name: string): number | undefined {
    this.#dropOld();
    const states = this.#states.get(name);
    if (states === undefined) return undefined;
    for (let at = states.length - 1; at >= 0; at -= 1) {
      const state = states[at] as number;
      if (this.#parts.isIdle(state)) return state;
    }
    return undefined;
  }

  /** Whether states of this script were named, after `stateFor`. */
  has(name: string): boolean {
    return this.#states.has(name);
  }

  #dropOld(): void {
    const { routesEpoch } = this.#borrower;
    if (routesEpoch === this.#epoch) return;
    this.#epoch = routesEpoch;
    this.#states.clear();
  }
}
