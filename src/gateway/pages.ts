/** The gateway's own pages: what a browser shows when there is no script's answer. */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { LuafcgidError } from '../base/errors.js';
import { escapeHtml } from '../base/html.js';
import { htmlTrailer } from './live-reload.js';

export interface Link {
  readonly href: string;
  readonly text: string;
}

/** Answers with the small page of a status. `detail` is text. Does nothing when an answer has begun already. */
export function sendPage(
  response: ServerResponse<IncomingMessage>,
  status: number,
  detail = '',
  headers: Readonly<Record<string, string>> = {},
): void {
  sendHtml(response, status, `${status} ${STATUS_CODES[status] ?? ''}`.trim(), detail, [], headers);
}

/** Answers with a small page: a title, lines of text, and links. Does nothing when an answer has begun already. */
export function sendHtml(
  response: ServerResponse<IncomingMessage>,
  status: number,
  title: string,
  detail: string,
  links: readonly Link[],
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const html = Buffer.from(
    `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }</style>
<h1>${escapeHtml(title)}</h1>
${detail
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => `<p>${escapeHtml(line)}</p>`)
  .join('\n')}
${links.map(({ href, text }) => `<p><a href="${escapeHtml(href)}">${escapeHtml(text)}</a></p>`).join('\n')}
</html>
`,
  );
  const page = Buffer.concat([html, htmlTrailer(response) ?? Buffer.alloc(0)]);
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': page.length,
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(page);
}

/** The page of an error: what happened, and what to do about it when the catalogue knows. */
export function sendErrorPage(response: ServerResponse<IncomingMessage>, error: unknown): void {
  if (error instanceof LuafcgidError) sendPage(response, error.status || 500, `${error.message}\n${error.solve}`);
  else sendPage(response, 500, error instanceof Error ? error.message : String(error));
}
