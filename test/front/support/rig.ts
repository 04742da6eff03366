/**
 * A front without sockets, threads or a clock: connections are lists of bytes, workers are scripted, and time passes
 * when the test says so. After each event the books are audited; what was written is read back by the tests' own
 * FastCGI reader, which shares no code with the server.
 */

import assert from 'node:assert/strict';
import type { LuafcgidError } from '../../../src/base/errors.js';
import { type Lender, LentMark } from '../../../src/channel/lending.js';
import { LineRingReader } from '../../../src/channel/line-ring.js';
import { Front, type FrontOptions } from '../../../src/front/core/front.js';
import type { AccessEntry } from '../../../src/front/model/access-record.js';
import type { ConnectionPort, LendingDriver, SlowRequest } from '../../../src/front/model/actions.js';
import { WorkerLink } from '../../../src/front/model/worker-link.js';
import { Errno } from '../../../src/linux/errno.js';
import { type FcgiResponse, ResponseBook } from '../../support/fcgi-responses.js';
import { type FcgiRecord, RecordReader, TYPE } from '../../support/fcgi-wire.js';
import type { DirectSystem } from './direct-worker.js';
import { FakeWorker, type StateRegistry } from './fake-worker.js';
import { ROOMY } from './roomy.js';

export interface RigOptions {
  readonly ringBytes: number;
  readonly pool: FrontOptions['pool'];
  readonly front: Partial<Omit<FrontOptions, 'pool'>>;
  /** Answer look-ups at once: the script's file is its path. */
  readonly findsAtOnce: boolean;
  /** Connections are lent to workers. Rings have to be large for that, and nobody wants to know of each request. */
  readonly lends: boolean;
}

/** A ring in which the longest request fits that a worker reads by itself. */
export const LENDING_RING_BYTES = 128 * 1024;

const POOL = { states: 8, clones: 4, workers: 1, queue: 16, halfLifeMs: 60_000, maxCount: 0 };

/** What the web server's side of a connection has seen. */
export class Peer {
  readonly id: number;
  readonly records: FcgiRecord[] = [];
  readonly violations: string[] = [];
  /** How the front has closed it, or that the driver has told of its end. */
  closed: 'no' | 'lingering' | 'now' | 'gone' = 'no';
  isPaused = false;
  /** While true nothing is sent: bytes written pile up. */
  isSlow = false;
  isSpooled = false;
  unsentBytes = 0;
  /** Bytes that it has read. */
  takenBytes = 0;
  /** The front has closed it at once; the test has to tell of its end. */
  isBroken = false;
  writes = 0;
  /** The front knows it: not yet accepted, or accepted by a worker, it does not. */
  isKnown = false;
  /** To whom it is lent. */
  lentTo: Lender | undefined;
  /** What the system holds of what was sent to the server: unread, since nobody could read it yet. */
  unread: Buffer = Buffer.alloc(0);
  /** Behind that comes the end. */
  hasEnd = false;
  /** A worker has read what was read last, and the front hears of it later. */
  isReadByWorker = false;
  /** Told of bytes that front or worker read. */
  onRead: (bytes: Uint8Array) => void = () => {};
  /** Told when the front closes it while it reads: the rest of those bytes came too late. */
  onClosedWhileRead: () => void = () => {};
  readonly book: ResponseBook;
  readonly #reader = new RecordReader();
  /** Bytes given to the front so far that are not yet understood here. */
  #sent: Buffer = Buffer.alloc(0);
  #isReadable = true;
  readonly #open = new Set<number>();
  readonly #beginsLater: number[] = [];

  constructor(id: number) {
    this.id = id;
    this.book = new ResponseBook((text) => this.violations.push(text));
  }

  /** The front has written. */
  take(bytes: Uint8Array, mayBePart = false): void {
    if (this.closed !== 'no') this.violations.push(`${bytes.length} bytes written after the close`);
    for (const record of this.#reader.push(Buffer.from(bytes))) {
      this.records.push(record);
      this.book.add(record);
      if (record.type === TYPE.END_REQUEST) this.#beginAgain(record.id);
    }
    if (this.#reader.pendingBytes > 0 && !mayBePart) this.violations.push('half a record was written');
  }

  /** No request is under way on it. */
  get isAnswered(): boolean {
    return this.#open.size === 0;
  }

  /** The test is about to give these bytes to the front: notes which requests they begin. */
  noteSent(bytes: Uint8Array): void {
    this.#sent = Buffer.concat([this.#sent, bytes]);
    while (this.#isReadable && this.#sent.length >= 8) {
      if (this.#sent[0] !== 1) {
        this.#isReadable = false;
        this.book.trustAnyId();
        return;
      }
      const type = this.#sent[1] as number;
      const id = this.#sent.readUInt16BE(2);
      const contentBytes = this.#sent.readUInt16BE(4);
      // Begun when its content has come: the front need not wait for the padding.
      if (type === TYPE.BEGIN_REQUEST && this.#sent.length < 8 + contentBytes) return;
      if (type === TYPE.BEGIN_REQUEST && id !== 0) this.#begin(id);
      if (type === TYPE.ABORT_REQUEST) this.book.aborted(id);
      const end = 8 + contentBytes + (this.#sent[6] as number);
      if (this.#sent.length < end) {
        // Neither begun nor aborted twice when the rest comes.
        if (type === TYPE.BEGIN_REQUEST || type === TYPE.ABORT_REQUEST) {
          this.#sent = Buffer.concat([Buffer.of(1, 0, 0, 0), this.#sent.subarray(4)]);
        }
        return;
      }
      this.#sent = this.#sent.subarray(end);
    }
  }

  #begin(id: number): void {
    if (this.#open.has(id)) this.#beginsLater.push(id);
    else this.book.begun(id);
    this.#open.add(id);
  }

  /** An id that was begun again in the same piece of bytes, before its first request's end could be seen. */
  #beginAgain(id: number): void {
    const index = this.#beginsLater.indexOf(id);
    if (index < 0) {
      this.#open.delete(id);
      return;
    }
    this.#beginsLater.splice(index, 1);
    this.book.begun(id);
    this.book.aborted(id);
  }

  /** The answer of a request; fails when it has not come to its end. */
  response(fcgiId = 1): FcgiResponse {
    const response = this.book.takeResponse(fcgiId);
    assert.ok(response, `request ${fcgiId} has no answer: ${this.book.describe()}`);
    return response;
  }

  stdout(fcgiId = 1): string {
    return this.response(fcgiId).stdout.toString('latin1');
  }

  /** The HTTP status in the answer of a request. */
  status(fcgiId = 1): number {
    const text = this.stdout(fcgiId);
    return Number(/^Status: (\d{3}) [^\r\n]+\r\n/.exec(text)?.[1] ?? assert.fail(`no status: ${text}`));
  }
}

/** What a worker waits for, as the kernel has it. */
interface WorkerList {
  readonly connections: Set<number>;
  mayAccept: boolean;
  /** It was told of a connection that waits to be accepted. */
  isTold: boolean;
}

const LISTENER = 100_000;
const DESCRIPTOR_LIMIT = 100_000;

function hasInput(peer: Peer | undefined): boolean {
  return peer !== undefined && (peer.unread.length > 0 || peer.hasEnd);
}

export class Rig {
  readonly front: Front;
  readonly options: RigOptions;
  readonly peers = new Map<number, Peer>();
  readonly workers: FakeWorker[] = [];
  readonly links: WorkerLink[] = [];
  readonly logs: string[] = [];
  /** Requests that are over, by name: what the access log is told of each. */
  readonly overs = new Map<string, AccessEntry>();
  /** Names of requests whose lines of the access log their workers have written. */
  readonly directOvers = new Set<string>();
  readonly slow: SlowRequest[] = [];
  /** Why workers were given up. */
  readonly abandoned: string[] = [];
  /** Look-ups that wait for an answer. */
  readonly lookUps: { path: string; request: number }[] = [];
  /** Files that look-ups found under another path. */
  readonly files = new Map<string, string>();
  readonly registry: StateRegistry = new Map();
  nowMs = 1_000;
  /** Whether a slow peer's answer may go to a file; it then counts as sent at once. */
  canSpool = true;
  /** Whether workers get what they wait with. */
  canLend = true;
  /** What each worker waits for, by its lender. */
  readonly #lists = new Map<Lender, WorkerList>();
  /** Connections that nobody has accepted yet. */
  readonly #backlog: Peer[] = [];
  isListening = true;
  drained = 0;
  /** Whether the front accepts new connections, or leaves that to workers. */
  frontAccepts = true;
  /** How often the front has accepted what workers may have left. */
  acceptCalls = 0;
  readonly #frontOptions: FrontOptions;
  #bell = false;
  #lastPeer = 0;

  constructor(options: Partial<Omit<RigOptions, 'pool'>> & { readonly pool?: Partial<RigOptions['pool']> } = {}) {
    const { lends = false, ringBytes = lends ? LENDING_RING_BYTES : 4096, findsAtOnce = true, front = {} } = options;
    const pool = { ...POOL, ...options.pool };
    this.options = { ringBytes, findsAtOnce, lends, front, pool };
    this.#frontOptions = {
      pool,
      maxPostBytes: 10_000,
      bodyMemoryBytes: 1_000,
      sendBufferBytes: 1_000,
      queueTimeoutMs: 5_000,
      ...ROOMY,
      overload: 'page',
      watchdogMs: 0,
      watchdogMaxMs: 0,
      slowTimeMs: 0,
      onAbort: 'finish',
      showErrors: false,
      runName: 'run',
      tracesRequests: !lends,
      ...front,
    };
    this.front = new Front(this.#frontOptions, {
      lookUp: (path, request) => {
        this.lookUps.push({ path, request });
      },
      log: (level, text, about) => {
        this.logs.push(`${level} ${about?.request ?? '-'} ${text}`);
      },
      requestOver: (entry) => {
        assert.ok(entry.record.outcome, `${entry.name} is over, and nobody knows how it ended`);
        this.takeLines();
        assert.ok(!this.directOvers.has(entry.name), `${entry.name} has a line of its worker already`);
        assert.ok(!this.overs.has(entry.name), `${entry.name} is over twice`);
        this.overs.set(entry.name, entry);
      },
      slow: (record) => {
        this.slow.push(record);
      },
      interrupt: (worker, request, reason) => {
        this.workers[worker - 1]?.interrupter.request(request, reason);
      },
      abandon: (worker, reason) => {
        this.abandoned.push(reason);
        this.workers[worker - 1]?.die();
      },
      drained: () => {
        this.drained += 1;
      },
      lending: lends ? this.#lending : undefined,
    });
  }

  get isTraced(): boolean {
    return this.#frontOptions.tracesRequests === true;
  }

  /** Whether a worker has begun with a request of this name by itself. */
  isDirectName(name: string): boolean {
    return this.workers.some(({ direct }) => direct?.begun.includes(name) === true);
  }

  /** Takes the lines of the access log that workers have written. */
  takeLines(): void {
    for (const { direct } of this.workers) {
      if (direct === undefined) continue;
      const lines = Buffer.from(new LineRingReader(direct.lines).take()).toString();
      for (const name of lines.split('\n').filter((line) => line !== '')) {
        assert.ok(!this.overs.has(name) && !this.directOvers.has(name), `${name} has two lines`);
        this.directOvers.add(name);
      }
    }
  }

  /** What a driver does to lend connections: here their numbers are their descriptors. */
  readonly #lending: LendingDriver = {
    open: (lender) => {
      if (!this.canLend) return false;
      assert.ok(!this.#lists.has(lender), 'opened twice');
      this.#lists.set(lender, { connections: new Set(), mayAccept: false, isTold: false });
      lender.open(1, 1);
      return true;
    },
    ring: (lender) => {
      const worker = this.workers.find((each) => each.lender === lender);
      if (worker?.direct !== undefined) worker.direct.isRung = true;
    },
    close: (lender) => {
      assert.ok(this.#lists.delete(lender), 'closed, and was not open');
    },
    lend: (id, lender) => {
      const peer = this.peers.get(id);
      if (peer === undefined || peer.closed !== 'no' || peer.unsentBytes > 0) return false;
      if (peer.lentTo !== undefined || peer.isPaused) peer.violations.push('lent, and cannot be');
      lender.takeUse(id);
      peer.lentTo = lender;
      this.#lists.get(lender)?.connections.add(id);
      return true;
    },
    takeBack: (id, lender) => {
      const peer = this.peers.get(id);
      this.#lists.get(lender)?.connections.delete(id);
      if (peer === undefined || peer.closed === 'gone') return;
      if (peer.lentTo !== lender) peer.violations.push('taken back from a worker that does not have it');
      peer.lentTo = undefined;
    },
    takeUse: (id, lender) => this.peers.get(id)?.lentTo === lender && lender.takeUse(id),
    connectionOf: (descriptor) => (this.peers.get(descriptor)?.isKnown ? descriptor : undefined),
    openAccepted: (descriptor) => {
      const peer = this.peers.get(descriptor) ?? assert.fail(`descriptor ${descriptor} is no connection`);
      this.#nowKnown(peer);
      return descriptor;
    },
    acceptWaiting: () => {
      this.acceptCalls += 1;
      this.#acceptAll();
    },
    setAccepting: (lender, accepts) => {
      const list = this.#lists.get(lender);
      if (list === undefined) return;
      list.mayAccept = accepts;
      list.isTold = accepts && this.#backlog.length > 0;
      lender.setListeners(accepts ? 1 : 0, DESCRIPTOR_LIMIT);
    },
    setFrontAccepting: (accepts) => {
      this.frontAccepts = accepts;
    },
  };

  /** The system's side of the connections of one worker. */
  #systemOf(worker: () => FakeWorker): DirectSystem {
    let errorNumber = 0;
    const fail = (number: number): number => {
      errorNumber = number;
      return -1;
    };
    const list = (): WorkerList | undefined => this.#lists.get(worker().lender);
    return {
      ready: () => {
        const events = [...(list()?.connections ?? [])]
          .filter((id) => hasInput(this.peers.get(id)))
          .map((fd) => ({ fd, mark: LentMark.CONNECTION as number }));
        const own = list();
        if (own?.isTold !== true) return events;
        own.isTold = this.#backlog.length > 0;
        return own.isTold ? [{ fd: LISTENER, mark: LentMark.LISTENER }, ...events] : events;
      },
      stopWatching: (fd) => void list()?.connections.delete(fd),
      nowMs: () => this.nowMs,
      fileOf: (path) => this.front.lookUps.find(path),
      isTraced: this.#frontOptions.tracesRequests === true,
      sockets: {
        accept: () => this.#backlog.shift()?.id ?? fail(Errno.EAGAIN),
        read: (id, into) => {
          const peer = this.peers.get(id) as Peer;
          if (peer.closed !== 'no') peer.violations.push('read by a worker after its end');
          if (!hasInput(peer)) return fail(Errno.EAGAIN);
          const bytes = peer.unread.subarray(0, into.length);
          peer.unread = peer.unread.subarray(bytes.length);
          peer.isReadByWorker = true;
          peer.onRead(bytes);
          into.set(bytes);
          return bytes.length;
        },
        send: (id, bytes) => {
          const peer = this.peers.get(id) as Peer;
          // A slow one has room for nothing, or for some of it.
          const room = peer.isSlow ? (bytes.length % 2) * (bytes.length >> 1) : bytes.length;
          if (room === 0) return fail(Errno.EAGAIN);
          peer.take(bytes.subarray(0, room), true);
          peer.writes += 1;
          return room;
        },
        close: (id) => {
          const peer = this.peers.get(id) as Peer;
          if (peer.isKnown || peer.closed !== 'no') peer.violations.push('closed by a worker, and is not its own');
          peer.closed = 'now';
        },
        waitForInput: (id) => hasInput(this.peers.get(id)),
        errorNumber: () => errorNumber,
      },
    };
  }

  /** What a worker cannot say since its ring is full has room, once slow clients have read. */
  #makeRoom(): void {
    for (const peer of this.peers.values()) {
      peer.isSlow = false;
      if (peer.unsentBytes > 0 && peer.closed !== 'gone') this.sendUnsent(peer);
    }
    this.#bell = true;
    this.ring();
  }

  /** Events go through here: the books are audited after each. */
  event<Result>(happens: () => Result): Result {
    const result = happens();
    assert.deepEqual(this.front.audit(), []);
    return result;
  }

  // ---- connections

  open(): Peer {
    this.#lastPeer += 1;
    const peer = new Peer(this.#lastPeer);
    this.peers.set(peer.id, peer);
    this.event(() => this.#nowKnown(peer));
    return peer;
  }

  /** A client connects; the front or a worker accepts it some time later. */
  connect(): Peer {
    if (!this.isListening) return this.open();
    this.#lastPeer += 1;
    const peer = new Peer(this.#lastPeer);
    this.peers.set(peer.id, peer);
    this.#backlog.push(peer);
    // Of the workers that may accept one is told.
    const lists = [...this.#lists.values()].filter(({ mayAccept }) => mayAccept);
    const told = lists[peer.id % Math.max(1, lists.length)];
    if (told !== undefined) told.isTold = true;
    return peer;
  }

  #nowKnown(peer: Peer): void {
    peer.isKnown = true;
    this.front.connectionOpened(peer.id, this.#portOf(peer));
  }

  #acceptAll(): void {
    for (let peer = this.#backlog.shift(); peer !== undefined; peer = this.#backlog.shift()) this.#nowKnown(peer);
  }

  /** The front accepts what waits, if that is its part. Returns whether there was anything. */
  acceptSome(): boolean {
    if (!this.frontAccepts || this.#backlog.length === 0) return false;
    this.event(() => this.#acceptAll());
    return true;
  }

  /** The server stops: nobody accepts any more. */
  drain(): void {
    this.isListening = false;
    for (const peer of this.#backlog.splice(0)) peer.closed = 'gone';
    this.event(() => this.front.drain(this.nowMs));
  }

  /** The driver's side of a connection. After its end nothing happens on it. */
  #portOf(peer: Peer): ConnectionPort {
    const pause = (isPaused: boolean): void => {
      if (peer.closed === 'gone') return;
      if (peer.isPaused === isPaused) peer.violations.push(isPaused ? 'paused twice' : 'resumed twice');
      peer.isPaused = isPaused;
    };
    return {
      write: (bytes) => {
        peer.take(bytes);
        peer.writes += 1;
        peer.unsentBytes = peer.isSlow ? peer.unsentBytes + bytes.length : 0;
        return peer.unsentBytes;
      },
      close: (linger) => {
        if (peer.closed !== 'no') peer.violations.push('closed twice');
        peer.closed = linger ? 'lingering' : 'now';
      },
      spool: () => {
        if (!this.canSpool) return false;
        peer.isSlow = false;
        peer.isSpooled = true;
        return true;
      },
      destroy: () => {
        if (peer.isBroken) peer.violations.push('broken twice');
        peer.isBroken = true;
        peer.closed = 'now';
        peer.unsentBytes = 0;
      },
      outgoing: () => {
        const { takenBytes, unsentBytes } = peer;
        return { takenBytes, memoryBytes: unsentBytes, isSpooled: false, isWaiting: unsentBytes > 0 };
      },
      pause: () => pause(true),
      resume: () => pause(false),
    };
  }

  /** Bytes arrive, in pieces as given. */
  send(peer: Peer, ...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      peer.noteSent(piece);
      peer.unread = Buffer.concat([peer.unread, piece]);
      this.deliver(peer);
    }
  }

  /** The front reads what there is, unless the connection is lent. Returns whether there was anything. */
  deliver(peer: Peer): boolean {
    if (!peer.isKnown || peer.lentTo !== undefined || !hasInput(peer)) return false;
    const bytes = Uint8Array.from(peer.unread);
    peer.unread = Buffer.alloc(0);
    peer.isReadByWorker = false;
    if (bytes.length > 0) {
      peer.onRead(bytes);
      this.event(() => this.front.bytesArrived(peer.id, bytes, this.nowMs));
      if (peer.closed !== 'no') peer.onClosedWhileRead();
      // They belong to the driver again: nobody may still look at them.
      bytes.fill(0xab);
      this.#findAll();
    }
    if (peer.hasEnd && peer.closed === 'no') this.endReading(peer);
    return true;
  }

  endReading(peer: Peer): void {
    peer.hasEnd = peer.lentTo !== undefined || !peer.isKnown;
    if (!peer.hasEnd) this.event(() => this.front.readEnded(peer.id, this.nowMs));
  }

  /** What the front may read on connections that have come home. */
  #deliverAll(): boolean {
    let any = false;
    for (const peer of this.peers.values()) {
      if (peer.closed === 'no' && !peer.isPaused) any = this.deliver(peer) || any;
    }
    return any;
  }

  /** The connection is gone for good. */
  close(peer: Peer): void {
    peer.closed = 'gone';
    if (!peer.isKnown) return;
    this.event(() => this.front.connectionClosed(peer.id, this.nowMs));
    this.#bell = true;
  }

  /** All that was written is sent. */
  sendUnsent(peer: Peer, leftBytes = 0): void {
    if (!peer.isKnown) return;
    peer.takenBytes += peer.unsentBytes - leftBytes;
    peer.unsentBytes = leftBytes;
    this.event(() => this.front.sent(peer.id, leftBytes, this.nowMs));
    this.#bell = true;
  }

  // ---- look-ups

  found(index = 0, file?: string): void {
    const [lookUp] = this.lookUps.splice(index, 1);
    assert.ok(lookUp, 'nobody looks for a script');
    if (file !== undefined) this.files.set(lookUp.path, file);
    this.event(() => this.front.scriptFound(lookUp.request, file ?? lookUp.path, this.nowMs));
  }

  refused(error: LuafcgidError, index = 0): void {
    const [lookUp] = this.lookUps.splice(index, 1);
    assert.ok(lookUp, 'nobody looks for a script');
    this.event(() => this.front.scriptRefused(lookUp.request, error));
  }

  // ---- workers

  /** A worker is ready. @param index its place, the next one if left out */
  addWorker(index = this.workers.length): FakeWorker {
    const worker: FakeWorker = new FakeWorker(
      this.options.ringBytes,
      this.registry,
      () => {
        this.#bell = true;
      },
      this.files,
      this.options.lends ? this.#systemOf(() => worker) : undefined,
    );
    worker.makeRoom = () => this.#makeRoom();
    const link = new WorkerLink(
      this.workers.length + 1,
      worker.toWorker,
      worker.toFront,
      worker.frontSlots,
      worker.interrupter,
      worker.lender,
    );
    this.workers.push(worker);
    this.links.push(link);
    this.event(() => this.front.workerReady(link, index, this.nowMs));
    worker.listen();
    return worker;
  }

  /** New settings, and workers that take over from those there are. @returns the new ones */
  renew(options: Partial<FrontOptions>, count: number): FakeWorker[] {
    const old = this.links.filter((_, at) => this.workers[at]?.isGone === false).map(({ id }) => id);
    this.event(() => {
      this.front.configure({ ...this.#frontOptions, ...options }, this.nowMs);
      this.front.retireWorkers(old, this.nowMs);
    });
    return Array.from({ length: count }, (_, index) => this.addWorker(index));
  }

  killWorker(worker: FakeWorker, reason = 'it crashed'): void {
    worker.die();
    const link = this.links[this.workers.indexOf(worker)] as WorkerLink;
    this.event(() => this.front.workerGone(link.id, reason, this.nowMs));
  }

  /** Lets front and workers say all they have to say, as the bell would; scripts go on only when the test says so. */
  settle(): void {
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < 100_000, 'front and workers never come to rest');
      let moved = false;
      for (const worker of this.workers) moved = worker.flush() || worker.listen() || worker.go() || moved;
      moved = this.ring() || moved;
      if (this.options.lends) {
        moved = this.acceptSome() || moved;
        moved = this.#deliverAll() || moved;
        this.event(() => this.front.wakeWorkers());
        for (const worker of this.workers) moved = worker.go() || moved;
      }
      this.#findAll();
      if (!moved && !this.#bell) break;
    }
    this.check();
    this.#checkAwake();
  }

  /** All is at rest: nobody sleeps who should be up. */
  #checkAwake(): void {
    for (const [at, { direct, running, isGone, isStuck, isToldToStop, lender }] of this.workers.entries()) {
      if (direct === undefined || direct.isInside || running !== undefined || isGone || isStuck || isToldToStop)
        continue;
      if (this.links[at]?.lending.connections.size === 0 || this.front.isReviewDue) continue;
      const isWantedForStates = this.links[at]?.lending.isWantedForStates === true;
      assert.ok(
        !lender.isWanted || isWantedForStates,
        `worker ${at + 1} is kept from its connections, and nobody wants it`,
      );
      assert.ok(!direct.isDeafToConnections, `worker ${at + 1} does not wait for its connections`);
    }
  }

  /** What the driver does within a millisecond where it has to look at the workers. */
  look(ms = 1): void {
    this.nowMs += ms;
    if (this.front.isReviewDue) this.#bell = true;
    this.settle();
  }

  /** If the bell has rung, the front hears the workers until there is nothing more, as its driver lets it. */
  ring(): boolean {
    if (!this.#bell) return false;
    this.#bell = false;
    while (this.event(() => this.front.pollWorkers(this.nowMs)));
    return true;
  }

  /** The bell rings. */
  hear(): void {
    this.#bell = true;
    this.ring();
    this.event(() => this.front.wakeWorkers());
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.event(() => this.front.tick(this.nowMs));
    // The driver looks at the workers soon even if nobody rings.
    if (this.front.isReviewDue) this.#bell = true;
  }

  // ---- what must hold at any time

  check(): void {
    assert.deepEqual(this.front.audit(), []);
    for (const peer of this.peers.values()) assert.deepEqual(peer.violations, [], `connection ${peer.id}`);
    for (const worker of this.workers) assert.deepEqual(worker.violations, []);
    const { states, clones } = this.options.pool;
    // A retired worker cannot close its idle states before its request ends, and nobody uses them any more.
    const left = new Set<number>();
    for (const [at, worker] of this.workers.entries()) {
      if (this.links[at]?.isRetired !== true) continue;
      const used = new Set([worker.running, ...worker.suspended].map((run) => run?.state));
      for (const state of worker.states) if (!used.has(state)) left.add(state);
    }
    const scripts = [...this.registry].filter(([state]) => !left.has(state)).map(([, script]) => script);
    assert.ok(scripts.length <= states, `${scripts.length} states exist, the limit is ${states}`);
    const perScript = new Map<string, number>();
    for (const script of scripts) perScript.set(script, (perScript.get(script) ?? 0) + 1);
    for (const [script, count] of perScript) assert.ok(count <= clones, `${count} states of ${script}`);
  }

  /** After everything has ended: nothing is left. */
  checkEmpty(): void {
    this.check();
    const { connections, requests, waiting } = this.front.counts();
    assert.deepEqual({ connections, requests, waiting }, { connections: 0, requests: 0, waiting: 0 });
  }

  #findAll(): void {
    while (this.options.findsAtOnce && this.lookUps.length > 0) this.found();
  }
}
