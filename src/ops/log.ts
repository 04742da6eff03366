/** The log: one line an event, in a form that people and `grep` read. Handed to whoever writes to it. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { LOG_LEVELS, type LogLevel } from '../channel/messages.js';

export type { LogLevel } from '../channel/messages.js';

/** What a line is about, if it is about a request. */
export interface LogSubject {
  readonly request?: string | undefined;
  readonly script?: string | undefined;
}

const STDERR = 2;

export class Log {
  readonly #lowest: number;
  readonly #file: string | undefined;
  #fd = STDERR;
  #lost = 0;

  /**
   * @param file appended to; undefined: standard error
   * @throws the system's error when the file cannot be opened
   */
  constructor(file: string | undefined, level: LogLevel) {
    this.#lowest = LOG_LEVELS.indexOf(level);
    this.#file = file;
    if (file !== undefined) this.#fd = openSync(file, 'a', 0o640);
  }

  /** Writes a line. The text is data: control characters are made visible, further lines are set in. */
  write(level: LogLevel, text: string, about: LogSubject = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.#lowest) return;
    const subject = [about.request, about.script].filter((part) => part !== undefined).join(' ');
    const prefix = `${new Date().toISOString()} ${level.padEnd(5)} `;
    this.#put(`${prefix}${subject === '' ? '' : `[${visible(subject)}] `}${visible(text.trimEnd())}\n`);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#fd);
    this.#fd = STDERR;
  }

  /** A full disk or a closed pipe must not stop the service: lines are counted, and the count told when it works again. */
  #put(line: string): void {
    try {
      if (this.#lost > 0) {
        writeSync(
          this.#fd,
          `${new Date().toISOString()} warn  ${this.#lost} log lines before this one could not be written\n`,
        );
        this.#lost = 0;
      }
      writeSync(this.#fd, line);
    } catch {
      this.#lost += 1;
    }
  }
}

/** A line break in what is logged must not look like a new line of the log, nor an escape sequence reach a terminal. */
function visible(text: string): string {
  return text
    .replace(/\r\n|\r|\n/g, '\n    ')
    .replace(/(?![\n\t])\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
