/**
 * The front's log lines on their way to the main thread. Floods are counted here, at their source; lines of the access log
 * are handed over in batches.
 */
import { roleName } from '../../base/roles.js';
import type { LineRingReader } from '../../channel/line-ring.js';
import { LOG_LEVELS, type LogLevel } from '../../channel/messages.js';
import { AccessFormat } from '../../logging/access-format.js';
import type { LogSubject } from '../../logging/line.js';
import { Repeats } from '../../logging/repeats.js';
import type { AccessEntry } from '../model/access-record.js';

/** A batch goes out when the next line might not fit into this, and otherwise with the next tick. */
const BATCH_BYTES = 64 * 1024;
const LINE_END = 10;

export interface LogSettings {
  readonly lowestLevel: LogLevel;
  /** Format of the access log; undefined: there is none. */
  readonly accessFormat: string | undefined;
}

/** Takes the lines. */
export interface LogEvents {
  log(level: LogLevel, text: string, about?: LogSubject): void;
  /** Lines of the access log, each with its end. The bytes are valid during this call only. */
  access(lines: Uint8Array): void;
  /** To be called now and then. @param isLast nothing more will come */
  flush?(isLast: boolean): void;
}

export class FrontLogs {
  readonly #lowest: number;
  readonly #events: LogEvents;
  readonly #repeats: Repeats;
  readonly #format: AccessFormat | undefined;
  /** Bytes at once, since strings that are put together piece by piece keep all their pieces. */
  readonly #batch: Buffer;
  #batchBytes = 0;
  /** What workers have written by themselves. */
  readonly #lines = new Map<number, LineRingReader>();

  constructor({ lowestLevel, accessFormat }: LogSettings, events: LogEvents) {
    this.#lowest = LOG_LEVELS.indexOf(lowestLevel);
    this.#events = events;
    this.#repeats = new Repeats((level, text, about) => events.log(level, text, about));
    this.#format = accessFormat === undefined ? undefined : new AccessFormat(accessFormat);
    this.#batch = Buffer.allocUnsafeSlow(accessFormat === undefined ? 0 : BATCH_BYTES);
  }

  readonly log = (level: LogLevel, text: string, about: LogSubject = {}): void => {
    if (LOG_LEVELS.indexOf(level) >= this.#lowest) this.#repeats.take(level, text, about, performance.now());
  };

  /** A worker writes lines of the access log by itself, of requests that the front does not know. */
  addLines(worker: number, lines: LineRingReader): void {
    this.#lines.set(worker, lines);
  }

  /** The thread of a worker has ended: nothing more comes from it. */
  removeLines(worker: number): void {
    this.#takeLines(({ isEmpty }) => !isEmpty);
    this.#lines.delete(worker);
  }

  /** Takes the lines of workers where many wait. */
  takeManyLines(): void {
    this.#takeLines(({ isHalfFull }) => isHalfFull);
  }

  /** Notes a request that is over. */
  requestOver({ name, record, times, script, state, role, method, receivedBytes, params }: AccessEntry): void {
    if (this.#format === undefined) return;
    // A request before this one may have been served on its connection by a worker.
    this.#takeLines(({ isEmpty }) => !isEmpty);
    const { arrivedMs, startedMs, endedMs = arrivedMs } = times;
    const durationMs = Math.max(0, endedMs - arrivedMs);
    this.#add(
      this.#format.line({
        arrivedMs: Date.now() - durationMs,
        durationMs,
        waitMs: startedMs === undefined ? undefined : Math.max(0, startedMs - arrivedMs),
        cpuMs: record.cpuMs,
        memoryBytes: record.memoryBytes,
        request: name,
        script,
        state,
        worker: record.worker,
        role: roleName(role),
        method,
        status: record.status,
        outcome: record.outcome ?? 'done',
        sentBytes: record.sentBytes,
        receivedBytes,
        params,
      }),
    );
  }

  /** Time has passed: hands over the batch, and logs the counts of floods. */
  flush(): void {
    this.#repeats.review(performance.now());
    this.#takeLines(({ isEmpty }) => !isEmpty);
    this.#handOver();
    this.#events.flush?.(false);
  }

  /** The front ends: nothing is kept. */
  end(): void {
    this.#repeats.end(performance.now());
    this.#takeLines(({ isEmpty }) => !isEmpty);
    this.#handOver();
    this.#events.flush?.(true);
  }

  #add(line: string): void {
    // No character takes more than three bytes of UTF-8 for each unit of its string.
    const mostBytes = 3 * line.length + 1;
    if (this.#batchBytes + mostBytes > BATCH_BYTES) this.#handOver();
    if (mostBytes > BATCH_BYTES) return this.#events.access(Buffer.from(`${line}\n`));
    this.#batchBytes += this.#batch.write(line, this.#batchBytes);
    this.#batch[this.#batchBytes] = LINE_END;
    this.#batchBytes += 1;
  }

  /** Takes the lines that workers have written, behind those that are collected already. */
  #takeLines(isWanted: (lines: LineRingReader) => boolean): void {
    for (const lines of this.#lines.values()) {
      if (!isWanted(lines)) continue;
      const bytes = lines.waitingBytes;
      if (this.#batchBytes + bytes > BATCH_BYTES) this.#handOver();
      if (bytes > BATCH_BYTES) this.#events.access(lines.take());
      else {
        lines.takeInto(this.#batch, this.#batchBytes, bytes);
        this.#batchBytes += bytes;
      }
    }
  }

  #handOver(): void {
    if (this.#batchBytes === 0) return;
    const lines = this.#batch.subarray(0, this.#batchBytes);
    this.#batchBytes = 0;
    this.#events.access(lines);
  }
}
