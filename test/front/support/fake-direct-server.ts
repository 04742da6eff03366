/**
 * A worker's end of the connections that it was lent, without a thread: the steps of a real one, one at a time, so that
 * the front can do something between any two of them. It sleeps as a real one does, and only what wakes that one wakes it.
 */
import { Borrower, MAX_LENT_BYTES } from '../../../src/channel/lending.js';
import { FromWorker } from '../../../src/channel/messages.js';
import type { RingReader } from '../../../src/channel/ring.js';
import { findWholeRequest } from '../../../src/fcgi/session.js';
import { parsePairs } from '../../support/fcgi-wire.js';

/** The system's side of connections, as far as a worker sees it. */
export interface LentSockets {
  /** Descriptors on a worker's list on which there is something to read. */
  ready(lane: FakeDirectServer): number[];
  read(descriptor: number, maxBytes: number): Buffer;
  /** Sends as much as there is room for; returns how many bytes that is. */
  send(descriptor: number, bytes: Buffer): number;
  /** The worker waits for it no more. */
  leave(lane: FakeDirectServer, descriptor: number): void;
  /** The file that a script path leads to. */
  fileOf(path: string): string | undefined;
}

/** A request that it may run. */
export interface LentCall {
  readonly descriptor: number;
  readonly fcgiId: number;
  readonly state: number;
  readonly bytes: Buffer;
  readonly params: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** What it needs of its worker. */
export interface LaneWorker {
  readonly isAbleToGoOn: boolean;
  readonly violations: string[];
  hasState(state: number): boolean;
  scriptOf(state: number): string | undefined;
  ringBell(): void;
  /** It runs this from now on. */
  runs(call: LentCall): void;
  returned(descriptor: number, bytes: Buffer, said: () => void): void;
  rest(descriptor: number, bytes: Buffer): void;
}

type Phase =
  | 'top'
  | 'choose'
  | 'lain'
  | 'waiting'
  | 'asleep'
  | 'reading'
  | 'got'
  | 'telling'
  | 'told'
  | 'saying'
  | 'running'
  | 'answering'
  | 'leaving';

/** Thrown where a thread would sleep. */
export class Sleep extends Error {}

export class FakeDirectServer {
  readonly borrower: Borrower;
  readonly loans: SharedArrayBuffer;
  /** The bell has been rung that wakes it where it waits for connections. */
  isRung = false;
  /** Requests that it has begun with, and those that it has answered by itself. */
  readonly counts = { begun: 0, answered: 0, returned: 0, handedOver: 0 };
  readonly #worker: LaneWorker;
  readonly #reader: RingReader;
  readonly #sockets: LentSockets;
  readonly #routes = new Map<string, number>();
  #names = 0;
  #phase: Phase = 'top';
  #batch: number[] = [];
  #recalls = 0;
  #descriptor = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #answer: Buffer = Buffer.alloc(0);

  constructor(loans: SharedArrayBuffer, worker: LaneWorker, reader: RingReader, sockets: LentSockets) {
    this.loans = loans;
    this.borrower = new Borrower(loans);
    this.#worker = worker;
    this.#reader = reader;
    this.#sockets = sockets;
  }

  /** Whether it is at a connection: what lies in the ring has to wait. */
  get isAt(): boolean {
    return !['top', 'choose', 'lain', 'waiting', 'asleep'].includes(this.#phase);
  }

  /** The connection of which nobody knows how far it has come, should it end now. */
  get isInTheMiddleOf(): number | undefined {
    return this.isAt && this.#phase !== 'running' ? this.#descriptor : undefined;
  }

  get isAsleep(): boolean {
    return this.#phase === 'asleep' || this.#phase === 'waiting';
  }

  /** Whether it sleeps where lent connections do not wake it. */
  get isDeafToConnections(): boolean {
    return this.#phase === 'asleep';
  }

  /** The ring's writer wakes it. */
  wake(): void {
    if (this.#phase === 'asleep') this.#phase = 'top';
  }

  teach(name: string, state: number, names: number): void {
    this.#forgetOldNames();
    if (names === this.#names) this.#routes.set(name, state);
  }

  get #isOpen(): boolean {
    return this.borrower.lent > 0 && !this.borrower.isWanted && !this.borrower.isShut;
  }

  /** One step. Returns whether there was any. @param takeMessages takes what lies in the ring */
  go(takeMessages: () => boolean): boolean {
    if (!this.#worker.isAbleToGoOn) return false;
    switch (this.#phase) {
      case 'top':
        if (this.borrower.isWanted) this.#worker.ringBell();
        this.#phase = 'choose';
        return true;
      case 'choose':
        return this.#choose(takeMessages);
      case 'lain':
        this.#phase = 'waiting';
        if (!this.#isOpen) this.#unpark();
        return true;
      case 'waiting': {
        this.#batch = this.#sockets.ready(this);
        if (this.#batch.length === 0 && !this.isRung) return false;
        this.#unpark();
        return true;
      }
      case 'asleep':
      case 'running':
      case 'saying':
        return false;
      case 'reading':
        this.#bytes = this.#sockets.read(this.#descriptor, MAX_LENT_BYTES);
        this.borrower.bytes.set(this.#bytes);
        this.#phase = 'got';
        return true;
      case 'got':
        this.#understand();
        return true;
      case 'telling':
        this.borrower.post(FromWorker.RETURNED);
        this.#sockets.leave(this, this.#descriptor);
        this.#phase = 'told';
        return true;
      case 'told':
        this.#phase = 'saying';
        this.counts.returned += 1;
        this.#worker.returned(this.#descriptor, this.#bytes, () => {
          this.#phase = 'leaving';
        });
        return true;
      case 'answering':
        this.#send();
        return true;
      case 'leaving':
        this.borrower.leave();
        this.#phase = 'top';
        return true;
    }
  }

  #choose(takeMessages: () => boolean): boolean {
    this.#phase = 'top';
    if (this.#reader.hasFrame) return takeMessages();
    if (!this.#isOpen) {
      try {
        this.#reader.waitForFrame(() => this.#isOpen);
      } catch (error) {
        if (!(error instanceof Sleep)) throw error;
        this.#phase = 'asleep';
      }
      return true;
    }
    if (this.#batch.length > 0) {
      this.#visit();
      return true;
    }
    this.#recalls = this.borrower.recalls;
    if (this.#reader.parkElsewhere()) this.#phase = 'lain';
    return true;
  }

  #unpark(): void {
    this.#reader.unpark();
    this.isRung = false;
    this.#phase = 'top';
  }

  #visit(): void {
    const { borrower } = this;
    const descriptor = this.#batch[0] as number;
    if (!borrower.begin(descriptor)) return;
    if (borrower.recalls !== this.#recalls) {
      this.#batch = [];
      return borrower.leave();
    }
    if (borrower.isWanted || this.#reader.hasFrame) return borrower.leave();
    this.#batch.shift();
    this.#descriptor = descriptor;
    this.#phase = 'reading';
  }

  #understand(): void {
    const request = findWholeRequest(this.#bytes);
    const params = new Map(request === undefined ? [] : parsePairs(request.params));
    const body = Buffer.concat([...(request?.body ?? [])]);
    const length = params.get('CONTENT_LENGTH') ?? '';
    this.#forgetOldNames();
    const name = params.get('SCRIPT_FILENAME') ?? '';
    const state = this.#routes.get(name);
    this.#phase = 'telling';
    if (request === undefined || state === undefined || !this.#worker.hasState(state)) return;
    if (length !== '' && Number(length) !== body.length) return;
    const [file, script] = [this.#sockets.fileOf(name), this.#worker.scriptOf(state)];
    if (file !== script) this.#worker.violations.push(`${name} is ${file} by now, and runs as ${script}`);
    this.#phase = 'running';
    this.counts.begun += 1;
    const { requestId: fcgiId } = request;
    this.#worker.runs({ descriptor: this.#descriptor, fcgiId, state, bytes: this.#bytes, params, body });
  }

  #forgetOldNames(): void {
    if (this.borrower.routesEpoch === this.#names) return;
    this.#names = this.borrower.routesEpoch;
    this.#routes.clear();
  }

  /** The running request is over. Returns false when it is the front's: then its end is said to that. */
  answers(records: Buffer): boolean {
    this.#phase = 'top';
    if (!this.borrower.claim()) return false;
    this.#answer = records;
    this.#phase = 'answering';
    return true;
  }

  /** The running request is the front's, or becomes it by what `say` says. */
  handOver(say: (said: () => void) => void): void {
    this.#phase = 'top';
    if (!this.borrower.claim()) return;
    this.counts.handedOver += 1;
    this.borrower.post(FromWorker.RETURNED);
    this.#sockets.leave(this, this.#descriptor);
    say(() => this.borrower.leave());
  }

  #send(): void {
    const sent = this.#sockets.send(this.#descriptor, this.#answer);
    this.counts.answered += 1;
    this.borrower.noteUse(this.#descriptor);
    this.#phase = 'leaving';
    if (sent === this.#answer.length) return;
    this.borrower.post(FromWorker.RETURNED);
    this.#sockets.leave(this, this.#descriptor);
    this.#worker.rest(this.#descriptor, this.#answer.subarray(sent));
    this.#phase = 'saying';
    this.#worker.returned(this.#descriptor, Buffer.alloc(0), () => {
      this.#phase = 'leaving';
    });
  }
}
