/**
 * The header block of one answer (RFC 3875, section 6): what a script may set, checked, and turned into bytes. All text
 * is one character per byte.
 */
import { replaceEach } from '../base/bounded-text.js';
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
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that no field value may have
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const STATUS = /^([2-5][0-9][0-9])( .*)?$/;

const OK = statusLine(200);
const FORBIDDEN = statusLine(403);

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

/** Most bytes of a header block, as the server's own gateway reads it. Web servers take less (nginx: 4 or 8 KiB). */
export const HEAD_LIMIT_BYTES = 64 * 1024;
/** What the names and line ends of the fields take that are not counted one by one. */
const FRAME_BYTES = 128;

/** The error for a header block that would become larger. */
export function headTooLarge(): LuafcgidError {
  return new LuafcgidError('LUAFCGID_RESPONSE_HEAD_TOO_LARGE', { limit: HEAD_LIMIT_BYTES });
}

export class ResponseHead {
  #defaults: ResponseDefaults;
  readonly #headers: string;
  #status: string | undefined;
  #contentType: string | undefined;
  #location: string | undefined;
  #lines = '';
  #contentLength: string | undefined;
  /** What an Authorizer has decided; undefined: this is no answer of one. */
  #authorizes: 'yes' | 'no' | undefined;

  constructor(defaults: ResponseDefaults) {
    this.#defaults = defaults;
    this.#headers = defaults.headers;
  }

  /** Drops everything that was set. */
  reset(): void {
    if (this.#defaults.headers !== this.#headers) this.#defaults = { ...this.#defaults, headers: this.#headers };
    this.#status = undefined;
    this.#contentType = undefined;
    this.#location = undefined;
    this.#contentLength = undefined;
    this.#authorizes = undefined;
    this.#lines = '';
  }

  /**
   * Changes what this answer starts from; what the script has set already stays.
   * @throws LuafcgidError `LUAFCGID_RESPONSE_STATUS`, `LUAFCGID_RESPONSE_HEADER` or `LUAFCGID_RESPONSE_HEAD_TOO_LARGE`
   */
  setDefault(name: 'httpStatus' | 'contentType', value: string): void {
    if (name === 'httpStatus') {
      const httpStatus = checkedStatus(value);
      this.#requireRoom(this.#defaults.httpStatus, httpStatus);
      this.#defaults = { ...this.#defaults, httpStatus };
      return;
    }
    checkValue('Content-Type', value);
    const contentType = checkedType(withoutPadding(value));
    this.#requireRoom(this.#defaults.contentType, contentType);
    this.#defaults = { ...this.#defaults, contentType };
  }

  /**
   * `404` or `404 Not Found`.
   * @throws LuafcgidError `LUAFCGID_RESPONSE_STATUS` or `LUAFCGID_RESPONSE_HEAD_TOO_LARGE`
   */
  setStatus(status: string): void {
    const checked = checkedStatus(status);
    this.#requireRoom(this.#status, checked);
    this.#status = checked;
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
   * @throws LuafcgidError `LUAFCGID_RESPONSE_HEADER` or `LUAFCGID_RESPONSE_HEAD_TOO_LARGE`
   */
  set(name: string, rawValue: string): string | undefined {
    if (!TOKEN.test(name))
      throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', { header: shown(name), fault: 'its name is no token' });
    checkValue(name, rawValue);
    const value = withoutPadding(rawValue);
    const key = name.toLowerCase();
    if (HOP_BY_HOP.has(key)) return name;
    if (key === 'status') this.setStatus(value);
    else if (key === 'content-type') {
      this.#requireRoom(this.#contentType, checkedType(value));
      this.#contentType = value;
    } else if (key === 'location') {
      this.#requireRoom(this.#location, value);
      this.#location = value;
    } else if (key === 'content-length') {
      this.#requireRoom(this.#contentLength, value);
      this.#contentLength = contentLength(value);
    } else {
      const line = `${name}: ${value}\r\n`;
      this.#requireRoom(undefined, line);
      if (key !== 'set-cookie' && hasLine(this.#defaults.headers, key)) this.#dropDefault(key);
      this.#lines += line;
    }
    return undefined;
  }

  /** The values that a header has now, in order; none when it is not set. */
  get(name: string): string[] {
    const key = name.toLowerCase();
    if (key === 'status') return [this.#statusText()];
    if (key === 'content-type') return [this.contentType];
    if (key === 'location') return this.#location === undefined ? [] : [this.#location];
    if (key === 'content-length') return this.#contentLength === undefined ? [] : [this.#contentLength];
    const lines = linesOf(this.#defaults.headers + this.#lines).filter((line) => nameOf(line) === key);
    return lines.map((line) => withoutPadding(line.slice(line.indexOf(':') + 1)));
  }

  /** Removes a header, also one of the configuration. A status or a type becomes that of the configuration again. */
  remove(name: string): void {
    const key = name.toLowerCase();
    if (key === 'status') this.#status = undefined;
    else if (key === 'content-type') this.#contentType = undefined;
    else if (key === 'location') this.#location = undefined;
    else if (key === 'content-length') this.#contentLength = undefined;
    else {
      this.#lines = withoutLines(this.#lines, key);
      if (hasLine(this.#defaults.headers, key)) this.#dropDefault(key);
    }
  }

  #dropDefault(key: string): void {
    this.#defaults = { ...this.#defaults, headers: withoutLines(this.#defaults.headers, key) };
  }

  /** Refuses what would make the header block too large. @param before what it replaces */
  #requireRoom(before: string | undefined, text: string): void {
    const { httpStatus, contentType, headers } = this.#defaults;
    const ofDefaults = httpStatus.length + contentType.length + headers.length;
    const ofFields =
      lengthOf(this.#status) + lengthOf(this.#contentType) + lengthOf(this.#location) + lengthOf(this.#contentLength);
    const bytes = FRAME_BYTES + ofDefaults + ofFields + this.#lines.length;
    if (bytes - lengthOf(before) + text.length > HEAD_LIMIT_BYTES) throw headTooLarge();
  }

  /** The status code that `encode` will write. */
  get statusCode(): number {
    return codeOf(this.#statusText());
  }

  /**
   * Makes it the answer of an Authorizer that lets the client in: status 200, and no body (FastCGI 1.0, 6.3).
   * @returns false when the script has set another status, or a redirect
   */
  grant(): boolean {
    const status = this.#status ?? (this.#location === undefined ? OK : statusLine(302));
    if (codeOf(status) !== 200) return false;
    this.#status = OK;
    this.#contentType = undefined;
    this.#contentLength = undefined;
    this.#authorizes = 'yes';
    return true;
  }

  /** Makes it the answer of an Authorizer that does not: a web server may take any 2xx for a yes. Drops its variables. */
  refuse(): void {
    this.#authorizes = 'no';
    if (this.statusCode < 300) this.#status = FORBIDDEN;
    this.#lines = keepLines(this.#lines, (name) => !name.startsWith('variable-'));
  }

  /** Whether an answer of this status may have a body (RFC 9110, section 6.4.1). */
  get mayHaveBody(): boolean {
    const code = this.statusCode;
    return code !== 204 && code !== 304 && this.#authorizes !== 'yes';
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

  /**
   * The header block with its closing empty line, one character per byte. HAProxy takes the last of `Status` and
   * `Location` for the status, so `Location` comes first; but not in an Authorizer's answer, since lighttpd drops what
   * comes before its `Status`. Apache adds the headers of an Authorizer that says yes to those of the page, which has the
   * configured ones already. An answer without a body has no default type: a cache would
   * give a stored page the type of its 304 (RFC 9110, section 15.4.5).
   */
  encode(): string {
    const { mayHaveBody } = this;
    const location = this.#location === undefined ? '' : `Location: ${this.#location}\r\n`;
    const type = mayHaveBody ? this.contentType : this.#contentType;
    const typeLine = type === undefined ? '' : `Content-Type: ${type}\r\n`;
    const length =
      this.#contentLength === undefined || !mayHaveBody ? '' : `Content-Length: ${this.#contentLength}\r\n`;
    const status = `Status: ${this.#statusText()}\r\n`;
    const first = this.#authorizes === undefined ? location + status : status + location;
    const headers = this.#authorizes === 'yes' ? '' : this.#defaults.headers;
    return `${first}${typeLine}${length}${headers}${this.#lines}\r\n`;
  }

  /** A Location alone is a redirect (RFC 3875, section 6.2.3, as every web server does it). */
  #statusText(): string {
    if (this.#status !== undefined) return this.#status;
    return this.#location === undefined ? this.#defaults.httpStatus : statusLine(302);
  }
}

function lengthOf(text: string | undefined): number {
  return text === undefined ? 0 : text.length;
}

/** The code of a status line, which begins with three digits. */
function codeOf(status: string): number {
  return Number(status.slice(0, 3));
}

/** Header lines without their ends. */
function linesOf(lines: string): string[] {
  return lines.split('\r\n').filter((line) => line !== '');
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}

function withoutLines(lines: string, key: string): string {
  return keepLines(lines, (name) => name !== key);
}

function keepLines(lines: string, isKept: (name: string) => boolean): string {
  return linesOf(lines)
    .filter((line) => isKept(nameOf(line)))
    .map((line) => `${line}\r\n`)
    .join('');
}

/** The names in the configuration's header lines, which are the same for each answer. */
let namedLines = '';
let namesOfLines: ReadonlySet<string> = new Set();

function hasLine(lines: string, key: string): boolean {
  if (lines !== namedLines) {
    namesOfLines = new Set(linesOf(lines).map(nameOf));
    namedLines = lines;
  }
  return namesOfLines.has(key);
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
  if (match === null || CONTROL.test(status)) {
    throw new LuafcgidError('LUAFCGID_RESPONSE_STATUS', { status: shown(status) });
  }
  return match[2] === undefined || match[2].trim() === '' ? statusLine(Number(match[1])) : status;
}

function checkValue(name: string, value: string): void {
  if (!CONTROL.test(value)) return;
  const header = shown(`${name}: ${value}`);
  throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', { header, fault: 'its value holds a control character' });
}

/** RFC 9110, section 8.3: a media type is never empty. */
function checkedType(value: string): string {
  if (value !== '') return value;
  throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', { header: 'Content-Type: ', fault: 'its value is empty' });
}

function contentLength(value: string): string {
  if (/^[0-9]+$/.test(value)) return value;
  throw new LuafcgidError('LUAFCGID_RESPONSE_HEADER', {
    header: `Content-Length: ${shown(value)}`,
    fault: 'it is no number',
  });
}

/** Characters of a value that a message shows. */
const SHOWN_CHARS = 200;

/** A value as it may stand in a message: cut to a readable length, read as UTF-8, control characters made visible. */
function shown(bytes: string): string {
  // Cut before anything else looks at it: the script decides its length. No character of UTF-8 has more than four bytes.
  const text = toText(bytes.slice(0, 4 * SHOWN_CHARS));
  const visible = replaceEach(
    text.slice(0, SHOWN_CHARS),
    /\p{Cc}/gu,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  const isCut = visible.length > SHOWN_CHARS || text.length > SHOWN_CHARS || bytes.length > 4 * SHOWN_CHARS;
  return isCut ? `${visible.slice(0, SHOWN_CHARS)}…` : visible;
}
