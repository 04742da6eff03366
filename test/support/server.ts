/** The real process `bin/luafcgid` for end-to-end tests: started with a folder of its own, stopped and judged after. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type Exit } from './child.js';
import { type Cleanup, tempDir } from './cleanup.js';

/** The repository's root: the nearest folder above this file with the package's own package.json. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));
const BIN = join(ROOT, 'bin/luafcgid');

function findRoot(from: string): string {
  const file = join(from, 'package.json');
  if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name === 'luafcgid') return from;
  assert.notEqual(dirname(from), from, 'these tests do not lie in a checkout of luafcgid');
  return findRoot(dirname(from));
}

/** The driver of the front that the servers of this run have: the test command runs them on each. */
export const IO = process.env.LUAFCGID_TEST_IO ?? 'auto';

export interface ServerOptions {
  /** Lua source of the configuration. Before it `listen` is set to `server.socket`, and `workers` to 1. */
  readonly config?: string | ((paths: Pick<Server, 'dir' | 'scripts' | 'socket'>) => string);
  /** Scripts to write before the start: name and text. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The command line after `bin/luafcgid`; the configuration file when left out. */
  readonly args?: (paths: Pick<Server, 'dir' | 'scripts' | 'config'>) => readonly string[];
  /** A listening descriptor to inherit as descriptor 0. */
  readonly inherit?: number;
  /** A program and its arguments to run the server's command line under. */
  readonly under?: readonly string[];
  /** What says that all listeners accept. */
  readonly ready?: RegExp;
}

export interface Server {
  /** Folder of this server: configuration, socket, scripts. */
  readonly dir: string;
  /** Folder of the scripts. */
  readonly scripts: string;
  /** Path of the configuration file. */
  readonly config: string;
  /** The Unix socket, unless the test's configuration listens elsewhere. */
  readonly socket: string;
  readonly pid: number;
  /** All it has written so far. */
  log(): string;
  /** Waits for a text in the log. */
  logged(pattern: RegExp): Promise<RegExpExecArray>;
  /** Writes a file below `scripts` and gives back its path. */
  write(name: string, text: string | Uint8Array): string;
  /** The absolute path of a script. */
  path(name: string): string;
  signal(signal: NodeJS.Signals): void;
  /** Stops it with SIGTERM and asserts exit code 0. Happens after the test when the test does not do it. */
  stop(): Promise<void>;
  /** Waits for an end that the test has brought about, whatever its code. */
  ended(): Promise<Exit>;
}

/** Starts the server and resolves when it is ready. */
export async function startServer(t: Cleanup, options: ServerOptions = {}): Promise<Server> {
  const dir = tempDir(t);
  const scripts = join(dir, 'scripts');
  const config = join(dir, 'config.lua');
  const socket = join(dir, 'fcgi.sock');
  mkdirSync(scripts);
  const write = (name: string, text: string | Uint8Array): string => {
    const file = join(scripts, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  for (const [name, text] of Object.entries(options.files ?? {})) write(name, text);
  const settings = typeof options.config === 'function' ? options.config({ dir, scripts, socket }) : options.config;
  // One thread for scripts, unless the test says how many: each takes its time to start.
  const first = `listen = ${JSON.stringify(socket)}\nio = ${JSON.stringify(IO)} workers = 1\n`;
  writeFileSync(config, `${first}${settings ?? ''}\n`);

  const [command = process.execPath, ...args] = [
    ...(options.under ?? []),
    process.execPath,
    BIN,
    ...(options.args?.({ dir, scripts, config }) ?? [config]),
  ];
  const child = new Child({
    name: 'luafcgid',
    command,
    args,
    cwd: dir,
    // Coverage is measured in the processes of tests: it would take a server half as long again to start.
    env: { ...process.env, NODE_V8_COVERAGE: '', ...options.env },
    stdin: options.inherit,
  });
  let endIsExpected = false;
  const stop = async (): Promise<void> => {
    endIsExpected = true;
    const exit = child.exit ?? (await child.stop());
    assert.deepEqual(exit, { code: 0, signal: null }, child.describe('did not stop in order'));
  };
  t.after(async () => {
    if (!endIsExpected) {
      assert.equal(child.exit, undefined, child.describe('ended before the test did'));
      await stop();
    } else await child.ended();
  });
  await child.logged(options.ready ?? /ready: listening/).catch((error: unknown) => {
    endIsExpected = true;
    if (!child.exit) child.signal('SIGKILL');
    throw error;
  });
  return {
    dir,
    scripts,
    config,
    socket,
    pid: child.pid!,
    log: () => child.log,
    logged: (pattern) => child.logged(pattern),
    write,
    path: (name) => join(scripts, name),
    signal: (signal) => child.signal(signal),
    stop,
    ended: () => {
      endIsExpected = true;
      return child.ended();
    },
  };
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array | string;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Buffer;
}

/** Runs `bin/luafcgid` with the arguments to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = new Child({
    name: `luafcgid ${args.join(' ')}`,
    command: process.execPath,
    args: [BIN, ...args],
    cwd: options.cwd ?? ROOT,
    // Coverage is measured in the processes of tests: it would take a server half as long again to start.
    env: { ...process.env, NODE_V8_COVERAGE: '', ...options.env },
    stdin: options.stdin ?? '',
  });
  const { code } = await child.ended();
  return { code, stdout: child.stdout.toString(), stderr: child.stderr.toString(), stdoutBytes: child.stdout };
}
