/**
 * Log lines between the front's thread and the main thread. A port takes whatever is posted, so what is under way is
 * counted in shared memory and bounded: while the main thread does not keep up, lines are counted instead, and the count
 * is told when it does.
 */
import type { LogLevel } from '../channel/messages.js';
import { describeError, LuafcgidError } from '../errors.js';
import type { LogSubject } from '../log/line.js';
import type { LogEvents } from './front-logs.js';

const MOST_CHARS = 4 * 1024 * 1024;
/** What a message costs besides its text. */
const MESSAGE_CHARS = 256;

export function linesUnderWay(): SharedArrayBuffer {
  return new SharedArrayBuffer(4);
}

/** What the text of a message counts as. */
function costOf(text: string): number {
  return text.length + MESSAGE_CHARS;
}

/** The front's end. */
export class LineSender implements LogEvents {
  readonly #underWay: Int32Array;
  readonly #post: LogEvents;
  #lostLines = 0;

  constructor(underWay: SharedArrayBuffer, post: LogEvents) {
    this.#underWay = new Int32Array(underWay);
    this.#post = post;
  }

  log(level: LogLevel, text: string, about?: LogSubject): void {
    this.flush(false);
    if (this.#claim(text)) this.#post.log(level, text, about);
    else this.#lostLines += 1;
  }

  access(lines: string): void {
    this.flush(false);
    if (this.#claim(lines)) this.#post.access(lines);
    else this.#lostLines += lines.split('\n').length - 1;
  }

  /** Tells how many lines were lost, as soon as there is room to tell it, or now if it is the last word. */
  flush(isLast: boolean): void {
    if (this.#lostLines === 0) return;
    const text = describeError(new LuafcgidError('LUAFCGID_LOG_BEHIND', { lines: this.#lostLines }));
    if (!this.#claim(text) && !isLast) return;
    this.#lostLines = 0;
    this.#post.log('error', text);
  }

  #claim(text: string): boolean {
    const cost = costOf(text);
    if (Atomics.load(this.#underWay, 0) + cost > MOST_CHARS) return false;
    Atomics.add(this.#underWay, 0, cost);
    return true;
  }
}

/** The main thread's end: to be told of each text that has arrived. */
export class LineReceiver {
  readonly #underWay: Int32Array;

  constructor(underWay: SharedArrayBuffer) {
    this.#underWay = new Int32Array(underWay);
  }

  arrived(text: string): void {
    Atomics.sub(this.#underWay, 0, costOf(text));
  }
}
