/** The lent connections of one data source, and what waits in this worker for them. */

import type { LentLimits } from '../../io/lent-limits.js';
import type { LoanWords, WaitingCounts } from '../../io/loan-words.js';
import { refusalError } from '../../io/pool/refusals.js';
import { WaitQueue } from '../../io/pool/wait-queue.js';
import type { DataError } from '../../io/protocol.js';
import type { Line } from './line.js';
import type { Task, TaskEvents } from './task.js';

/** So often the I/O thread is asked for one more connection. */
const ASK_EVERY_MS = 20;

export interface SourceLinesParts {
  readonly limits: LentLimits;
  readonly words: LoanWords;
  readonly counts: WaitingCounts;
  readonly nowMs: () => number;
  readonly tasks: TaskEvents;
  /** Asks for a connection. */
  borrow(): void;
  planLook(dueMs: number): void;
  /** Has the I/O thread do a task. */
  post(task: Task): void;
}

export class SourceLines {
  readonly #parts: SourceLinesParts;
  /** The one used last comes last, so that the others can go back. */
  readonly #lines: Line[] = [];
  readonly #queue: WaitQueue<Task>;
  /** Those in the queue by their tokens. */
  readonly #waiting = new Map<number, Task>();
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: SourceLinesParts) {
    const { counts, limits } = parts;
    this.#parts = parts;
    // Others wait elsewhere: what is left for here.
    this.#queue = new WaitQueue(() => this.#queue.size + limits.queue - counts.total(limits.place));
  }

  get lines(): readonly Line[] {
    return this.#lines;
  }

  add(line: Line): void {
    this.#lines.push(line);
    this.#askedMs = Number.NEGATIVE_INFINITY;
    this.serve();
  }

  /** Begins a task, or has it wait for a connection. Returns false when there is none to wait for. */
  start(task: Task): boolean {
    if (this.#queue.size === 0 && this.#startNow(task)) return true;
    this.#ask();
    if (this.#lines.length === 0) return false;
    task.dueMs = this.#parts.nowMs() + this.#parts.limits.waitMs;
    const refused = this.#queue.push(task);
    if (refused !== task) {
      this.#waiting.set(task.token, task);
      this.#parts.planLook(Math.min(task.dueMs, this.#askedMs + ASK_EVERY_MS));
    }
    if (refused !== undefined) {
      this.#waiting.delete(refused.token);
      this.#parts.tasks.failed(refused, refusalError(this.#parts.limits, { why: 'full' }));
    }
    this.#count();
    return true;
  }

  /** The request of a task is over. Returns false when it is no task of this source. */
  abandon(token: number): boolean {
    const task = this.#waiting.get(token);
    if (task === undefined) return this.#lines.some((line) => line.abandon(token));
    this.#queue.remove(task);
    this.#waiting.delete(token);
    this.#count();
    return true;
  }

  /** A line has room, or is gone. */
  changed(line: Line): void {
    if (line.isGone) {
      const at = this.#lines.indexOf(line);
      if (at >= 0) this.#lines.splice(at, 1);
    }
    this.serve();
  }

  /** What waits gets connections that have room. */
  serve(): void {
    if (this.#queue.size === 0) return;
    while (this.#queue.size > 0) {
      const line = this.#lineWithRoom();
      if (line === undefined) break;
      const task = this.#queue.shift() as Task;
      this.#waiting.delete(task.token);
      line.start(task);
    }
    // Nobody gives back a connection that these could wait for.
    const posted: Task[] = [];
    while (this.#queue.size > 0 && this.#lines.length === 0) {
      const task = this.#queue.shift() as Task;
      this.#waiting.delete(task.token);
      posted.push(task);
    }
    // First the count: the I/O thread, which may have a task at once, would count it twice, and refuse one as one too many.
    this.#count();
    for (const task of posted) this.#parts.post(task);
  }

  /** Ends what has taken too long. @returns when the next is due */
  look(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const line of [...this.#lines]) nextMs = Math.min(nextMs, line.look(nowMs));
    const { limits, tasks } = this.#parts;
    for (const task of [...this.#waiting.values()]) {
      if (task.dueMs > nowMs) nextMs = Math.min(nextMs, task.dueMs);
      else {
        this.#queue.remove(task);
        this.#waiting.delete(task.token);
        tasks.failed(
          task,
          refusalError(limits, { why: 'timeout', waitedMs: limits.waitMs, busy: limits.connections, opening: 0 }),
        );
      }
    }
    this.#count();
    if (this.#queue.size === 0) return nextMs;
    // The I/O thread may have had none when it was asked.
    this.#ask();
    return Math.min(nextMs, nowMs + ASK_EVERY_MS);
  }

  /** The I/O thread is no more, and so are the loans. */
  orphan(error: DataError | Error): void {
    for (const line of this.#lines.splice(0)) line.orphan(error);
    this.#askedMs = Number.NEGATIVE_INFINITY;
    this.serve();
  }

  flush(): void {
    for (const line of this.#lines) line.flush();
  }

  #startNow(task: Task): boolean {
    const line = this.#lineWithRoom();
    if (line === undefined) return false;
    line.start(task);
    return true;
  }

  /** One that takes a task now, and that the I/O thread leaves here. */
  #lineWithRoom(): Line | undefined {
    for (let at = this.#lines.length - 1; at >= 0; at -= 1) {
      const line = this.#lines[at];
      if (line?.hasRoom === true && line.tryUse()) return line;
    }
    return undefined;
  }

  #ask(): void {
    const nowMs = this.#parts.nowMs();
    if (nowMs - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = nowMs;
    this.#parts.borrow();
  }

  #count(): void {
    const { words, counts, limits } = this.#parts;
    const added = this.#queue.size - words.waitingAt(limits.place);
    if (added === 0) return;
    words.setWaiting(limits.place, this.#queue.size);
    counts.addInWorkers(limits.place, added);
  }
}
