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
  readonly body: string;
}

/** The page asks for the JSON form by itself, so it needs no status. */
export function renderStatus(form: StatusForm, status: () => Status): RenderedStatus {
  switch (form) {
    case 'html':
      return { contentType: 'text/html; charset=utf-8', body: STATUS_PAGE };
    case 'json':
      return { contentType: 'application/json', body: renderJson(status()) };
    case 'openmetrics':
      return { contentType: OPENMETRICS_TYPE, body: renderOpenMetrics(status()) };
    case 'text':
      return { contentType: 'text/plain; charset=utf-8', body: renderText(status()) };
  }
}
