/**
 * Floods of one message are counted, not repeated. The first lines of a message are written as they come; further ones
 * within the same window of time are counted, and one line at the window's end tells how many there were. Pure: the time
 * comes in.
 *
 * Messages are the same when level and text are. Of errors that lie with a client or the operator the code is enough:
 * a scan for thousands of scripts that do not exist is one flood. What a script itself logs is only counted at rates
 * that nobody reads.
 */
import type { LogLevel } from '../channel/messages.js';
import { blameOf, codeOf, type LogSubject } from './line.js';

export const WINDOW_MS = 10_000;
/** Lines of one message that are written in a window. */
export const MOST_LINES = 10;
/** The same of a message that a script logs (`con:log`, `print`). */
export const MOST_LINES_OF_SCRIPTS = 1000;
/** Messages that are remembered at once, and most characters of their texts and names. */
const MOST_MESSAGES = 1000;
const MOST_CHARS = 2 * 1024 * 1024;
/** Longer texts, and longer names of scripts, count as the same when this much of them, and their length, are. */
const KEY_CHARS = 512;

export type WriteLine = (level: LogLevel, text: string, about: LogSubject) => void;

interface Message {
  readonly beganMs: number;
  readonly level: LogLevel;
  lines: number;
  /** Lines that were not written. */
  counted: number;
  /** The last of those. */
  text: string;
  about: LogSubject;
}

export class Repeats {
  readonly #write: WriteLine;
  /** By age, oldest first. */
  readonly #messages = new Map<string, Message>();
  /** Characters of all that is remembered. */
  #chars = 0;
  #counting = 0;

  constructor(write: WriteLine) {
    this.#write = write;
  }

  /** Whether some lines are counted and not told yet: `review` is to be called in time. */
  get isCounting(): boolean {
    return this.#counting > 0;
  }

  take(level: LogLevel, text: string, about: LogSubject, nowMs: number): void {
    const key = keyOf(level, text, about);
    let message = this.#messages.get(key);
    if (message !== undefined && nowMs - message.beganMs >= WINDOW_MS) {
      this.#forget(key, message, WINDOW_MS);
      message = undefined;
    }
    if (message === undefined) {
      this.#makeRoom(nowMs, charsOf(key, text, about));
      message = { beganMs: nowMs, level, lines: 0, counted: 0, text: '', about: {} };
      this.#messages.set(key, message);
      this.#chars += charsOf(key, '', {});
    }
    message.lines += 1;
    if (message.lines <= (about.isOfScript ? MOST_LINES_OF_SCRIPTS : MOST_LINES))
      return this.#write(level, text, about);
    if (message.counted === 0) this.#counting += 1;
    message.counted += 1;
    this.#chars += charsOf('', text, about) - charsOf('', message.text, message.about);
    message.text = text;
    message.about = about;
  }

  /** Tells what was counted in windows that are over. */
  review(nowMs: number): void {
    if (this.#messages.size === 0) return;
    for (const [key, message] of this.#messages) {
      if (nowMs - message.beganMs < WINDOW_MS) return;
      this.#forget(key, message, WINDOW_MS);
    }
  }

  /** Tells all that was counted. */
  end(nowMs: number): void {
    for (const [key, message] of this.#messages) this.#forget(key, message, nowMs - message.beganMs);
  }

  /** The oldest are told and forgotten until there is room for one more of so many characters. */
  #makeRoom(nowMs: number, chars: number): void {
    for (const [key, message] of this.#messages) {
      if (this.#messages.size < MOST_MESSAGES && this.#chars + chars <= MOST_CHARS) return;
      this.#forget(key, message, nowMs - message.beganMs);
    }
  }

  #forget(key: string, { level, counted, text, about }: Message, elapsedMs: number): void {
    this.#messages.delete(key);
    this.#chars -= charsOf(key, text, about);
    if (counted === 0) return;
    this.#counting -= 1;
    this.#write(level, text, {
      ...about,
      repeated: { count: counted, seconds: Math.max(1, Math.round(elapsedMs / 1000)) },
    });
  }
}

/** What a message takes of the memory of all. */
function charsOf(key: string, text: string, about: LogSubject): number {
  return key.length + text.length + (about.script?.length ?? 0);
}

function keyOf(level: LogLevel, text: string, about: LogSubject): string {
  const code = codeOf(text, about);
  if (code !== undefined && (blameOf(code) === 'peer' || blameOf(code) === 'operator')) return `${level} ${code}`;
  const script = about.script === undefined ? '' : startOf(about.script);
  return `${level} ${about.isOfScript ? 'script' : ''} ${script} ${startOf(text)}`;
}

function startOf(text: string): string {
  return text.length <= KEY_CHARS ? text : `${text.length} ${text.slice(0, KEY_CHARS)}`;
}
