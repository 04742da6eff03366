/** What the server says of itself: the facts that the main thread knows, and the status socket. */
import { hostname } from 'node:os';
import { formatListenAddress } from '../base/listen-address.js';
import type { StatusAddress } from '../base/status-address.js';
import { version } from '../base/version.js';
import { type Config, identityOf } from '../config/load.js';
import { type CommandResult, openControlSocket } from '../control/http.js';
import type { SourceStatus } from '../io/source.js';
import { visible } from '../logging/invisible.js';
import { readLockStatus } from '../shared/lock-memory.js';
import { composeStatus, type ServerFacts, type Status, type StatusReload } from '../status/model.js';
import { formatRate } from '../status/words.js';
import type { ServerParts } from './parts.js';
import type { SharedMemory } from './shared-memory.js';
import { repeat, within } from './timing.js';

/** How often the front is told the facts, for the status page that it answers by itself. */
const FACTS_MS = 2_000;
/** How long a script may take to come to a place where its stack can be taken. */
const STACK_MS = 2_000;
/** How often the service manager gets figures. */
const FIGURES_MS = 5_000;

/** What only the program around the server can do; left out: it is refused. */
export interface ServerCommands {
  /** Reads the configuration anew and takes it into service. */
  reload?(): Promise<StatusReload | undefined>;
  /** Ends the program in order. */
  stop?(): void;
}

export interface StatusDeskParts {
  /** Threads that hang and cannot be ended. */
  readonly hung: () => number;
  readonly sources: () => Promise<readonly SourceStatus[]>;
  readonly shared: SharedMemory;
  readonly commands: ServerCommands;
}

export class StatusDesk {
  readonly #desk: StatusDeskParts;
  readonly #startedMs = Date.now() - performance.now();
  #reloads = 0;
  #lastReload: StatusReload | undefined;
  #parts!: ServerParts;
  #address: StatusAddress | undefined;
  /** Who waits for the Lua stack of a request. */
  readonly #stacks = new Map<string, (traceback: string) => void>();

  constructor(desk: StatusDeskParts) {
    this.#desk = desk;
  }

  /** Where the status socket listens; undefined: nowhere. */
  get address(): StatusAddress | undefined {
    return this.#address;
  }

  /** What runs, for the first line of the log. */
  describe(): string {
    const { current, front } = this.#parts;
    const { engine, workers } = current.loaded.config;
    const status = this.#address === undefined ? '' : `, status at ${formatListenAddress(this.#address)}`;
    return `luafcgid ${version}, process ${process.pid}, engine ${engine}, io ${front.io}, ${workers} workers${status}`;
  }

  noteReload(outcome: StatusReload): void {
    this.#lastReload = outcome;
    if (!outcome.isRefused) this.#reloads += 1;
    void this.#tellFront();
  }

  /**
   * Opens the status socket, if the configuration wants one, and has the front know the facts.
   * @param undo gets what ends it
   */
  async open(parts: ServerParts, undo: (() => void | Promise<void>)[]): Promise<void> {
    this.#parts = parts;
    const { config } = parts.current.loaded;
    await this.#tellFront();
    const facts = repeat(
      () => FACTS_MS,
      () => this.#tellFront(),
      parts.reportBug,
    );
    undo.push(() => facts.stop());
    if (parts.manager.isListening) this.#tellManager(undo);
    if (config.status === undefined) return;
    const socket = await openControlSocket(config.status, ownerOf(config), {
      status: () => this.status(),
      ping: () => parts.front.call('counts'),
      reload: () => this.#reload(),
      reopenLogs: async () => {
        parts.logs.reopen();
        return { isDone: true, text: 'the log files are opened anew' };
      },
      stop: async () => this.#stop(),
      stack: (request) => this.#stack(request),
    });
    this.#address = socket.address;
    undo.push(() => socket.close());
  }

  /** The whole status, as it is now. */
  async status(): Promise<Status> {
    const [report, facts] = await Promise.all([this.#parts.front.call('report'), this.#facts()]);
    return composeStatus(report, facts, Date.now());
  }

  /** Keeps the line up to date that the service manager shows of the service. */
  #tellManager(undo: (() => void | Promise<void>)[]): void {
    const { front, manager, reportBug } = this.#parts;
    let before = { total: 0, timeMs: performance.now() };
    const figures = repeat(
      () => FIGURES_MS,
      async () => {
        const { requests, workers } = await front.call('report');
        const timeMs = performance.now();
        const perSecond = ((requests.total - before.total) * 1000) / (timeMs - before.timeMs);
        before = { total: requests.total, timeMs };
        const busy = workers.filter(({ state }) => state !== 'idle').length;
        const failed = requests.failed + requests.refused.reduce((sum, { count }) => sum + count, 0);
        const waiting = requests.waiting === 1 ? '1 request waits' : `${requests.waiting} requests wait`;
        const load = `${busy} of ${workers.length} workers busy, ${waiting}`;
        manager.status(`${load}, ${formatRate(perSecond)} requests/s, ${failed} of ${requests.total} failed`);
      },
      reportBug,
    );
    undo.push(() => figures.stop());
  }

  async #tellFront(): Promise<void> {
    const { front, current } = this.#parts;
    if (current.loaded.config.statusPath !== undefined) await front.call('noteFacts', await this.#facts());
  }

  async #facts(): Promise<ServerFacts> {
    const { current, front, listeners, workers } = this.#parts;
    const { config, file } = current.loaded;
    const sources = current.sources.length === 0 ? [] : await this.#desk.sources().catch(() => []);
    return {
      version,
      pid: process.pid,
      node: process.version,
      host: hostname(),
      engine: config.engine,
      io: front.io,
      configuration: file ?? '',
      user: String(process.getuid?.() ?? ''),
      startedMs: this.#startedMs,
      listeners: listeners.addresses.map(formatListenAddress),
      reloads: this.#reloads,
      lastReload: this.#lastReload,
      workerCount: config.workers,
      workersReplaced: workers.lostCount,
      workersHung: this.#desk.hung(),
      residentBytes: process.memoryUsage.rss(),
      sources: sources.map(({ down = '', ...source }) => ({ ...source, down })),
      dictionaries: this.#desk.shared.status(),
      locks: readLockStatus(this.#desk.shared.locks),
    };
  }

  async #reload(): Promise<CommandResult> {
    const outcome = await this.#desk.commands.reload?.();
    if (outcome === undefined)
      return { isDone: false, text: 'not reloaded: the server stops, or has no configuration' };
    if (outcome.isRefused) return { isDone: false, text: `not reloaded, all goes on as before:\n${outcome.text}` };
    const listening = `reloaded: listening on ${this.#parts.listeners.text}`;
    return { isDone: true, text: outcome.text === '' ? listening : `${listening}\n${outcome.text}` };
  }

  #stop(): CommandResult {
    const { stop } = this.#desk.commands;
    if (stop === undefined) return { isDone: false, text: 'this server is stopped by who started it' };
    // After the answer.
    setImmediate(stop);
    return { isDone: true, text: 'the server stops' };
  }

  /** The Lua stack of a request has come. */
  stackCame(request: string, traceback: string): void {
    this.#stacks.get(request)?.(traceback);
  }

  async #stack(request: string): Promise<CommandResult> {
    const came = new Promise<string>((resolve) => this.#stacks.set(request, resolve));
    try {
      const answer = await this.#parts.front.call('askForStack', request);
      if (answer === 'unknown') return { isDone: false, text: `no request ${request} is under way` };
      if (answer === 'waits') return { isDone: false, text: `request ${request} waits, and has not begun to run` };
      let text: string | undefined;
      await within(
        STACK_MS,
        came.then((traceback) => {
          text = traceback.trimEnd().split('\n').map(visible).join('\n');
        }),
      );
      if (text !== undefined) return { isDone: true, text };
      const reason = 'it is in a function of C or waits for its client, or it has just ended';
      return {
        isDone: false,
        text: `the stack of request ${request} did not come within ${STACK_MS / 1000} s: ${reason}`,
      };
    } finally {
      this.#stacks.delete(request);
    }
  }
}

/** Root gives the socket to the user that the server becomes; who is not root owns it anyway. */
function ownerOf(config: Config): { readonly uid: number; readonly gid: number } | undefined {
  const { user, gid } = identityOf(config);
  if (user === undefined || process.getuid?.() !== 0) return undefined;
  return { uid: user.uid, gid: gid ?? -1 };
}
