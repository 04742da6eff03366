/** One event as a line of the log: for people and `grep`, or as JSON for programs. Pure: the time comes in. */

import { cutEnd } from '../base/bounded-text.js';
import { type CatalogueEntry, catalogue, type ErrorCode } from '../base/errors.js';
import type { LogLevel } from '../channel/messages.js';
import { visible, visibleJson } from './invisible.js';

/** What a request asks for, and who asks. Empty where that is not known. */
export interface Asked {
  readonly method: string;
  /** Of its URL, without the query: that may carry secrets. */
  readonly path: string;
  /** The address of its client. */
  readonly client: string;
}

/** What a line is about, as far as it is known. */
export interface LogSubject {
  /** Only with errors. */
  readonly asked?: Asked | undefined;
  readonly request?: string | undefined;
  readonly script?: string | undefined;
  readonly state?: number | undefined;
  /** A worker's place among the workers. */
  readonly worker?: number | undefined;
  /** The text is a script's own: `con:log`, `print`. */
  readonly isOfScript?: boolean | undefined;
  /** The line stands for so many that were not written, in a time of so many seconds. */
  readonly repeated?: { readonly count: number; readonly seconds: number } | undefined;
}

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Most characters of a text in one line; what a script logs comes in pieces of this. */
const MOST_CHARS = 64 * 1024;
/** The same of a script's name: no file has a longer one. */
const MOST_NAME_CHARS = 4096;

const CODE = /^(LUAFCGID_[A-Z_]+): /;

/** The code that a text of the server begins with; what a script writes is never taken for one. */
export function codeOf(text: string, about: LogSubject): ErrorCode | undefined {
  if (about.isOfScript) return undefined;
  const code = CODE.exec(text)?.[1];
  return code !== undefined && Object.hasOwn(catalogue, code) ? (code as ErrorCode) : undefined;
}

/** Who has to act upon an error of this code. */
export function blameOf(code: ErrorCode): CatalogueEntry['blame'] {
  return catalogue[code].blame;
}

/**
 * The line, without its end.
 * @param time undefined where the reader of the line notes its own (syslog)
 */
export function formatLine(
  format: LogFormat,
  time: Date | undefined,
  level: LogLevel,
  text: string,
  about: LogSubject,
): string {
  const shown = cutEnd(text.trimEnd(), MOST_CHARS);
  return format === 'json' ? jsonLine(time, level, shown, about) : textLine(time, level, shown, about);
}

function nameOf(script: string | undefined): string | undefined {
  return script === undefined ? undefined : cutEnd(script, MOST_NAME_CHARS);
}

function textLine(time: Date | undefined, level: LogLevel, text: string, about: LogSubject): string {
  const { request, script, state, worker, repeated, asked } = about;
  // The script comes last: its name may hold anything.
  const subject = [
    request,
    state === undefined ? undefined : `state ${state}`,
    worker === undefined ? undefined : `worker ${worker}`,
    asked && askedText(asked),
    nameOf(script),
  ].filter((part) => part !== undefined);
  const prefix = time === undefined ? `${level} ` : `${time.toISOString()} ${level.padEnd(5)} `;
  const subjectText = subject.length === 0 ? '' : `[${visible(subject.join(' '))}] `;
  const times = repeated === undefined ? '' : `repeated ${repeated.count} times in ${repeated.seconds} s: `;
  return `${prefix}${subjectText}${times}${visible(text)}`;
}

/** `GET /page.lua 192.0.2.7` */
export function askedText({ method, path, client }: Asked): string {
  return [method, cutEnd(path, MOST_NAME_CHARS), client].filter((part) => part !== '').join(' ');
}

function jsonLine(time: Date | undefined, level: LogLevel, text: string, about: LogSubject): string {
  const { request, script, state, worker, repeated, asked } = about;
  const code = codeOf(text, about);
  const message = code === undefined ? text : text.slice(code.length + ': '.length);
  // What is undefined is left out.
  const fields = {
    time: time?.toISOString(),
    level,
    code,
    message,
    request,
    script: nameOf(script),
    state,
    worker,
    ...asked,
    repeated: repeated?.count,
    seconds: repeated?.seconds,
  };
  return visibleJson(JSON.stringify(fields));
}
