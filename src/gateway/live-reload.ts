/**
 * Reloads pages in the browser when a file of the document root changes. A page that the browser shows gets a small
 * script at its end, which listens to a stream of events; an edit sends one.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TreeWatcher } from './tree-watcher.js';

/** Names with a leading dot are never files of a site, so these paths take no name from anybody. */
export const SCRIPT_PATH = '/.luafcgid/reload.js';
export const EVENTS_PATH = '/.luafcgid/events';

const TAG = Buffer.from(`\n<script src="${SCRIPT_PATH}"></script>\n`);

/** Asks anew when the server comes back: what was changed meanwhile is not known. */
const SCRIPT = `(() => {
  let wasLost = false;
  const events = new EventSource(${JSON.stringify(EVENTS_PATH)});
  events.addEventListener('change', () => location.reload());
  events.addEventListener('open', () => { if (wasLost) location.reload(); });
  events.addEventListener('error', () => { wasLost = true; });
  addEventListener('pagehide', () => events.close());
})();
`;

/** Several events come for one edit. */
const SETTLE_MS = 20;
/** What a browser shows as a page, as it says itself (Fetch Metadata). */
const SHOWN: ReadonlySet<string> = new Set(['document', 'iframe', 'frame']);

/** Responses whose HTML gets the script. */
const watched = new WeakSet<ServerResponse>();

/** What is to be sent after the HTML of this response; undefined: nothing. */
export function htmlTrailer(response: ServerResponse): Buffer | undefined {
  return watched.has(response) ? TAG : undefined;
}

/** The same with a word by which the page's policy knows that the script may run. */
export function trailerWithNonce(nonce: string): Buffer {
  return Buffer.from(`\n<script src="${SCRIPT_PATH}" nonce="${nonce}"></script>\n`);
}

export class LiveReload {
  readonly #watchers: readonly TreeWatcher[];
  readonly #listeners = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;
  #changes = 0;

  /**
   * @param folders each watched with all that is below it
   * @param onTrouble told when changes cannot be watched, or not all of them
   */
  constructor(folders: readonly string[], onTrouble: (reason: string) => void) {
    this.#watchers = folders.map((folder) => new TreeWatcher(folder, () => this.#changed(), onTrouble));
  }

  /** Answers what is asked of it; returns false when the request is for something else. */
  answers(request: IncomingMessage, response: ServerResponse, path: string): boolean {
    if (path === SCRIPT_PATH) {
      const headers = { 'Content-Type': 'text/javascript; charset=utf-8', 'Cache-Control': 'no-cache' };
      response.writeHead(200, headers).end(SCRIPT);
      return true;
    }
    if (path !== EVENTS_PATH) {
      if (request.method === 'GET' && SHOWN.has(String(request.headers['sec-fetch-dest']))) watched.add(response);
      return false;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(':\n\n');
    this.#listeners.add(response);
    response.on('close', () => this.#listeners.delete(response));
    return true;
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
    for (const response of this.#listeners) response.destroy();
  }

  #changed(): void {
    if (this.#listeners.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#changes += 1;
      for (const response of this.#listeners) response.write(`event: change\ndata: ${this.#changes}\n\n`);
    }, SETTLE_MS);
  }
}
