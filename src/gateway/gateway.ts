/**
 * The embedded web server for development, this folder's door: it serves a folder over HTTP, its scripts through a
 * FastCGI socket exactly as a web server would do it. It knows nothing of the server behind that socket.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { LuafcgidError } from '../base/errors.js';
import { cgiParams } from './cgi-params.js';
import { sendListing } from './listing.js';
import { LiveReload } from './live-reload.js';
import { hasSeveralHosts, isForThisServer } from './own-names.js';
import { sendErrorPage, sendPage } from './pages.js';
import { type GatewayLog, relay } from './relay.js';
import type { TakeNotes } from './script-notes.js';
import { encodePath, Site } from './site.js';
import { sendFile } from './static.js';
import type { UpstreamAddress } from './upstream.js';

export type { GatewayLog } from './relay.js';
export type { UpstreamAddress } from './upstream.js';

export interface GatewayOptions {
  /** The folder to serve. */
  readonly root: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Address to listen on; loopback when left out. */
  readonly host?: string;
  /** Where the FastCGI server listens. */
  readonly socket: UpstreamAddress;
  /** Takes what scripts write to STDERR, and failures. */
  readonly log: GatewayLog;
  /** The name of a script that answers for paths that are no files, see `Site.open`. */
  readonly front?: string | undefined;
  /** How the names of scripts end; `.lua` when left out. */
  readonly extensions?: readonly string[];
  /** Pages are loaded anew in the browser when a file below `root` changes. */
  readonly reloads?: boolean;
  /** Folders whose changes count as well: what pages are made of lies beside `root`. */
  readonly watches?: readonly string[];
  /** Begins to collect what a script prints, which is shown in the page that it makes; left out: it is not. */
  collectNotes?(script: string): TakeNotes;
  /** Makes the page with the profile of a GET of this server, by its target; left out: there are none. */
  profile?(target: string): Promise<string>;
  /** Done before each script is asked: afterwards it is served as its files are now. */
  beforeScript?(): Promise<void>;
  /** Told of each answer when its last byte is handed on, or its client has gone. */
  onAnswered?(answered: Answered): void;
}

export interface Answered {
  readonly method: string;
  /** The target of the request as it came. */
  readonly url: string;
  readonly status: number;
  /** From the request's headers to the end of the answer. */
  readonly durationMs: number;
  /** Whether the client went before the end of the answer. */
  readonly isCut: boolean;
}

export interface Gateway {
  /** The port it listens on. */
  readonly port: number;
  /**
   * Stops accepting, lets running requests finish for at most `graceMs`, then breaks them off. Resolves when every
   * connection is closed.
   */
  close(graceMs?: number): Promise<void>;
}

/** TRACE would show the headers that a browser keeps from scripts; CONNECT is for proxies. */
const NOT_SERVED: ReadonlySet<string> = new Set(['TRACE', 'CONNECT']);
/** What follows is the address whose profile is wanted. Names with a leading dot are never files of a site. */
const PROFILE_PATH = '/.luafcgid/profile/';
const LOOPBACK = '127.0.0.1';
const DEFAULT_GRACE_MS = 5000;

/** @throws LuafcgidError `LUAFCGID_GATEWAY_ROOT` when this is no folder that can be served */
export async function openSite({
  root,
  front,
  extensions,
}: Pick<GatewayOptions, 'root' | 'front' | 'extensions'>): Promise<Site> {
  return Site.open(root, front, extensions).catch((error: Error) => {
    throw new LuafcgidError('LUAFCGID_GATEWAY_ROOT', { root, detail: error.message }, error);
  });
}

/**
 * Starts the web server; resolves when it accepts.
 * @throws LuafcgidError `LUAFCGID_GATEWAY_ROOT`, `LUAFCGID_GATEWAY_PORT` or `LUAFCGID_GATEWAY_LISTEN`
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { host = LOOPBACK } = options;
  const site = await openSite(options);
  const live = options.reloads === true ? startReloading(site, options) : undefined;
  const server = http.createServer();
  const connections = new Connections(server);
  server.on('request', (request, response) => {
    serve(site, request, response, { ...options, host, live }).catch((error: unknown) => {
      // A client that goes in the middle of a file is no fault.
      if (response.destroyed) return;
      options.log('error', `${request.method} ${request.url}: ${error instanceof Error ? error.stack : error}`);
      if (response.headersSent) response.destroy();
      else sendErrorPage(response, error);
    });
  });
  await listen(server, options.port, host);
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMs = DEFAULT_GRACE_MS) => {
      live?.close();
      return connections.close(graceMs);
    },
  };
}

function startReloading(site: Site, { log, watches = [] }: GatewayOptions): LiveReload {
  const root = Buffer.from(site.root, 'latin1').toString() || '/';
  const isBelow = (folder: string, other: string): boolean =>
    `${folder}/`.startsWith(other === '/' ? '/' : `${other}/`);
  const others = watches.filter((folder) => !isBelow(folder, root));
  // A folder that holds the root is enough.
  const folders = others.some((folder) => isBelow(root, folder)) ? others : [root, ...others];
  return new LiveReload(folders, (reason) => {
    log('warn', `pages are not loaded anew after every change: ${reason}`);
  });
}

function tellAnswered(
  { method = '', url = '' }: IncomingMessage,
  response: ServerResponse,
  onAnswered: (answered: Answered) => void,
): void {
  const startedMs = performance.now();
  response.on('close', () => {
    const { statusCode: status, writableFinished } = response;
    onAnswered({ method, url, status, durationMs: performance.now() - startedMs, isCut: !writableFinished });
  });
}

async function serve(
  site: Site,
  request: IncomingMessage,
  response: ServerResponse,
  options: GatewayOptions & { readonly host: string; readonly live: LiveReload | undefined },
): Promise<void> {
  const { socket: address, host, log, live } = options;
  if (NOT_SERVED.has(request.method ?? '')) return sendPage(response, 405);
  if (hasSeveralHosts(request)) return sendPage(response, 400, 'The request names several hosts.');
  if (!isForThisServer(request, host)) {
    const detail = 'This server answers to localhost, to addresses and to the name of this machine only.';
    return sendPage(response, 421, detail);
  }
  const path = pathOf(request.url ?? '');
  if (path === undefined) return sendPage(response, 400);
  if (live?.answers(request, response, path)) return;
  if (options.profile !== undefined && path.startsWith(PROFILE_PATH)) {
    if (request.method !== 'GET') return sendPage(response, 405, '', { Allow: 'GET' });
    const html = await options.profile(
      (request.url ?? '').slice((request.url ?? '').indexOf(PROFILE_PATH) + PROFILE_PATH.length - 1),
    );
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' }).end(html);
    return;
  }
  if (options.onAnswered !== undefined) tellAnswered(request, response, options.onAnswered);
  const place = await site.find(path);
  if (response.destroyed) return; // the client has gone meanwhile
  switch (place.kind) {
    case 'refused':
      return sendPage(response, place.status, place.detail);
    case 'redirect': {
      if (request.method === 'PUT' || request.method === 'DELETE') return sendPage(response, 405);
      const query = /\?.*/.exec(request.url ?? '')?.[0] ?? '';
      return sendPage(response, 301, '', { Location: place.path + query });
    }
    case 'folder':
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        return sendPage(response, 405, 'This is a folder: it can only be read.', { Allow: 'GET, HEAD' });
      }
      return sendListing(response, place.path, place.files, encodePath);
    case 'file':
      return sendFile(request, response, place.file);
    case 'script': {
      await options.beforeScript?.();
      if (response.destroyed) return;
      const params = cgiParams(request, { root: site.root, ...place }, host);
      return relay(request, response, { address, params, log, collectNotes: options.collectNotes });
    }
  }
}

/** The path of a request's target, without the query: a path, or a whole URL as a proxy is asked. */
function pathOf(target: string): string | undefined {
  return /^(?:https?:\/\/[^/?#]+)?(\/[^?#]*)/i.exec(target)?.[1];
}

function listen(server: http.Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') reject(new LuafcgidError('LUAFCGID_GATEWAY_PORT', { host, port }, error));
      else reject(new LuafcgidError('LUAFCGID_GATEWAY_LISTEN', { host, port, detail: error.message }, error));
    });
    server.listen(port, host, resolve);
  });
}

/** Which connections have requests, so that closing need not wait for browsers that hold idle ones. */
class Connections {
  readonly #server: http.Server;
  /** Requests that each open connection waits for. */
  readonly #open = new Map<Socket, number>();
  #isClosing = false;

  constructor(server: http.Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#open.set(socket, 0);
      socket.on('close', () => this.#open.delete(socket));
    });
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#count(socket, 1);
      if (this.#isClosing) response.setHeader('Connection', 'close');
      response.on('close', () => {
        if (this.#count(socket, -1) === 0 && this.#isClosing) socket.destroySoon();
      });
    });
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [socket, requests] of this.#open) if (requests === 0) socket.destroy();
    const deadline = setTimeout(() => {
      for (const socket of this.#open.keys()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(deadline);
  }

  #count(socket: Socket, change: 1 | -1): number {
    const requests = (this.#open.get(socket) ?? 0) + change;
    if (this.#open.has(socket)) this.#open.set(socket, requests);
    return requests;
  }
}
