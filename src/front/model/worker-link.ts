/**
 * The front's end of one worker's two rings. It never blocks: what does not fit waits here (a start message and a few
 * short ones at most, since a worker runs one request at a time), and bodies wait with their request.
 */

import type { Interrupter } from '../../channel/interrupts.js';
import type { Lender } from '../../channel/lending.js';
import { type BodyFault, encodeStartHead, MORE, START_OFFER, startBytes, ToWorker } from '../../channel/messages.js';
import type { OfferSlots } from '../../channel/offer-slots.js';
import type { Frame, RingReader, RingWriter } from '../../channel/ring.js';
import type { Connection } from './connection.js';
import type { FrontRequest } from './request.js';
import { RunClock } from './run-clock.js';

interface Unsent {
  readonly type: number;
  readonly id: number;
  readonly argument: number;
  payload: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export class WorkerLink {
  readonly id: number;
  /** Its place among the workers, which it has from its predecessor and leaves to its successor. */
  place = 0;
  /** The request that the worker runs. */
  running: FrontRequest | undefined;
  /** The connection whose unsent bytes are past their limit: the worker's output waits in its ring meanwhile. */
  heldBy: Connection | undefined;
  /** Ticks since its output began to wait. */
  heldTicks = 0;
  /** It is to end when it has done what it has begun with. */
  isRetired = false;
  /** It was told to end. */
  isStopped = false;
  /** What it was told between two requests and has not answered: states to close, or to end. */
  owed = 0;
  /** For how long it has owed something without a request to run, as far as the ticks tell. */
  owedMs = 0;
  /** Of the running request. */
  readonly time = new RunClock();
  /** When it began with that. */
  busySinceMs = 0;
  /** Since when it has been given one request after the other. */
  givenSinceMs = Number.POSITIVE_INFINITY;
  /** Its connections never had their turn between those: it is lent none until it is free again. */
  loansStarve = false;
  /** Connections that are lent to it, and how it is kept from them. */
  readonly loans = new Set<Connection>();
  readonly lender: Lender;
  /** It may accept connections. */
  accepts = false;
  /** It runs something long; what it was told of and has not accepted was accepted by the front then. */
  isLongBusy = false;
  /** It has no connection, and will come to none: neither lent nor accepted. */
  isHome = true;
  /** The gate to them is held here. */
  isHeld = false;
  /** It was at one of them, or might have been, when it was wanted: as long as that is so, it counts as busy. */
  isServingDirect = false;
  /** States in which it may run requests from them, by the names of scripts. */
  readonly routes = new Map<string, number>();
  readonly routedStates = new Set<number>();
  /** How often those were forgotten. */
  routesEpoch = 0;
  /** What it had begun with from them when it was last seen to begin, and when that was. */
  seenBegun = 0;
  seenMs = 0;
  readonly #out: RingWriter;
  readonly #interrupter: Interrupter;
  readonly #in: RingReader;
  readonly #unsent: Unsent[] = [];
  readonly #slots: OfferSlots;
  /** Slots of the offers that nobody has claimed, as far as is known here, by their numbers. */
  readonly #offered = new Map<number, number>();

  /** @param slots of the ring that `out` writes */
  constructor(
    id: number,
    out: RingWriter,
    incoming: RingReader,
    slots: OfferSlots,
    interrupter: Interrupter,
    lender: Lender,
  ) {
    this.id = id;
    this.lender = lender;
    this.#interrupter = interrupter;
    this.#out = out;
    this.#in = incoming;
    this.#slots = slots;
  }

  /**
   * Whether a request can be laid into the worker's ring behind the running one: it has no body, since that could not
   * follow the running one's, and there is room for it.
   */
  mayOffer(request: FrontRequest): boolean {
    if (this.running?.isBodyEndSent !== true || request.hasBody || this.#unsent.length > 0) return false;
    const bytes = startBytes(request.cgi.params);
    return bytes <= this.#out.maxPayloadBytes && this.#out.hasRoom(bytes) && this.#slots.findFree() >= 0;
  }

  /** Lays a request that `mayOffer` allows into the ring; the worker has to be woken. @param flags of its START */
  offer(number: number, request: FrontRequest, state: number, flags: number): void {
    const slot = this.#slots.findFree();
    this.#slots.lay(slot, number);
    this.#offered.set(number, slot);
    this.#start(START_OFFER | flags, request, state, encodeStartHead(number, slot, NOTHING));
  }

  /** Whether the worker's thread has begun with a request that it was given. */
  hasBegun(request: FrontRequest): boolean {
    return this.#interrupter.running === request.id;
  }

  /** Whether the script of a request is over: what is left is to write its end, and perhaps to close its state. */
  isOver(request: FrontRequest): boolean {
    return this.#interrupter.running === -request.id;
  }

  /** Whether the running script waits for more of its body, or until its output is read. */
  get isWaitingForClient(): boolean {
    const waitsForRoom = this.heldBy !== undefined && this.#in.isWriterWaiting;
    return waitsForRoom || (this.running?.isBodyEndSent === false && this.#out.isReaderAsleep);
  }

  /** Wakes the worker if it sleeps: it has something to find. */
  wake(): void {
    this.#out.wakeReader(this.ringElsewhere);
  }

  /** Rings the bell that wakes the worker where it waits for lent connections. */
  ringElsewhere: (() => void) | undefined;

  /** Most bytes of one message from the worker. */
  get maxFrameBytes(): number {
    return this.#out.maxPayloadBytes;
  }

  /** What it was routes does not hold any more. */
  invalidateRoutes(): void {
    this.routes.clear();
    this.routedStates.clear();
    this.routesEpoch += 1;
    this.lender.invalidateRoutes();
  }

  /**
   * Has the worker run a request, as soon as there is room. It has to be woken for it.
   * @param evicted state to close before, 0 for none
   */
  start(flags: number, request: FrontRequest, state: number, evicted: number, path: Uint8Array): void {
    this.#start(flags, request, state, encodeStartHead(evicted, 0, path));
  }

  #start(flags: number, request: FrontRequest, state: number, head: Uint8Array): void {
    const { params } = request.cgi;
    const type = ToWorker.START | flags;
    const isWhole = head.length + params.length <= this.#out.maxPayloadBytes;
    if (isWhole && this.#unsent.length === 0 && this.#out.tryWrite(type, request.id, state, head, params)) return;
    this.send(type, request.id, state, Buffer.concat([head, params]));
  }

  /** Takes an offer back. Returns false when the worker has claimed it before. */
  revoke(number: number): boolean {
    const slot = this.#offered.get(number);
    if (slot === undefined || !this.#slots.claim(slot, number)) return false;
    this.#offered.delete(number);
    return true;
  }

  /** What becomes of an offer is known: the worker has it, or could not begin with it. */
  forgetOffer(number: number): void {
    this.#offered.delete(number);
  }

  /** The oldest frame from the worker. */
  peek(): Frame | undefined {
    return this.#in.peek();
  }

  release(): void {
    this.#in.release();
  }

  /** Sends a whole message, now or as soon as there is room; `payload` must stay as it is until then. */
  send(type: number, id: number, argument: number, payload: Uint8Array = NOTHING): void {
    this.#unsent.push({ type, id, argument, payload });
    this.flush();
  }

  /** Sends what waits, as far as there is room. */
  flush(): void {
    let wrote = false;
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const { maxPayloadBytes } = this.#out;
      const isLast = first.payload.length <= maxPayloadBytes;
      const piece = isLast ? first.payload : first.payload.subarray(0, maxPayloadBytes);
      if (!this.#tryWrite(isLast ? first.type : first.type | MORE, first.id, first.argument, piece)) break;
      wrote = true;
      if (isLast) this.#unsent.shift();
      else first.payload = first.payload.subarray(maxPayloadBytes);
    }
    if (wrote) this.wake();
  }

  /** Hands on what there is room for of the running request's body, and its end. */
  passBody(request: FrontRequest): void {
    if (request.isBodyEndSent) return;
    const bytes = request.keptBody;
    const sent = this.#sendStream(ToWorker.BODY, request.id, bytes);
    request.dropBody(sent);
    if (sent < bytes.length) return;
    if (request.isBodyComplete) this.#endBody(request, 0);
  }

  /** Tells the running script that its request's body will never be complete. What is not handed on yet is dropped. */
  failBody(request: FrontRequest, fault: BodyFault): void {
    request.isBodyComplete = true;
    // Another worker would take what is here for the whole body.
    request.hasHandedOn = true;
    if (!request.isBodyEndSent) this.#endBody(request, fault);
  }

  #endBody(request: FrontRequest, fault: number): void {
    request.isBodyEndSent = true;
    this.send(ToWorker.BODY_END, request.id, fault);
  }

  /** Sends as much of a stream as fits now; returns how many bytes that was. */
  #sendStream(type: number, id: number, bytes: Uint8Array): number {
    if (this.#unsent.length > 0) return 0;
    let sent = 0;
    while (sent < bytes.length) {
      const piece = bytes.subarray(sent, sent + this.#out.maxPayloadBytes);
      if (!this.#tryWrite(type, id, 0, piece)) break;
      sent += piece.length;
    }
    if (sent > 0) this.wake();
    return sent;
  }

  /** Where there is no room now, the worker will ring when there is. */
  #tryWrite(type: number, id: number, argument: number, payload: Uint8Array): boolean {
    for (;;) {
      if (this.#out.tryWrite(type, id, argument, payload)) return true;
      if (this.#out.askForRoom()) return false;
    }
  }
}
