/**
 * A connection that was lent to this worker: its descriptor, its slot, and what waits to be written. What is said on it is a
 * matter of the classes that extend this one.
 */
import type { LoanWords } from '../../io/loan-words.js';
import { LoanState } from '../../io/loan-words.js';
import { Return } from '../../io/protocol.js';
import { type DirectSocketCalls, FAILED, readNow, sendNow, TRY_LATER } from '../../linux/socket-calls.js';
import type { Task, TaskEvents } from './task.js';

/** Bytes that are read at once. */
const READ_BYTES = 64 * 1024;

/** What a line asks of its surroundings. */
export interface LineParts {
  readonly words: LoanWords;
  readonly sockets: Pick<DirectSocketCalls, 'read' | 'send' | 'close' | 'errorNumber'>;
  readonly nowMs: () => number;
  readonly tasks: TaskEvents;
  /** Waits also until there is room for more to be written, or no longer for that. */
  watch(descriptor: number, wantsRoom: boolean): void;
  unwatch(descriptor: number): void;
  giveBack(slot: number, how: Return, reason: string): void;
  cancelOn(slot: number): void;
  /** Something on a line is due at this moment. */
  planLook(dueMs: number): void;
  /** The line may be given something to do, or is gone. */
  changed(line: Line): void;
}

/** One buffer for all lines: what is kept of it is copied. */
const input = Buffer.allocUnsafeSlow(READ_BYTES);

export abstract class Line {
  readonly slot: number;
  readonly descriptor: number;
  protected readonly parts: LineParts;
  #unsent: Buffer[] = [];
  #isWatchingRoom = false;
  #isGone = false;

  constructor(slot: number, descriptor: number, parts: LineParts) {
    this.slot = slot;
    this.descriptor = descriptor;
    this.parts = parts;
  }

  /** It has come to its end. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Whether nothing is under way on it. */
  abstract get isUnused(): boolean;
  /** Whether it takes a further task now. */
  abstract get hasRoom(): boolean;
  /** Begins a task. Only called when it has room and `tryUse` was true. */
  abstract start(task: Task): void;
  /** The request of a task is over. Returns false when the task is not on this line. */
  abstract abandon(token: number): boolean;
  /** Ends what has taken too long. @returns when the next is due */
  abstract look(nowMs: number): number;
  /** Bytes have come. */
  protected abstract take(bytes: Buffer): void;
  /** All that is under way fails. @param reason in the words of the data source, where no error was told before */
  protected abstract fail(reason: string): void;

  /** Makes sure that the I/O thread does not take the connection from now on. Returns false when it has, or wants it back. */
  tryUse(): boolean {
    const { words } = this.parts;
    if (this.#isGone) return false;
    // It was used until now, or still is.
    const state = words.stateOf(this.slot);
    if (state === LoanState.USED) return true;
    if (state === LoanState.WANTED) return false;
    if (words.move(this.slot, LoanState.IDLE, LoanState.USED)) {
      words.noteUse(this.slot);
      return true;
    }
    this.#drop();
    return false;
  }

  /** Something has happened on the descriptor. */
  ready(): void {
    const { words, sockets } = this.parts;
    const wasUnused = this.isUnused;
    if (wasUnused && !words.move(this.slot, LoanState.IDLE, LoanState.USED)) return this.#drop();
    if (this.#unsent.length > 0) this.flush();
    if (this.#isGone) return;
    const count = readNow(sockets, this.descriptor, input);
    if (count === 0) this.end(Return.LOST, this.closedReason);
    else if (count === FAILED) this.end(Return.LOST, `read ${this.#errorName()}`);
    else if (count !== TRY_LATER) this.take(input.subarray(0, count));
    if (wasUnused && !this.#isGone && this.isUnused) this.rest();
  }

  /** What the error says when the server has closed the connection. */
  protected abstract readonly closedReason: string;

  /** Nothing is under way any more: the I/O thread may take it, and gets it when it wants it. */
  protected rest(): void {
    const { words } = this.parts;
    if (!words.move(this.slot, LoanState.USED, LoanState.IDLE)) this.end(Return.FIT, '');
  }

  /** Whether the I/O thread wants it back. */
  protected get isWanted(): boolean {
    return this.parts.words.stateOf(this.slot) === LoanState.WANTED;
  }

  /** Writes what the system takes at once; the rest is written when it takes more. */
  protected send(bytes: Buffer): void {
    this.#unsent.push(bytes);
    if (this.#unsent.length === 1) this.flush();
  }

  /** The same, with the next `flush`. */
  protected sendLater(bytes: Buffer): void {
    this.#unsent.push(bytes);
  }

  flush(): void {
    if (this.#unsent.length === 0 || this.#isGone) return;
    const bytes = this.#unsent.length === 1 ? (this.#unsent[0] as Buffer) : Buffer.concat(this.#unsent);
    const sent = sendNow(this.parts.sockets, this.descriptor, bytes);
    if (sent === FAILED) return this.end(Return.LOST, `write ${this.#errorName()}`);
    this.#unsent = sent === bytes.length ? [] : [bytes.subarray(sent)];
    const wantsRoom = this.#unsent.length > 0;
    if (wantsRoom === this.#isWatchingRoom) return;
    this.#isWatchingRoom = wantsRoom;
    this.parts.watch(this.descriptor, wantsRoom);
  }

  /** The worker uses it no more. What is under way fails. */
  end(how: Return, reason: string): void {
    if (this.#isGone) return;
    this.#leave();
    this.parts.giveBack(this.slot, how, reason);
    this.fail(reason);
    this.parts.changed(this);
  }

  /** The I/O thread is no more, and so is the loan. */
  orphan(error: unknown): void {
    if (this.#isGone) return;
    this.#leave();
    this.failWith(error);
  }

  protected abstract failWith(error: unknown): void;

  /** The I/O thread has taken it back. */
  #drop(): void {
    if (this.#isGone) return;
    this.#leave();
    this.parts.changed(this);
  }

  #leave(): void {
    const { words, sockets } = this.parts;
    this.#isGone = true;
    this.parts.unwatch(this.descriptor);
    // First the word: if this thread ends between the two, nobody closes another's descriptor.
    words.set(this.slot, LoanState.FREE);
    sockets.close(this.descriptor);
  }

  #errorName(): string {
    const number = this.parts.sockets.errorNumber();
    return ERROR_NAMES[number] ?? `errno ${number}`;
  }
}

/** As Node.js names them. */
const ERROR_NAMES: Readonly<Record<number, string>> = {
  32: 'EPIPE',
  104: 'ECONNRESET',
  110: 'ETIMEDOUT',
  113: 'EHOSTUNREACH',
};
