/**
 * The real direct server of a worker (`src/worker/direct`) and its reactor, without a thread. It goes on when the test
 * says so, and at each of its steps (a move of the gate, a call of the system) the test may have others do something
 * before it goes on: see `Pauses`. It sleeps as a real one does, and only what wakes that one wakes it.
 */
import { Abandoned } from '../../../src/channel/interrupts.js';
import { Borrower } from '../../../src/channel/lending.js';
import { createLineRing, LineRingWriter } from '../../../src/channel/line-ring.js';
import { END_STATE_GONE, requestName } from '../../../src/channel/messages.js';
import type { Parker } from '../../../src/channel/park.js';
import type { RingReader } from '../../../src/channel/ring.js';
import { findWholeRequest } from '../../../src/fcgi/session.js';
import type { DirectSocketCalls } from '../../../src/linux/socket-calls.js';
import { AccessFormat } from '../../../src/logging/access-format.js';
import { AccessLines } from '../../../src/worker/direct/access-lines.js';
import { type DirectOutbox, DirectServer } from '../../../src/worker/direct/server.js';
import type { Message } from '../../../src/worker/inbox.js';
import { Reactor } from '../../../src/worker/reactor.js';
import { type EventList, ReadyEvents } from '../../../src/worker/ready-events.js';
import type { RunStart } from '../../../src/worker/run.js';
import { parsePairs } from '../../support/fcgi-wire.js';

/** The system's side of one worker's connections. */
export interface DirectSystem {
  readonly sockets: DirectSocketCalls;
  /** What happened on its list: descriptors and marks. */
  ready(): readonly { readonly fd: number; readonly mark: number }[];
  stopWatching(fd: number): void;
  nowMs(): number;
  /** The file that a script path leads to now, as far as the front knows. */
  fileOf(path: string): string | undefined;
  /** Whether there is an access log. */
  readonly isTraced: boolean;
}

/** What it needs of its worker. */
export interface DirectHost {
  readonly isAbleToGoOn: boolean;
  readonly isGone: boolean;
  readonly violations: string[];
  readonly outbox: DirectOutbox;
  readonly firstRequest: number;
  isIdle(state: number): boolean;
  scriptOf(state: number): string | undefined;
  ringBell(): void;
  /** It runs this from now on; its end is told to the outlet later. */
  runs(start: RunStart): void;
}

/** The step that the worker is about to take. */
export type Pause =
  | 'begin'
  | 'look'
  | 'accept'
  | 'read'
  | 'run'
  | 'claim'
  | 'send'
  | 'post'
  | 'close'
  | 'leave'
  | 'wait'
  | 'sleep';

/** Thrown where a thread would sleep. */
class Sleep extends Error {}
/** Thrown where a thread has ended in the middle of what it did. */
class Ended extends Error {}

export class DirectWorker {
  readonly loans: SharedArrayBuffer;
  readonly server: DirectServer;
  readonly borrower: PausingBorrower;
  /** Called before each of its steps; others may go on there, and it may come to its end. */
  onPause: (pause: Pause) => void = () => {};
  /** The bell has been rung that wakes it where it waits for connections. */
  isRung = false;
  /** Requests that it has begun with, and what has become of connections and requests. */
  /** Lines of its access log, each the name of a request, on their way to the front. */
  readonly lines: SharedArrayBuffer = createLineRing();
  /** Names of the requests that it has begun with. */
  readonly begun: string[] = [];
  readonly counts = { begun: 0, answered: 0, returned: 0, promoted: 0, accepted: 0 };
  /** What has become of those that waited. */
  readonly waits = { begun: 0, promoted: 0, freed: 0 };
  readonly #host: DirectHost;
  readonly #system: DirectSystem;
  readonly #reader: RingReader;
  readonly #reactor: Reactor;
  #takeMessages: () => boolean = () => false;
  #sleeps: 'on its ring' | 'on its sockets' | undefined;
  #isInside = false;
  #lastRead: Uint8Array = Buffer.alloc(0);

  constructor(loans: SharedArrayBuffer, host: DirectHost, reader: RingReader, system: DirectSystem) {
    this.loans = loans;
    this.#host = host;
    this.#system = system;
    this.#reader = reader;
    this.borrower = new PausingBorrower(loans, (pause) => this.pause(pause));
    const events = new ReadyEvents(() => this.#list());
    this.server = new DirectServer({
      calls: { sockets: this.#sockets(), nowMs: () => system.nowMs(), clearBell: () => this.#clearBell() },
      borrower: this.borrower,
      events,
      ring: reader,
      outbox: this.#countingOutbox(),
      ringBell: () => host.ringBell(),
      firstRequest: host.firstRequest,
      maxPostBytes: 10_000,
      requestTimeMs: 0,
      statusPath: undefined,
      isIdle: (state) => this.#isIdle(state),
      hasState: (state) => this.#host.scriptOf(state) !== undefined,
      access: system.isTraced ? this.#accessLines() : undefined,
      run: (start) => {
        this.counts.begun += 1;
        this.begun.push(requestName('run', start.id));
        host.runs(start);
      },
    });
    this.#reactor = new Reactor({
      inbox: { nextUnless: (hasOther) => this.#next(hasOther) },
      ring: reader,
      interrupts: { isAbandoned: false },
      // Its scripts wait for nothing.
      suspended: { poll: () => {}, mayHaveNews: false, nextMs: undefined, resumeNext: () => false },
      nowMs: () => system.nowMs(),
      ringBell: () => host.ringBell(),
      sockets: { service: this.server, events },
    });
  }

  /** Whether it is in the middle of something. */
  get isInside(): boolean {
    return this.#isInside;
  }

  get isAsleep(): boolean {
    return this.#sleeps !== undefined;
  }

  /** Whether it sleeps where lent connections do not wake it. */
  get isDeafToConnections(): boolean {
    return this.#sleeps === 'on its ring';
  }

  /** The connection of which nobody knows how far it has come, should it end now. */
  get isInTheMiddleOf(): number | undefined {
    return this.#isInside ? this.borrower.isAt : undefined;
  }

  /** How it sleeps on its ring, for the ends of that. */
  readonly parker: Parker = {
    wait: () => {
      this.#sleeps = 'on its ring';
      throw new Sleep();
    },
    wake: () => {
      if (this.#sleeps === 'on its ring') this.#sleeps = undefined;
    },
  };

  /** Goes on until it has served one event, has taken messages, or sleeps. Returns whether there was anything to do. */
  go(takeMessages: () => boolean): boolean {
    if (this.#isInside || !this.#host.isAbleToGoOn) return false;
    const { nextMs } = this.server;
    const isDue = nextMs !== undefined && nextMs <= this.#system.nowMs();
    if (this.#sleeps === 'on its ring') {
      if (!isDue) return false;
      this.#sleeps = undefined;
    }
    if (this.#sleeps === 'on its sockets') {
      if (!this.isRung && !isDue && this.#system.ready().length === 0) return false;
      this.#reader.unpark();
      this.#sleeps = undefined;
    }
    this.#takeMessages = takeMessages;
    this.borrower.hasWaited = false;
    this.inside(() => {
      if (this.#reactor.step() === undefined) this.server.serve();
    });
    // One that waits for the front does nothing until the front has done something.
    return !this.borrower.hasWaited;
  }

  /** Does something in which it may be stopped at its steps. */
  inside(work: () => void): void {
    this.#isInside = true;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Sleep || error instanceof Ended || error instanceof Abandoned)) throw error;
    } finally {
      this.#isInside = false;
    }
  }

  /** The request that runs is over. */
  answer(start: RunStart, isStateGone: boolean, appStatus: number, output: Uint8Array): void {
    this.inside(() =>
      start.outlet.end(start.id, isStateGone ? END_STATE_GONE : 0, appStatus, output, this.#system.nowMs()),
    );
  }

  /** The request that runs waits for something. */
  suspended(start: RunStart, waitsFor: number): void {
    this.waits.begun += 1;
    this.inside(() => start.outlet.suspended(start.id, waitsFor));
  }

  /** It goes on. */
  resumed(start: RunStart): void {
    this.inside(() => start.outlet.resumed(start.id));
  }

  /** The front says that a state is to be closed in which a request waits. */
  promoteIn(state: number): void {
    this.inside(() => this.server.promoteIn(state));
  }

  pause(pause: Pause): void {
    if (this.#isInside) this.onPause(pause);
    if (this.#host.isGone) throw new Ended();
  }

  #next(hasOther: () => boolean): Message | undefined {
    this.pause('look');
    for (;;) {
      if (this.#reader.hasFrame) {
        this.#takeMessages();
        return { type: 0, flags: 0, id: 0, argument: 0, payload: Buffer.alloc(0) };
      }
      if (hasOther()) return undefined;
      this.#reader.waitForFrame(hasOther);
    }
  }

  #list(): EventList {
    let ready: readonly { readonly fd: number; readonly mark: number }[] = [];
    return {
      wait: (timeoutMs) => {
        this.pause('sleep');
        ready = [...(this.isRung ? [BELL] : []), ...this.#system.ready()];
        if (ready.length > 0 || timeoutMs === 0) return ready.length;
        this.#sleeps = 'on its sockets';
        throw new Sleep();
      },
      fdAt: (index) => ready[index]?.fd ?? -1,
      markAt: (index) => ready[index]?.mark ?? -1,
      removeIfThere: (fd) => this.#system.stopWatching(fd),
    };
  }

  #clearBell(): void {
    this.isRung = false;
  }

  #sockets(): DirectSocketCalls {
    const { sockets } = this.#system;
    return {
      accept: (listener, wantsPeer) => {
        this.pause('accept');
        return sockets.accept(listener, wantsPeer);
      },
      read: (fd, into) => {
        this.pause('read');
        const count = sockets.read(fd, into);
        this.#lastRead = into.slice(0, Math.max(0, count));
        return count;
      },
      send: (fd, bytes) => {
        this.pause('send');
        this.counts.answered += 1;
        return sockets.send(fd, bytes);
      },
      close: (fd) => {
        this.pause('close');
        sockets.close(fd);
      },
      waitForInput: (fd, timeoutUs) => {
        this.pause('wait');
        return sockets.waitForInput(fd, timeoutUs);
      },
      errorNumber: () => sockets.errorNumber(),
    };
  }

  #accessLines(): AccessLines {
    return new AccessLines({
      format: new AccessFormat('{request}'),
      scriptOf: (state) => this.#host.scriptOf(state) ?? '',
      ring: new LineRingWriter(this.lines),
      runName: 'run',
      place: 0,
      usage: undefined,
      nowMs: () => this.#system.nowMs(),
      timeMs: () => this.#system.nowMs(),
      ringBell: () => this.#host.ringBell(),
    });
  }

  #countingOutbox(): DirectOutbox {
    const { outbox } = this.#host;
    const { counts } = this;
    return {
      ...outbox,
      returned: (descriptor, bytes, lacksState) => {
        counts.returned += 1;
        outbox.returned(descriptor, bytes, lacksState);
      },
      promoted: (request, state, descriptor, bytes, ageMs, waitsFor) => {
        counts.promoted += 1;
        if (waitsFor > 0) this.waits.promoted += 1;
        outbox.promoted(request, state, descriptor, bytes, ageMs, waitsFor);
      },
      freed: (state, tookMs) => {
        this.waits.freed += 1;
        outbox.freed(state, tookMs);
      },
      accepted: (descriptor, isAnswered, bytes) => {
        counts.accepted += 1;
        outbox.accepted(descriptor, isAnswered, bytes);
      },
    };
  }

  /** It has just found a route for what it has read: that must not lead elsewhere by now. */
  #isIdle(state: number): boolean {
    const request = findWholeRequest(this.#lastRead);
    const name = new Map(request === undefined ? [] : parsePairs(request.params)).get('SCRIPT_FILENAME') ?? '';
    if (!this.#host.isIdle(state)) return false;
    const [file, script] = [this.#system.fileOf(name), this.#host.scriptOf(state)];
    if (file !== script) this.#host.violations.push(`${name} is ${file} by now, and runs as ${script}`);
    return true;
  }
}

const BELL = { fd: -1, mark: 2 };

/** A borrower that can be stopped before each of its moves, and that knows where it is. */
export class PausingBorrower extends Borrower {
  /** The connection that it is at, unless it runs a request from it. */
  isAt: number | undefined;
  #descriptor = -1;
  readonly #pause: (pause: Pause) => void;

  constructor(shared: SharedArrayBuffer, pause: (pause: Pause) => void) {
    super(shared);
    this.#pause = pause;
  }

  override begin(descriptor: number): boolean {
    this.#pause('begin');
    const has = super.begin(descriptor);
    if (has) this.#note(descriptor);
    return has;
  }

  override get recalls(): number {
    this.#pause('look');
    return super.recalls;
  }

  override get isWanted(): boolean {
    this.#pause('look');
    return super.isWanted;
  }

  override get routesEpoch(): number {
    this.#pause('look');
    return super.routesEpoch;
  }

  override accepted(descriptor: number): void {
    super.accepted(descriptor);
    this.#note(descriptor);
  }

  override run(request: number, state: number, requestBytes: number): void {
    this.#pause('run');
    super.run(request, state, requestBytes);
    this.isAt = undefined;
  }

  override claim(): boolean {
    this.#pause('claim');
    const isOwn = super.claim();
    if (isOwn) this.isAt = this.#descriptor < 0 ? undefined : this.#descriptor;
    return isOwn;
  }

  override post(type: number): void {
    this.#pause('post');
    super.post(type);
  }

  /** It would have waited for the front. */
  hasWaited = false;

  override waitUntilKnown(): void {
    this.hasWaited = true;
    this.#pause('wait');
  }

  override waitForGate(): void {
    this.hasWaited = true;
    this.#pause('wait');
  }

  override leave(): void {
    this.#pause('leave');
    super.leave();
    this.isAt = undefined;
  }

  #note(descriptor: number): void {
    this.#descriptor = descriptor;
    this.isAt = descriptor < 0 ? undefined : descriptor;
  }
}
