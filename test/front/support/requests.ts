/** Requests as web servers send them, for tests of the front. */
import { type Bytes, beginRequest, pairs, record, stream, TYPE } from '../../support/fcgi-wire.js';

export interface RequestOptions {
  readonly id?: number;
  readonly keepConn?: boolean;
  readonly script?: string;
  readonly method?: string;
  readonly body?: Bytes;
  /** CONTENT_LENGTH: the body's, another, or none ("unknown"). */
  readonly length?: number | 'unknown';
  readonly params?: Readonly<Record<string, string>>;
}

/** BEGIN_REQUEST and PARAMS: all that comes before the body. */
export function head(options: RequestOptions = {}): Buffer {
  const { id = 1, keepConn = true, script = '/srv/a.lua', body = '', length = body.length } = options;
  const method = options.method ?? (body.length > 0 || options.length !== undefined ? 'POST' : 'GET');
  const all = {
    SCRIPT_FILENAME: script,
    REQUEST_METHOD: method,
    CONTENT_LENGTH: length === 'unknown' || (length === 0 && method === 'GET') ? '' : String(length),
    ...options.params,
  };
  return Buffer.concat([beginRequest(id, { keepConn }), stream(TYPE.PARAMS, id, pairs(all))]);
}

/** A piece of body, without its end. */
export function body(bytes: Bytes, id = 1): Buffer {
  return stream(TYPE.STDIN, id, bytes, { end: false });
}

export function bodyEnd(id = 1): Buffer {
  return record(TYPE.STDIN, id);
}

export function abort(id = 1): Buffer {
  return record(TYPE.ABORT_REQUEST, id);
}

/** A whole request. */
export function request(options: RequestOptions = {}): Buffer {
  return Buffer.concat([head(options), body(options.body ?? '', options.id), bodyEnd(options.id)]);
}

/** The header block and body that a fake script answers with. */
export function answer(text: string): string {
  return `Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n${text}`;
}
