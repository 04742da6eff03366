/**
 * The header block of one answer (RFC 3875, section 6): what a script may set, checked, and turned into bytes. All text
 * is one character per byte.
 */
import { toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { statusLine } from './status.js';

/** What an answer starts from: the configuration's `httpstatus`, `contenttype` and `headers`. */
export interface ResponseDefaults {
  readonly httpStatus: string;
  readonly contentType: string;
  /** Complete header lines, each ended by CRLF; may be empty. */
  readonly headers: string;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const LINE_BREAKING = /[\r\n\0]/;
const STATUS = /^([2-5][0-9][0-9])( .*)?$/;

/** Headers that belong to one hop: the web server makes its own, a script's would break the connection's framing. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export class ResponseHead {
  #defaults: ResponseDefaults;
  #status: string | undefined;
  #contentType: string | undefined;
  #location: string | undefined;
  #lines = '';
  #contentLength: string | undefined;

  constructor(defaults: ResponseDefaults) {
    this.#defaults = defaults;
  }

  /** Drops everything that was set. */
  reset(): void {
    this.#status = undefined;
    this.#contentType = undefined;
    this.#location = undefined;
    this.#contentLength = undefined;
    this.#lines = '';
  }

  /**
   * Changes what this answer starts from; what the script has set already stays.
   * @throws LuafcgidError `LUAFCGID_RESPONSE_STATUS` or `LUAFCGID_RESPONSE_HEADER`
   */
  setDefault(name: 'httpStatus' | 'contentType', value: string): void {
    if (name === 'httpStatus') {
      this.#defaults = { ...this.#defaults, httpStatus: checkedStatus(value) };
      return;
    }
    checkValue('Content-Type', value);
    this.#defaults = { ...this.#defaults, contentType: value };
  }

  /**
   * `404` or `404 Not Found`.
   * @throws LuafcgidError `LUAFCGID_RESPONSE_STATUS`
   */
  setStatus(status: string): void {
    this.#status = checkedStatus(status);
  }

  /**
   * One `Name: value` line.
   * @returns the name of a header that is not passed on, see `set`
   */
  setLine(line: string): string | undefined {
    const colon = line.indexOf(':');
    if (colon < 1)
      throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', {
        header: shown(line),
        fault: 'it has no name before a colon',
      });
    return this.set(line.slice(0, colon), line.slice(colon + 1));
  }

  /**
   * Adds a header. `Status`, `Content-Type`, `Content-Length` and `Location` replace what is set.
   * @returns the header's name if it was left out because the web server alone may set it, else undefined
   * @throws LuafcgidError `LUAFCGID_RESPONSE_HEADER`
   */
  set(name: string, rawValue: string): string | undefined {
    if (!TOKEN.test(name))
      throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', { header: shown(name), fault: 'its name is no token' });
    checkValue(name, rawValue);
    const value = withoutPadding(rawValue);
    const key = name.toLowerCase();
    if (HOP_BY_HOP.has(key)) return name;
    if (key === 'status') this.setStatus(value);
    else if (key === 'content-type') this.#contentType = value;
    else if (key === 'location') this.#location = value;
    else if (key === 'content-length') this.#contentLength = contentLength(value);
    else this.#lines += `${name}: ${value}\r\n`;
    return undefined;
  }

  /** The status code that `encode` will write. */
  get statusCode(): number {
    return Number.parseInt(this.#statusText(), 10);
  }

  /** Whether an answer of this status may have a body (RFC 9110, section 6.4.1). */
  get mayHaveBody(): boolean {
    const code = this.statusCode;
    return code !== 204 && code !== 304;
  }

  /** Whether the script has said how long its body is. */
  get hasContentLength(): boolean {
    return this.#contentLength !== undefined;
  }

  /**
   * To be called when the whole body is known: leaves out a length that is not that of the body, which would have
   * clients wait for bytes that do not come, or cut the body.
   * @returns the wrong length
   */
  leaveOutWrongLength(bodyBytes: number): string | undefined {
    const length = this.#contentLength;
    if (length === undefined || !this.mayHaveBody || Number(length) === bodyBytes) return undefined;
    this.#contentLength = undefined;
    return length;
  }

  /** The content type that `encode` will write. */
  get contentType(): string {
    return this.#contentType ?? this.#defaults.contentType;
  }

  /** The header block with its closing empty line, one character per byte. */
  encode(): string {
    const location = this.#location === undefined ? '' : `Location: ${this.#location}\r\n`;
    const length =
      this.#contentLength === undefined || !this.mayHaveBody ? '' : `Content-Length: ${this.#contentLength}\r\n`;
    // HAProxy before 3.2 makes a 302 of every answer whose Location comes after its Status.
    return `${location}Status: ${this.#statusText()}\r\nContent-Type: ${this.contentType}\r\n${length}${this.#defaults.headers}${this.#lines}\r\n`;
  }

  /** A Location alone is a redirect (RFC 3875, section 6.2.3, as every web server does it). */
  #statusText(): string {
    if (this.#status !== undefined) return this.#status;
    return this.#location === undefined ? this.#defaults.httpStatus : statusLine(302);
  }
}

/**
 * A field value without the spaces and tabs around it. Not `trim()`: it takes bytes for spaces that may be the end of a
 * character in UTF-8. Nor a pattern: it would try each of many inner spaces as the beginning of the end.
 */
function withoutPadding(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isPadding(value.charCodeAt(start))) start += 1;
  while (end > start && isPadding(value.charCodeAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

function isPadding(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** A status as it goes on the wire: a bare code gets its standard phrase. */
function checkedStatus(status: string): string {
  const match = STATUS.exec(status);
  if (match === null || LINE_BREAKING.test(status)) {
    throw new LuafcgidError('LUAFCGID_RESPONSE_STATUS', { status: shown(status) });
  }
  return match[2] === undefined || match[2].trim() === '' ? statusLine(Number(match[1])) : status;
}

function checkValue(name: string, value: string): void {
  if (!LINE_BREAKING.test(value)) return;
  const header = shown(`${name}: ${value}`);
  throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', { header, fault: 'its value holds CR, LF or NUL' });
}

function contentLength(value: string): string {
  if (/^[0-9]+$/.test(value)) return value;
  throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', {
    header: `Content-Length: ${shown(value)}`,
    fault: 'it is no number',
  });
}

/** A value as it may stand in a message: read as UTF-8, control characters made visible, cut to a readable length. */
function shown(bytes: string): string {
  const text = toText(bytes);
  const visible = text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return visible.length > 200 ? `${visible.slice(0, 200)}…` : visible;
}
