/** `luafcgid console`: Lua that is typed runs at once, in a state of a script. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { version } from '../base/version.js';
import type { Overrides } from '../config/load.js';
import { type ConsoleOutcome, type Evaluation, evaluate } from '../gateway/script-console.js';
import { type Outcome, prepare, startPrivately } from './prepare.js';
import { readInput } from './run.js';

export interface ConsoleOptions {
  /** Left out: an empty one. */
  readonly script: string | undefined;
  readonly config: string | undefined;
  readonly overrides: Overrides;
}

const HISTORY_LINES = 1000;
const EXIT_FAILED = 1;
/** The function that answers what is typed; `preload` defines it. */
const HANDLER = 'luafcgid_console';
const DEFINITION = `${HANDLER} = function(...) return require("luafcgid.console").serve(...) end `;

/** One state, which nothing takes away: what is typed builds upon what was typed before. */
const ONE_STATE: Overrides = {
  workers: 1,
  states: 1,
  clones: 1,
  maxcount: 0,
  isolation: 'state',
  sweep: 86_400_000,
  watchdog: 0,
  requesttime: 0,
  onabort: 'stop',
  handler: HANDLER,
  root: [],
  extensions: '*',
  showerrors: true,
  accesslog: '',
  slowlog: '',
  io: 'node',
};

/** Runs until its input ends. */
export async function runConsole({ script, config, overrides }: ConsoleOptions): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = script === undefined ? join(folder, 'console.lua') : resolve(script);
  if (script === undefined) writeFileSync(file, '');
  // Better said here than with a page of status 404.
  readInput(file);
  const preload = join(folder, 'preload.lua');
  const { loaded } = prepare(config ?? null, overrides);
  loaded.hooks.close();
  const given = loaded.config.preload === undefined ? '' : readFileSync(loaded.config.preload, 'latin1');
  // On the first line, so that the lines of the configuration's own file keep their numbers.
  writeFileSync(preload, DEFINITION + given.replace(/^(?:\xef\xbb\xbf)?(?:#.*)?/, ''), 'latin1');
  const path = [...loaded.config.path, join(process.cwd(), '?.lua'), join(process.cwd(), '?/init.lua')];
  const { socket, close } = await startPrivately(
    config ?? null,
    {
      ...overrides,
      ...ONE_STATE,
      ...(loaded.config.preloadScripts.length > 0 && { preloadscripts: [] }),
      preload,
      path,
    },
    true,
  );
  try {
    const dialogue = new Dialogue(socket, file);
    process.stdout.write(dialogue.isTerminal ? greeting(loaded.config.engine, script) : '');
    return { exitCode: (await dialogue.run()) ? 0 : EXIT_FAILED };
  } finally {
    await close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function greeting(engine: string, script: string | undefined): string {
  const where = script === undefined ? '' : ` with ${script}`;
  return `luafcgid ${version}, engine ${engine}${where}. Ctrl-C stops what runs, Ctrl-D ends.\n`;
}

/** What ends a line that is being typed without giving it. */
const INTERRUPTED = Symbol('interrupted');

class Dialogue {
  readonly isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  readonly #socket: string;
  readonly #script: string;
  readonly #lines: string[] = [];
  readonly #input: Interface;
  readonly #history = historyFile();
  #isEnded = false;
  #wake: ((what: typeof INTERRUPTED | undefined) => void) | undefined;
  #evaluation: Evaluation | undefined;

  constructor(socket: string, script: string) {
    this.#socket = socket;
    this.#script = script;
    const { isTerminal: terminal } = this;
    const history = terminal ? readHistory(this.#history) : [];
    const { stdin: input, stdout } = process;
    this.#input = createInterface({
      input,
      terminal,
      ...(terminal && { output: stdout, history, historySize: HISTORY_LINES, removeHistoryDuplicates: true }),
    });
    this.#input.on('line', (line) => {
      this.#lines.push(line);
      this.#wake?.(undefined);
    });
    this.#input.on('history', (lines) => this.#keep(lines));
    this.#input.on('close', () => {
      this.#isEnded = true;
      this.#evaluation?.stop();
      this.#wake?.(undefined);
    });
    this.#input.on('SIGINT', () => this.#interrupt());
  }

  /** Returns whether the script could be loaded. */
  async run(): Promise<boolean> {
    let source = '';
    for (;;) {
      const line = await this.#next(source === '' ? '> ' : '>> ');
      if (line === INTERRUPTED) {
        source = '';
        continue;
      }
      const isLast = line === undefined;
      if (isLast && source === '') break;
      source += isLast ? '' : `${source === '' ? '' : '\n'}${line}`;
      if (source.trim() === '') source = '';
      else {
        const outcome = await this.#evaluate(source, isLast);
        if (outcome === 'failed') return this.#end(false);
        if (outcome !== 'more') source = '';
      }
      if (isLast) break;
    }
    return this.#end(true);
  }

  #end(isWell: boolean): boolean {
    if (this.isTerminal) process.stdout.write('\n');
    this.#input.close();
    return isWell;
  }

  async #evaluate(source: string, isLast: boolean): Promise<ConsoleOutcome> {
    const evaluation = evaluate(this.#socket, { script: this.#script, source, isLast }, (bytes) => {
      process.stdout.write(bytes);
    });
    // A pipe is read to its end whatever still runs.
    if (this.isTerminal) this.#evaluation = evaluation;
    const outcome = await evaluation.over;
    this.#evaluation = undefined;
    if (outcome === 'stopped') process.stdout.write('stopped\n');
    return outcome;
  }

  async #next(prompt: string): Promise<string | typeof INTERRUPTED | undefined> {
    const line = this.#lines.shift();
    if (line !== undefined || this.#isEnded) return line;
    if (this.isTerminal) {
      this.#input.setPrompt(prompt);
      this.#input.prompt();
    }
    const what = await new Promise<typeof INTERRUPTED | undefined>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    return what ?? this.#lines.shift();
  }

  #interrupt(): void {
    if (this.#evaluation !== undefined) return this.#evaluation.stop();
    process.stdout.write('\n');
    // What was typed of the line goes.
    this.#input.write(null, { ctrl: true, name: 'e' });
    this.#input.write(null, { ctrl: true, name: 'u' });
    this.#wake?.(INTERRUPTED);
  }

  #keep(lines: readonly string[]): void {
    try {
      mkdirSync(dirname(this.#history), { recursive: true, mode: 0o700 });
      writeFileSync(this.#history, `${lines.join('\n')}\n`, { mode: 0o600 });
    } catch {
      // A history that cannot be kept is no reason to stop.
    }
  }
}

function historyFile(): string {
  const folder = process.env.XDG_STATE_HOME || join(homedir(), '.local/state');
  return join(folder, 'luafcgid/console-history');
}

/** The latest line first. */
function readHistory(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(0, HISTORY_LINES);
  } catch {
    return [];
  }
}
