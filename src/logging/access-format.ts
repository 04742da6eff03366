/**
 * Lines of the access log: `accessformat` read once, then filled for each request. Pure.
 *
 * In text, a value cannot look like another field or another line: control characters, quotes and backslashes are
 * written as `\xNN`, and outside of quotes spaces are, too. What is not known is `-`. Of a value that is longer than
 * `FIELD_BYTES` the rest is left out, and `...(+N)` tells how many bytes that were.
 */
import { cutEnd } from '../base/bounded-text.js';
import type { RoleName } from '../base/roles.js';
import { forEachPair } from '../fcgi/session.js';
import { hexed, hexedBytes, visibleJson } from './invisible.js';

/** How a request ended. */
export type Outcome =
  /** The script gave the whole answer. */
  | 'done'
  /** The same with an exit status: it failed, or called os.exit. */
  | 'failed'
  /** The server answered with a page of its own. */
  | 'refused'
  /** The web server broke off, or closed the connection, before the answer was complete. */
  | 'aborted'
  /** The answer had begun and could not be completed. */
  | 'cut';

/** One request that is over. */
export interface AccessRecord {
  /** When it arrived, in milliseconds since 1970. */
  readonly arrivedMs: number;
  /** From then until it was over. */
  readonly durationMs: number;
  /** From then until a worker began with it. */
  readonly waitMs: number | undefined;
  /** What the worker used for it. */
  readonly cpuMs: number | undefined;
  /** What its state held at its end. */
  readonly memoryBytes: number | undefined;
  readonly request: string;
  /** One character per byte; empty when none was named. */
  readonly script: string;
  readonly state: number | undefined;
  readonly worker: number | undefined;
  readonly role: RoleName;
  readonly method: string;
  /** 0 when no status was sent. */
  readonly status: number;
  readonly outcome: Outcome;
  /** Bytes of the answer's body, and of the request's. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Encoded FastCGI parameters. */
  readonly params: Uint8Array;
}

/** A value of a line; text has one character per byte. */
type Value = string | number | undefined;

interface Field {
  readonly text: string;
  /** From the record, or from the FastCGI parameter of this name. */
  readonly from: ((record: AccessRecord) => Value) | string;
  /** Digits behind the point. */
  readonly digits?: number;
}

const field = (text: string, from: Field['from'], digits?: number): Field => ({
  text,
  from,
  ...(digits !== undefined && { digits }),
});

/** All fields, in the order of the JSON format. Units are in the names. */
export const FIELDS = {
  time: field('when the request arrived, in UTC', ({ arrivedMs }) => isoTime(arrivedMs)),
  remote: field('address of the client (REMOTE_ADDR)', 'REMOTE_ADDR'),
  user: field('user that the web server has authenticated (REMOTE_USER)', 'REMOTE_USER'),
  host: field('host that was asked for (HTTP_HOST)', 'HTTP_HOST'),
  method: field('request method', ({ method }) => method),
  uri: field('address with its query (REQUEST_URI)', 'REQUEST_URI'),
  query: field('query string (QUERY_STRING)', 'QUERY_STRING'),
  protocol: field('version of HTTP (SERVER_PROTOCOL)', 'SERVER_PROTOCOL'),
  referer: field('page that led here (HTTP_REFERER)', 'HTTP_REFERER'),
  agent: field('the client\u2019s program (HTTP_USER_AGENT)', 'HTTP_USER_AGENT'),
  status: field('HTTP status; 499 when the client had gone before there was one', ({ status }) => status || undefined),
  outcome: field('how it ended: done, failed, refused, aborted or cut', ({ outcome }) => outcome),
  sent_bytes: field('length of the answer\u2019s body', ({ sentBytes }) => sentBytes),
  received_bytes: field('length of the request\u2019s body', ({ receivedBytes }) => receivedBytes),
  duration_ms: field('from its arrival to the end of the script', ({ durationMs }) => durationMs, 3),
  wait_ms: field('the part of it before a worker began', ({ waitMs }) => waitMs, 3),
  cpu_ms: field('processor time of the worker', ({ cpuMs }) => cpuMs, 3),
  memory_bytes: field('memory of the Lua state at the end', ({ memoryBytes }) => memoryBytes),
  script: field('the file, links resolved', ({ script }) => script || undefined),
  state: field('number of the Lua state', ({ state }) => state),
  worker: field('place of the worker, from 0', ({ worker }) => worker),
  request: field('id of the request, as in the log', ({ request }) => request),
  role: field('what the web server asked for: responder, authorizer or filter', ({ role }) => role.toLowerCase()),
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

const FIELD_NAMES = Object.keys(FIELDS) as readonly FieldName[];
/** Any other parameter of the request. */
const PARAM = /^param:([\x21-\x7a\x7c\x7e]+)$/;
/** What the worker has to find out. */
const CPU_TIME: FieldName = 'cpu_ms';
const USAGE: ReadonlySet<string> = new Set<FieldName>([CPU_TIME, 'memory_bytes']);

export const DEFAULT_ACCESS_FORMAT =
  '{time} {remote} "{method} {uri}" {status} {sent_bytes} {duration_ms} {memory_bytes} {script} {state} {request}';

/** Most bytes of a value: as much as web servers take of one header. */
export const FIELD_BYTES = 8 * 1024;

/** A field of a format, and the text before it. */
export interface Piece {
  readonly literal: string;
  readonly from: ((record: AccessRecord) => Value) | undefined;
  /** Index of the parameter. */
  readonly param: number;
  readonly digits: number | undefined;
  readonly isQuoted: boolean;
}

/** A format that cannot be used. */
export class AccessFormatError extends Error {
  /** The field that does not exist; undefined when something else is wrong. */
  readonly field: string | undefined;

  constructor(message: string, field?: string) {
    super(message);
    this.field = field;
  }
}

export class AccessFormat {
  /** Whether it has a field that a worker has to measure. */
  readonly needsUsage: boolean;
  /** Whether that is processor time: each look at that clock costs as much as all else that a line takes. */
  readonly needsCpuTime: boolean;
  readonly pieces: readonly Piece[];
  /** What stands behind the last of them. */
  readonly tail: string;
  readonly isJson: boolean;
  /** The parameters in it, and their indexes by length of the name. */
  readonly paramNames: readonly Buffer[];
  readonly #paramsByLength: readonly (readonly number[] | undefined)[];

  /**
   * @param format text with `{field}`s, or `json` for all fields as JSON
   * @throws AccessFormatError
   */
  constructor(format: string) {
    this.isJson = format === 'json';
    const pieces: Piece[] = [];
    const params: string[] = [];
    const names = new Set<string>();
    let literal = '';
    let isQuoted = false;
    const add = (name: string): void => {
      const { from, digits } = fieldOf(name);
      let param = -1;
      if (typeof from === 'string') {
        param = params.indexOf(from);
        if (param < 0) param = params.push(from) - 1;
      }
      names.add(name);
      pieces.push({ literal, from: typeof from === 'string' ? undefined : from, param, digits, isQuoted });
      literal = '';
    };
    if (this.isJson) {
      for (const name of FIELD_NAMES) {
        literal = `"${name}":`;
        add(name);
      }
    } else {
      for (const [part] of format.matchAll(/\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+/g)) {
        if (part === '{{' || part === '}}') literal += part[0];
        else if (part.length > 1 && part[0] === '{') add(part.slice(1, -1));
        else if (part === '{' || part === '}')
          throw new AccessFormatError(`a single "${part}": write "${part}${part}" for one`);
        else {
          literal += part;
          if (part.split('"').length % 2 === 0) isQuoted = !isQuoted;
        }
      }
      if (pieces.length === 0) throw new AccessFormatError('it has no field');
    }
    this.tail = literal;
    this.pieces = pieces;
    this.paramNames = params.map((name) => Buffer.from(name, 'latin1'));
    const byLength: number[][] = [];
    for (const [index, { length }] of this.paramNames.entries()) {
      const same = byLength[length] ?? [];
      byLength[length] = same;
      same.push(index);
    }
    this.#paramsByLength = byLength;
    this.needsCpuTime = names.has(CPU_TIME);
    this.needsUsage = [...names].some((name) => USAGE.has(name));
  }

  /** The line of a request, without its end. */
  line(record: AccessRecord): string {
    const params = this.#valuesOf(record.params);
    return this.isJson ? this.#json(record, params) : this.#text(record, params);
  }

  /** The index of the parameter whose name is there; undefined: no field is made of it. */
  paramAt(bytes: Uint8Array, nameStart: number, nameEnd: number): number | undefined {
    const indexes = this.#paramsByLength[nameEnd - nameStart];
    if (indexes === undefined) return undefined;
    for (const index of indexes) if (isAt(bytes, nameStart, this.paramNames[index] as Buffer)) return index;
    return undefined;
  }

  #text(record: AccessRecord, params: readonly (string | undefined)[]): string {
    let line = '';
    for (const { literal, from, param, digits, isQuoted } of this.pieces) {
      const value = from === undefined ? params[param] : from(record);
      line += literal;
      if (value === undefined || value === '') line += '-';
      else if (typeof value === 'number') line += digits === undefined ? value : value.toFixed(digits);
      else line += shown(cut(value), isQuoted);
    }
    return line + this.tail;
  }

  /** Put together by hand: an object for `JSON.stringify` would cost several times as much. */
  #json(record: AccessRecord, params: readonly (string | undefined)[]): string {
    let line = '';
    for (const { literal, from, param, digits } of this.pieces) {
      const value = from === undefined ? params[param] : from(record);
      if (value === undefined) continue;
      line += line === '' ? '{' : ',';
      line += literal;
      if (typeof value === 'number') line += digits === undefined ? value : value.toFixed(digits);
      else line += jsonText(cut(value));
    }
    return `${line}}`;
  }

  #valuesOf(bytes: Uint8Array): readonly (string | undefined)[] {
    if (this.paramNames.length === 0) return NONE;
    const values: (string | undefined)[] = [];
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    forEachPair(bytes, (nameStart, valueStart, valueEnd) => {
      const index = this.paramAt(bytes, nameStart, valueStart);
      if (index !== undefined) values[index] = buffer.toString('latin1', valueStart, valueEnd);
    });
    return values;
  }
}

const NONE: readonly undefined[] = [];

/** @throws AccessFormatError */
function fieldOf(name: string): Field {
  if (Object.hasOwn(FIELDS, name)) return FIELDS[name as FieldName];
  const param = PARAM.exec(name)?.[1];
  if (param !== undefined) return field('', param);
  throw new AccessFormatError(`there is no field {${name}}`, name);
}

/** Nothing that has to be escaped anywhere. */
const PLAIN = /^[\x21\x23-\x5b\x5d-\x7e]*$/;

function shown(bytes: string, isQuoted: boolean): string {
  if (PLAIN.test(bytes)) return bytes;
  const text = decoded(bytes);
  const isSpecial = isQuoted ? isMark : isMarkOrSpace;
  // What is no UTF-8 stays bytes, and those past ASCII are shown as such.
  return text === undefined ? hexedBytes(bytes, isSpecial) : hexed(text, isSpecial);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function isMark(unit: number): boolean {
  return unit === QUOTE || unit === BACKSLASH;
}

function isMarkOrSpace(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || isMark(unit);
  return SPACES.has(unit);
}

/** Spaces of Unicode besides those that are no visible characters anyway. */
const SPACES: ReadonlySet<number> = new Set([
  0xa0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x202f, 0x205f,
  0x3000, 0xfeff,
]);

/** A value that is not too long for a line; characters of UTF-8 stay whole. */
function cut(bytes: string): string {
  if (bytes.length <= FIELD_BYTES) return bytes;
  let end = FIELD_BYTES;
  while (end > FIELD_BYTES - 4 && (bytes.charCodeAt(end) & 0xc0) === 0x80) end -= 1;
  return cutEnd(bytes, end);
}

function jsonText(bytes: string): string {
  return PLAIN.test(bytes) ? `"${bytes}"` : visibleJson(JSON.stringify(decoded(bytes) ?? bytes));
}

function decoded(bytes: string): string | undefined {
  const buffer = Buffer.from(bytes, 'latin1');
  const text = buffer.toString();
  return text.includes('\ufffd') && !Buffer.from(text).equals(buffer) ? undefined : text;
}

/** Names of one length mostly differ in their last bytes: they begin with SERVER_, REMOTE_, HTTP_. */
function isAt(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = name.length - 1; i >= 0; i -= 1) if (bytes[at + i] !== name[i]) return false;
  return true;
}

/** Times are only put together when they are others than before; days, hours, minutes and seconds once a second. */
let lastSecond = Number.NaN;
let lastText = '';
let lastWhole = Number.NaN;
let lastTime = '';

function isoTime(ms: number): string {
  const whole = Math.trunc(ms);
  if (whole === lastWhole) return lastTime;
  lastWhole = whole;
  const second = Math.floor(whole / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = new Date(second * 1000).toISOString().slice(0, 20);
  }
  lastTime = `${lastText}${String(whole - second * 1000).padStart(3, '0')}Z`;
  return lastTime;
}
