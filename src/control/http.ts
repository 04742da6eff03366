/**
 * The status socket (`status`): a small HTTP server on the main thread, apart from the connections of web servers. What it
 * shows everybody may see who can connect. What changes the server (reload, stop) is only done on a Unix socket, whose
 * permissions say who that is: any user and any web page of a browser can connect to a loopback port.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isLoopback, type StatusAddress } from '../base/status-address.js';
import { giveSocketFile, withFileMode } from '../front/io/socket-file.js';
import { clearStaleSocket } from '../front/io/stale-socket.js';
import { errorsJson } from '../status/json.js';
import type { Status } from '../status/model.js';
import { formOf, renderStatus, type StatusForm } from '../status/render.js';
import { errorTable } from '../status/text.js';
import { reuseText } from '../status/text-buffer.js';

/** Only the owner and root may connect. */
const SOCKET_MODE = 0o600;
const MOST_CONNECTIONS = 64;
/** How long the front may take to say how it is. */
const PING_MS = 2_000;
const REPORT_MS = 5_000;

/** What a command of the operator came to. */
export interface CommandResult {
  readonly isDone: boolean;
  /** For people; ends without a line break. */
  readonly text: string;
}

/** What the socket shows and does. */
export interface ControlTarget {
  status(): Promise<Status>;
  /** Resolves when the front's thread has answered. */
  ping(): Promise<unknown>;
  reload(): Promise<CommandResult>;
  reopenLogs(): Promise<CommandResult>;
  /** The server stops after the answer. */
  stop(): Promise<CommandResult>;
  /** The Lua stack of a request. */
  stack(request: string): Promise<CommandResult>;
}

/** A socket that is open. */
export interface ControlSocket {
  /** As it came to be: with the port that was found. */
  readonly address: StatusAddress;
  close(): Promise<void>;
}

/**
 * Opens the socket.
 * @param owner of the socket's file; undefined: who runs the server
 * @throws LuafcgidError `LUAFCGID_LISTEN_IN_USE` and the like, or the system's error
 */
export async function openControlSocket(
  address: StatusAddress,
  owner: { readonly uid: number; readonly gid: number } | undefined,
  target: ControlTarget,
): Promise<ControlSocket> {
  if (address.kind === 'unix') await clearStaleSocket(address.path);
  const server = createServer((request, response) => void answer(target, address, request, response));
  server.maxConnections = MOST_CONNECTIONS;
  server.requestTimeout = 10_000;
  const bound = await listen(server, address);
  try {
    if (address.kind === 'unix') giveSocketFile(address.path, owner);
  } catch (error) {
    server.close();
    throw error;
  }
  const inode = address.kind === 'unix' ? lstatSync(address.path).ino : 0;
  return {
    address: bound,
    close: async () => {
      if (address.kind === 'unix') removeSocket(address.path, inode);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      // An answer that is under way has a moment to leave.
      const end = setTimeout(() => server.closeAllConnections(), 500);
      await closed;
      clearTimeout(end);
    },
  };
}

function listen(server: Server, address: StatusAddress): Promise<StatusAddress> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.removeListener('error', reject);
      // Errors of accept itself cost the connection that was to be accepted, nothing else.
      server.on('error', () => {});
      const found = server.address();
      const isTcp = address.kind === 'tcp' && found !== null && typeof found === 'object';
      resolve(isTcp ? { ...address, port: found.port } : address);
    });
    if (address.kind === 'unix') withFileMode(SOCKET_MODE, () => server.listen({ path: address.path }));
    else server.listen({ host: address.host, port: address.port });
  });
}

/** A file that another server has made meanwhile stays; so does one that this user may not remove. */
function removeSocket(path: string, inode: number): void {
  try {
    if (lstatSync(path).ino === inode) unlinkSync(path);
  } catch {
    // The next start finds that nobody listens there, and replaces it.
  }
}

type Answer = { readonly status: number; readonly contentType: string; readonly body: string | Buffer };

function plain(status: number, text: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

async function answer(
  target: ControlTarget,
  address: StatusAddress,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  let made: Answer;
  try {
    made = await route(target, address, request);
  } catch (error) {
    made = plain(503, error instanceof Error ? error.message : String(error));
  }
  response.writeHead(made.status, {
    'Content-Type': made.contentType,
    'Content-Length': Buffer.byteLength(made.body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  const { body } = made;
  if (typeof body !== 'string') response.once('close', () => reuseText(body));
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function route(target: ControlTarget, address: StatusAddress, request: IncomingMessage): Promise<Answer> {
  const { method = 'GET', url = '/', headers } = request;
  // A name that leads to this machine may be anybody's: its pages would read what is shown here.
  if (address.kind === 'tcp' && !isLoopback(hostOf(headers.host ?? ''))) {
    return plain(403, 'Ask by a loopback address, such as 127.0.0.1 or localhost.');
  }
  const [path = '/', query = ''] = url.split('?', 2);
  if (method === 'GET' || method === 'HEAD') return read(target, path, query, headers.accept ?? '');
  if (method !== 'POST') return plain(405, `${method} is not served; there are GET, HEAD and POST.`);
  if (address.kind !== 'unix') {
    return plain(403, 'Commands are done on a Unix socket only: set status to a path in the configuration.');
  }
  const result = await command(target, path, query);
  if (result === undefined) return plain(404, `There is no command ${path.slice(1)}.`);
  return plain(result.isDone ? 200 : 409, result.text);
}

/** The host of a Host header, without its port. */
function hostOf(header: string): string {
  return /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(header)?.[1] ?? '';
}

const FORM_BY_PATH: Readonly<Record<string, StatusForm>> = {
  '/metrics': 'openmetrics',
  '/json': 'json',
  '/text': 'text',
};

async function read(target: ControlTarget, path: string, query: string, accept: string): Promise<Answer> {
  if (path === '/ping') {
    await within(PING_MS, target.ping(), 'the front does not answer');
    return plain(200, 'pong');
  }
  if (path === '/errors') {
    const { errors } = await within(REPORT_MS, target.status(), 'the front does not answer');
    if (formOf(query, accept) !== 'json') return plain(200, errorTable({ errors }, errors.length) || 'no errors');
    return { status: 200, contentType: 'application/json', body: errorsJson(errors) };
  }
  const form = path === '/' || path === '/status' ? formOf(query, accept) : FORM_BY_PATH[path];
  if (form === undefined) {
    return plain(404, 'There are /, /?text, /?json, /metrics, /errors and /ping.');
  }
  if (form === 'html') return { status: 200, ...renderStatus(form, unasked) };
  const status = await within(REPORT_MS, target.status(), 'the front does not answer');
  return { status: 200, ...renderStatus(form, () => status) };
}

function unasked(): never {
  throw new Error('the page asks for the status by itself');
}

async function command(target: ControlTarget, path: string, query: string): Promise<CommandResult | undefined> {
  switch (path) {
    case '/reload':
      return target.reload();
    case '/reopen':
      return target.reopenLogs();
    case '/stop':
      return target.stop();
    case '/stack':
      return target.stack(new URLSearchParams(query).get('request') ?? '');
    default:
      return undefined;
  }
}

async function within<Result>(limitMs: number, work: Promise<Result>, failure: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${failure} within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
