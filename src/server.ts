/**
 * Puts a server together and takes it apart: the one place where configuration, log, front, driver and workers meet.
 * Starting is a list of steps; each leaves its undo behind, and stopping (or a failed start) runs them in reverse.
 */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { toByteString } from './byte-string.js';
import {
  type Config,
  formatListenAddress,
  identityOf,
  type ListenAddress,
  type LoadedConfig,
  scriptValues,
  socketOwnerOf,
} from './config/load.js';
import { describeError, LuafcgidError } from './errors.js';
import { createFront } from './front/create-front.js';
import type { FrontHandle } from './front/handle.js';
import { ScriptLookup } from './front/script-lookup.js';
import { createHookSetter, type EngineData } from './lua/engine.js';
import { sweep } from './ops/housekeeping.js';
import { Log, type LogLevel } from './ops/log.js';
import { giveLogFile, planUserChange, runsAsRoot } from './ops/user-change.js';
import { noService, type ServiceEnvironment } from './service/environment.js';
import { serviceManager } from './service/notify.js';
import { socketsOf } from './service/passed-sockets.js';
import { PidFile, systemLock } from './service/pid-file.js';
import { Workers } from './worker/workers.js';

/** Where that goes which a configuration script prints: standard error until there is a log. */
export interface Printed {
  to: (level: LogLevel, text: string) => void;
}

export const printToStandardError: Printed['to'] = (_level, text) => void process.stderr.write(`${text}\n`);

export interface Server {
  /** Where it listens, with the ports that were found for those given as 0. */
  readonly addresses: readonly ListenAddress[];
  readonly log: Log;
  /** Finishes what runs, for a limited time, and gives everything back. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Start and stop are no news: they are logged as `debug`. */
  readonly isQuiet?: boolean;
  /** What a service manager has handed this process. */
  readonly service?: ServiceEnvironment;
}

/** How long a stop waits for requests that run, and then for their last bytes to be sent. */
const DRAIN_MS = 10_000;
const LAST_BYTES_MS = 1_000;

const MIN_TICK_MS = 10;
const MAX_TICK_MS = 250;

/**
 * Starts a server.
 * @param printed what the hooks print from now on goes to the log
 * @throws LuafcgidError when a socket, the log file or a worker cannot be had, or the startup hook fails
 */
export async function startServer(
  loaded: LoadedConfig,
  engine: EngineData,
  printed: Printed,
  { isQuiet = false, service = noService }: StartOptions = {},
): Promise<Server> {
  const { config, hooks } = loaded;
  const lifeLevel = isQuiet ? 'debug' : 'info';
  const undo: (() => void | Promise<void>)[] = [];
  const undoAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const identity = identityOf(config);
    const becomeUser = planUserChange(identity);
    const log = openLog(config);
    undo.push(() => {
      log.write(lifeLevel, 'stopped');
      log.close();
    });
    printed.to = (level, text) => log.write(level, text);
    undo.push(() => {
      printed.to = printToStandardError;
    });
    for (const notice of loaded.notices) log.write('warn', notice);
    const reportBug = (error: unknown): void => log.write('error', describeError(error));

    // Told, and then the process ends as it would: nothing is known any more about the state it is in.
    process.on('uncaughtExceptionMonitor', reportBug);
    undo.push(() => void process.off('uncaughtExceptionMonitor', reportBug));

    const manager = await serviceManager(service, (text) => log.write('warn', text));
    const pidFile = config.pidFile === undefined ? undefined : new PidFile(config.pidFile, await systemLock());
    undo.push(() => pidFile?.remove());

    hooks.run('startup');
    undo.push(() => {
      runHook(loaded, 'shutdown', log);
      hooks.close();
    });

    const roots = config.root.map(toByteString);
    const scripts = new ScriptLookup(roots, config.extensions.map(toByteString));
    const runName = randomBytes(3).toString('hex');
    /** Everything is open that takes the rights which the server starts with; scripts are looked up only then. */
    const isSetUp = new Signal();
    const drained = new Signal();
    const allClosed = new Signal();
    const front: FrontHandle = await createFront(
      config.io,
      {
        front: frontOptions(config, runName),
        tickMs: tickMs(config),
        sendBufferBytes: config.sendBufferBytes,
        spoolBytes: config.spoolBytes,
        webServers: webServerAddresses(process.env.FCGI_WEB_SERVER_ADDRS),
      },
      {
        log: (level, text, about) => log.write(level, text, about),
        lookUp: (path, request) => {
          isSetUp.isSet
            .then(() => scripts.find(path))
            .then(
              (file) => front.call('scriptFound', request, file),
              ({ code, values }: LuafcgidError) => front.call('scriptRefused', request, code, values),
            )
            .catch(reportBug);
        },
        interrupt: (worker, request, wish) => workers.interrupt(worker, request, wish),
        abandon: (worker, reason) => workers.abandon(worker, reason),
        drained: () => drained.set(),
        allClosed: () => allClosed.set(),
      },
    );
    undo.push(() => front.close());

    const shared = {
      config,
      luaConfig: scriptValues(config),
      engine,
      roots,
      runName,
      bell: front.bell,
      ringBytes: config.ringBytes,
      setHook: createHookSetter(engine),
      sleeper: await front.sleeper(),
    };
    const workers = new Workers({
      ready: ({ id, index, channels }) => front.call('workerReady', id, index, channels),
      gone: (id, reason) => void front.call('workerGone', id, reason).catch(reportBug),
      bell: () => front.rung(),
      stop: () => front.call('stopWorkers'),
      log: (level, text) => log.write(level, text),
      bug: reportBug,
      hangs: (isIdle) => {
        const how = isIdle ? 'gets only processor time that nobody else wants' : 'takes processor time from the others';
        log.write('error', `a worker thread hangs in native code; it cannot be ended, and ${how}`);
      },
    });
    undo.push(() => workers.stop());
    await workers.start(shared, config.workers, (ready, retired) => {
      return front.call('renew', frontOptions(config, runName), ready, retired);
    });

    const watch = manager.watch(() => front.call('counts'));
    undo.push(() => watch.stop());

    const addresses: ListenAddress[] = [];
    const access = { mode: config.socketMode, owner: socketOwnerOf(config) };
    for (const address of socketsOf(config.listen, service.sockets, (text) => log.write('warn', text))) {
      addresses.push(await front.listen(address, config.backlog, access));
    }
    pidFile?.write();
    if (becomeUser !== undefined) {
      if (config.logFile !== undefined) giveLogFile(config.logFile, identity);
      becomeUser();
      undo.push(() => tellOfSocketsLeft(addresses, log));
    }
    if (runsAsRoot()) log.write(isQuiet ? 'debug' : 'warn', describeError(new LuafcgidError('LUAFCGID_USER_ROOT')));
    isSetUp.set();
    undo.push(async () => {
      manager.stopping();
      log.write(lifeLevel, `stopping: ${(await front.call('counts')).requests} requests are under way`);
      await front.call('drain');
      if (!(await within(DRAIN_MS, drained.isSet))) {
        const { requests } = await front.call('counts');
        log.write('warn', `${requests} requests did not end within ${DRAIN_MS / 1000} s and are broken off`);
      }
      await front.call('tellAllClosed');
      await within(LAST_BYTES_MS, allClosed.isSet);
    });

    const housekeeping = keepHouse(
      config.sweepMs,
      async () => {
        scripts.refresh();
        const flushed = await sweep(
          { inventory: () => front.call('inventory'), refresh: (findings) => front.call('refresh', findings) },
          (path) => scripts.find(path),
        );
        if (flushed > 0) log.write('info', `${flushed} states flushed: their files changed`);
        runHook(loaded, 'housekeeping', log);
      },
      reportBug,
    );
    undo.push(async () => {
      // A file system that does not answer must not keep the server from stopping.
      await within(LAST_BYTES_MS, housekeeping.stop());
    });

    const where = addresses.map(formatListenAddress).join(', ');
    log.write(lifeLevel, `ready: listening on ${where}`);
    manager.status(`listening on ${where}`);
    manager.ready();
    return { addresses, log, stop: undoAll };
  } catch (error) {
    await undoAll();
    throw error;
  }
}

/** How often time limits are looked at: the watchdog should not be a quarter late. */
function tickMs({ watchdogMs }: Config): number {
  return watchdogMs === 0 ? MAX_TICK_MS : Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, watchdogMs / 4));
}

function openLog(config: Config): Log {
  try {
    return new Log(config.logFile, config.logLevel);
  } catch (error) {
    const { message } = error as Error;
    throw new LuafcgidError('LUAFCGID_LOG_FILE', { file: config.logFile, reason: message }, error);
  }
}

/**
 * The addresses of which FCGI_WEB_SERVER_ADDRS says that only they may connect (FastCGI 1.0, 3.2): separated by commas.
 * @throws LuafcgidError for what is no address: to let in everybody instead would be no answer
 */
function webServerAddresses(list: string | undefined): string[] | undefined {
  if (list === undefined || list.trim() === '') return undefined;
  const addresses = list.split(',').map((address) => address.trim());
  for (const address of addresses) {
    if (isIP(address) === 0) throw new LuafcgidError('LUAFCGID_LISTEN_ADDRS', { address });
  }
  return addresses;
}

/** Removing a socket takes the right to write to its folder, which the user that the server became may not have. */
function tellOfSocketsLeft(addresses: readonly ListenAddress[], log: Log): void {
  for (const address of addresses) {
    if (address.kind !== 'unix' || !existsSync(address.path)) continue;
    log.write(
      'info',
      `the socket ${address.path} stays, since this user may not remove it; the next start replaces it`,
    );
  }
}

/** A hook that fails costs nothing but its own work. */
function runHook(loaded: LoadedConfig, name: 'housekeeping' | 'shutdown', log: Log): void {
  try {
    loaded.hooks.run(name);
  } catch (error) {
    log.write('error', error instanceof LuafcgidError ? `${error.code}: ${error.message}` : String(error));
  }
}

function frontOptions(config: Config, runName: string): Parameters<typeof createFront>[1]['front'] {
  const { states, clones, workers, halfLifeMs, maxCount } = config;
  const { maxPostBytes, bodyMemoryBytes, sendBufferBytes, queueTimeoutMs, overload, showErrors } = config;
  const { watchdogMs, onAbort } = config;
  const pool = { states, clones, workers, queue: config.queueLimit, halfLifeMs, maxCount };
  return {
    pool,
    maxPostBytes,
    bodyMemoryBytes,
    sendBufferBytes,
    queueTimeoutMs,
    watchdogMs,
    onAbort,
    overload,
    showErrors,
    runName,
  };
}

/** Repeats a task, each time `everyMs` after the last has ended. */
function keepHouse(
  everyMs: number,
  task: () => Promise<void>,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  let isStopped = false;
  let current = Promise.resolve();
  let timer: NodeJS.Timeout;
  const next = (): void => {
    timer = setTimeout(() => {
      current = task()
        .catch(onError)
        .finally(() => {
          if (!isStopped) next();
        });
    }, everyMs);
  };
  next();
  return {
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      return current;
    },
  };
}

/** Something that happens once and can be waited for. */
class Signal {
  set: () => void = () => {};
  readonly isSet = new Promise<void>((resolve) => {
    this.set = resolve;
  });
}

/** Waits for `work`, but no longer than `limitMs`. Returns whether it was done by then. */
async function within(limitMs: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const isDone = await Promise.race([work.then(() => true), limit]);
  clearTimeout(timer);
  return isDone;
}
