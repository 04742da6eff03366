/** Moments that operations of a worker end at, the nearest first. */

interface Timer {
  readonly dueMs: number;
  readonly token: number;
}

export class Timers {
  /** A heap: no timer is due before the one at half its index. */
  readonly #heap: Timer[] = [];

  /** When the nearest one is due; undefined when there is none. */
  get nextMs(): number | undefined {
    return this.#heap[0]?.dueMs;
  }

  add(token: number, dueMs: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push({ dueMs, token });
    while (at > 0) {
      const above = (at - 1) >> 1;
      if ((heap[above] as Timer).dueMs <= dueMs) break;
      this.#swap(at, above);
      at = above;
    }
  }

  /** The token of a timer that is due, which is then gone; undefined when none is. */
  takeDue(nowMs: number): number | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return first.token;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < heap.length && (heap[left] as Timer).dueMs < (heap[least] as Timer).dueMs) least = left;
      if (right < heap.length && (heap[right] as Timer).dueMs < (heap[least] as Timer).dueMs) least = right;
      if (least === at) return first.token;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    const first = heap[a] as Timer;
    heap[a] = heap[b] as Timer;
    heap[b] = first;
  }
}

/** The earlier one of two moments; undefined: there is none. */
export function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
