/**
 * Everything that the main thread asks of the front, wherever the front runs. Arguments and results are plain values, so
 * that each call can cross threads.
 */

import { describeError, type ErrorCode, LuafcgidError } from '../../base/errors.js';
import { Interrupter, type InterruptRequest } from '../../channel/interrupts.js';
import { Lender } from '../../channel/lending.js';
import { LineRingReader } from '../../channel/line-ring.js';
import { OfferSlots } from '../../channel/offer-slots.js';
import { atomicsParker, type Parker } from '../../channel/park.js';
import { RingReader, RingWriter } from '../../channel/ring.js';
import { CountersView } from '../../metrics/counters.js';
import { ErrorGroups, type NotedError } from '../../metrics/error-groups.js';
import { composeStatus, type FrontReport, type ServerFacts } from '../../status/model.js';
import { formOf, renderStatus, typeOf } from '../../status/render.js';
import { reuseText } from '../../status/text-buffer.js';
import { Front, type FrontCounts, type FrontOptions } from '../core/front.js';
import type { Driver, DriverReports, DriverSettings } from '../io/driver.js';
import type { FrontLogs, LogEvents, LogSettings } from '../logging/front-logs.js';
import type { LogSubject, SlowRequest, StackSeen, StatusQuestion } from '../model/actions.js';
import { WorkerLink } from '../model/worker-link.js';

/** What the front tells the main thread. */
export interface FrontEvents extends LogEvents {
  /** Finds a script's file; answered with `scriptFound` or `scriptRefused`. */
  lookUp(path: string, request: number): void;
  /** A request runs slowly; reported once. */
  slow(record: SlowRequest): void;
  interrupt(worker: number, request: number, reason: InterruptRequest): void;
  abandon(worker: number, reason: string): void;
  /** The Lua stack of a request that `askForStack` was called for. */
  stack(request: string, traceback: string, seen: StackSeen): void;
  /** After `drain`: the last request is over. */
  drained(): void;
  /** After `tellAllClosed`: no connection is open any more. */
  allClosed(): void;
}

/** What a worker and the front share. */
export interface WorkerChannels {
  /** Rings. */
  readonly toWorker: SharedArrayBuffer;
  readonly toFront: SharedArrayBuffer;
  readonly interrupts: SharedArrayBuffer;
  /** Connections that are lent to it. */
  readonly loans: SharedArrayBuffer;
  /** What it counts. */
  readonly counters: SharedArrayBuffer;
  /** Lines of the access log; undefined: there is none. */
  readonly lines: SharedArrayBuffer | undefined;
}

/** A worker that is ready; `index` is its place. */
export interface NewWorker {
  readonly id: number;
  readonly index: number;
  readonly channels: WorkerChannels;
}

/** How the front is set up; can be handed to a thread. */
export interface FrontSettings extends DriverSettings {
  readonly front: FrontOptions;
  readonly logs: LogSettings;
}

/** All files that the sweep looks at. Paths have one character per byte. */
export interface Inventory {
  /** Script paths as web servers name them, and the files they were found to be. */
  readonly scripts: readonly (readonly [path: string, file: string])[];
  /** Files that states were made from, and whether telling their versions apart takes their content. */
  readonly dependencies: ReadonlyMap<string, boolean>;
}

/** What the sweep has found out about an inventory. */
export interface Findings {
  /** Script paths that lead elsewhere by now; undefined: nowhere. */
  readonly moved: readonly (readonly [path: string, file: string | undefined])[];
  /** Fingerprints of the dependencies now; undefined: the file is gone. */
  readonly fingerprints: ReadonlyMap<string, string | undefined>;
}

/** What a driver reports, as lines of the log. */
export function reportsTo(events: Pick<FrontEvents, 'allClosed'>, logs: FrontLogs): DriverReports {
  const { log } = logs;
  return {
    stranger: (address) => {
      log('warn', describeError(new LuafcgidError('LUAFCGID_LISTEN_STRANGER', { address })));
    },
    outOfRoom: (reason, connections) => {
      log('error', describeError(new LuafcgidError('LUAFCGID_LISTEN_NO_ROOM', { reason, connections })));
    },
    roomAgain: (connections) => log('info', `connections are accepted again; ${connections} are open`),
    bug: (error) => log('error', describeError(error)),
    allClosed: () => events.allClosed(),
  };
}

function noted(text: string, about: LogSubject = {}): NotedError {
  const { script = '', request = '', isOfScript = false } = about;
  return { script, request, text, isOfScript };
}

export class FrontApi {
  readonly #front: Front;
  readonly #driver: Driver;
  readonly #logs: FrontLogs;
  readonly #sleeper: Parker;
  readonly #errors = new ErrorGroups();
  /** What the main thread has last said of the server. */
  #facts: ServerFacts | undefined;

  /**
   * @param logs where the front logs to
   * @param driver made with the reports of `reportsTo(events, logs)`
   * @param sleeper of the rings to workers
   */
  constructor(
    settings: FrontSettings,
    events: FrontEvents,
    logs: FrontLogs,
    driver: Driver,
    sleeper: Parker = atomicsParker,
  ) {
    this.#sleeper = sleeper;
    this.#logs = logs;
    this.#driver = driver;
    this.#front = new Front(settings.front, {
      lookUp: (path, request) => events.lookUp(path, request),
      log: (level, text, about) => {
        logs.log(level, text, about);
        if (level === 'error') this.#errors.note(noted(text, about), Date.now());
      },
      requestOver: (entry) => {
        entry.times.endedMs = performance.now();
        logs.requestOver(entry);
      },
      renderStatus: (question) => this.#renderStatus(question),
      takeLines: () => logs.takeManyLines(),
      flushLogs: () => logs.flush(),
      slow: (record) => events.slow(record),
      interrupt: (worker, request, reason) => events.interrupt(worker, request, reason),
      abandon: (worker, reason) => events.abandon(worker, reason),
      stack: (request, traceback, seen) => events.stack(request, traceback, seen),
      drained: () => events.drained(),
      lending: driver.lending,
    });
    driver.attach(this.#front);
  }

  /** A worker is ready. `index` is its place. */
  workerReady(id: number, index: number, channels: WorkerChannels): void {
    const { toWorker, toFront, interrupts, loans, counters, lines } = channels;
    const out = new RingWriter(toWorker, this.#sleeper);
    const link = new WorkerLink(
      id,
      out,
      new RingReader(toFront, this.#sleeper),
      new OfferSlots(toWorker),
      new Interrupter(interrupts),
      new Lender(loans),
    );
    if (lines !== undefined) this.#logs.addLines(id, new LineRingReader(lines));
    link.counters = new CountersView(counters);
    this.#front.workerReady(link, index, performance.now());
    this.#front.wakeWorkers();
  }

  /** From now on other settings hold, and other workers take over from those that are there. */
  renew(settings: FrontSettings, workers: readonly NewWorker[], retired: readonly number[]): void {
    const nowMs = performance.now();
    this.#front.configure(settings.front, nowMs);
    this.#driver.configure(settings);
    // Other files than before may be scripts.
    this.#front.lookUps.clear();
    // In the same turn: without any worker in between, requests would be turned away.
    this.#front.retireWorkers(retired, nowMs);
    for (const { id, index, channels } of workers) this.workerReady(id, index, channels);
  }

  /** All workers are told to end when they have done what they were given. */
  stopWorkers(): void {
    this.#front.stopWorkers();
  }

  /** A worker's thread has ended. */
  workerGone(id: number, reason: string): void {
    this.#front.workerGone(id, reason, performance.now());
    this.#logs.removeLines(id);
    this.#front.wakeWorkers();
  }

  /** The thread of a worker that was given up has ended. */
  workerEnded(id: number): void {
    this.#front.workerEnded(id);
    this.#logs.removeLines(id);
  }

  scriptFound(request: number, file: string): void {
    this.#front.scriptFound(request, file, performance.now());
    this.#front.wakeWorkers();
  }

  scriptRefused(request: number, code: ErrorCode, values: Readonly<Record<string, unknown>>): void {
    this.#front.scriptRefused(request, new LuafcgidError(code, values));
  }

  inventory(): Inventory {
    return { scripts: this.#front.lookUps.entries(), dependencies: this.#front.dependencies() };
  }

  /** Takes what is stale out of service and lets idle states collect garbage. */
  refresh({ moved, fingerprints }: Findings): ReturnType<Front['flushStale']> {
    const { lookUps } = this.#front;
    for (const [path, file] of moved) {
      if (file === undefined) lookUps.forget(path);
      else lookUps.remember(path, file);
    }
    const flushed = this.#front.flushStale(fingerprints);
    this.#front.collectIdle();
    return flushed;
  }

  /** What the server is, for the status page that the front answers by itself. */
  noteFacts(facts: ServerFacts): void {
    this.#facts = facts;
  }

  /** What the front is doing at this moment. */
  report(): FrontReport {
    return { ...this.#front.snapshot(performance.now()), errors: this.#errors.list() };
  }

  /** Asks for the Lua stack of a request; told by `stack`. */
  askForStack(request: string): 'asked' | 'waits' | 'unknown' {
    return this.#front.askForStack(request);
  }

  /** The same for all requests at once. */
  askForStacks(): void {
    this.#front.askForStacks();
  }

  #renderStatus({ query, accept, isHead }: StatusQuestion): Uint8Array {
    const facts = this.#facts;
    if (facts === undefined) return Buffer.from('Status: 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n');
    const form = formOf(query, accept);
    const headOf = (contentType: string): string =>
      `Status: 200 OK\r\nContent-Type: ${contentType}\r\nCache-Control: no-store\r\n\r\n`;
    if (isHead) return Buffer.from(headOf(typeOf(form)));
    const { body } = renderStatus(form, () => composeStatus(this.report(), facts, Date.now()), headOf);
    // The front makes records of it before it does anything else.
    reuseText(body);
    return body;
  }

  counts(): FrontCounts {
    return this.#front.counts();
  }

  /** Accepts no more connections, finishes what has begun, and tells with `drained` when that is done. */
  drain(): void {
    this.#driver.stopListening();
    this.#front.drain(performance.now());
  }

  tellAllClosed(): void {
    this.#driver.tellAllClosed();
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.#driver.destroy();
    this.#front.reportUnfinished();
    this.#logs.end();
  }
}
