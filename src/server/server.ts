/**
 * Puts a server together and takes it apart: the one place where configuration, log, front, driver and workers meet.
 * Starting is a list of steps. Each leaves its undo behind, and stopping (or a failed start) runs them in reverse.
 */

import { randomBytes } from 'node:crypto';
import { describeError, type LuafcgidError } from '../base/errors.js';
import type { ListenAddress } from '../base/listen-address.js';
import { type Config, identityOf } from '../config/load.js';
import { createFront } from '../front/host/create-front.js';
import type { FrontHandle } from '../front/host/handle.js';
import { IoHandle } from '../io/handle.js';
import { resolveSources } from '../io/sources.js';
import { type Log, type LogLevel, openLogs } from '../logging/sinks/logs.js';
import { leaveThreadsBehind } from '../lua/engine.js';
import { requireDescriptors } from '../process/descriptors.js';
import { noService, type ServiceEnvironment } from '../process/environment.js';
import { serviceManager } from '../process/notify.js';
import { PidFile, systemLock } from '../process/pid-file.js';
import { planUserChange } from '../process/user-change.js';
import type { StatusReload } from '../status/model.js';
import { Workers } from '../threads/workers.js';
import { reportCrashes } from './crashes.js';
import { warnOfExposure } from './exposure.js';
import { frontSettings } from './front-settings.js';
import {
  countFiles,
  type Generation,
  generationOf,
  holdFiles,
  type Prepared,
  printToStandardError,
  releaseFiles,
  retireHooks,
  workerSettings,
} from './generation.js';
import { keepHouse, lookForChanges } from './housekeeping.js';
import { Listeners } from './listeners.js';
import type { ServerParts } from './parts.js';
import { reload } from './reload.js';
import { HungThreads, type Succeed } from './restart.js';
import { giveUpRights, reportSocketsLeft } from './rights.js';
import { Sampler, type TakeStack } from './sampler.js';
import { SharedMemory, sessionMemory } from './shared-memory.js';
import { type ServerCommands, StatusDesk } from './status-desk.js';
import { repeat, Signal, within } from './timing.js';
import { describeNotFound, findWarmScripts } from './warm-start.js';

export { type Prepared, type Printed, printToStandardError } from './generation.js';
export { tryPreload, tryScripts } from './warm-start.js';

export interface Server {
  /** Where it listens, with the ports that were found for those given as 0. */
  readonly addresses: readonly ListenAddress[];
  readonly log: Log;
  /** Opens all log files anew: they were moved away. */
  reopenLogs(): void;
  /**
   * Takes another configuration into service; requests that run are finished with the old one. If that cannot be done,
   * the log says why, and all goes on unchanged.
   * @param prepare reads and checks it, for a server that runs with another one
   * @returns what came of it; undefined when the server stops
   */
  reload(prepare: (now: Config) => Prepared): Promise<StatusReload | undefined>;
  /** Resolves when no state serves any more whose files had changed when it was called. */
  lookForChanges(): Promise<void>;
  /** Looks at the Lua stacks of all requests, a thousand times a second. @returns what ends it */
  sample(take: TakeStack): () => void;
  /** Finishes what runs, for a limited time, or breaks it off `at-once`; gives everything back. */
  stop(how?: 'in-order' | 'at-once'): Promise<void>;
}

export interface StartOptions {
  /** Start and stop are no news: they are logged as `debug`. */
  readonly isQuiet?: boolean;
  /** What a service manager has handed this process. */
  readonly service?: ServiceEnvironment;
  /** What the status socket may have done. */
  readonly commands?: ServerCommands;
  /** Left out where the program cannot replace itself. */
  readonly succeed?: Succeed | undefined;
}

/** How long a stop waits for a reload that is under way. */
const RELOAD_MS = 10_000;
/** How long the last bytes of answers may take to be sent. */
const LAST_BYTES_MS = 1_000;

/** The same where nobody waits for answers: what takes longer is broken off. */
const BROKEN_OFF_MS = 20;

/**
 * Starts a server.
 * @throws LuafcgidError when a socket, the log file or a worker cannot be had, or the startup hook fails
 */
export async function startServer(first: Prepared, options: StartOptions = {}): Promise<Server> {
  const server = new RunningServer(options);
  try {
    await server.start(first);
    return server;
  } catch (error) {
    await server.takeApart();
    throw error;
  }
}

class RunningServer implements Server {
  readonly #service: ServiceEnvironment;
  readonly #succeed: Succeed | undefined;
  /** It serves a web server, and not one who develops. */
  readonly #isService: boolean;
  readonly #lifeLevel: LogLevel;
  readonly #warnLevel: LogLevel;
  /** Begins the names of this run's requests. */
  readonly #runName = randomBytes(3).toString('hex');
  readonly #undo: (() => void | Promise<void>)[] = [];
  /** Everything is open that takes the rights which the server starts with; scripts are looked up only then. */
  readonly #isSetUp = new Signal();
  readonly #drained = new Signal();
  readonly #allClosed = new Signal();
  #parts!: ServerParts;
  #reloading = Promise.resolve();
  #isStopping = false;
  #breaksOff = false;
  /** One word: how many requests of all workers wait for results. */
  readonly #waiting = new SharedArrayBuffer(4);
  /** Dictionaries of the configuration in service. */
  readonly #shared = new SharedMemory();
  #hung!: HungThreads;
  readonly #status: StatusDesk;
  readonly #sampler = new Sampler(() => this.#parts.front.call('askForStacks'));
  readonly #io = new IoHandle({ log: (level, text) => this.log.write(level, text) });

  constructor({ isQuiet = false, service = noService, succeed, commands }: StartOptions) {
    this.#service = service;
    this.#succeed = succeed;
    this.#isService = commands !== undefined;
    this.#lifeLevel = isQuiet ? 'debug' : 'info';
    this.#warnLevel = isQuiet ? 'debug' : 'warn';
    this.#status = new StatusDesk({
      hung: () => this.#hung.count,
      sources: () => this.#io.status(),
      shared: this.#shared,
      commands: commands ?? {},
    });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#parts.listeners.addresses;
  }

  get log(): Log {
    return this.#parts.log;
  }

  reopenLogs(): void {
    this.#parts.logs.reopen();
  }

  reload(prepare: (now: Config) => Prepared): Promise<StatusReload | undefined> {
    const next = this.#reloading.then(async () => {
      if (this.#isStopping || this.#hung.makesReloadNeedless(this.log)) return undefined;
      const outcome = await reload(this.#parts, prepare);
      this.#status.noteReload(outcome);
      return outcome;
    });
    this.#reloading = next.then(() => {});
    return next;
  }

  async lookForChanges(): Promise<void> {
    if (!this.#isStopping) await lookForChanges(this.#parts);
  }

  sample(take: TakeStack): () => void {
    return this.#sampler.start(take);
  }

  async stop(how: 'in-order' | 'at-once' = 'in-order'): Promise<void> {
    this.#isStopping = true;
    this.#breaksOff = how === 'at-once';
    await this.#hung.restarting;
    await within(RELOAD_MS, this.#reloading);
    await this.takeApart();
  }

  async takeApart(): Promise<void> {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) await step();
  }

  // ---- the steps of a start ----------------------------------------------------------------------------------------

  async start(first: Prepared): Promise<void> {
    const { config, hooks } = first.loaded;
    const becomeUser = planUserChange(identityOf(config));
    // Rights that were given up are missing at the next start: such a program cannot replace itself.
    this.#hung = new HungThreads(becomeUser === undefined ? this.#succeed : undefined);
    await this.#openLogs(first);
    this.#undo.push(reportCrashes(this.#parts.reportBug));
    await this.#meetManager();
    const pidFile = await this.#lockPidFile(config.pidFile);
    hooks.run('startup');
    this.#undo.push(() => retireHooks(this.#parts.current, this.log));
    await this.#startFront();
    await this.#startFirstWorkers();
    await this.#listen();
    pidFile?.write();
    await this.#status.open(this.#parts, this.#undo);
    giveUpRights(becomeUser, this.log, this.#warnLevel);
    if (becomeUser !== undefined) this.#undo.push(() => reportSocketsLeft(this.addresses, this.log));
    this.#isSetUp.set();
    this.#undo.push(() => this.#stopServing());
    this.#startHousekeeping();
    this.#announce();
  }

  async #openLogs(first: Prepared): Promise<void> {
    const logs = await openLogs(first.loaded.config);
    const { log } = logs;
    this.#undo.push(() => {
      log.write(this.#lifeLevel, 'stopped');
      return logs.close();
    });
    this.#parts = {
      current: generationOf(first),
      logs,
      log,
      lifeLevel: this.#lifeLevel,
      print: (level, text) => log.write(level, text, { isOfScript: true }),
      reportBug: (error) => log.write('error', describeError(error)),
      startWorkers: (generation) => this.#startWorkers(generation),
      keepSources: () => this.#io.keepSources(this.#parts.current.sources),
    } satisfies Partial<ServerParts> as ServerParts;
    first.printed.to = this.#parts.print;
    this.#undo.push(() => {
      this.#parts.current.printed.to = printToStandardError;
    });
    for (const notice of first.loaded.notices) log.write('warn', notice);
  }

  async #meetManager(): Promise<void> {
    this.#add({ manager: await serviceManager(this.#service, (text) => this.log.write('warn', text)) });
  }

  async #lockPidFile(path: string | undefined): Promise<PidFile | undefined> {
    const pidFile = path === undefined ? undefined : new PidFile(path, await systemLock());
    this.#undo.push(() => pidFile?.remove());
    return pidFile;
  }

  async #startFront(): Promise<void> {
    const parts = this.#parts;
    const { log, logs, reportBug } = parts;
    const { config } = parts.current.loaded;
    const front: FrontHandle = await createFront(config.io, frontSettings(config, this.#runName), {
      log: (level, text, about) => log.pass(level, text, about),
      access: (lines) => logs.access(lines),
      lookUp: (path, request) => {
        this.#isSetUp.isSet
          .then(() => parts.current.scripts.find(path))
          .then(
            (file) => front.call('scriptFound', request, file),
            ({ code, values }: LuafcgidError) => front.call('scriptRefused', request, code, values),
          )
          .catch(reportBug);
      },
      slow: (record) => logs.slow?.write(record),
      interrupt: (worker, request, wish) => parts.workers.interrupt(worker, request, wish),
      abandon: (worker, reason) => parts.workers.abandon(worker, reason),
      stack: (request, traceback, { isWaiting, times }) => {
        this.#status.stackCame(request, traceback);
        for (let time = 0; time < times; time += 1) this.#sampler.stackCame(traceback, isWaiting);
      },
      drained: () => this.#drained.set(),
      allClosed: () => this.#allClosed.set(),
    });
    this.#undo.push(() => front.close());
    this.#add({ front });
  }

  async #startFirstWorkers(): Promise<void> {
    const parts = this.#parts;
    const { front, log, reportBug } = parts;
    const workers = new Workers({
      ready: ({ id, index, channels }) => front.call('workerReady', id, index, channels),
      gone: (id, reason) => void front.call('workerGone', id, reason).catch(reportBug),
      ended: (id) => void front.call('workerEnded', id).catch(reportBug),
      bell: () => front.rung(),
      stop: () => front.call('stopWorkers'),
      log: (level, text) => log.write(level, text),
      bug: reportBug,
      hangs: (isIdle) => this.#hung.note(parts, isIdle),
    });
    this.#add({ workers });
    this.#undo.push(() => releaseFiles(parts.current));
    this.#undo.push(async () => {
      if (!(await this.#io.stop())) leaveThreadsBehind();
    });
    this.#undo.push(() => workers.stop(this.#breaksOff ? BROKEN_OFF_MS : undefined));
    await this.#startWorkers(parts.current);
    // Only now: before it is ready, the service manager waits for nothing but that.
    const watch = parts.manager.watch(() => front.call('counts'));
    this.#undo.push(() => watch.stop());
  }

  async #startWorkers(generation: Generation): Promise<void> {
    const { front, log, workers } = this.#parts;
    const { config } = generation.loaded;
    generation.files = holdFiles(config);
    await countFiles(generation);
    generation.sources = this.#io.addSources(resolveSources(config, process.env));
    generation.shared = this.#shared.grant([...config.shared, ...sessionMemory(config)]);
    const warmScripts = await findWarmScripts(generation, (...fault) => log.write('error', describeNotFound(...fault)));
    const sleeper = await front.sleeper();
    const io = generation.sources.length > 0 ? this.#io : undefined;
    const settings = {
      ...workerSettings(generation, this.#runName),
      warmScripts,
      waiting: this.#waiting,
      locks: this.#shared.locks,
      bell: front.bell,
      sleeper,
      io,
    };
    try {
      await workers.start(settings, config.workers, (ready, retired) =>
        front.call('renew', frontSettings(config, this.#runName), ready, retired),
      );
    } catch (error) {
      releaseFiles(generation);
      throw error;
    }
    this.#shared.use(generation.shared);
  }

  async #listen(): Promise<void> {
    const { front, current } = this.#parts;
    const listeners = new Listeners(front, this.#service, (text) => this.log.write('warn', text));
    this.#add({ listeners });
    await listeners.change(current.loaded.config);
    requireDescriptors();
  }

  #startHousekeeping(): void {
    const parts = this.#parts;
    const housekeeping = repeat(
      () => parts.current.loaded.config.sweepMs,
      async () => {
        await keepHouse(parts);
        await this.#hung.look(parts, {
          reloaded: () => this.#reloading,
          drained: () => this.#drain(),
          isStopping: () => this.#isStopping,
        });
      },
      parts.reportBug,
    );
    // A file system that does not answer must not keep the server from stopping.
    this.#undo.push(async () => void (await within(LAST_BYTES_MS, housekeeping.stop())));
  }

  #announce(): void {
    const { log, listeners, manager } = this.#parts;
    log.write(this.#lifeLevel, `ready: listening on ${listeners.text}; ${this.#status.describe()}`);
    manager.status(`listening on ${listeners.text}`);
    manager.ready();
    if (this.#isService) warnOfExposure(this.#parts);
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  async #stopServing(): Promise<void> {
    const { front, listeners, log, manager } = this.#parts;
    manager.stopping();
    log.write(this.#lifeLevel, `stopping; requests under way: ${(await front.call('counts')).requests}`);
    listeners.removeKeptFiles();
    await this.#drain();
  }

  async #drain(): Promise<void> {
    const { current, front, log } = this.#parts;
    await front.call('drain');
    const drainTimeoutMs = this.#breaksOff ? BROKEN_OFF_MS : current.loaded.config.drainTimeoutMs;
    if (!(await within(drainTimeoutMs, this.#drained.isSet))) {
      const { requests } = await front.call('counts');
      log.write('warn', `requests that did not end within ${drainTimeoutMs / 1000} s and are broken off: ${requests}`);
    }
    await front.call('tellAllClosed');
    await within(this.#breaksOff ? BROKEN_OFF_MS : LAST_BYTES_MS, this.#allClosed.isSet);
  }

  #add(made: Partial<ServerParts>): void {
    Object.assign(this.#parts, made);
  }
}
