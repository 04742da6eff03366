/**
 * Puts a server together and takes it apart: the one place where configuration, log, front, driver and workers meet.
 * Starting is a list of steps; each leaves its undo behind, and stopping (or a failed start) runs them in reverse.
 */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { toByteString } from '../base/byte-string.js';
import { describeError, LuafcgidError } from '../base/errors.js';
import type { ListenAddress } from '../base/listen-address.js';
import {
  type Config,
  ConfigError,
  formatConfigError,
  identityOf,
  type LoadedConfig,
  scriptValues,
} from '../config/load.js';
import { createFront } from '../front/host/create-front.js';
import type { FrontHandle } from '../front/host/handle.js';
import { AccessFormat } from '../logging/access-format.js';
import { type Log, type LogLevel, type Logs, openLogs } from '../logging/sinks/logs.js';
import { createHookSetter, type EngineData } from '../lua/engine.js';
import { noService, type ServiceEnvironment } from '../process/environment.js';
import { serviceManager } from '../process/notify.js';
import { PidFile, systemLock } from '../process/pid-file.js';
import { giveLogFile, planUserChange, runsAsRoot } from '../process/user-change.js';
import { ScriptLookup } from '../scripts/lookup.js';
import { sweep } from '../scripts/sweep.js';
import { Workers } from '../threads/workers.js';
import { accessFormatOf, frontSettings } from './front-settings.js';
import { Listeners } from './listeners.js';
import { withoutRestart } from './reload-limits.js';
import { repeat, Signal, within } from './timing.js';

/** Where that goes which a configuration script prints: standard error until there is a log. */
export interface Printed {
  to: (level: LogLevel, text: string) => void;
}

export const printToStandardError: Printed['to'] = (_level, text) => void process.stderr.write(`${text}\n`);

/** A configuration that can be taken into service, with its engine. */
export interface Prepared {
  readonly loaded: LoadedConfig;
  readonly engine: EngineData;
  /** What its hooks print goes to the log from then on. */
  readonly printed: Printed;
}

export interface Server {
  /** Where it listens, with the ports that were found for those given as 0. */
  readonly addresses: readonly ListenAddress[];
  readonly log: Log;
  /** Opens all log files anew: they were moved away. */
  reopenLogs(): void;
  /**
   * Takes another configuration into service; requests that run are finished with the old one. If that cannot be done,
   * the log says why, and all goes on unchanged.
   * @param prepare reads and checks it
   */
  reload(prepare: () => Prepared): Promise<void>;
  /** Finishes what runs, for a limited time, and gives everything back. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Start and stop are no news: they are logged as `debug`. */
  readonly isQuiet?: boolean;
  /** What a service manager has handed this process. */
  readonly service?: ServiceEnvironment;
  /**
   * Starts this program anew in the same process, with these sockets and whatever else the service manager has handed it.
   * Left out where that cannot be done.
   */
  readonly succeed?: ((service: ServiceEnvironment) => Promise<never>) | undefined;
}

/** How long a stop waits for a reload that is under way. */
const RELOAD_MS = 10_000;
/** How long the last bytes of answers may take to be sent. */
const LAST_BYTES_MS = 1_000;

/** A configuration in service. */
interface Generation extends Prepared {
  readonly scripts: ScriptLookup;
}

/**
 * Starts a server.
 * @throws LuafcgidError when a socket, the log file or a worker cannot be had, or the startup hook fails
 */
export async function startServer(
  first: Prepared,
  { isQuiet = false, service = noService, succeed }: StartOptions = {},
): Promise<Server> {
  let current: Generation = generationOf(first);
  const { config } = first.loaded;
  const lifeLevel = isQuiet ? 'debug' : 'info';
  const undo: (() => void | Promise<void>)[] = [];
  const undoAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const identity = identityOf(config);
    const becomeUser = planUserChange(identity);
    const logs: Logs = await openLogs(config);
    const { log } = logs;
    undo.push(() => {
      log.write(lifeLevel, 'stopped');
      return logs.close();
    });
    const print: Printed['to'] = (level, text) => log.write(level, text, { isOfScript: true });
    first.printed.to = print;
    undo.push(() => {
      current.printed.to = printToStandardError;
    });
    for (const notice of first.loaded.notices) log.write('warn', notice);
    const reportBug = (error: unknown): void => log.write('error', describeError(error));

    // Told, and then the process ends as it would: nothing is known any more about the state it is in.
    process.on('uncaughtExceptionMonitor', reportBug);
    undo.push(() => void process.off('uncaughtExceptionMonitor', reportBug));

    const manager = await serviceManager(service, (text) => log.write('warn', text));
    const pidFile = config.pidFile === undefined ? undefined : new PidFile(config.pidFile, await systemLock());
    undo.push(() => pidFile?.remove());

    first.loaded.hooks.run('startup');
    undo.push(() => retireHooks(current, log));

    const runName = randomBytes(3).toString('hex');
    /** Everything is open that takes the rights which the server starts with; scripts are looked up only then. */
    const isSetUp = new Signal();
    const drained = new Signal();
    const allClosed = new Signal();
    const front: FrontHandle = await createFront(config.io, frontSettings(config, runName), {
      log: (level, text, about) => log.pass(level, text, about),
      access: (lines) => logs.access(lines),
      lookUp: (path, request) => {
        isSetUp.isSet
          .then(() => current.scripts.find(path))
          .then(
            (file) => front.call('scriptFound', request, file),
            ({ code, values }: LuafcgidError) => front.call('scriptRefused', request, code, values),
          )
          .catch(reportBug);
      },
      slow: (record) => logs.slow?.write(record),
      interrupt: (worker, request, wish) => workers.interrupt(worker, request, wish),
      abandon: (worker, reason) => workers.abandon(worker, reason),
      drained: () => drained.set(),
      allClosed: () => allClosed.set(),
    });
    undo.push(() => front.close());

    const sleeper = await front.sleeper();
    // Rights that were given up are missed at the next start.
    const mayRestart = succeed !== undefined && becomeUser === undefined;
    let hungThreads = 0;
    const workers = new Workers({
      ready: ({ id, index, channels }) => front.call('workerReady', id, index, channels),
      gone: (id, reason) => void front.call('workerGone', id, reason).catch(reportBug),
      ended: (id) => void front.call('workerEnded', id).catch(reportBug),
      bell: () => front.rung(),
      stop: () => front.call('stopWorkers'),
      log: (level, text) => log.write(level, text),
      bug: reportBug,
      hangs: (isIdle) => {
        hungThreads += 1;
        const load = isIdle
          ? 'it gets only processor time that nobody else wants'
          : 'it takes processor time from others';
        const end = mayRestart ? 'the server restarts itself when no request runs' : 'restart the server when you can';
        log.write('error', describeError(new LuafcgidError('LUAFCGID_WORKER_HANGS', { load, end })));
      },
    });
    undo.push(() => workers.stop());
    const startWorkers = ({ loaded, engine }: Prepared): Promise<void> => {
      const settings = { ...workerSettings(loaded.config, engine, runName), bell: front.bell, sleeper };
      return workers.start(settings, loaded.config.workers, (ready, retired) => {
        return front.call('renew', frontSettings(loaded.config, runName), ready, retired);
      });
    };
    await startWorkers(first);

    const watch = manager.watch(() => front.call('counts'));
    undo.push(() => watch.stop());

    const listeners = new Listeners(front, service, (text) => log.write('warn', text));
    await listeners.change(config);
    pidFile?.write();
    if (becomeUser !== undefined) {
      for (const target of [config.logFile, config.accessLog, config.slowLog]) {
        if (target?.kind === 'file') giveLogFile(target.path, identity);
      }
      becomeUser();
      undo.push(() => tellOfSocketsLeft(listeners.addresses, log));
    }
    if (runsAsRoot()) log.write(isQuiet ? 'debug' : 'warn', describeError(new LuafcgidError('LUAFCGID_USER_ROOT')));
    isSetUp.set();
    undo.push(async () => {
      manager.stopping();
      log.write(lifeLevel, `stopping: ${(await front.call('counts')).requests} requests are under way`);
      listeners.removeKeptFiles();
      await drain();
    });
    const drain = async (): Promise<void> => {
      await front.call('drain');
      const { drainTimeoutMs } = current.loaded.config;
      if (!(await within(drainTimeoutMs, drained.isSet))) {
        const { requests } = await front.call('counts');
        log.write('warn', `${requests} requests did not end within ${drainTimeoutMs / 1000} s and are broken off`);
      }
      await front.call('tellAllClosed');
      await within(LAST_BYTES_MS, allClosed.isSet);
    };

    const housekeeping = repeat(
      () => current.loaded.config.sweepMs,
      async () => {
        const { scripts, loaded } = current;
        scripts.refresh();
        const flushed = await sweep(
          { inventory: () => front.call('inventory'), refresh: (findings) => front.call('refresh', findings) },
          (path) => scripts.find(path),
        );
        if (flushed > 0) log.write('info', `${flushed} states flushed: their files changed`);
        if (loaded === current.loaded) runHook(loaded, 'housekeeping', log);
        // A moment in which nobody has to wait; it is not waited for when there are as many as would work.
        if (hungThreads === 0 || !mayRestart) return;
        if (hungThreads >= loaded.config.workers || (await front.call('counts')).requests === 0)
          restarting ??= restart();
      },
      reportBug,
    );
    undo.push(async () => {
      // A file system that does not answer must not keep the server from stopping.
      await within(LAST_BYTES_MS, housekeeping.stop());
    });

    /** Everything that may fail comes first, and is taken back if something does. */
    const take = async (wanted: Prepared): Promise<void> => {
      const { config: now } = current.loaded;
      const { config: next, kept } = withoutRestart(now, wanted.loaded.config);
      const prepared = { ...wanted, loaded: { ...wanted.loaded, config: next } };
      prepared.printed.to = print;
      for (const notice of prepared.loaded.notices) log.write('warn', notice);
      if (kept.length > 0)
        log.write('warn', describeError(new LuafcgidError('LUAFCGID_RELOAD_KEPT', { settings: kept.join(', ') })));
      const taken = generationOf(prepared);
      const removed = await listeners.add(next);
      try {
        prepared.loaded.hooks.run('startup');
        try {
          await startWorkers(prepared);
        } catch (error) {
          runHook(prepared.loaded, 'shutdown', log);
          throw error;
        }
      } catch (error) {
        await listeners.change(now);
        throw error;
      }
      const old = current;
      current = taken;
      // Its workers finish what they have begun with.
      workers.retiredEnded().then(() => retireHooks(old, log), reportBug);
      await listeners.remove(removed).catch(reportBug);
    };

    /** Ends what cannot be ended inside of this process. New connections wait for the next program. */
    const restart = async (): Promise<void> => {
      log.write('warn', describeError(new LuafcgidError('LUAFCGID_SERVER_RESTARTS', { threads: hungThreads })));
      await reloading;
      const successor = await listeners.keep().catch(reportBug);
      if (successor === undefined || isStopping) return;
      manager.reloading();
      await drain();
      // Who was told to stop meanwhile does that.
      if (isStopping) return;
      retireHooks(current, log);
      await logs.close();
      // From here on there is nothing left that could serve: an error ends the process.
      await succeed?.(successor);
    };

    let restarting: Promise<void> | undefined;
    let isStopping = false;
    let reloading = Promise.resolve();
    const reload = async (prepare: () => Prepared): Promise<void> => {
      if (isStopping || restarting !== undefined) return;
      manager.reloading();
      let prepared: Prepared | undefined;
      try {
        prepared = prepare();
        await take(prepared);
        log.write(lifeLevel, `reloaded: listening on ${listeners.text}`);
      } catch (error) {
        prepared?.loaded.hooks.close();
        const reason = error instanceof ConfigError ? formatConfigError(error) : describeError(error);
        log.write('error', describeError(new LuafcgidError('LUAFCGID_RELOAD_REFUSED', { reason }, error)));
      }
      manager.status(`listening on ${listeners.text}`);
      manager.ready();
    };

    log.write(lifeLevel, `ready: listening on ${listeners.text}`);
    manager.status(`listening on ${listeners.text}`);
    manager.ready();
    return {
      get addresses() {
        return listeners.addresses;
      },
      log,
      reopenLogs: () => logs.reopen(),
      reload: (prepare) => {
        reloading = reloading.then(() => reload(prepare));
        return reloading;
      },
      stop: async () => {
        isStopping = true;
        await restarting;
        await within(RELOAD_MS, reloading);
        await undoAll();
      },
    };
  } catch (error) {
    await undoAll();
    throw error;
  }
}

function generationOf(prepared: Prepared): Generation {
  const { root, extensions } = prepared.loaded.config;
  return { ...prepared, scripts: new ScriptLookup(root.map(toByteString), extensions.map(toByteString)) };
}

/** What workers get of a configuration. */
function workerSettings(config: Config, engine: EngineData, runName: string) {
  const accessFormat = accessFormatOf(config);
  return {
    config,
    luaConfig: scriptValues(config),
    engine,
    roots: config.root.map(toByteString),
    runName,
    measuresUsage: accessFormat !== undefined && new AccessFormat(accessFormat).needsUsage,
    ringBytes: config.ringBytes,
    sleepers: new SharedArrayBuffer(4),
    setHook: createHookSetter(engine),
  };
}

/** A configuration goes out of service. */
function retireHooks({ loaded }: Generation, log: Log): void {
  runHook(loaded, 'shutdown', log);
  loaded.hooks.close();
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
