/** The slow log: what requests that take long were doing at that moment. */

import type { RoleName } from '../../base/roles.js';
import { visible, visibleJson } from '../invisible.js';
import { type Asked, askedText, type LogFormat } from '../line.js';
import type { LineWriter } from './writer.js';

/** A request that has run for `slowtime`. */
export interface SlowRecord {
  /** Id of the request, as in the log. */
  readonly request: string;
  readonly script: string;
  readonly state: number | undefined;
  /** The worker's place. */
  readonly worker: number | undefined;
  /** What the web server has asked for. */
  readonly role: RoleName;
  /** For how long it has run. */
  readonly runningMs: number;
  /** How long it had waited for a state. */
  readonly queuedMs: number;
  readonly asked: Asked;
  /** The Lua traceback of what runs now; undefined when it cannot be had. */
  readonly traceback: string | undefined;
}

export class SlowLog {
  readonly #writer: LineWriter;
  readonly #format: LogFormat;

  constructor(writer: LineWriter, format: LogFormat) {
    this.#writer = writer;
    this.#format = format;
  }

  write(record: SlowRecord): void {
    const time = this.#writer.channel.frame === undefined ? new Date().toISOString() : undefined;
    this.#writer.write('warn', this.#format === 'json' ? jsonRecord(time, record) : textRecord(time, record));
  }
}

function jsonRecord(time: string | undefined, record: SlowRecord): string {
  const { request, script, state, worker, asked, queuedMs, traceback } = record;
  const role = record.role.toLowerCase();
  const [seconds, queued] = [secondsOf(record.runningMs), secondsOf(queuedMs)];
  const fields = { time, request, script, state, worker, role, ...asked, seconds, queued, traceback };
  return visibleJson(JSON.stringify(fields));
}

/** One line, and below it the traceback, indented as further lines of the log are. */
function textRecord(time: string | undefined, record: SlowRecord): string {
  const { request, script, state, worker, asked, queuedMs, traceback } = record;
  const places = `${state === undefined ? '' : ` state ${state}`}${worker === undefined ? '' : ` worker ${worker}`}`;
  const prefix = time === undefined ? '' : `${time} `;
  const role = record.role === 'RESPONDER' ? '' : ` as ${record.role.toLowerCase()}`;
  const queued = queuedMs < 1 ? '' : `, after ${secondsOf(queuedMs)} s in the queue`;
  const subject = visible(`${request}${places} ${askedText(asked)} ${script}`);
  const head = `${prefix}[${subject}] has run for ${secondsOf(record.runningMs)} s${role}${queued}`;
  return `${head}\n    ${visible((traceback ?? 'the traceback cannot be had').trimEnd())}`;
}

function secondsOf(timeMs: number): number {
  return Math.round(timeMs) / 1000;
}
