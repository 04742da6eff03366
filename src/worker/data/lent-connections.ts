/**
 * Where this worker waits for its lent connections to data sources. They are in two lists of the kernel: in the one in which it waits
 * for sockets of web servers, and in one of their own with the bell of the front, for when it must not serve those sockets.
 */
import { type Borrower, LentMark } from '../../channel/lending.js';
import type { RingReader } from '../../channel/ring.js';
import type { IoClient } from '../../io/client.js';
import { type Epoll, EpollEvent } from '../../linux/epoll.js';
import type { DataConnections } from '../reactor.js';
import { DirectData, type DirectDataParts } from './direct-data.js';

/** A worker that blocks looks so often whether its script has to stop. */
const LONGEST_BLOCK_MS = 100;

export interface LentConnectionsParts {
  readonly io: IoClient;
  readonly sources: DirectDataParts['sources'];
  readonly loans: SharedArrayBuffer;
  readonly waiting: SharedArrayBuffer;
  readonly sockets: DirectDataParts['sockets'];
  readonly nowMs: () => number;
  /** The list of sockets and the bell, once the front has made them. */
  readonly borrower: Pick<Borrower, 'epoll' | 'bell'>;
  /** @param fd left out: a new list */
  readonly openList: (fd?: number) => Epoll;
  readonly clearBell: (descriptor: number) => void;
}

export class LentConnections implements DataConnections {
  readonly #parts: LentConnectionsParts;
  #lists: { readonly shared: Epoll; readonly own: Epoll } | undefined;
  #data: DirectData | undefined;

  constructor(parts: LentConnectionsParts) {
    this.#parts = parts;
  }

  /** Called once: what its operations are over for. */
  open(events: Pick<DirectDataParts, 'over' | 'post'>): DirectData {
    const { io, sources, loans, waiting, sockets, nowMs } = this.#parts;
    this.#data = new DirectData({
      io,
      sources,
      loans,
      waiting,
      sockets,
      nowMs,
      watch: (descriptor) => this.#watch(descriptor),
      watchRoom: (descriptor, wantsRoom) => this.#watchRoom(descriptor, wantsRoom),
      unwatch: (descriptor) => this.#unwatch(descriptor),
      ...events,
    });
    return this.#data;
  }

  get hasLines(): boolean {
    return this.#data?.hasLines === true;
  }

  flush(): void {
    this.#data?.flush();
  }

  serve(descriptor: number): void {
    this.#data?.serve(descriptor);
  }

  wait(timeoutMs: number): void {
    const own = this.#lists?.own;
    if (own === undefined) return;
    const count = own.wait(timeoutMs);
    for (let at = 0; at < count; at += 1) {
      if (own.markAt(at) === LentMark.BELL) this.#parts.clearBell(own.fdAt(at));
      else this.serve(own.fdAt(at));
    }
  }

  /** Blocks until something has happened, at most until a moment. */
  sleep(ring: Pick<RingReader, 'parkElsewhereUnless' | 'unpark'>, isOver: () => boolean, longestMs: number): void {
    this.flush();
    if (!ring.parkElsewhereUnless(isOver)) return;
    this.wait(Math.min(LONGEST_BLOCK_MS, Math.ceil(longestMs)));
    ring.unpark();
  }

  /** This thread ends. */
  close(): void {
    this.#lists?.own.close();
    this.#lists = undefined;
  }

  #watch(descriptor: number): boolean {
    const { borrower, openList } = this.#parts;
    if (borrower.epoll === 0) return false;
    try {
      if (this.#lists === undefined) {
        const own = openList();
        own.add(borrower.bell, EpollEvent.IN, LentMark.BELL);
        this.#lists = { shared: openList(borrower.epoll), own };
      }
      this.#lists.shared.add(descriptor, EpollEvent.IN, LentMark.DATA);
      this.#lists.own.add(descriptor, EpollEvent.IN, LentMark.DATA);
      return true;
    } catch {
      // No room in the system for one more.
      this.#unwatch(descriptor);
      return false;
    }
  }

  #watchRoom(descriptor: number, wantsRoom: boolean): void {
    const interest = wantsRoom ? EpollEvent.IN | EpollEvent.OUT : EpollEvent.IN;
    this.#lists?.shared.change(descriptor, interest, LentMark.DATA);
    this.#lists?.own.change(descriptor, interest, LentMark.DATA);
  }

  #unwatch(descriptor: number): void {
    this.#lists?.shared.removeIfThere(descriptor);
    this.#lists?.own.removeIfThere(descriptor);
  }
}
