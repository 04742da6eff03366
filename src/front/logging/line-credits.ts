/**
 * Log lines between the front's thread and the main thread. A message port has no limit, so the characters under way are
 * counted in shared memory and bounded, for each log by itself. While the main thread does not keep up, lines are counted
 * instead of posted, and the count is logged as soon as it does.
 */

import { describeError, LuafcgidError } from '../../base/errors.js';
import type { LogLevel } from '../../channel/messages.js';
import type { LogSubject } from '../../logging/line.js';
import type { LogEvents } from './front-logs.js';

const MOST_CHARS = 4 * 1024 * 1024;
/** Room that has to be free before the count is logged: with less, the next line would be lost again. */
const SPARE_CHARS = MOST_CHARS / 4;
/** Characters that a message counts besides its text. */
const MESSAGE_CHARS = 256;
const LINE_END = 10;

export function lineCredits(): SharedArrayBuffer {
  return new SharedArrayBuffer(8);
}

/** Words of the shared memory. */
const LOG = 0;
const ACCESS = 1;
type Which = typeof LOG | typeof ACCESS;

function whichOf(lines: string | Uint8Array): Which {
  return typeof lines === 'string' ? LOG : ACCESS;
}

/** Characters that a message counts. */
function costOf(lines: string | Uint8Array): number {
  return lines.length + MESSAGE_CHARS;
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
    if (this.#reserve(text)) this.#post.log(level, text, about);
    else this.#lostLines += 1;
  }

  access(lines: Uint8Array): void {
    this.flush(false);
    // A copy of the lines alone: posting a view would copy the whole buffer behind it.
    if (this.#reserve(lines)) this.#post.access(Uint8Array.from(lines));
    else this.#lostLines += lines.reduce((count, byte) => (byte === LINE_END ? count + 1 : count), 0);
  }

  /** Logs how many lines were lost, as soon as there is room. @param isLast nothing more will come: logs it anyway */
  flush(isLast: boolean): void {
    if (this.#lostLines === 0) return;
    const text = describeError(new LuafcgidError('LUAFCGID_LOG_BEHIND', { lines: this.#lostLines }));
    if (!this.#reserve(text, SPARE_CHARS) && !isLast) return;
    this.#lostLines = 0;
    this.#post.log('error', text);
  }

  #reserve(lines: string | Uint8Array, spareChars = 0): boolean {
    const cost = costOf(lines);
    const which = whichOf(lines);
    if (Atomics.load(this.#underWay, which) + cost + spareChars > MOST_CHARS) return false;
    Atomics.add(this.#underWay, which, cost);
    return true;
  }
}

/** The main thread's end. */
export class LineReceiver {
  readonly #underWay: Int32Array;

  constructor(underWay: SharedArrayBuffer) {
    this.#underWay = new Int32Array(underWay);
  }

  /** A message has arrived: its characters are under way no more. */
  arrived(lines: string | Uint8Array): void {
    Atomics.sub(this.#underWay, whichOf(lines), costOf(lines));
  }
}
