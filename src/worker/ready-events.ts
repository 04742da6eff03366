/** Sockets of this worker's list on which something has happened, taken from the kernel many at a time. */

/** The kernel's list, as far as it is used here; see `linux/epoll.ts`. */
export interface EventList {
  /** @returns how many events `fdAt` and `markAt` give */
  wait(timeoutMs: number): number;
  fdAt(index: number): number;
  markAt(index: number): number;
  removeIfThere(fd: number): void;
}

export class ReadyEvents {
  readonly #openList: () => EventList;
  #list: EventList | undefined;
  /** Events `[#next, #count)` of the last wait are not looked at yet. */
  #next = 0;
  #count = 0;

  /** @param openList is called before the first wait: by then the front has made the list */
  constructor(openList: () => EventList) {
    this.#openList = openList;
  }

  /** Events that are left of the last wait. */
  get left(): number {
    return this.#count - this.#next;
  }

  /** Goes to the next event; `fd` and `mark` are of it then. Returns false when none is left. */
  take(): boolean {
    if (this.#next >= this.#count) return false;
    this.#next += 1;
    return true;
  }

  /** The descriptor of the event that was taken last. */
  get fd(): number {
    return this.#list?.fdAt(this.#next - 1) ?? -1;
  }

  /** Its `LentMark`. */
  get mark(): number {
    return this.#list?.markAt(this.#next - 1) ?? -1;
  }

  /** The event that was taken last comes again. */
  putBack(): void {
    this.#next -= 1;
  }

  /** Forgets what is left. */
  drop(): void {
    this.#next = 0;
    this.#count = 0;
  }

  /** Waits for new events, when none is left. */
  wait(timeoutMs: number): void {
    this.#list ??= this.#openList();
    this.drop();
    this.#count = this.#list.wait(timeoutMs);
  }

  /** Watches a descriptor no more; another thread may have done so before. */
  stopWatching(fd: number): void {
    this.#list?.removeIfThere(fd);
  }
}
