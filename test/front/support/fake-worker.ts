/**
 * The other end of a worker's two rings, without a thread: it does what a test tells it, as a real worker would see it
 * (it reads body only when asked, and blocks when the ring to the front is full), and complains when the front breaks
 * the rules between the two.
 */
import { createInterrupts, Interrupter, Interrupts } from '../../../src/channel/interrupts.js';
import { createLoans, Lender } from '../../../src/channel/lending.js';
import {
  decodeStart,
  END_STATE_GONE,
  encodeDependency,
  encodeServed,
  FromWorker,
  firstLentRequest,
  LOG_LEVELS,
  type LogLevel,
  MORE,
  roleOf,
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_OFFER,
  START_RETIRE,
  ToWorker,
  typeOf,
  WaitsFor,
  withTook,
} from '../../../src/channel/messages.js';
import { OfferSlots } from '../../../src/channel/offer-slots.js';
import type { Parker } from '../../../src/channel/park.js';
import { createRing, RingReader, RingWriter } from '../../../src/channel/ring.js';
import type { DirectOutbox } from '../../../src/worker/direct/server.js';
import { Outbox } from '../../../src/worker/outbox.js';
import type { RunStart } from '../../../src/worker/run.js';
import { parsePairs, ROLE } from '../../support/fcgi-wire.js';
import { type DirectSystem, DirectWorker } from './direct-worker.js';

/** States that really exist, over all workers, by number: their script. */
export type StateRegistry = Map<number, string>;

/** A request as the worker was given it. */
export interface Run {
  readonly id: number;
  readonly state: number;
  readonly created: boolean;
  retires: boolean;
  readonly isHead: boolean;
  readonly script: string;
  readonly params: ReadonlyMap<string, string>;
  /** Body read so far. */
  body: Buffer;
  bodyEnded: boolean;
  /** The file of a Filter read so far, and whether it has ended; of other roles it has from the beginning. */
  data: Buffer;
  dataEnded: boolean;
  readonly role: number;
  /** Why the body is incomplete, 0 when it is not. */
  fault: number;
  /** It came on a lent connection, and is not handed over yet, as far as its worker knows. */
  lent: RunStart | undefined;
  /** It came on a lent connection, or on one that the worker has accepted. */
  readonly isDirect: boolean;
  /** Some of its answer was handed on, or the end of it. */
  hasAnswered?: boolean;
  /** It is suspended until the front says that its client has read. */
  waitsForRoom?: boolean;
}

interface Unsaid {
  readonly type: number;
  readonly id: number;
  readonly argument: number;
  readonly payload: Uint8Array;
  /** Called when it is said. */
  readonly said: (() => void) | undefined;
}

/** Workers number requests of their own each from another number on. */
let lastWorker = 0;

export class FakeWorker {
  /** The front's ends. */
  readonly toWorker: RingWriter;
  readonly toFront: RingReader;
  readonly frontSlots: OfferSlots;
  /** How long it says that its requests took. Nobody is offered to wait behind one that takes longer than 1 ms. */
  tookMs = 60;
  /** Offers that it claimed; those that it found taken back; those whose state was gone. */
  readonly offers = { claimed: 0, passedOver: 0, bounced: 0 };
  /** Paths may lead to another file by the time that a request starts: then a state's script is what the state says. */
  pathsMayMove = false;
  /** What look-ups found: script paths that lead to other files. */
  readonly files: Map<string, string>;
  readonly violations: string[] = [];
  /** Numbers of the states it holds. */
  readonly states = new Set<number>();
  running: Run | undefined;
  /** Requests whose scripts wait for something, the oldest first. */
  readonly suspended: Run[] = [];
  /** Requests of which the front has said that their output has to wait. */
  readonly held = new Set<number>();
  /** How often a request was suspended since its client does not read. */
  heldSuspensions = 0;
  isGone = false;
  isToldToStop = false;
  /** It hangs in something between two requests. */
  isStuck = false;
  /** A finalizer never ends: it hangs when it next collects garbage, closes a state, or ends a script. */
  hangsAt: 'collect' | 'close' | 'end' | undefined;
  /** Requests begun, states closed on demand, and collection steps: what happened so far. */
  started = 0;
  collected = 0;
  readonly #registry: StateRegistry;
  readonly #slots: OfferSlots;
  readonly #reader: RingReader;
  readonly #writer: RingWriter;
  /** How others break into its requests. */
  readonly interrupter: Interrupter;
  readonly #interrupts: Interrupts;
  readonly #ringBell: () => void;
  readonly #unsaid: Unsaid[] = [];
  readonly #closeLater: number[] = [];
  readonly #cancelLater: number[] = [];
  #parts: Buffer[] = [];
  #isAsleep = false;
  /** The request that has just ended is the front's: its end has to be said. */
  #isPromoted = false;
  /** Has the front take what lies in the ring, when that is full. */
  makeRoom: () => void = () => {};
  /** The front's end of the loans. */
  readonly lender: Lender;
  /** Where it serves lent connections; undefined where none are lent. */
  readonly direct: DirectWorker | undefined;
  readonly #firstRequest: number;
  /** States that broke in a request of which the front did not know: it may have told to close them. */
  readonly #goneByItself = new Set<number>();

  constructor(
    ringBytes: number,
    registry: StateRegistry,
    ringBell: () => void,
    files: Map<string, string> = new Map(),
    system?: DirectSystem,
  ) {
    this.files = files;
    const toWorker = createRing(ringBytes);
    const toFront = createRing(ringBytes);
    const sleeper: Parker = {
      wait: (cell, expected) => this.direct?.parker.wait(cell, expected),
      wake: (cell) => this.direct?.parker.wake(cell),
    };
    this.toWorker = new RingWriter(toWorker, sleeper);
    this.toFront = new RingReader(toFront);
    this.frontSlots = new OfferSlots(toWorker);
    this.#slots = new OfferSlots(toWorker);
    this.#reader = new RingReader(toWorker, sleeper);
    // What its direct server says when the ring is full waits until the front has made room.
    this.#writer = new RingWriter(toFront, { wait: () => this.makeRoom(), wake: () => {} });
    const interrupts = createInterrupts();
    this.interrupter = new Interrupter(interrupts);
    this.#interrupts = new Interrupts(interrupts);
    this.#registry = registry;
    this.#ringBell = ringBell;
    lastWorker += 1;
    this.#firstRequest = firstLentRequest(lastWorker);
    const loans = createLoans();
    this.lender = new Lender(loans);
    if (system !== undefined) this.direct = this.#openDirect(loans, system);
  }

  #openDirect(loans: SharedArrayBuffer, system: DirectSystem): DirectWorker {
    const worker = this;
    const direct: DirectWorker = new DirectWorker(
      loans,
      {
        get isAbleToGoOn() {
          const { isGone, isStuck, isToldToStop, isBlocked, running } = worker;
          return !isGone && !isStuck && !isToldToStop && !isBlocked && running === undefined;
        },
        get isGone() {
          return worker.isGone;
        },
        get outbox() {
          return worker.#directOutbox();
        },
        firstRequest: this.#firstRequest,
        violations: this.violations,
        isIdle: (state) => this.#isIdle(state),
        scriptOf: (state) => this.#registry.get(state),
        ringBell: () => this.#ringBell(),
        runs: (start) => this.#runLent(start),
      },
      this.#reader,
      system,
    );
    return direct;
  }

  /** The real outbox, but for what is said about a request that is like all others. */
  #directOutbox(): DirectOutbox {
    const outbox = new Outbox({
      ring: this.#writer,
      ringBell: () => this.#ringBell(),
      interrupts: this.#interrupts,
      stopReason: () => new Error('nobody is stopped here'),
      borrower: {
        post: (type) => this.direct?.borrower.post(type),
      },
    });
    return {
      accepted: (...all) => outbox.accepted(...all),
      closeWhenSent: (...all) => outbox.closeWhenSent(...all),
      promoted: (...all) => outbox.promoted(...all),
      rest: (...all) => outbox.rest(...all),
      returned: (...all) => outbox.returned(...all),
      served: (...all) => outbox.served(...all),
      freed: (...all) => outbox.freed(...all),
      suspended: (...all) => outbox.suspended(...all),
      resumed: (...all) => outbox.resumed(...all),
      output: () => {},
      finish: () => {},
      log: () => {},
      limit: () => {},
      end: () => {
        this.#isPromoted = true;
      },
    };
  }

  #runLent(start: RunStart): void {
    this.#interrupts.begin(start.id);
    const params = new Map(parsePairs(start.params));
    const pieces: Uint8Array[] = [];
    for (let piece = start.inlet.readBody(1000); piece !== null; piece = start.inlet.readBody(1000)) pieces.push(piece);
    this.running = {
      id: start.id,
      state: start.stateId,
      created: false,
      script: this.#registry.get(start.stateId) ?? '',
      retires: false,
      isHead: start.isHead,
      params,
      body: Buffer.concat(pieces),
      bodyEnded: true,
      data: Buffer.alloc(0),
      dataEnded: true,
      role: start.role,
      fault: 0,
      lent: start,
      isDirect: true,
    };
  }

  /** What is said next about the running request is for the front. Returns false when the thread has ended meanwhile. */
  #handOver(): boolean {
    const { running, direct } = this;
    const start = running?.lent;
    if (running === undefined || start === undefined) return true;
    running.lent = undefined;
    direct?.inside(() => start.outlet.output(start.id, Buffer.alloc(0)));
    return !this.isGone;
  }

  /** One step at its lent connections, or between them and its ring. Returns whether there was any. */
  go(): boolean {
    return this.direct?.go(() => this.#takeMessages()) ?? false;
  }

  /** Says what a state has served by itself. */
  served(state: number, expectedMs: number): void {
    this.#say(FromWorker.SERVED, 1, state, encodeServed(expectedMs));
  }

  /** It waits for room in the ring to the front, and does nothing else meanwhile. */
  get isBlocked(): boolean {
    return this.#unsaid.length > 0;
  }

  get maxPayloadBytes(): number {
    return this.#writer.maxPayloadBytes;
  }

  /** Between requests: takes messages until a request begins or there are none. Returns whether it took any. */
  listen(): boolean {
    if (this.direct?.isInside || this.direct?.isAsleep) return false;
    return this.#takeMessages();
  }

  #takeMessages(): boolean {
    let took = false;
    while (!this.isGone && !this.isStuck && !this.isToldToStop && !this.isBlocked && this.running === undefined) {
      if (this.#closeNext()) {
        took = true;
        continue;
      }
      const frame = this.#reader.peek();
      if (frame === undefined) break;
      took = true;
      const type = typeOf(frame.type);
      const { id, argument } = frame;
      const payload = Buffer.from(frame.payload);
      const frameType = frame.type;
      this.#release();
      const isInput = [ToWorker.BODY, ToWorker.BODY_END, ToWorker.DATA, ToWorker.DATA_END].some((one) => one === type);
      if (isInput) {
        if (this.#parts.length > 0) this.violations.push('body in the middle of a message');
        continue;
      }
      this.#parts.push(payload);
      if ((frameType & MORE) !== 0) continue;
      const message = Buffer.concat(this.#parts);
      this.#parts = [];
      if (type === ToWorker.START) this.#start(frameType, id, argument, message);
      else if (type === ToWorker.ROUTE && this.direct !== undefined)
        this.direct.server.addRoute(message.toString('latin1'), argument, id);
      else this.#takeShort(type, argument, id);
    }
    return took;
  }

  /** During a request: reads up to the next piece of body or its end. Returns whether anything was read. */
  read(): boolean {
    const run = this.running;
    if (this.isGone || this.isBlocked || run === undefined || (run.bodyEnded && run.dataEnded)) return false;
    for (let frame = this.#reader.peek(); frame !== undefined; frame = this.#reader.peek()) {
      const type = typeOf(frame.type);
      const { id, argument } = frame;
      const payload = Buffer.from(frame.payload);
      if ((frame.type & MORE) !== 0) this.violations.push('a message in pieces while a request runs');
      this.#release();
      if (type === ToWorker.BODY) {
        if (id !== run.id) continue;
        if (payload.length === 0) this.violations.push('an empty piece of body');
        run.body = Buffer.concat([run.body, payload]);
        return true;
      }
      if (type === ToWorker.BODY_END) {
        if (id !== run.id) continue;
        run.bodyEnded = true;
        run.fault ||= argument;
        return true;
      }
      if (type === ToWorker.DATA) {
        if (id !== run.id) continue;
        if (!run.bodyEnded) this.violations.push('a file before the end of the body');
        if (payload.length === 0) this.violations.push('an empty piece of a file');
        run.data = Buffer.concat([run.data, payload]);
        return true;
      }
      if (type === ToWorker.DATA_END) {
        if (id !== run.id) continue;
        run.dataEnded = true;
        run.fault ||= argument;
        return true;
      }
      if (type === ToWorker.START) this.violations.push(`request ${id} was started while ${run.id} runs`);
      else if (type === ToWorker.ROUTE) this.direct?.server.addRoute(payload.toString('latin1'), argument, id);
      else if (type === ToWorker.CLOSE) this.#closeLater.push(argument);
      else if (type === ToWorker.CANCEL) this.#cancelLater.push(id);
      else this.#takeShort(type, argument, id);
    }
    return false;
  }

  /** Reads all of the body that is there. */
  readAll(): Buffer {
    while (this.read());
    return this.running?.body ?? Buffer.alloc(0);
  }

  output(text: string | Uint8Array): void {
    if (!this.#handOver()) return;
    const bytes = Buffer.from(text as string, 'latin1');
    if (this.running !== undefined && bytes.length > 0) this.running.hasAnswered = true;
    for (let at = 0; at < bytes.length; at += this.maxPayloadBytes) {
      this.#say(FromWorker.OUTPUT, this.#id, 0, bytes.subarray(at, at + this.maxPayloadBytes));
    }
  }

  finish(appStatus = 0): void {
    if (!this.#handOver()) return;
    if (this.running !== undefined) this.running.hasAnswered = true;
    this.#say(FromWorker.FINISH, this.#id, appStatus, Buffer.alloc(0));
  }

  /** The script waits for something: the worker is free for others. */
  suspend(): void {
    const run = this.running;
    if (run === undefined) throw new Error('nothing runs');
    this.suspended.push(run);
    this.running = undefined;
    this.#interrupts.suspend();
    if (run.lent !== undefined) return this.direct?.suspended(run.lent, WaitsFor.TIMER);
    run.waitsForRoom = this.isHeld(run.id);
    if (run.waitsForRoom) this.heldSuspensions += 1;
    const waitsFor = run.waitsForRoom ? WaitsFor.OUTPUT : WaitsFor.TIMER;
    this.#say(FromWorker.SUSPENDED, run.id, waitsFor, Buffer.alloc(0));
  }

  /** Whether the front has said that output of this request has to wait. */
  isHeld(id: number): boolean {
    return this.#interrupts.isHeld(id) || this.held.has(id);
  }

  /** Goes on with the request that has waited for the longest. Returns whether there is any. */
  resume(): boolean {
    if (this.running !== undefined || this.isBlocked || this.direct?.isInside) return false;
    const at = this.suspended.findIndex(({ waitsForRoom }) => waitsForRoom !== true);
    const [run] = at < 0 ? [] : this.suspended.splice(at, 1);
    if (run === undefined) return false;
    this.running = run;
    if (run.lent !== undefined) this.direct?.resumed(run.lent);
    else this.#say(FromWorker.RESUMED, run.id, 0, Buffer.alloc(0));
    if (!this.isGone) this.#interrupts.begin(run.id);
    return true;
  }

  /** Whether it has this state, and no request waits in it. */
  #isIdle(state: number): boolean {
    return this.states.has(state) && !this.suspended.some((run) => run.state === state);
  }

  /** A suspended request ends where it waits, with an error page if nothing of its answer was handed on. */
  #cancel(id: number): void {
    const at = this.suspended.findIndex((run) => run.id === id);
    const [run] = at < 0 ? [] : this.suspended.splice(at, 1);
    if (run === undefined) return;
    const page = run.hasAnswered ? '' : 'Status: 500 Internal Server Error\r\n\r\n';
    this.#say(withTook(FromWorker.END, this.tookMs), id, 0, Buffer.from(page, 'latin1'));
  }

  /** Ends the request. @param gone the state is closed as well, as it is when it retires or failed to load */
  end(last: string | Uint8Array = '', gone = false, appStatus = 0): void {
    const run = this.running;
    if (run === undefined) throw new Error('nothing runs');
    const bytes = Buffer.from(last as string, 'latin1');
    let at = 0;
    for (; bytes.length - at > this.maxPayloadBytes; at += this.maxPayloadBytes) {
      this.#say(FromWorker.OUTPUT, run.id, 0, bytes.subarray(at, at + this.maxPayloadBytes));
    }
    const closes = gone || run.retires;
    this.#interrupts.end();
    // The front may have told to close the state before it heard of the request.
    if (closes && run.isDirect) this.#goneByItself.add(run.state);
    if (run.lent !== undefined) {
      const { lent } = run;
      run.lent = undefined;
      this.#isPromoted = false;
      this.direct?.answer(lent, closes, appStatus, bytes);
      if (this.isGone) return;
      if (!this.#isPromoted) {
        this.running = undefined;
        return;
      }
    }
    if (closes) this.#drop(run.state);
    this.running = undefined;
    const type = withTook(FromWorker.END | (closes ? END_STATE_GONE : 0), this.tookMs);
    this.#say(type, run.id, appStatus, bytes.subarray(at));
  }

  /** It has ended a collection that had not come to an end before. */
  collectedLate(state: number): void {
    this.#say(FromWorker.COLLECTED, 0, state, Buffer.alloc(0));
  }

  /** The script is over, and the worker has not come to say so. */
  scriptIsOver(): void {
    this.#interrupts.end();
  }

  log(level: LogLevel, text: string, id = this.running?.id ?? 0): void {
    if (!this.#handOver()) return;
    this.#say(FromWorker.LOG, id, LOG_LEVELS.indexOf(level), Buffer.from(text, 'latin1'));
  }

  /** The script sets its own limits. @param type `WATCHDOG` or `ON_ABORT` */
  limit(type: number, value: number): void {
    if (!this.#handOver()) return;
    this.#say(type, this.#id, value, Buffer.alloc(0));
  }

  /** The script is over, and what comes after it hangs: nothing is said any more. */
  hangAfterScript(): void {
    this.#interrupts.end();
    this.isStuck = true;
  }

  /** As if it had begun only now: what was wished before came too early. */
  forgetInterrupts(): void {
    this.#interrupts.end();
    this.#interrupts.begin(this.#id);
  }

  /** What is wanted of the running request from outside: bits of `InterruptRequest`. */
  get requested(): number {
    return this.#interrupts.requested;
  }

  depends(path: string, fingerprint: string): void {
    this.#say(FromWorker.DEPENDS, 0, this.running?.state ?? 0, encodeDependency({ path, fingerprint }));
  }

  /** Goes on with what it waited to say. Returns whether it could say any of it. */
  flush(): boolean {
    // A blocked thread is woken by the front's next `release` and by nothing else.
    if (this.#isAsleep && this.#writer.askForRoom()) return false;
    this.#isAsleep = false;
    let said = false;
    for (let next = this.#unsaid[0]; next !== undefined && !this.isGone; next = this.#unsaid[0]) {
      if (!this.#writer.tryWrite(next.type, next.id, next.argument, next.payload)) {
        this.#isAsleep = true;
        this.#ringBell();
        break;
      }
      this.#unsaid.shift();
      said = true;
      next.said?.();
    }
    if (said) this.#ringBell();
    return said;
  }

  /** The thread has ended: its states are no more. */
  die(): void {
    this.isGone = true;
    for (const state of [...this.states]) this.#drop(state);
    this.running = undefined;
    this.suspended.length = 0;
    this.#unsaid.length = 0;
  }

  get #id(): number {
    if (this.running === undefined) throw new Error('nothing runs');
    return this.running.id;
  }

  #say(type: number, id: number, argument: number, payload: Uint8Array, said?: () => void): void {
    this.#unsaid.push({ type, id, argument, payload: Uint8Array.from(payload), said });
    if (this.#unsaid.length === 1) this.flush();
  }

  #release(): void {
    if (this.#reader.release()) this.#ringBell();
  }

  #start(flags: number, id: number, state: number, message: Buffer): void {
    const { subject, slot, path, params } = decodeStart(message);
    if ((flags & START_OFFER) !== 0) {
      if (!this.#slots.claim(slot, subject)) {
        if ((flags & START_CREATE) === 0) this.offers.passedOver += 1;
        return;
      }
      if ((flags & START_CREATE) === 0 && !this.#isIdle(state)) {
        this.offers.bounced += 1;
        this.#say(FromWorker.OFFER_REJECTED, id, subject, Buffer.alloc(0));
        return;
      }
      if ((flags & START_CREATE) === 0) this.offers.claimed += 1;
    } else if (subject !== 0) {
      this.isStuck = this.hangsAt === 'close';
      if (this.isStuck) return;
      if (!this.states.has(subject)) this.violations.push(`state ${subject} is evicted, and is not here`);
      this.#drop(subject);
      this.#say(FromWorker.CLOSED, 0, subject, Buffer.alloc(0));
    }
    const pairs = new Map(parsePairs(params));
    const asked = pairs.get('SCRIPT_FILENAME') ?? '';
    const script = path.length === 0 ? (this.files.get(asked) ?? asked) : Buffer.from(path).toString('latin1');
    const created = (flags & START_CREATE) !== 0;
    if (created) {
      if (this.#registry.has(state)) this.violations.push(`state ${state} is created twice`);
      this.states.add(state);
      this.#registry.set(state, script);
    } else if (!this.states.has(state)) {
      this.violations.push(`request ${id} is for state ${state}, which is not here`);
    } else if (this.#registry.get(state) !== script && !this.pathsMayMove) {
      this.violations.push(`state ${state} of ${this.#registry.get(state)} gets a request for ${script}`);
    }
    this.started += 1;
    this.#interrupts.begin(id);
    this.running = {
      id,
      state,
      created,
      script: created || !this.pathsMayMove ? script : (this.#registry.get(state) ?? script),
      retires: (flags & START_RETIRE) !== 0,
      isHead: (flags & START_HEAD) !== 0,
      params: pairs,
      body: Buffer.alloc(0),
      bodyEnded: (flags & START_NO_BODY) !== 0,
      data: Buffer.alloc(0),
      dataEnded: roleOf(flags) !== ROLE.FILTER,
      role: roleOf(flags),
      fault: 0,
      lent: undefined,
      isDirect: false,
    };
  }

  #takeShort(type: number, argument: number, id: number): void {
    if (type === ToWorker.CANCEL) this.#cancel(id);
    else if (type === ToWorker.HOLD) this.held.add(id);
    else if (type === ToWorker.ROOM) this.#room(id);
    else if (type === ToWorker.CLOSE) this.#close(argument);
    else if (type === ToWorker.COLLECT) {
      this.isStuck = this.hangsAt === 'collect' && this.running === undefined;
      if (this.isStuck) return;
      this.collected += 1;
      this.#say(FromWorker.COLLECTED, 0, argument, Buffer.alloc(0));
    } else if (type === ToWorker.STOP) {
      // Its states are closed before its thread ends.
      this.isStuck = this.hangsAt === 'close' && this.states.size > 0 && this.running === undefined;
      this.isToldToStop = !this.isStuck;
    } else this.violations.push(`message of type ${type}`);
  }

  #room(id: number): void {
    this.held.delete(id);
    const run = this.suspended.find((each) => each.id === id);
    if (run !== undefined) run.waitsForRoom = false;
  }

  #closeNext(): boolean {
    const cancelled = this.#cancelLater.shift();
    if (cancelled !== undefined) this.#cancel(cancelled);
    const state = cancelled === undefined ? this.#closeLater.shift() : undefined;
    if (state !== undefined) this.#close(state);
    return (cancelled ?? state) !== undefined;
  }

  #close(state: number): void {
    this.isStuck = this.hangsAt === 'close';
    if (this.isStuck) return;
    const waiting = this.suspended.find((run) => run.state === state);
    if (waiting !== undefined) {
      waiting.retires = true;
      this.direct?.promoteIn(state);
      if (!this.isGone) this.#say(FromWorker.CLOSED, 1, state, Buffer.alloc(0));
      return;
    }
    const isHere = this.states.has(state) || this.#goneByItself.delete(state);
    if (!isHere) this.violations.push(`state ${state} is to be closed, and is not here`);
    this.#drop(state);
    this.#say(FromWorker.CLOSED, 0, state, Buffer.alloc(0));
  }

  #drop(state: number): void {
    this.states.delete(state);
    this.#registry.delete(state);
  }
}
