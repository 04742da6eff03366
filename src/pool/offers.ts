/**
 * Requests offered to busy workers ahead of time. Who is offered stands beside the waiting line, and steps back to its
 * head when the offer is taken back. A worker takes an offer when it gets to it, which the books learn later: the two
 * race for it, and the desk says who has won.
 */
import type { Waiter, WaitQueue } from './wait-queue.js';

/** Hands offers to workers. */
export interface OfferDesk<W> {
  /** Whether this request can be offered to this worker now. */
  mayOffer(worker: number, waiter: W): boolean;
  /** Takes an offer back. Returns false when the worker has taken it before. */
  revoke(worker: number, offer: number): boolean;
}

export interface Offer<W, S> {
  /** Its name towards the worker: no two that a worker may know of have the same. */
  readonly number: number;
  readonly worker: number;
  readonly waiter: W;
  readonly state: S;
  /** The worker has begun with it, and the books will learn of that. */
  isTaken: boolean;
}

export class Offers<W extends Waiter, S> {
  readonly #desk: OfferDesk<W>;
  readonly #line: WaitQueue<W>;
  /** By worker, in the order in which it will find them. */
  readonly #byWorker = new Map<number, Offer<W, S>[]>();
  readonly #byWaiter = new Map<W, Offer<W, S>>();
  #lastNumber = 0;

  constructor(desk: OfferDesk<W>, line: WaitQueue<W>) {
    this.#desk = desk;
    this.#line = line;
  }

  get count(): number {
    return this.#byWaiter.size;
  }

  /** A worker's offers, the next first. */
  of(worker: number): readonly Offer<W, S>[] {
    return this.#byWorker.get(worker) ?? [];
  }

  /** Whether this worker may be offered this request. */
  isPossible(worker: number, waiter: W): boolean {
    return this.#desk.mayOffer(worker, waiter);
  }

  /** Notes an offer, which the caller then hands over. */
  make(worker: number, state: S, waiter: W): Offer<W, S> {
    this.#lastNumber = (this.#lastNumber % 0x7fffffff) + 1;
    const offer = { number: this.#lastNumber, worker, waiter, state, isTaken: false };
    const others = this.#byWorker.get(worker);
    if (others === undefined) this.#byWorker.set(worker, [offer]);
    else others.push(offer);
    this.#byWaiter.set(waiter, offer);
    this.#line.stepAside(waiter);
    return offer;
  }

  /** The worker has begun with it. */
  begun(offer: Offer<W, S>): void {
    this.#remove(offer);
    this.#line.leave(offer.waiter);
  }

  /** The worker could not begin with it. */
  bounced(offer: Offer<W, S>): void {
    this.#remove(offer);
    this.#line.stepBack(offer.waiter);
  }

  /** Takes a worker's offers back, all or those of one state, but for those that it has taken. Returns whether any was. */
  takeBack(worker: number, state?: S): boolean {
    let any = false;
    // The last first: each steps back to the head of its line, so the first ends up there.
    for (const offer of [...this.of(worker)].reverse()) {
      if (state !== undefined && offer.state !== state) continue;
      if (!this.#revoke(offer)) continue;
      this.bounced(offer);
      any = true;
    }
    return any;
  }

  /** The waiter gives up. Returns false if a worker has taken it. */
  withdraw(waiter: W): boolean {
    const offer = this.#byWaiter.get(waiter);
    if (offer === undefined) return true;
    if (!this.#revoke(offer)) return false;
    this.#remove(offer);
    return true;
  }

  /** The worker is gone: its offers are as good as taken back. @returns who was taken, and is lost with it */
  workerGone(worker: number): W[] {
    this.takeBack(worker);
    const lost = this.of(worker).map(({ waiter }) => waiter);
    for (const offer of [...this.of(worker)]) this.begun(offer);
    return lost;
  }

  #revoke(offer: Offer<W, S>): boolean {
    if (offer.isTaken) return false;
    offer.isTaken = !this.#desk.revoke(offer.worker, offer.number);
    return !offer.isTaken;
  }

  #remove(offer: Offer<W, S>): void {
    this.#byWaiter.delete(offer.waiter);
    const others = this.#byWorker.get(offer.worker) as Offer<W, S>[];
    if (others.length === 1) this.#byWorker.delete(offer.worker);
    else others.splice(others.indexOf(offer), 1);
  }
}
