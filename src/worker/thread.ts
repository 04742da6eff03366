/**
 * A worker thread: takes messages from the front one by one and does what they say. It never returns to the event loop
 * while it serves; it sleeps in `reactor.ts`.
 */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { toByteString, toText } from '../base/byte-string.js';
import { Role } from '../base/roles.js';
import { Abandoned, Interrupts } from '../channel/interrupts.js';
import { Borrower } from '../channel/lending.js';
import {
  decodeStart,
  roleOf,
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_OFFER,
  START_RETIRE,
  START_WHOLE_BODY,
  ToWorker,
} from '../channel/messages.js';
import { OfferSlots } from '../channel/offer-slots.js';
import { RingReader, RingWriter } from '../channel/ring.js';
import type { Config } from '../config/load.js';
import { IoClient } from '../io/client.js';
import { AccessFormat } from '../logging/access-format.js';
import { createEngine } from '../lua/engine.js';
import { WorkerCounters } from '../metrics/counters.js';
import { SourceRules } from '../scripts/source-files.js';
import { WriteQuota } from '../scripts/write-quota.js';
import { Dictionary } from '../shared/dictionary.js';
import { LockTable } from '../shared/lock-table.js';
import { SESSIONS } from '../shared/settings.js';
import type { LentConnections } from './data/lent-connections.js';
import { findOwnReads, type OwnReads } from './data/own-reads.js';
import type { DirectServer } from './direct/server.js';
import { ImageExchange } from './image-exchange.js';
import { Inbox, type Message, NO_BODY } from './inbox.js';
import { KeyJobs } from './key-jobs.js';
import { MainPort } from './main-port.js';
import { Outbox } from './outbox.js';
import { Reactor, type SuspendedRuns } from './reactor.js';
import { type EventList, ReadyEvents } from './ready-events.js';
import type { RequestInlet } from './request-channels.js';
import { Runner, type RunnerParts } from './runner.js';
import { findSystem, type System } from './system.js';
import type { ThreadData } from './thread-data.js';
import { accessLines, lentConnections, nowMs, ownReadsParts } from './thread-parts.js';
import { type CpuClock, findCpuClock, UsageMeter } from './usage-meter.js';
import type { WarmedScript } from './warm-start.js';

/** What scripts see of the environment: names alone stand for the server's own values. */
function grantedEnvironment(granted: Config['environment'], own: NodeJS.ProcessEnv): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(granted)) {
    const found = value === true ? own[name] : toText(value);
    if (found !== undefined) variables[name] = found;
  }
  return variables;
}

/** One clock for all threads, which never goes back. */
const sharedNowMs = (): number => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
};

/** What all states of this worker have in common. */
function stateSettings({
  config,
  engine,
  files,
  filesUsed,
  luaConfig,
  roots,
  shared,
  worker,
}: ThreadData): RunnerParts['states'] {
  const dictionaries = shared.map(({ name, memory, evicts }) => ({
    name,
    dictionary: new Dictionary({ shared: memory, owner: worker, evicts, nowMs: sharedNowMs }),
  }));
  return {
    engine: createEngine(engine),
    config,
    rules: new SourceRules({
      templates: config.path.map(toByteString),
      roots,
      extensions: config.extensions.map(toByteString),
      granted: files?.read ?? [],
    }),
    files,
    quota: filesUsed && new WriteQuota(filesUsed, config.filesTotalBytes),
    environment: grantedEnvironment(config.environment, process.env),
    luaConfig,
    shared: [
      ...dictionaries.filter(({ name }) => name !== SESSIONS),
      ...config.shared.flatMap(({ name, store }) => (store === undefined ? [] : [{ name, store }])),
    ],
    sessions: dictionaries.find(({ name }) => name === SESSIONS)?.dictionary,
  };
}

class WorkerThread {
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #slots: OfferSlots;
  readonly #usage: UsageMeter | undefined;
  readonly #states: RunnerParts['states'];
  readonly #runner: Runner;
  readonly #reactor: Reactor;
  /** Undefined where no connections can be lent. */
  readonly #direct: DirectServer | undefined;
  /** The same for those to data sources. */
  readonly #connections: LentConnections | undefined;
  readonly #ownReads: OwnReads | undefined;

  /**
   * @param format of the access log; undefined: there is none
   * @param usage measures what requests take; undefined: nobody wants to know
   * @param cpuClock undefined: no connections are lent
   * @param ownReads undefined: no database is read here
   */
  constructor(
    data: ThreadData,
    system: System,
    ringBell: () => void,
    format: AccessFormat | undefined,
    usage: UsageMeter | undefined,
    cpuClock: CpuClock | undefined,
    ownReads: OwnReads | undefined,
  ) {
    const { config, runName } = data;
    const interrupts = new Interrupts(data.interrupts);
    const ring = new RingReader(data.toWorker, system.parker);
    const borrower = new Borrower(data.loans);
    const stopReason = (): Error => this.#runner.stopReason();
    const mainPort = new MainPort(parentPort as MessagePort);
    this.#usage = usage;
    this.#slots = new OfferSlots(data.toWorker);
    this.#states = stateSettings(data);
    this.#inbox = new Inbox(ring, ringBell, interrupts, stopReason);
    const outgoing = new RingWriter(data.toFront, system.parker);
    this.#outbox = new Outbox({ ring: outgoing, ringBell, interrupts, stopReason, usage, borrower });
    const counters = new WorkerCounters(data.counters);
    const io = data.io && new IoClient(data.io, () => interrupts.isAbandoned || interrupts.isStopWanted);
    const connections = lentConnections(data, system, io, borrower);
    this.#connections = connections;
    this.#ownReads = ownReads;
    this.#runner = new Runner({
      config,
      origin: { runName, worker: data.index },
      interrupts,
      outbox: this.#outbox,
      usage,
      cpuClock,
      counters,
      states: this.#states,
      imageExchange: data.images && new ImageExchange(data.images, mainPort, data.worker),
      forgetBody: (id) => this.#inbox.forgetBody(id),
      waits: {
        io,
        createData: (events) => connections?.open(events),
        ownReads,
        keys: data.keysMade && new KeyJobs(mainPort, data.keysMade),
        sources: data.sources,
        lockSource: data.sources.find(({ name, kind }) => name === config.locks && kind !== 'http')?.id,
        locks: {
          table: new LockTable(data.locks, data.worker),
          worker: data.worker,
          wake: (worker) => parentPort?.postMessage({ wake: worker }),
        },
        waiting: data.waiting,
        waitingLimit: config.waitingLimit,
        nowMs,
        sleep(isDone, untilMs) {
          // What the front has to know before it sends more of a body is in its ring.
          ringBell();
          const isOver = (): boolean => isDone() || interrupts.isStopWanted || interrupts.isAbandoned;
          const longestMs = untilMs === undefined ? undefined : Math.max(0, untilMs - nowMs());
          if (connections?.hasLines === true) connections.sleep(ring, isOver, longestMs ?? Number.POSITIVE_INFINITY);
          else ring.sleep(isOver, longestMs);
          if (interrupts.isAbandoned) throw new Abandoned();
          if (interrupts.isStopWanted) throw stopReason();
        },
      },
    });
    const runner = this.#runner;
    const suspended: SuspendedRuns = {
      poll: () => runner.waits.poll(),
      get mayHaveNews() {
        return runner.hasReady || runner.waits.mayHaveNews;
      },
      get nextMs() {
        return runner.waits.nextMs;
      },
      resumeNext: () => runner.resumeNext(),
    };
    const { direct } = system;
    const events = new ReadyEvents(() => direct?.openList(borrower.epoll) as EventList);
    this.#direct = direct?.createServer({
      calls: direct.calls,
      borrower,
      events,
      ring,
      outbox: this.#outbox,
      ringBell,
      firstRequest: data.firstRequest,
      maxPostBytes: config.maxPostBytes,
      requestTimeMs: config.requestTimeMs,
      statusPath: config.statusPath,
      isIdle: (state) => this.#runner.states.isIdle(state),
      hasState: (state) => this.#runner.states.hasState(state),
      ownConnectionClosed: () => counters.noteOwnConnection(),
      access: accessLines(data, format, usage, (state) => this.#runner.states.scriptOf(state), ringBell),
      run: (start) => this.#runner.execute(start),
    });
    const sockets = this.#direct && { service: this.#direct, events };
    this.#reactor = new Reactor({
      inbox: this.#inbox,
      ring,
      interrupts,
      ringBell,
      suspended,
      nowMs,
      sockets,
      data: connections,
    });
  }

  /** Takes room for a first state, before other workers and other programs leave none. @throws when there is none now and `isNeeded` */
  reserve(isNeeded: boolean): void {
    try {
      this.#states.engine.reserve?.();
    } catch (error) {
      if (isNeeded) throw error;
    }
  }

  /** Loads scripts before the first request. Each worker begins with another one, so that some take the images of others. */
  warm({ warmScripts: scripts, index, config }: ThreadData): WarmedScript[] {
    const first = Math.floor((index * scripts.length) / config.workers);
    return this.#runner.warm([...scripts.slice(first), ...scripts.slice(0, first)]);
  }

  /** Serves until told to stop, or until nobody listens any more. All states are closed then. */
  serve(): void {
    try {
      while (this.#handle(this.#reactor.next()));
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error;
    }
    this.#runner.states.closeAll();
    this.#connections?.close();
    this.#ownReads?.close();
    this.#states.engine.close?.();
  }

  /** Does what a message says. Returns false when this thread has to end. */
  #handle(message: Message): boolean {
    const { type, argument } = message;
    switch (type) {
      case ToWorker.START:
        this.#start(message);
        return true;
      case ToWorker.CLOSE:
        this.#close(argument);
        // A file of the state has changed.
        this.#runner.states.dropStaleImages();
        this.#usage?.skip();
        return true;
      case ToWorker.CANCEL:
        this.#runner.cancel(message.id, argument);
        return true;
      case ToWorker.STACK:
        this.#runner.reportStack(message.id);
        return true;
      case ToWorker.HOLD:
      case ToWorker.ROOM:
        this.#runner.setOutputHeld(message.id, type === ToWorker.HOLD);
        return true;
      case ToWorker.COLLECT:
        this.#runner.states.collect(argument);
        this.#outbox.collected(argument);
        this.#usage?.skip();
        return true;
      case ToWorker.ROUTE:
        this.#direct?.addRoute(Buffer.from(message.payload).toString('latin1'), argument, message.id);
        return true;
      case ToWorker.STOP:
        return false;
      default:
        throw new Error(`message of type ${type} from the front`);
    }
  }

  #start({ flags, id, argument: stateId, payload }: Message): void {
    const { subject, slot, path, params } = decodeStart(payload);
    if ((flags & START_OFFER) !== 0) {
      if (!this.#slots.claim(slot, subject)) return this.#inbox.forgetBody(id);
      if ((flags & START_CREATE) === 0 && !this.#runner.states.isIdle(stateId))
        return this.#outbox.offerRejected(id, subject);
    } else if (subject !== 0) this.#close(subject);
    this.#runner.execute({
      id,
      stateId,
      createdFrom: (flags & START_CREATE) === 0 ? undefined : Buffer.from(path).toString('latin1'),
      retiresState: (flags & START_RETIRE) !== 0,
      params,
      role: roleOf(flags),
      isDirect: false,
      isHead: (flags & START_HEAD) !== 0,
      inlet: this.#inletOf(id, flags),
      outlet: this.#outbox,
    });
  }

  /** What comes to a request that begins. */
  #inletOf(id: number, flags: number): RequestInlet {
    const hasBody = (flags & START_NO_BODY) === 0;
    const isWhole = (flags & START_WHOLE_BODY) !== 0;
    if (roleOf(flags) === Role.FILTER) return this.#inbox.filterInputOf(id, hasBody, isWhole);
    return hasBody ? this.#inbox.bodyOf(id, isWhole) : NO_BODY;
  }

  #close(stateId: number): void {
    if (this.#runner.closeLater(stateId)) {
      this.#direct?.promoteIn(stateId);
      return this.#outbox.closed(stateId, true);
    }
    this.#runner.states.close(stateId);
    this.#outbox.closed(stateId);
  }
}

async function run(data: ThreadData): Promise<void> {
  const frontAsleep = new Int32Array(data.bell.asleep);
  const system = await findSystem(data.bell);
  const ringBell = (): void => {
    if (Atomics.exchange(frontAsleep, 0, 0) === 1) system.wakeFront();
  };
  const isNative = data.engine.name !== 'embedded';
  if (process.platform === 'linux' && (isNative || data.bell.fd !== undefined)) {
    const { currentThread, nameThread } = await import('../linux/threads.js');
    nameThread(`luafcgid lua ${data.index}`);
    new Borrower(data.loans).thread = currentThread();
    // Native code may hang, and then this thread cannot be ended.
    if (isNative) new Interrupts(data.interrupts).thread = currentThread();
  }
  const format = data.accessFormat === undefined ? undefined : new AccessFormat(data.accessFormat);
  const isLent = data.bell.fd !== undefined;
  const clock = isLent || format?.needsCpuTime ? await findCpuClock() : undefined;
  const usage = format?.needsUsage ? new UsageMeter(format.needsCpuTime ? clock : undefined) : undefined;
  const ownReads = await findOwnReads(ownReadsParts(data));
  const thread = new WorkerThread(data, system, ringBell, format, usage, isLent ? clock : undefined, ownReads);
  thread.reserve(data.needsRoom);
  if (data.warmScripts.length > 0) parentPort?.postMessage({ warmed: thread.warm(data) });
  parentPort?.postMessage('ready');
  thread.serve();
}

run(workerData as ThreadData).catch((error) => {
  // It ends the thread, whatever Node.js was told to do about promises that are rejected.
  setImmediate(() => {
    throw error;
  });
});
