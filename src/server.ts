/**
 * Puts a server together and takes it apart: the one place where configuration, log, front, driver and workers meet.
 * Starting is a list of steps; each leaves its undo behind, and stopping (or a failed start) runs them in reverse.
 */

import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { toByteString } from './byte-string.js';
import {
  type Config,
  formatListenAddress,
  type ListenAddress,
  type LoadedConfig,
  scriptValues,
} from './config/load.js';
import { describeError, LuafcgidError } from './errors.js';
import { createFront } from './front/create-front.js';
import type { FrontHandle } from './front/handle.js';
import { ScriptLookup } from './front/script-lookup.js';
import { AccessFormat } from './log/access-format.js';
import type { EngineData } from './lua/engine.js';
import { sweep } from './ops/housekeeping.js';
import { type Log, type LogLevel, type Logs, openLogs } from './ops/logs.js';
import { WorkerHandle, type WorkerSettings } from './worker/handle.js';

/** Where that goes which a configuration script prints: standard error until there is a log. */
export interface Printed {
  to: (level: LogLevel, text: string) => void;
}

export const printToStandardError: Printed['to'] = (_level, text) => void process.stderr.write(`${text}\n`);

export interface Server {
  /** Where it listens, with the ports that were found for those given as 0. */
  readonly addresses: readonly ListenAddress[];
  readonly log: Log;
  /** Opens all log files anew: they were moved away. */
  reopenLogs(): void;
  /** Finishes what runs, for a limited time, and gives everything back. */
  stop(): Promise<void>;
}

/** How long a stop waits for requests that run, and then for their last bytes to be sent. */
const DRAIN_MS = 10_000;
const LAST_BYTES_MS = 1_000;

/** Delay before a worker that ended is replaced, doubled each time it ends before it was ready. */
const REPLACE_MS = 100;
const MAX_REPLACE_MS = 10_000;

/**
 * Starts a server.
 * @param printed what the hooks print from now on goes to the log
 * @param isQuiet start and stop are no news: they are logged as `debug`
 * @throws LuafcgidError when a socket, the log file or a worker cannot be had, or the startup hook fails
 */
export async function startServer(
  loaded: LoadedConfig,
  engine: EngineData,
  printed: Printed,
  isQuiet = false,
): Promise<Server> {
  const { config, hooks } = loaded;
  const lifeLevel = isQuiet ? 'debug' : 'info';
  const undo: (() => void | Promise<void>)[] = [];
  const undoAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const logs: Logs = await openLogs(config);
    const { log } = logs;
    undo.push(() => {
      log.write(lifeLevel, 'stopped');
      return logs.close();
    });
    printed.to = (level, text) => log.write(level, text, { isOfScript: true });
    undo.push(() => {
      printed.to = printToStandardError;
    });
    for (const notice of loaded.notices) log.write('warn', notice);
    const reportBug = (error: unknown): void => log.write('error', describeError(error));

    // Told, and then the process ends as it would: nothing is known any more about the state it is in.
    process.on('uncaughtExceptionMonitor', reportBug);
    undo.push(() => void process.off('uncaughtExceptionMonitor', reportBug));

    hooks.run('startup');
    undo.push(() => {
      runHook(loaded, 'shutdown', log);
      hooks.close();
    });

    const accessFormat = config.accessLog === undefined ? undefined : config.accessFormat;
    const roots = config.root.map(toByteString);
    const scripts = new ScriptLookup(roots);
    const runName = randomBytes(3).toString('hex');
    const drained = new Signal();
    const allClosed = new Signal();
    const front: FrontHandle = await createFront(
      config.io,
      {
        front: frontOptions(config, runName),
        sendBufferBytes: config.sendBufferBytes,
        spoolBytes: config.spoolBytes,
        webServers: webServerAddresses(process.env.FCGI_WEB_SERVER_ADDRS),
        logs: { lowestLevel: config.logLevel, accessFormat },
      },
      {
        log: (level, text, about) => log.pass(level, text, about),
        access: (lines) => logs.access(lines),
        lookUp: (path, request) => {
          scripts
            .find(path)
            .then(
              (file) => front.call('scriptFound', request, file),
              ({ code, values }: LuafcgidError) => front.call('scriptRefused', request, code, values),
            )
            .catch(reportBug);
        },
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
      measuresUsage: accessFormat !== undefined && new AccessFormat(accessFormat).needsUsage,
      bell: front.bell,
      ringBytes: config.ringBytes,
    };
    const workers = new Workers(shared, front, log);
    undo.push(() => workers.stop());
    await workers.start(config.workers);

    const addresses: ListenAddress[] = [];
    for (const address of config.listen) {
      addresses.push(await front.listen(address, config.backlog, config.socketMode));
    }
    undo.push(async () => {
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

    log.write(lifeLevel, `ready: listening on ${addresses.map(formatListenAddress).join(', ')}`);
    return { addresses, log, reopenLogs: () => logs.reopen(), stop: undoAll };
  } catch (error) {
    await undoAll();
    throw error;
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
  const pool = { states, clones, workers, queue: config.queueLimit, halfLifeMs, maxCount };
  const tracesRequests = config.accessLog !== undefined;
  return {
    pool,
    tracesRequests,
    maxPostBytes,
    bodyMemoryBytes,
    sendBufferBytes,
    queueTimeoutMs,
    overload,
    showErrors,
    runName,
  };
}

/** The worker threads: as many as configured, each replaced when it ends by itself. */
class Workers {
  readonly #settings: WorkerSettings;
  readonly #front: FrontHandle;
  readonly #log: Log;
  readonly #handles = new Set<WorkerHandle>();
  readonly #onBug = (error: unknown): void => this.#log.write('error', describeError(error));
  #lastId = 0;
  #isStopping = false;

  constructor(settings: WorkerSettings, front: FrontHandle, log: Log) {
    this.#settings = settings;
    this.#front = front;
    this.#log = log;
  }

  /** Starts `count` workers and waits until all are ready. */
  async start(count: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, (_, index) => {
        return new Promise<void>((resolve, reject) => {
          const failed = (reason: string): void => reject(new LuafcgidError('LUAFCGID_WORKER_START', { reason }));
          this.#spawn(index, 0, resolve, failed);
        });
      }),
    );
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#front.call('stopWorkers');
    const ends = [...this.#handles].map(async (handle) => {
      await within(LAST_BYTES_MS, handle.ended);
      await handle.terminate();
    });
    await Promise.all(ends);
  }

  /** @param failures times in a row that the worker in this place ended before it was ready */
  #spawn(index: number, failures: number, onReady?: () => void, onFailed?: (reason: string) => void): void {
    this.#lastId += 1;
    const id = this.#lastId;
    let isReady = false;
    const handle: WorkerHandle = new WorkerHandle(this.#settings, {
      onReady: () => {
        isReady = true;
        this.#front.call('workerReady', id, index, handle.toWorker, handle.toFront).then(onReady, this.#onBug);
      },
      onBell: () => this.#front.rung(),
      onGone: (reason) => {
        this.#handles.delete(handle);
        this.#front.call('workerGone', id, reason).catch(this.#onBug);
        if (this.#isStopping) return;
        if (onFailed !== undefined && !isReady) return onFailed(reason);
        this.#log.write('error', `worker ${index} ended and is replaced: ${reason}`);
        const inARow = isReady ? 0 : failures + 1;
        const delayMs = Math.min(MAX_REPLACE_MS, REPLACE_MS * 2 ** inARow);
        setTimeout(() => {
          if (!this.#isStopping) this.#spawn(index, inARow);
        }, delayMs);
      },
    });
    this.#handles.add(handle);
  }
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
