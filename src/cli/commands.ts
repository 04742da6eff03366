/** What the command line can ask for, each task as one function. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { formatListenAddress } from '../base/listen-address.js';
import { version } from '../base/version.js';
import { type Config, checkConfig, type LoadedConfig, loadConfig, type Overrides } from '../config/load.js';
import type { ScriptCall } from '../gateway/script-call.js';
import { formatLogTarget } from '../logging/target.js';
import { createEngine, type EngineData, prepareEngine } from '../lua/engine.js';
import { attachToParent, complain, releaseParent, startInBackground } from '../process/background.js';
import { bequeath, noService, type ServiceEnvironment, takeServiceEnvironment } from '../process/environment.js';
import { type Prepared, type Printed, printToStandardError, type Server, startServer } from '../server/server.js';

export { endProcess } from '../lua/engine.js';

/** How a task ended; with `server` it goes on until that is stopped. */
export interface Outcome {
  readonly exitCode: number;
  readonly server?: Pick<Server, 'stop' | 'reopenLogs'> & {
    /** Left out where there is nothing to reload. */
    reload?(): Promise<void>;
  };
}

function prepare(
  file: string | null | undefined,
  overrides: Overrides,
  service: ServiceEnvironment = noService,
): Prepared {
  const embedded = prepareEngine(version);
  const printed: Printed = { to: printToStandardError };
  const loaded = loadConfig(file, overrides, createEngine(embedded), {
    log: (level, text) => printed.to(level, toText(text)),
    hasPassedSockets: service.sockets.length > 0,
  });
  try {
    return { loaded, engine: engineOf(loaded.config, embedded), printed };
  } catch (error) {
    loaded.hooks.close();
    throw error;
  }
}

/** The engine that a configuration wants. */
function engineOf({ engine, luaLibrary }: Config, embedded: EngineData): EngineData {
  return engine === 'embedded' ? embedded : prepareEngine(version, engine, luaLibrary);
}

/** `luafcgid [config.lua]` */
export async function serveConfig(file: string | undefined, overrides: Overrides): Promise<Outcome> {
  const service = takeServiceEnvironment(process.env, process.pid, process.ppid);
  if (service.isBackground) attachToParent();
  const prepared = prepare(file, overrides, service);
  const { loaded } = prepared;
  if (loaded.config.daemonize && !service.isBackground) {
    if (service.notifySocket === undefined) return serveInBackground(loaded, overrides, service);
    complain('luafcgid: daemonize = true has no effect: the service manager wants the server in the foreground\n');
  }
  const server = await startServer(prepared, { service, succeed: succession() });
  if (loaded.config.logFile !== undefined) {
    const where = server.addresses.map(formatListenAddress).join(', ');
    complain(`luafcgid ${version} ready: listening on ${where}; log: ${formatLogTarget(loaded.config.logFile)}\n`);
  }
  releaseParent();
  const reload = (): Promise<void> => server.reload(() => prepare(file, overrides, service));
  return { exitCode: 0, server: { stop: () => server.stop(), reopenLogs: () => server.reopenLogs(), reload } };
}

/** How this program is started anew in the same process; undefined where that cannot be done. */
function succession(): ((service: ServiceEnvironment) => Promise<never>) | undefined {
  if (process.platform !== 'linux') return undefined;
  return async (service) => {
    const { replaceProgram } = await import('../linux/exec.js');
    const environment = { ...process.env, ...bequeath(service, process.pid) } as Record<string, string>;
    const fds = [...service.kept, ...service.sockets].map(({ fd }) => fd);
    return replaceProgram(process.execPath, [...process.execArgv, ...process.argv.slice(1)], environment, fds);
  };
}

/** Starts the same server again, which reads the configuration once more. */
async function serveInBackground(
  { config, file, hooks }: LoadedConfig,
  overrides: Overrides,
  service: ServiceEnvironment,
): Promise<Outcome> {
  hooks.close();
  const passed = service.sockets.map(({ fd }) => fd);
  const inherited = config.listen.flatMap((address) => (address.kind === 'fd' ? [address.fd] : []));
  const args = file === undefined ? [] : [file];
  for (const [name, value] of Object.entries(overrides)) {
    args.push(value === true ? `--${name}` : `--${name}=${value}`);
  }
  return { exitCode: await startInBackground(args, [...passed, ...inherited], service) };
}

/** `luafcgid check FILE` */
export function checkFile(file: string): Outcome {
  const embedded = prepareEngine(version);
  const { valid, text } = checkConfig(file, createEngine(embedded), {}, (config) => void engineOf(config, embedded));
  (valid ? process.stdout : process.stderr).write(`${text}\n`);
  return { exitCode: valid ? 0 : 1 };
}

/** `luafcgid serve [directory]`: a server on a socket of its own, and the gateway in front of it. */
export async function serveDirectory(
  directory: string,
  port: number,
  config: string | undefined,
  overrides: Overrides,
): Promise<Outcome> {
  const root = resolve(directory);
  // Only what serves HTTP pays for loading it.
  const { startGateway } = await import('../gateway/gateway.js');
  const { server, socket, close } = await startPrivately(config ?? null, overrides);
  try {
    const gateway = await startGateway({
      root,
      port,
      socket,
      log: (level, text) => server.log.write(level, text),
    });
    process.stdout.write(
      `luafcgid ${version} serves ${root}\n  http     http://127.0.0.1:${gateway.port}/\n  FastCGI  ${socket}\nCtrl-C stops it.\n`,
    );
    const stop = async (): Promise<void> => {
      await gateway.close();
      await close();
    };
    return { exitCode: 0, server: { stop, reopenLogs: () => server.reopenLogs() } };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What `luafcgid run` is given. */
export interface RunOptions {
  readonly method: string | undefined;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** File to send as the body; `-` is standard input. */
  readonly body: string | undefined;
  readonly config: string | undefined;
  readonly overrides: Overrides;
}

/** `luafcgid run SCRIPT`: the same server as always, for one request. */
export async function runScript(script: string, options: RunOptions): Promise<Outcome> {
  // Without a script there is no request to answer: better said here than with a page of status 404.
  readInput(script);
  const body = options.body === undefined ? undefined : readInput(options.body === '-' ? STDIN : options.body);
  const { callScript } = await import('../gateway/script-call.js');
  const { socket, close } = await startPrivately(
    options.config ?? null,
    { ...options.overrides, ...NAMED_SCRIPT },
    true,
  );
  try {
    const call: ScriptCall = {
      script: resolve(script),
      method: options.method ?? (body === undefined ? 'GET' : 'POST'),
      query: options.query,
      headers: options.headers,
      body,
    };
    const { status, appStatus } = await callScript(socket, call, (bytes) => process.stdout.write(bytes));
    return { exitCode: appStatus !== 0 ? appStatus & 0xff || EXIT_FAILED : status < 500 ? 0 : EXIT_FAILED };
  } finally {
    await close();
  }
}

/** Whoever names a script wants that one, whatever its name is. */
const NAMED_SCRIPT: Overrides = { workers: 1, extensions: '*', accesslog: '' };

const STDIN = 0;
const EXIT_FAILED = 1;

/** @throws LuafcgidError `LUAFCGID_RUN_FILE` */
function readInput(file: string | typeof STDIN): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const reason = (error as Error).message.split(', ', 1)[0];
    throw new LuafcgidError('LUAFCGID_RUN_FILE', { file: file === STDIN ? 'standard input' : file, reason }, error);
  }
}

/** Its folder is this user's, and so is whoever talks to it. */
const STAY: Overrides = { user: '', group: '', socketowner: '', socketgroup: '' };

/** Starts a server on a socket in a folder that only this user can enter, and that goes away with it. */
async function startPrivately(
  config: string | null,
  overrides: Overrides,
  isQuiet = false,
): Promise<{ server: Server; socket: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  // However the process ends: nobody else knows the folder.
  process.once('exit', removeFolder);
  const socket = join(folder, 'fastcgi.sock');
  try {
    const prepared = prepare(config, { ...overrides, ...STAY, listen: socket, daemonize: false });
    const server = await startServer(prepared, { isQuiet });
    const close = async (): Promise<void> => {
      await server.stop();
      removeFolder();
    };
    return { server, socket, close };
  } catch (error) {
    removeFolder();
    throw error;
  }
}
