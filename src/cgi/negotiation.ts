/** Which form of an error a client can read: a page, JSON, or plain text. */
import { forEachPair } from '../fcgi/session.js';

/** Longer header values are cut: they say nothing more. */
const MOST_CHARS = 1000;
const MOST_RANGES = 50;

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json$/;

/** The media ranges of an Accept header with their weights (RFC 9110, section 12.5.1). */
function rangesOf(accept: string): { readonly type: string; readonly weight: number }[] {
  return accept
    .toLowerCase()
    .split(',', MOST_RANGES)
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
      return { type, weight: /^[01](?:\.\d{0,3})?$/.test(weight) ? Number(weight) : 0 };
    });
}

/** Forms in which an error can be told. */
export type ErrorForm = 'html' | 'json' | 'text';

/**
 * The form in which the client of a request wants an error: JSON when its Accept header names that, and HTML not before
 * it, or when it takes anything and has sent JSON itself; plain text when that is named before both; else a page.
 *
 * @param params name-value pairs
 */
export function errorFormFor(params: Uint8Array): ErrorForm {
  const bytes = Buffer.from(params.buffer, params.byteOffset, params.length);
  let accept = '';
  let sent = '';
  const look = (nameStart: number, valueStart: number, valueEnd: number): void => {
    const value = (): string => bytes.toString('latin1', valueStart, Math.min(valueEnd, valueStart + MOST_CHARS));
    const length = valueStart - nameStart;
    if (length === 11 && bytes.toString('latin1', nameStart, valueStart) === 'HTTP_ACCEPT') accept = value();
    if (length === 12 && bytes.toString('latin1', nameStart, valueStart) === 'CONTENT_TYPE') sent = value();
  };
  try {
    forEachPair(params, look);
  } catch {
    // Those of a request that is refused because of them say nothing.
    return 'html';
  }
  const ranges = rangesOf(accept);
  const best = (isWanted: (type: string) => boolean): number =>
    Math.max(0, ...ranges.filter(({ type }) => isWanted(type)).map(({ weight }) => weight));
  const json = best((type) => JSON_TYPE.test(type));
  const html = best((type) => type === 'text/html' || type === 'application/xhtml+xml');
  if (best((type) => type === 'text/plain') > Math.max(html, json)) return 'text';
  if (json > 0) return json >= html ? 'json' : 'html';
  return html === 0 && JSON_TYPE.test(sent.toLowerCase().replace(/;.*$/, '').trim()) ? 'json' : 'html';
}
