/** A child process of a test: its output collected, its end awaited, stopped by its own handle only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { guarded } from './cleanup.js';

export interface ChildOptions {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What it reads from standard input; nothing when left out. A number is a descriptor to inherit. */
  readonly stdin?: Uint8Array | string | number | undefined;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Longest wait for anything of a child. Generous: it only ends a test that would hang. */
export const GUARD_MS = 120_000;

const running = new Set<ChildProcess>();
// A test run that breaks off leaves no servers behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

export class Child {
  readonly name: string;
  /** Resolves when the process has ended and its output is complete. Never rejects. */
  readonly exited: Promise<Exit>;
  stdout: Buffer = Buffer.alloc(0);
  stderr: Buffer = Buffer.alloc(0);
  exit: Exit | undefined;

  readonly #child: ChildProcess;
  readonly #listeners = new Set<() => void>();
  #log = '';

  constructor(options: ChildOptions) {
    this.name = options.name;
    const { stdin } = options;
    this.#child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: options.env,
      stdio: [typeof stdin === 'number' ? stdin : stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    running.add(this.#child);
    this.#child.stdin?.on('error', () => {}); // it may end without having read everything
    if (typeof stdin !== 'number' && stdin !== undefined) this.#child.stdin?.end(stdin);
    // A character may come in two pieces.
    const [outText, errText] = [new StringDecoder('utf8'), new StringDecoder('utf8')];
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout = Buffer.concat([this.stdout, chunk]);
      this.#heard(outText.write(chunk));
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = Buffer.concat([this.stderr, chunk]);
      this.#heard(errText.write(chunk));
    });
    this.exited = new Promise((resolve) => {
      const ended = (exit: Exit): void => {
        running.delete(this.#child);
        this.exit ??= exit;
        resolve(this.exit);
        this.#notify();
      };
      this.#child.on('error', (error) => {
        this.#log += `cannot run ${options.command}: ${error.message}\n`;
        ended({ code: null, signal: null });
      });
      this.#child.on('close', (code, signal) => ended({ code, signal }));
    });
  }

  /** Standard output and standard error together, as they came. */
  get log(): string {
    return this.#log;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves with the match once the output contains the pattern; rejects when the process ends without it. */
  logged(pattern: RegExp, guardMs = GUARD_MS): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.#log);
        if (match) resolve(match);
        else if (this.exit) reject(new Error(this.describe(`ended without saying ${pattern}`)));
        else return;
        this.#listeners.delete(look);
      };
      this.#listeners.add(look);
      look();
    });
    return guarded(found, guardMs, () => this.describe(`did not say ${pattern}`));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when the process has ended; kills it and rejects when it does not. */
  async ended(guardMs = GUARD_MS): Promise<Exit> {
    try {
      return await guarded(this.exited, guardMs, () => this.describe('did not end'));
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw error;
    }
  }

  /** Sends the signal and waits for the end. */
  stop(signal: NodeJS.Signals = 'SIGTERM', guardMs = GUARD_MS): Promise<Exit> {
    this.signal(signal);
    return this.ended(guardMs);
  }

  /** A sentence about this process, with all it has written. */
  describe(what: string): string {
    const end = this.exit ? `, exit code ${this.exit.code}, signal ${this.exit.signal}` : '';
    return `${this.name} ${what}${end}; its output:\n${this.#log || '(none)\n'}`;
  }

  #heard(text: string): void {
    this.#log += text;
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
