/** The server under test: the real process, its settings, and its log as it comes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guarded } from '../support/cleanup.js';
import { ROOT } from '../support/server.js';

const GUARD_MS = 180_000;
/** Lines of the log that a failure is told with. */
const LAST_LINES = 25;
const MOST_OF_A_LINE = 200;

/** What differs between the configurations that reloads take into service. */
export interface Variant {
  readonly workers: number;
  readonly states: number;
  readonly clones: number;
  readonly memoryMiB: number;
  readonly sendbuffer: number;
  readonly maxcount: number;
}

export const FIRST: Variant = {
  workers: 4,
  states: 24,
  clones: 4,
  memoryMiB: 16,
  sendbuffer: 200_000,
  maxcount: 0,
};
/** The largest of all variants: what limits are computed from. */
export const LARGEST = { workers: 6, states: 32, memoryMiB: 16, bodyTotalMiB: 64, sendTotalMiB: 64 } as const;
/** Times that clients have, in seconds: short, so that a run of seconds sees them pass. */
export const IDLE_S = 10;

export interface SubjectPlaces {
  readonly dir: string;
  readonly scripts: string;
  readonly disk: string;
  readonly socket: string;
  readonly port: number;
}

export class Subject {
  readonly places: SubjectPlaces;
  readonly #engine: string;
  readonly #io: string;
  readonly #isolation: string;
  readonly #process: ChildProcess;
  readonly #log: string[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #exited: Promise<void>;
  exit: { readonly code: number | null; readonly signal: string | null } | undefined;

  constructor(places: SubjectPlaces, engine: string, io: string, isolation = 'state') {
    this.places = places;
    this.#engine = engine;
    this.#io = io;
    this.#isolation = isolation;
    this.configure(FIRST);
    this.#process = spawn(process.execPath, [join(ROOT, 'bin/luafcgid'), this.#configFile], {
      cwd: places.dir,
      env: { ...process.env, TMPDIR: places.disk },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log.push(text);
        for (const listener of this.#listeners) listener();
      });
    this.#exited = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => {
        this.exit = { code, signal };
        for (const listener of this.#listeners) listener();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get log(): string {
    if (this.#log.length > 1) this.#log.splice(0, this.#log.length, this.#log.join(''));
    return this.#log[0] ?? '';
  }

  lastLines(): string {
    const lines = this.log.slice(-20_000).trimEnd().split('\n').slice(-LAST_LINES);
    return lines.map((line) => line.slice(0, MOST_OF_A_LINE)).join('\n');
  }

  times(text: string): number {
    return this.log.split(text).length - 1;
  }

  /** Resolves once the condition holds; it is looked at whenever the log grows. */
  until(what: string, holds: () => boolean): Promise<void> {
    const found = new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const isMet = holds();
        if (!isMet && !this.exit) return;
        this.#listeners.delete(look);
        if (isMet) resolve();
        else reject(new Error(`the server ended before ${what}: ${JSON.stringify(this.exit)}\n${this.lastLines()}`));
      };
      this.#listeners.add(look);
      look();
    });
    return guarded(found, GUARD_MS, () => `no ${what}; the log:\n${this.lastLines()}\n`);
  }

  ready(): Promise<void> {
    return this.until('readiness', () => /\bready\b/.test(this.log));
  }

  /**
   * Sends a signal. A server that starts itself anew (to end threads that hang in native code) can no more be sent one
   * than any other that starts: this waits until it is ready.
   */
  async signal(signal: NodeJS.Signals): Promise<void> {
    await this.until('readiness after a restart', () => this.times(' ready') > this.times('LUAFCGID_SERVER_RESTARTS'));
    this.#process.kill(signal);
  }

  /** Sends SIGTERM and waits for the end. */
  async stop(): Promise<void> {
    if (!this.exit) await this.signal('SIGTERM');
    await guarded(this.#exited, GUARD_MS, () => `the server did not end; the log:\n${this.lastLines()}\n`);
  }

  kill(): void {
    if (!this.exit) this.#process.kill('SIGKILL');
  }

  /** How many reloads have been done or refused. */
  get reloads(): { readonly done: number; readonly refused: number } {
    return { done: this.times('reloaded: '), refused: this.times('LUAFCGID_RELOAD_REFUSED') };
  }

  configure(variant: Variant, extra = ''): void {
    const { socket, port, disk, scripts } = this.places;
    const data = JSON.stringify(join(disk, 'data'));
    this.write(`listen = { ${JSON.stringify(socket)}, "127.0.0.1:${port}" }
io = ${JSON.stringify(this.#io)}
engine = ${JSON.stringify(this.#engine)}
root = ${JSON.stringify(scripts)}
accesslog = ${JSON.stringify(join(disk, 'access.log'))}
slowlog = ${JSON.stringify(join(disk, 'slow.log'))}
slowtime = 0.1
${this.#engine === 'embedded' ? `files = { read = { ${data} }, write = { ${data} } }` : ''}
isolation = ${JSON.stringify(this.#isolation)}
workers = ${variant.workers}
states = ${variant.states}
clones = ${variant.clones}
memory = ${variant.memoryMiB} * 1024 * 1024
maxcount = ${variant.maxcount}
sweep = 100
watchdog = 30
-- Long enough that 503 is never right.
queue = 10000
queuetimeout = 120
connections = 2000
idletimeout = ${IDLE_S}
readtimeout = 4
sendtimeout = 4
bodymemory = 64 * 1024
bodytotal = ${LARGEST.bodyTotalMiB} * 1024 * 1024
sendtotal = ${LARGEST.sendTotalMiB} * 1024 * 1024
sendbuffer = ${variant.sendbuffer}
outputbuffer = 100000
spool = 64 * 1024 * 1024
ring = 65536
${extra}`);
  }

  write(text: string): void {
    // Beside it and renamed: it is read whole.
    writeFileSync(`${this.#configFile}.new`, text);
    renameSync(`${this.#configFile}.new`, this.#configFile);
  }

  get #configFile(): string {
    return join(this.places.dir, 'config.lua');
  }
}
