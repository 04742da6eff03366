/** What every task begins with: the configuration is read, and its engine prepared. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toText } from '../base/byte-string.js';
import { version } from '../base/version.js';
import { type Config, loadConfig, type Overrides } from '../config/load.js';
import { createEngine, type EngineData, prepareEngine } from '../lua/engine.js';
import { noService, type ServiceEnvironment } from '../process/environment.js';
import { type Prepared, type Printed, printToStandardError, type Server, startServer } from '../server/server.js';

/** How a task ended; with `server` it goes on until that is stopped. */
export interface Outcome {
  readonly exitCode: number;
  readonly server?: Pick<Server, 'stop' | 'reopenLogs'> & {
    /** Left out where there is nothing to reload. */
    reload?(): Promise<unknown>;
  };
}

/**
 * Reads a configuration; null is the default one.
 * @param now that which is in service, when this one is to take its place
 */
export function prepare(
  file: string | null | undefined,
  overrides: Overrides,
  service: ServiceEnvironment = noService,
  now?: Config,
): Prepared {
  const embedded = prepareEngine(version);
  const printed: Printed = { to: printToStandardError };
  const loaded = loadConfig(file, overrides, createEngine(embedded), {
    environment: { ...process.env, ...service.settings },
    log: (level, text) => printed.to(level, toText(text)),
    hasPassedSockets: service.sockets.length > 0,
    open: [...(now?.listen ?? []), ...service.sockets.flatMap(({ address }) => address ?? [])],
    isReload: now !== undefined,
  });
  try {
    return { loaded, engine: engineOf(loaded.config, embedded), printed };
  } catch (error) {
    loaded.hooks.close();
    throw error;
  }
}

/** The engine that a configuration wants. */
export function engineOf({ engine, luaLibrary }: Config, embedded: EngineData): EngineData {
  return engine === 'embedded' ? embedded : prepareEngine(version, engine, luaLibrary);
}

/** Its folder is this user's, and so is whoever talks to it. */
const STAY: Overrides = { user: '', group: '', socketowner: '', socketgroup: '' };

/** Starts a server on a socket in a folder that only this user can enter, and that goes away with it. */
export async function startPrivately(
  file: string | null,
  overrides: Overrides,
  isQuiet = false,
): Promise<{ server: Server; socket: string; config: Config; close(how?: 'in-order' | 'at-once'): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  // However the process ends: nobody else knows the folder.
  process.once('exit', removeFolder);
  const socket = join(folder, 'fastcgi.sock');
  try {
    const prepared = prepare(file, { ...overrides, ...STAY, listen: socket, daemonize: false });
    const server = await startServer(prepared, { isQuiet });
    const close = async (how?: 'in-order' | 'at-once'): Promise<void> => {
      await server.stop(how);
      removeFolder();
    };
    return { server, socket, config: prepared.loaded.config, close };
  } catch (error) {
    removeFolder();
    throw error;
  }
}
