/**
 * The connections that were lent to this worker (`channel/loans.ts`), and new ones that it may accept: it waits for them
 * and for its ring at the same time, reads what comes on them, and runs what is one whole request for a script that it
 * was routes. All else goes to the front, with what was read.
 */

import { LuafcgidError } from '../../base/errors.js';
import { type CgiRequest, parseRequest } from '../../cgi/request.js';
import { Borrower, LentMark } from '../../channel/lending.js';
import type { RingReader } from '../../channel/ring.js';
import { findWholeRequest, type WholeRequest } from '../../fcgi/session.js';
import { Epoll } from '../../linux/epoll.js';
import { clearEventfd } from '../../linux/eventfd.js';
import { Errno } from '../../linux/libc.js';
import { isOfOneConnection, kernelSockets, waitForInput } from '../../linux/sockets.js';
import type { Outbox } from '../outbox.js';
import type { RequestInlet } from '../script-request.js';
import { DirectAnswer, type Origin } from './answer.js';

/** A request to run. */
export interface LentCall {
  readonly id: number;
  readonly state: number;
  readonly cgi: CgiRequest;
  readonly inlet: RequestInlet;
  readonly outlet: DirectAnswer;
}

export interface DirectServerParts {
  readonly loans: SharedArrayBuffer;
  /** One word: how many of the workers sleep. */
  readonly sleepers: SharedArrayBuffer;
  readonly ring: RingReader;
  readonly outbox: Outbox;
  readonly ringBell: () => void;
  /** Requests are numbered from here on. */
  readonly firstRequest: number;
  readonly maxPostBytes: number;
  /** Whether a state is there. */
  readonly hasState: (state: number) => boolean;
  /** Runs a request to its end. */
  readonly run: (call: LentCall) => void;
}

const EVENTS_AT_ONCE = 64;
/** A thread that sleeps in a call cannot be ended: so it comes back every so often. */
const LONGEST_SLEEP_MS = 1000;
/** The front learns at the latest after so many requests, or after this time, what a state has served. */
const SERVED_AT_MOST = 256;
const SERVED_MS = 100;
/** A state whose requests have come to take longer is told of at once: it may be none for a lane any more. */
const LONG_MS = 0.25;
/** More than this does not count of one request: the thread may just have had to wait for a processor. */
const MOST_COUNTED_MS = 1;
/** How much one request counts for what is usual. */
const WEIGHT = 1 / 8;
/** Who would have to wait for this long goes to a worker that sleeps: about what it takes to wake one, and again. */
const BACKLOG_MS = 0.2;
/** Time between two that are given away. */
const GIVE_AWAY_MS = 0.5;
/** New connections accepted one after the other without another look at the others. */
const ACCEPTED_AT_ONCE = 8;
/**
 * How long a new connection may take to say something: who has connected is just about to. Who does not costs this time;
 * after that, more and more connections are not waited for.
 */
const WAIT_US = 200;
const UNWAITED_AT_MOST = 1024;
/** Tries to get at the gate before it is waited for. */
const TRIES = 100;
/** Numbers of requests before they begin anew. */
const REQUESTS = 1 << 20;

const NOTHING = new Uint8Array(0);
const NO_CONNECTION = -1;

/** The body of a request that is all there. */
class WholeBody implements RequestInlet {
  #pieces: readonly Uint8Array[] = [];
  #piece = 0;
  #taken = 0;

  begin(pieces: readonly Uint8Array[]): void {
    this.#pieces = pieces;
    this.#piece = 0;
    this.#taken = 0;
  }

  readBody(maxBytes: number): Uint8Array | null {
    const piece = this.#pieces[this.#piece];
    if (piece === undefined) return null;
    const bytes = piece.subarray(this.#taken, this.#taken + maxBytes);
    this.#taken += bytes.length;
    if (this.#taken === piece.length) {
      this.#piece += 1;
      this.#taken = 0;
    }
    return bytes;
  }
}

export class DirectServer {
  readonly #parts: DirectServerParts;
  readonly #borrower: Borrower;
  readonly #sleepers: Int32Array;
  readonly #answer: DirectAnswer;
  readonly #body = new WholeBody();
  /** States by the names of scripts for which requests may be run in them. */
  readonly #routes = new Map<string, number>();
  #names = 0;
  #epoll: Epoll | undefined;
  /** Events `[#at, #count)` of the last wait are not looked at yet; they hold as long as nothing was taken back since. */
  #at = 0;
  #count = 0;
  #recalls = 0;
  #tries = 0;
  #accepted = 0;
  /** New connections that are not waited for, and how many that will be when the next has been waited for in vain. */
  #unwaited = 0;
  #vainWaits = 0;
  #requests = 0;
  /** How long requests take here, about. */
  #meanMs = 0;
  #gaveAwayMs = 0;
  /** By state: how many requests it has served since that was told, and how long they usually take. */
  readonly #served = new Map<number, { count: number; usualMs: number }>();
  #servedCount = 0;
  #toldMs = 0;

  constructor(parts: DirectServerParts) {
    this.#parts = parts;
    this.#borrower = new Borrower(parts.loans);
    this.#sleepers = new Int32Array(parts.sleepers);
    this.#answer = new DirectAnswer(this.#borrower, parts.outbox, {
      send: (origin, records) => this.#send(origin, records),
      leave: (descriptor) => this.#epoll?.removeIfThere(descriptor),
    });
  }

  /** Whether requests on lent connections may be served now. */
  get isOpen(): boolean {
    return this.#hasAny && !this.#borrower.isWanted && !this.#borrower.isShut;
  }

  get #hasAny(): boolean {
    return this.#borrower.lent > 0 || this.#borrower.listeners > 0;
  }

  /** Whether the front wants this worker, and waits to hear that it is free: also when no connection is lent any more. */
  get isHeldUp(): boolean {
    return this.#borrower.isWanted;
  }

  /** Requests with this script name may be run in this state. @param names of the loans, when that was true */
  teach(name: string, state: number, names: number): void {
    this.#forgetOldNames();
    if (names === this.#names) this.#routes.set(name, state);
  }

  /** Serves one request, or waits until there is one or something in the ring. */
  serve(): void {
    if (this.#at >= this.#count) return this.#wait();
    const epoll = this.#epoll as Epoll;
    const descriptor = epoll.fdAt(this.#at);
    const mark = epoll.markAt(this.#at);
    this.#at += 1;
    if (mark === LentMark.BELL) return clearEventfd(descriptor);
    this.#visit(descriptor, mark === LentMark.LISTENER);
  }

  #wait(): void {
    this.#at = 0;
    this.#count = 0;
    const borrower = this.#borrower;
    this.#epoll ??= new Epoll(EVENTS_AT_ONCE, borrower.epoll);
    this.#recalls = borrower.recalls;
    if (this.#servedCount > 0 && performance.now() - this.#toldMs > SERVED_MS) this.#tellServed();
    if (!this.#parts.ring.parkElsewhere()) return;
    const epoll = this.#epoll;
    // Taken back or wanted before it lay down: then nobody rings.
    this.countAsleep(() => {
      this.#count = epoll.wait(this.isOpen ? LONGEST_SLEEP_MS : 0);
    });
    this.#parts.ring.unpark();
  }

  /** Does what may sleep; others see meanwhile that this worker does. */
  countAsleep<T>(sleep: () => T): T {
    Atomics.add(this.#sleepers, 0, 1);
    try {
      return sleep();
    } finally {
      Atomics.sub(this.#sleepers, 0, 1);
    }
  }

  #visit(descriptor: number, isListener: boolean): void {
    const borrower = this.#borrower;
    // A listening socket is no connection that could be lost.
    if (!borrower.begin(isListener ? NO_CONNECTION : descriptor)) {
      // The front is there, for a few microseconds.
      this.#at -= 1;
      this.#tries += 1;
      if (this.#tries > TRIES) borrower.waitForGate();
      return;
    }
    this.#tries = 0;
    if (borrower.recalls !== this.#recalls) {
      this.#count = 0;
      return borrower.leave();
    }
    // Looked at behind the gate: what the front wrote while it held that is seen here.
    if (borrower.isWanted || this.#parts.ring.hasFrame) {
      this.#at -= 1;
      return borrower.leave();
    }
    if (isListener) return this.#accept(descriptor);
    const count = kernelSockets.read(descriptor, borrower.bytes);
    if (count < 0 && isForNow(kernelSockets.errorNumber())) return borrower.leave();
    const bytes = borrower.bytes.subarray(0, Math.max(0, count));
    if (!this.#serveWhole(descriptor, bytes, false)) this.#giveBack(descriptor, bytes);
  }

  /** Serves one new connection. */
  #accept(listener: number): void {
    const borrower = this.#borrower;
    this.#accepted += 1;
    // What was handed on last is not known yet: until then no more are accepted.
    if (borrower.isAnnouncing) {
      borrower.leave();
      if (this.#at >= this.#count) borrower.waitUntilKnown();
      return;
    }
    const descriptor = kernelSockets.accept(listener, false);
    if (descriptor < 0) {
      this.#accepted = 0;
      const number = kernelSockets.errorNumber();
      if (number === Errno.EAGAIN || isOfOneConnection(number)) return borrower.leave();
      return this.#handOn(-1, NOTHING);
    }
    borrower.accepted(descriptor);
    if (this.#accepted < ACCEPTED_AT_ONCE) this.#at -= 1;
    else this.#accepted = 0;
    if (descriptor >= borrower.ceiling) return this.#handOn(descriptor, NOTHING);
    let count = kernelSockets.read(descriptor, borrower.bytes);
    if (count < 0 && this.#hasInputSoon(descriptor)) count = kernelSockets.read(descriptor, borrower.bytes);
    const bytes = borrower.bytes.subarray(0, Math.max(0, count));
    if (count <= 0 || !this.#serveWhole(descriptor, bytes, true)) this.#handOn(descriptor, bytes);
  }

  /** To wait a moment is cheaper than to have the front wait for it. */
  #hasInputSoon(descriptor: number): boolean {
    if (this.#unwaited > 0) {
      this.#unwaited -= 1;
      return false;
    }
    const hasInput = waitForInput(descriptor, WAIT_US);
    this.#vainWaits = hasInput ? 0 : Math.min(UNWAITED_AT_MOST, 2 * this.#vainWaits + 1);
    this.#unwaited = this.#vainWaits;
    return hasInput;
  }

  /** A new connection is for the front. */
  #handOn(descriptor: number, bytes: Uint8Array): void {
    // Before it: whether accepting here is worth while is judged by both.
    if (this.#servedCount > 0) this.#tellServed();
    this.#borrower.announce();
    this.#parts.outbox.newcomer(descriptor, false, bytes);
    this.#borrower.leave();
  }

  /** Runs the request that the bytes are. Returns false when they are none for this worker. */
  #serveWhole(descriptor: number, bytes: Uint8Array, isNew: boolean): boolean {
    const request = findWholeRequest(bytes);
    if (request === undefined || !(isNew || request.keepsConnection)) return false;
    const cgi = this.#understand(request);
    const state = cgi === undefined ? undefined : this.#stateFor(cgi.scriptPath);
    if (cgi === undefined || state === undefined) return false;
    const { requestId: fcgiId, keepsConnection } = request;
    this.#run(request, cgi, { descriptor, isNew, keepsConnection, fcgiId, state, bytes });
    return true;
  }

  #run(request: WholeRequest, cgi: CgiRequest, origin: Origin): void {
    const borrower = this.#borrower;
    this.#requests = (this.#requests + 1) % REQUESTS;
    const id = this.#parts.firstRequest + this.#requests;
    this.#body.begin(request.body);
    this.#answer.begin(origin);
    const beganMs = performance.now();
    borrower.run(id, origin.state, origin.bytes.length);
    if (borrower.askToWatch()) this.#parts.ringBell();
    this.#parts.run({ id, state: origin.state, cgi, inlet: this.#body, outlet: this.#answer });
    const nowMs = performance.now();
    const tookMs = nowMs - beganMs;
    this.#meanMs += (Math.min(tookMs, MOST_COUNTED_MS) - this.#meanMs) * WEIGHT;
    // Of one that has become the front's own the books know by themselves.
    if (this.#answer.isSent) this.#noteServed(origin.state, tookMs);
    this.#shareWork(nowMs);
  }

  #understand(request: WholeRequest): CgiRequest | undefined {
    try {
      const cgi = parseRequest(request.params);
      const isWhole = cgi.contentLength === undefined || cgi.contentLength === request.bodyBytes;
      return isWhole && request.bodyBytes <= this.#parts.maxPostBytes ? cgi : undefined;
    } catch (error) {
      // The front knows what to answer.
      if (error instanceof LuafcgidError) return undefined;
      throw error;
    }
  }

  #stateFor(name: string): number | undefined {
    this.#forgetOldNames();
    const state = this.#routes.get(name);
    return state !== undefined && this.#parts.hasState(state) ? state : undefined;
  }

  #forgetOldNames(): void {
    const { names } = this.#borrower;
    if (names === this.#names) return;
    this.#names = names;
    this.#routes.clear();
  }

  /** Sends an answer; where it cannot go out at once, the front sends the rest. */
  #send({ descriptor, isNew, keepsConnection }: Origin, records: Uint8Array): void {
    const borrower = this.#borrower;
    const { outbox } = this.#parts;
    const sent = sendNow(descriptor, records);
    if (sent < 0) {
      // Its client is gone, which the front will find out of those that it knows.
      if (!isNew) return this.#giveBack(descriptor, NOTHING);
      return this.#closeOwn(descriptor);
    }
    const isSent = sent === records.length;
    if (isNew) {
      if (isSent && !keepsConnection) return this.#closeOwn(descriptor);
      borrower.announce();
      outbox.newcomer(descriptor, true, NOTHING);
      outbox.rest(descriptor, records.subarray(sent));
      if (!keepsConnection) outbox.leave(descriptor);
      return borrower.leave();
    }
    borrower.noteUse(descriptor);
    if (isSent) return borrower.leave();
    borrower.tell();
    this.#epoll?.removeIfThere(descriptor);
    outbox.rest(descriptor, records.subarray(sent));
    outbox.returned(descriptor, NOTHING);
    borrower.leave();
  }

  /** Closes a connection that the front does not know of. */
  #closeOwn(descriptor: number): void {
    // Should this thread be given up just now, the next to have this number must not be closed for it.
    this.#borrower.accepted(NO_CONNECTION);
    kernelSockets.close(descriptor);
    this.#borrower.leave();
  }

  #giveBack(descriptor: number, bytes: Uint8Array): void {
    this.#borrower.tell();
    this.#epoll?.removeIfThere(descriptor);
    this.#parts.outbox.returned(descriptor, bytes);
    this.#borrower.leave();
  }

  /** Gives one away that would have to wait while another worker sleeps. */
  #shareWork(nowMs: number): void {
    const waiting = this.#count - this.#at;
    if (waiting === 0 || waiting * this.#meanMs < BACKLOG_MS || nowMs - this.#gaveAwayMs < GIVE_AWAY_MS) return;
    if (Atomics.load(this.#sleepers, 0) === 0) return;
    const borrower = this.#borrower;
    const epoll = this.#epoll as Epoll;
    const descriptor = epoll.fdAt(this.#count - 1);
    if (epoll.markAt(this.#count - 1) !== LentMark.CONNECTION || !borrower.begin(descriptor)) return;
    if (borrower.recalls !== this.#recalls) return borrower.leave();
    this.#gaveAwayMs = nowMs;
    this.#count -= 1;
    this.#giveBack(descriptor, NOTHING);
  }

  #noteServed(state: number, tookMs: number): void {
    const countedMs = Math.min(tookMs, MOST_COUNTED_MS);
    let served = this.#served.get(state);
    if (served === undefined) {
      served = { count: 0, usualMs: Math.min(countedMs, LONG_MS / 2) };
      this.#served.set(state, served);
    }
    served.count += 1;
    served.usualMs += (countedMs - served.usualMs) * WEIGHT;
    this.#servedCount += 1;
    const isLong = served.usualMs > LONG_MS;
    if (isLong || this.#servedCount >= SERVED_AT_MOST) this.#tellServed();
    if (isLong) this.#parts.ringBell();
  }

  #tellServed(): void {
    for (const [state, served] of this.#served) {
      if (served.count > 0) this.#parts.outbox.served(state, served.count, served.usualMs);
      // Nothing since the last time: it may be gone.
      else this.#served.delete(state);
      served.count = 0;
    }
    this.#servedCount = 0;
    this.#toldMs = performance.now();
  }
}

/** Sends what the system takes at once. @returns how many bytes that is; -1 when the connection is gone */
function sendNow(descriptor: number, bytes: Uint8Array): number {
  for (;;) {
    const sent = kernelSockets.send(descriptor, bytes);
    if (sent >= 0) return sent;
    const number = kernelSockets.errorNumber();
    if (number === Errno.EAGAIN) return 0;
    if (number !== Errno.EINTR) return -1;
  }
}

/** Whether there was only nothing to read. */
function isForNow(number: number): boolean {
  return number === Errno.EAGAIN || number === Errno.EINTR;
}
