/** The log: one line an event, in a form that people and `grep` read, or as JSON. Handed to whoever writes to it. */

import { describeError, LuafcgidError } from '../../base/errors.js';
import { LOG_LEVELS, type LogLevel } from '../../channel/messages.js';
import { formatLine, type LogFormat, type LogSubject } from '../line.js';
import { Repeats, WINDOW_MS } from '../repeats.js';
import type { LineChannel } from './channel.js';
import { LineWriter } from './writer.js';

export type { LogLevel } from '../../channel/messages.js';
export type { LogSubject } from '../line.js';

export class Log {
  /** Told of each line that is written. */
  onWrite: ((level: LogLevel, text: string, about: LogSubject) => void) | undefined;
  readonly #lowest: number;
  readonly #format: LogFormat;
  readonly #writer: LineWriter;
  readonly #repeats = new Repeats((level, text, about) => this.pass(level, text, about));
  #review: NodeJS.Timeout | undefined;

  /** @param option its name in the configuration, for messages */
  constructor(channel: LineChannel, level: LogLevel, format: LogFormat, option = 'logfile') {
    this.#lowest = LOG_LEVELS.indexOf(level);
    this.#format = format;
    this.#writer = new LineWriter(channel, {
      lostLine: (lines) => {
        const error = new LuafcgidError('LUAFCGID_LOG_LOST', { lines, log: channel.name, option });
        return this.#line('error', describeError(error), {});
      },
    });
  }

  /** Writes a line, or counts it if it is one of a flood. The text is data. */
  write(level: LogLevel, text: string, about: LogSubject = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.#lowest) return;
    this.#repeats.take(level, text, about, performance.now());
    if (!this.#repeats.isCounting || this.#review !== undefined) return;
    this.#review = setTimeout(() => this.#tellCounted(), WINDOW_MS);
    this.#review.unref();
  }

  /** Writes a line of one who counts floods himself. */
  pass(level: LogLevel, text: string, about: LogSubject = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.#lowest) return;
    this.onWrite?.(level, text, about);
    this.#writer.write(level, this.#line(level, text, about));
  }

  /** Opens it anew, for whoever has moved the file away. What cannot be opened is told in the old file. */
  reopen(): void {
    reopen(this.#writer, this);
  }

  /** Tells what was counted, and closes. Lines that still come are dropped. */
  async close(): Promise<void> {
    clearTimeout(this.#review);
    this.#repeats.end(performance.now());
    await this.#writer.close();
  }

  #line(level: LogLevel, text: string, about: LogSubject): string {
    const time = this.#writer.channel.frame === undefined ? new Date() : undefined;
    return formatLine(this.#format, time, level, text, about);
  }

  #tellCounted(): void {
    this.#review = undefined;
    this.#repeats.review(performance.now());
    if (!this.#repeats.isCounting) return;
    this.#review = setTimeout(() => this.#tellCounted(), WINDOW_MS);
    this.#review.unref();
  }
}

/** Opens a log anew, and tells it in the main one if that fails. */
export function reopen(writer: LineWriter, log: Log): void {
  try {
    writer.reopen();
  } catch (error) {
    const { message } = error as Error;
    log.write(
      'error',
      describeError(new LuafcgidError('LUAFCGID_LOG_REOPEN', { log: writer.channel.name, reason: message }, error)),
    );
  }
}
