/** Serving a folder over HTTP, for development. */

import { spawn } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { version } from '../base/version.js';
import type { Overrides } from '../config/load.js';
import type { Answered } from '../gateway/gateway.js';
import { complain } from '../process/background.js';
import type { Server } from '../server/server.js';
import { type Outcome, startPrivately } from './prepare.js';
import { PrintedLines } from './printed-lines.js';

/** What `luafcgid serve` is given. */
export interface ServeDirectoryOptions {
  readonly directory: string;
  readonly port: number;
  /** Address to listen on. */
  readonly host: string;
  readonly config: string | undefined;
  /** The script that answers for paths that are no files, by its name. */
  readonly front: string | undefined;
  /** Whether to show the first page in a browser. */
  readonly opens: boolean;
  readonly overrides: Overrides;
}

/** `luafcgid serve [directory]`: a server on a socket of its own, and the gateway in front of it. */
export async function serveDirectory(options: ServeDirectoryOptions): Promise<Outcome> {
  const root = resolve(options.directory);
  // Only what serves HTTP pays for loading it.
  const { openSite, startGateway } = await import('../gateway/gateway.js');
  // Before a server is started for it.
  await openSite({ root });
  const { server, socket, config, close } = await startPrivately(options.config ?? null, {
    ...options.overrides,
    showerrors: true,
    // The main thread sees every request, for profiles.
    io: 'node',
  });
  const printed = new PrintedLines();
  server.log.onWrite = (level, text, { isOfScript, script }) => {
    if (isOfScript !== true || script === undefined) return;
    printed.note(script, level === 'info' ? text : `${level}: ${text}`);
  };
  try {
    const gateway = await startGateway({
      root,
      port: options.port,
      host: options.host,
      front: options.front,
      extensions: ['.lua', ...Object.keys(config.adapters)],
      socket,
      log: (level, text) => server.log.write(level, text),
      reloads: true,
      watches: options.config === undefined ? [] : [dirname(resolve(options.config))],
      collectNotes: (script) => printed.collect(script),
      profile: (target) => profilePage(server, () => gateway.port, target),
      beforeScript: () => server.lookForChanges(),
      onAnswered: (answered) => process.stdout.write(requestLine(answered)),
    });
    const url = `http://${nameOf(options.host)}:${gateway.port}/`;
    process.stdout.write(
      `luafcgid ${version} serves ${root}\n  http     ${url}\n  FastCGI  ${socket}\nCtrl-C stops it.\n`,
    );
    if (options.opens) openInBrowser(url);
    const stop = async (): Promise<void> => {
      // Whoever develops does not wait for a page that hangs.
      await gateway.close(0);
      await close('at-once');
    };
    return { exitCode: 0, server: { stop, reopenLogs: () => server.reopenLogs() } };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The profile of a page, which is requested again and again for a moment. */
async function profilePage(server: Server, port: () => number, target: string): Promise<string> {
  const [{ profile }, { sendRequest }] = await Promise.all([
    import('./profile.js'),
    import('../gateway/script-tests.js'),
  ]);
  const request = { method: 'GET', path: target, headers: [], body: undefined };
  const { html } = await profile(server, { title: `GET ${target}`, repeats: true }, () => sendRequest(port(), request));
  return html;
}

/** The name under which this machine's browser reaches an address that the gateway listens on. */
function nameOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** Codes of terminals for the colour of text. */
const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const CYAN = 36;
/** As https://no-color.org has it: an empty NO_COLOR says nothing. */
const isColoured = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';

/** e.g. `200    1.3 ms  GET /hello.lua?name=you` */
function requestLine({ method, url, status, durationMs, isCut }: Answered): string {
  const colour = status >= 500 ? RED : status >= 400 ? YELLOW : status >= 300 ? CYAN : GREEN;
  const shown = isColoured ? `\x1b[${colour}m${status}\x1b[39m` : String(status);
  const time = durationMs < 100 ? durationMs.toFixed(1) : durationMs.toFixed(0);
  return `${shown} ${time.padStart(6)} ms  ${method} ${printable(url)}${isCut ? '  (the client has gone)' : ''}\n`;
}

/** Node.js lets only bytes above the control characters into a target; those above ASCII may still steer a terminal. */
function printable(target: string): string {
  return target.replace(/[^\x20-\x7e]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function openInBrowser(url: string): void {
  const command = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const browser = spawn(command, [url], { stdio: 'ignore', detached: true });
  browser.on('error', (error) => complain(`luafcgid: no browser was opened: ${error.message}\n`));
  browser.unref();
}
