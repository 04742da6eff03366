/** Chooses the form in which the status is shown, by what the client asks for. */
import { renderJson } from './json.js';
import type { Status } from './model.js';
import { OPENMETRICS_TYPE, renderOpenMetrics } from './openmetrics.js';
import { STATUS_PAGE } from './page.js';
import { renderText } from './text.js';

export type StatusForm = 'text' | 'json' | 'openmetrics' | 'html';

/** A form by its name in the query (`?json`, `?format=json`), or else by what the client accepts. */
export function formOf(query: string, accept: string): StatusForm {
  for (const part of query.split('&')) {
    const name = part.startsWith('format=') ? part.slice('format='.length) : part;
    if (name === 'text' || name === 'json' || name === 'openmetrics' || name === 'html') return name;
  }
  if (accept.includes('application/openmetrics-text')) return 'openmetrics';
  if (accept.includes('text/html')) return 'html';
  return accept.includes('application/json') ? 'json' : 'text';
}

export interface RenderedStatus {
  readonly contentType: string;
  /** To be given to `reuseText` when it has left. */
  readonly body: Buffer;
}

/**
 * The page asks for the JSON form by itself, so it needs no status.
 * @param startOf what the body begins with, by its type
 */
export function renderStatus(
  form: StatusForm,
  status: () => Status,
  startOf: (contentType: string) => string = () => '',
): RenderedStatus {
  const contentType = typeOf(form);
  return { contentType, body: bodyOf(form, status, startOf(contentType)) };
}

/** The type that a form is sent with. */
export function typeOf(form: StatusForm): string {
  return CONTENT_TYPES[form];
}

const CONTENT_TYPES: Readonly<Record<StatusForm, string>> = {
  html: 'text/html; charset=utf-8',
  json: 'application/json',
  openmetrics: OPENMETRICS_TYPE,
  text: 'text/plain; charset=utf-8',
};

function bodyOf(form: StatusForm, status: () => Status, start: string): Buffer {
  switch (form) {
    case 'html':
      return Buffer.from(start + STATUS_PAGE);
    case 'json':
      return renderJson(status(), start);
    case 'openmetrics':
      return renderOpenMetrics(status(), start);
    case 'text':
      return Buffer.from(start + renderText(status()));
  }
}
