/** Answers that the server makes itself: small pages that say what happened, in one look, with everything escaped. */

import { replaceEach } from '../base/bounded-text.js';
import { toText } from '../base/byte-string.js';
import { escapeHtml } from '../base/html.js';
import type { ErrorForm } from './negotiation.js';
import type { RequestDetail } from './request-detail.js';
import { statusLine } from './status.js';

/** What a page may show of a script's error, when `showerrors` allows it. All text is one character per byte. */
export interface ErrorDetail {
  readonly message: string;
  readonly traceback?: string;
  /** Source lines around the fault. */
  readonly source?: SourceExcerpt;
  /** Source lines around the places that led to it, the innermost first. */
  readonly callers?: readonly SourceExcerpt[];
  readonly request?: RequestDetail;
  /** The address that opens a file in an editor, with `{file}` and `{line}`; empty: there is none. */
  readonly editor?: string;
}

export interface SourceExcerpt {
  readonly file: string;
  readonly lines: readonly SourceLine[];
  /** The local variables of the function there, with their values as text. */
  readonly locals?: readonly (readonly [name: string, value: string])[];
}

export interface SourceLine {
  readonly number: number;
  readonly text: string;
  readonly isFault: boolean;
}

export interface ErrorPage {
  readonly status: number;
  /** Finds the request in the log. */
  readonly requestName?: string | undefined;
  readonly detail?: ErrorDetail | undefined;
  /** A page when left out; JSON is a problem as RFC 9457 has it. */
  readonly form?: ErrorForm;
}

/** What the page tells its reader. It names no file: that is for the log, or for `showerrors`. */
const TEXTS: Readonly<Record<number, string>> = {
  400: 'The request is incomplete or malformed.',
  403: 'This page may not be shown.',
  404: 'There is no such page here.',
  405: 'This method is not served.',
  408: 'The request did not arrive in time.',
  413: 'The request body is larger than this server accepts.',
  415: 'The request body has a type that is not accepted here.',
  431: 'The request headers are larger than this server accepts.',
  500: 'This page failed.',
  503: 'The server is busy. Please try again in a moment.',
  504: 'The page took too long.',
};

/** Header lines that belong to a status: when to try again (RFC 9110, 10.2.3), which methods are served (10.2.1). */
const HEADERS: Readonly<Record<number, string>> = {
  405: 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n',
  503: 'Retry-After: 1\r\n',
};

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:52rem;padding:0 1rem;color:#222;background:#fff}' +
  'h1{font-size:1.5rem}p,summary{overflow-wrap:anywhere}summary{margin:.5rem 0;cursor:pointer}' +
  'pre{background:#f4f4f4;padding:.8rem;overflow:auto;font-size:.85rem}' +
  'table{border-collapse:collapse;font:.8rem/1.4 ui-monospace,monospace;margin:0 0 1rem}' +
  'th,td{text-align:left;vertical-align:top;padding:.1rem .8rem .1rem 0;overflow-wrap:anywhere;border-bottom:1px solid #8883}' +
  'th{font-weight:600;min-width:6rem;max-width:14rem}' +
  '.text{white-space:pre-wrap;overflow-wrap:anywhere}mark{background:#ffd6d6;color:inherit}small{color:#666}' +
  '@media(max-width:40rem){body{margin:1.5rem auto}pre{font-size:.75rem;padding:.5rem}}' +
  '@media(prefers-color-scheme:dark){a{color:#8bf}body{color:#ddd;background:#181818}pre{background:#262626}mark{background:#6b2020}small{color:#999}}';

/** The detail of a script's error as HTML. */
export function renderDetail({ message, source, callers = [], traceback, request, editor }: ErrorDetail): string {
  let html = `<pre class="text">${escapeHtml(message)}</pre>\n`;
  if (source !== undefined) {
    const place = `${source.file}:${faultyLine(source)}`;
    html += `<p>${escapeHtml(place)}${renderLink(source, editor)}</p>\n${renderLines(source)}${renderLocals(source, true)}`;
  }
  for (const caller of callers) {
    const place = escapeHtml(`${caller.file}:${faultyLine(caller)}`);
    html += `<details><summary>called at ${place}</summary>\n${renderLink(caller, editor)}${renderLines(caller)}${renderLocals(caller, true)}</details>\n`;
  }
  if (traceback) html += `<pre class="text">${escapeHtml(traceback)}</pre>\n`;
  return request === undefined ? html : html + renderRequest(request);
}

function faultyLine({ lines }: SourceExcerpt): number {
  return lines.find(({ isFault }) => isFault)?.number ?? 0;
}

function renderLink(excerpt: SourceExcerpt, editor = ''): string {
  if (editor === '') return '';
  const line = String(faultyLine(excerpt));
  const address = editor.replace('{file}', encodePath(excerpt.file)).replace('{line}', line);
  return ` <a href="${escapeHtml(address)}">open in the editor</a>`;
}

/** A path, one character per byte, as it stands in a URL. */
function encodePath(path: string): string {
  return replaceEach(path, /[^A-Za-z0-9/._~-]/g, (byte) => {
    return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}

function renderLocals({ locals = [] }: SourceExcerpt, isOpen: boolean): string {
  return locals.length === 0 ? '' : renderTable('Local variables', locals, isOpen);
}

function renderRequest({ method, url, headers }: RequestDetail): string {
  return renderTable('Request', [[method, url], ...headers], false);
}

function renderTable(title: string, rows: readonly (readonly [string, string])[], isOpen: boolean): string {
  const shown = rows.map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>\n`);
  return `<details${isOpen ? ' open' : ''}><summary>${title}</summary>\n<table>\n${shown.join('')}</table></details>\n`;
}

function renderLines({ lines }: SourceExcerpt): string {
  const shown = lines.map((line) => {
    const text = escapeHtml(`${String(line.number).padStart(5)}  ${line.text}`);
    return line.isFault ? `<mark>${text}</mark>` : text;
  });
  return `<pre>${shown.join('\n')}</pre>\n`;
}

/** A whole CGI answer, header block and page, as bytes. */
export function renderErrorPage(page: ErrorPage): Buffer {
  switch (page.form) {
    case 'json':
      return renderProblem(page);
    case 'text':
      return renderText(page);
    default:
      return renderPage(page);
  }
}

function head(status: number, type: string, bodyBytes: number): string {
  return (
    `Status: ${statusLine(status)}\r\nContent-Type: ${type}\r\nContent-Length: ${bodyBytes}\r\n` +
    `Cache-Control: no-store\r\n${HEADERS[status] ?? ''}\r\n`
  );
}

function renderProblem({ status, requestName, detail }: ErrorPage): Buffer {
  const title = statusLine(status).slice(4);
  const members = {
    title,
    status,
    detail: TEXTS[status] ?? title,
    request: requestName,
    message: detail && toText(detail.message),
    source: detail?.source && { file: toText(detail.source.file), line: faultyLine(detail.source) },
    traceback: detail?.traceback ? toText(detail.traceback) : undefined,
  };
  const body = Buffer.from(`${JSON.stringify(members)}\n`, 'utf8');
  return Buffer.concat([Buffer.from(head(status, 'application/problem+json', body.length), 'latin1'), body]);
}

/** For terminals: what happened, the faulty lines, and the stack. */
function renderText({ status, requestName, detail }: ErrorPage): Buffer {
  let text = `${statusLine(status)}\n${TEXTS[status] ?? ''}\n`;
  if (detail !== undefined) {
    text += `\n${detail.message}\n`;
    if (detail.source !== undefined) {
      text += `\n${detail.source.file}\n${textLines(detail.source)}`;
      for (const [name, value] of detail.source.locals ?? []) text += `        ${name} = ${value}\n`;
    }
    if (detail.traceback) text += `\n${detail.traceback}\n`;
  }
  if (requestName !== undefined) text += `\nRequest ${requestName}\n`;
  return Buffer.from(head(status, 'text/plain; charset=utf-8', text.length) + text, 'latin1');
}

function textLines({ lines }: SourceExcerpt): string {
  return lines
    .map(({ number, text, isFault }) => `${isFault ? '>' : ' '}${String(number).padStart(5)}  ${text}\n`)
    .join('');
}

function renderPage(page: ErrorPage): Buffer {
  const status = statusLine(page.status);
  const request =
    page.requestName === undefined ? '' : `<p><small>Request ${escapeHtml(page.requestName)}</small></p>\n`;
  const detail = page.detail === undefined ? '' : renderDetail(page.detail);
  const html =
    `<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(status)}</title>` +
    `<style>${STYLE}</style></head>\n<body>\n<h1>${escapeHtml(status)}</h1>\n<p>${TEXTS[page.status] ?? ''}</p>\n` +
    `${detail}${request}</body>\n</html>\n`;
  return Buffer.from(head(page.status, 'text/html; charset=utf-8', html.length) + html, 'latin1');
}
