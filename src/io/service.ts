/**
 * The core of the I/O thread: takes operations out of the rings, gives them to their sources, and writes completions as
 * there is room. Knows no kind of source. Runs in the I/O thread.
 */

import { LuafcgidError } from '../base/errors.js';
import { type Frame, RingReader, RingWriter } from '../channel/ring.js';
import { IoBell, type IoChannel, type IoCommon } from './channel.js';
import { Borrower, type DescriptorCalls } from './lending/borrower.js';
import { PLACES, placeOfSource, WaitingCounts } from './loan-words.js';
import {
  decodeOperation,
  encodeError,
  FromIo,
  frameType,
  isOfEpoch,
  kindOf,
  MORE,
  type OperationRequest,
  type Return,
  ToIo,
} from './protocol.js';
import { Run, type Source, type SourceStatus } from './source.js';

/**
 * How often a sleeping thread looks whether a ring of the bell did not wake it. That was seen once (Node.js 20, many frames of half a
 * ring): no operation was ever answered again, since nobody rings a bell that was rung.
 */
const LOOK_MS = 100;
/** Frames taken from one ring before the next ring has its turn. */
const FRAMES_AT_ONCE = 64;
/** Runs that the front has ended and that are remembered until their worker says so too. */
const ENDED_AT_MOST = 10_000;

/** A worker, or the front, which posts no operations and only ends runs. */
class Client {
  readonly runs = new Map<number, Run>();
  readonly reader: RingReader;
  readonly #writer: RingWriter;
  readonly #epoch: number;
  readonly #wake: () => void;
  /** Completions that wait for room; the first may be written in part. */
  readonly #waiting: {
    readonly type: number;
    readonly id: number;
    readonly run: number;
    readonly payload: Uint8Array;
  }[] = [];
  #written = 0;
  /** An operation that continues in the next frame. */
  #pieces: Buffer[] = [];
  #piecesOf = 0;
  /** Undefined where no connections are lent to it. */
  readonly borrower: Borrower | undefined;

  constructor(channel: IoChannel, epoch: number, wake: () => void, calls: DescriptorCalls | undefined) {
    this.borrower =
      calls &&
      new Borrower(channel.loans, calls, (slot, source, descriptor) => this.#tellLent(slot, source, descriptor));
    this.reader = new RingReader(channel.toIo);
    this.#writer = new RingWriter(channel.toWorker);
    this.#epoch = epoch;
    this.#wake = wake;
  }

  /** Whether completions wait for room. */
  get isFull(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether what waits for room has some now. */
  get hasRoomAgain(): boolean {
    const next = this.#waiting[0];
    if (next === undefined) return false;
    return this.#writer.hasRoom(Math.min(next.payload.length - this.#written, this.#writer.maxPayloadBytes));
  }

  /** A whole message, or undefined when more of it is to come or it was for another epoch. */
  collect(frame: Frame): Buffer | undefined {
    if (!isOfEpoch(frame.type, this.#epoch)) return undefined;
    // The rest of a message whose writer has given up never comes.
    if (frame.id !== this.#piecesOf) this.#pieces = [];
    this.#piecesOf = frame.id;
    this.#pieces.push(Buffer.from(frame.payload));
    if ((frame.type & MORE) !== 0) return undefined;
    const message = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    this.#pieces = [];
    return message;
  }

  /** A connection is lent. False when there is no room for the message: it must not wait, since its descriptor would. */
  #tellLent(slot: number, source: number, descriptor: number): boolean {
    if (this.#waiting.length > 0) return false;
    const payload = Buffer.alloc(4);
    payload.writeInt32LE(descriptor);
    const isTold = this.#writer.tryWrite(frameType(FromIo.LENT, this.#epoch), slot, source, payload);
    if (isTold) this.#wake();
    return isTold;
  }

  complete(kind: number, id: number, run: number, payload: Uint8Array): void {
    this.#waiting.push({ type: frameType(kind, this.#epoch), id, run, payload });
    this.flush();
  }

  /** Writes what there is room for. */
  flush(): void {
    const { maxPayloadBytes } = this.#writer;
    let hasWritten = false;
    for (let next = this.#waiting[0]; next !== undefined; ) {
      const piece = next.payload.subarray(this.#written, this.#written + maxPayloadBytes);
      const isLast = this.#written + piece.length === next.payload.length;
      if (!this.#writer.tryWrite(isLast ? next.type : next.type | MORE, next.id, next.run, piece)) {
        if (this.#writer.askForRoom()) break;
        continue;
      }
      hasWritten = true;
      this.#written += piece.length;
      if (!isLast) continue;
      this.#written = 0;
      this.#waiting.shift();
      next = this.#waiting[0];
    }
    if (hasWritten) this.#wake();
  }
}

export class IoService {
  readonly #bell: IoBell;
  readonly #epoch: number;
  readonly #clients = new Map<number, Client>();
  readonly #sources = new Map<number, Source>();
  /** Runs that the front has ended, of which operations may still come. */
  readonly #ended = new Set<number>();
  /** Workers that are gone, whose threads have not ended: their descriptors are closed when they do. */
  readonly #leftBehind = new Map<number, Borrower>();
  readonly #waiting: WaitingCounts;
  #isRunning = false;

  constructor(common: IoCommon) {
    this.#bell = new IoBell(common);
    this.#waiting = new WaitingCounts(common.waiting);
    this.#epoch = Atomics.load(new Int32Array(common.epoch), 0);
  }

  addSource(id: number, source: Source): void {
    this.#sources.set(id, source);
    if (source.lending === undefined) return;
    const place = placeOfSource(id);
    source.lending.counts = {
      inWorkers: () => this.#waiting.inWorkers(place),
      tell: (waiting) => this.#waiting.setInIoThread(place, waiting),
    };
  }

  source(id: number): Source | undefined {
    return this.#sources.get(id);
  }

  get sources(): Iterable<Source> {
    return this.#sources.values();
  }

  /** What all data sources are doing, with the connections that workers have opened by themselves. */
  status(): SourceStatus[] {
    return [...this.#sources].map(([id, source]) => {
      const status = source.status();
      return { ...status, open: status.open + this.#waiting.ownConnections(placeOfSource(id)) };
    });
  }

  /** The source is no longer in the configuration; what is under way on it ends in order. */
  async removeSource(id: number): Promise<void> {
    const source = this.#sources.get(id);
    this.#sources.delete(id);
    await source?.close();
  }

  /**
   * @param wake wakes the worker, wherever it sleeps
   * @param descriptors the system's calls by which connections are lent to it; undefined: none are
   */
  addClient(id: number, channel: IoChannel, wake: () => void, descriptors?: DescriptorCalls): void {
    this.#clients.set(id, new Client(channel, this.#epoch, wake, descriptors));
    // It may have posted before it was known here.
    if (this.#isRunning) this.#bell.ring();
    else this.#run();
  }

  /** The worker is gone: so are all its runs. @param hasEnded its thread has, too */
  removeClient(id: number, hasEnded: boolean): void {
    const client = this.#clients.get(id);
    this.#clients.delete(id);
    for (const run of client?.runs.values() ?? []) run.end();
    const borrower = client?.borrower ?? this.#leftBehind.get(id);
    this.#leftBehind.delete(id);
    if (borrower === undefined) return;
    if (!hasEnded) this.#leftBehind.set(id, borrower);
    borrower.end(hasEnded);
    for (const taker of borrower.takers) for (const source of this.#sources.values()) source.lending?.forget(taker);
    // What waited in it for connections waits no more.
    for (let place = 0; place < PLACES; place += 1) {
      this.#waiting.addInWorkers(place, -borrower.words.waitingAt(place));
      borrower.words.setWaiting(place, 0);
    }
  }

  /** Looks at all rings once per turn of the event loop while there is something in them, and sleeps otherwise. */
  #run(): void {
    this.#isRunning = true;
    /** Which sleep it is; undefined while it is awake. Whatever would end an earlier one comes too late. */
    let asleep: symbol | undefined;
    const turn = (): void => {
      asleep = undefined;
      if (this.#takeAll()) {
        setImmediate(turn);
        return;
      }
      const own = Symbol('sleep');
      asleep = own;
      this.#bell.sleep(
        () => this.#hasWork(),
        () => {
          if (asleep === own) turn();
        },
      );
    };
    turn();
    setInterval(() => {
      if (asleep !== undefined && this.#hasWork()) turn();
    }, LOOK_MS).unref();
  }

  #hasWork(): boolean {
    for (const client of this.#clients.values()) {
      // Room may have been made just before this thread said that it sleeps.
      if (client.reader.hasFrame || client.hasRoomAgain) return true;
    }
    return false;
  }

  #takeAll(): boolean {
    let hasTaken = false;
    for (const client of this.#clients.values()) {
      for (let taken = 0; taken < FRAMES_AT_ONCE; taken += 1) {
        const frame = client.reader.peek();
        if (frame === undefined) break;
        this.#take(client, frame);
        client.reader.release();
        hasTaken = true;
      }
      if (client.isFull) client.flush();
    }
    return hasTaken;
  }

  #take(client: Client, frame: Frame): void {
    const { id, argument: run } = frame;
    const message = client.collect(frame);
    if (message === undefined) return;
    switch (kindOf(frame.type)) {
      case ToIo.OPERATION:
        return this.#start(client, id, decodeOperation(run, message));
      case ToIo.RUN_OVER:
        return this.#endRun(client, run);
      case ToIo.BORROW:
        return this.#borrow(client, id);
      case ToIo.RETURN:
        return client.borrower?.returned(id, run as Return, message.toString());
      case ToIo.CANCEL:
        return client.borrower?.cancel(id);
    }
  }

  #borrow({ borrower }: Client, source: number): void {
    if (borrower !== undefined) this.#sources.get(source)?.lending?.ask(borrower.takerFor(source));
  }

  /** Ends a run. Its worker and the front may both say that it is over; the first one counts. */
  #endRun(client: Client, id: number): void {
    const own = client.runs.get(id);
    if (own !== undefined) {
      client.runs.delete(id);
      this.#ended.delete(id);
      own.end();
      return;
    }
    if (this.#ended.delete(id)) return;
    for (const other of this.#clients.values()) {
      const run = other.runs.get(id);
      if (run === undefined) continue;
      other.runs.delete(id);
      this.#remember(id);
      run.end();
      return;
    }
  }

  #remember(id: number): void {
    this.#ended.add(id);
    if (this.#ended.size <= ENDED_AT_MOST) return;
    const [oldest] = this.#ended;
    if (oldest !== undefined) this.#ended.delete(oldest);
  }

  #start(client: Client, id: number, request: OperationRequest): void {
    const { run: runId, action, script, limitMs, handle } = request;
    const fail = (error: unknown): void => client.complete(FromIo.ERROR, id, runId, encodeError(error));
    if (this.#ended.has(runId)) return fail(new LuafcgidError('LUAFCGID_DATA_RUN_OVER'));
    const source = this.#sources.get(request.source);
    if (source === undefined) return fail(new LuafcgidError('LUAFCGID_DATA_SOURCE', { source: request.source }));
    let run = client.runs.get(runId);
    if (run === undefined) {
      run = new Run(runId);
      client.runs.set(runId, run);
    }
    const owner = run;
    const end = (send: () => void): void => {
      // Nobody waits for the completion of a run that is over.
      if (!owner.isOver) send();
    };
    source.start({
      run: owner,
      action,
      script,
      limitMs,
      handle,
      body: request.body as Buffer,
      done: (result) => end(() => client.complete(FromIo.DONE, id, runId, result)),
      fail: (error) => end(() => fail(error)),
    });
  }
}
