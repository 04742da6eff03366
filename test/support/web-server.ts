/**
 * A real web server in front of the server under test. What differs between products (the program, its configuration,
 * the signal that stops it) comes as a `WebServerProduct`; see nginx.ts for the first.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import { Child } from './child.js';
import { type Cleanup, guarded, tempDir } from './cleanup.js';

export interface WebServerProduct {
  readonly name: string;
  /** Name of the program, searched in PATH and the administrator's folders. */
  readonly program: string;
  /** What a person has to do when the program is missing. */
  readonly install: string;
  /** The configuration file's text for a folder of its own and a port on 127.0.0.1. */
  configure(dir: string, port: number): string;
  args(dir: string, configFile: string): readonly string[];
  /** Variables for its environment. */
  env?(dir: string): Readonly<Record<string, string>>;
  /** Name of its error log in the folder. */
  readonly errorLog: string;
  /** Ends it at once, open connections included. */
  readonly stopSignal: NodeJS.Signals;
  /** Lines of the error log that fail a test. */
  readonly fatal: RegExp;
}

export interface WebServer {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly dir: string;
  /** Its error log so far. */
  errorLog(): string;
  /** Happens after the test when the test does not do it. */
  stop(): Promise<void>;
}

const PORT_ATTEMPTS = 5;
const START_GUARD_MS = 90_000;
const RETRY_MS = 10;

/** Starts the web server and resolves when it accepts connections. */
export async function startWebServer(t: Cleanup, product: WebServerProduct): Promise<WebServer> {
  const program = findProgram(product.program);
  assert.ok(program, `${product.name} is not installed: ${product.install}`);
  for (let attempt = 1; ; attempt += 1) {
    const dir = tempDir(t);
    const port = await freePort();
    const configFile = join(dir, 'web-server.conf');
    writeFileSync(configFile, product.configure(dir, port));
    const child = new Child({
      name: product.name,
      command: program,
      args: product.args(dir, configFile),
      cwd: dir,
      env: { ...process.env, ...product.env?.(dir) },
    });
    const errorLog = (): string => readIfThere(join(dir, product.errorLog));
    const describe = (what: string): string => `${child.describe(what)}its error log:\n${errorLog()}`;
    try {
      await guarded(accepts(child, port), START_GUARD_MS, () => describe('does not accept connections'));
    } catch (error) {
      if (!child.exit) await child.stop('SIGKILL');
      const portWasTaken = /address already in use/i.test(child.log + errorLog());
      if (portWasTaken && attempt < PORT_ATTEMPTS) continue;
      throw new Error(describe('did not start'), { cause: error });
    }
    let stopped: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      assert.equal(child.exit, undefined, describe('ended before the test did'));
      const exit = await child.stop(product.stopSignal);
      assert.equal(exit.code, 0, describe('did not stop in order'));
      assert.doesNotMatch(errorLog(), product.fatal, describe('logged a fatal error'));
    };
    const stopOnce = (): Promise<void> => {
      stopped ??= stop();
      return stopped;
    };
    t.after(stopOnce);
    return { port, dir, errorLog, stop: stopOnce };
  }
}

/** Resolves when a connection to the port succeeds; rejects when the process ends before that. */
async function accepts(child: Child, port: number): Promise<void> {
  while (!child.exit) {
    if (await canConnect(port)) {
      // Somebody else may have taken the port: then the web server is about to end.
      await new Promise((resolve) => setImmediate(resolve));
      if (!child.exit) return;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error(`${child.name} ended`);
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Ports that the system gives to nobody by itself. One that it gave could go to a connection of another test before the server of this
 * one listens, or while that server is down.
 */
const FIRST_PORT = 10_240;
const PORTS = 20_000;
const given = new Set<number>();

/** A port on 127.0.0.1 that nobody uses. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + randomInt(PORTS);
    if (!given.has(port) && (await canListen(port))) {
      given.add(port);
      return port;
    }
  }
}

function canListen(port: number): Promise<boolean> {
  const server = net.createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** The absolute path of a program. Web servers lie where an ordinary user's PATH often does not reach. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
