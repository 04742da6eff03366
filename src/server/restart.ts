/** Threads that hang in native code cannot be ended: the program replaces itself in the same process instead. */
import { describeError, LuafcgidError } from '../base/errors.js';
import type { Log } from '../logging/sinks/logs.js';
import type { ServiceEnvironment } from '../process/environment.js';
import { retireHooks } from './generation.js';
import type { ServerParts } from './parts.js';

/** Starts this program anew in the same process, with these sockets and whatever the service manager has handed it. */
export type Succeed = (service: ServiceEnvironment) => Promise<never>;

export class HungThreads {
  /** Undefined where the program cannot replace itself. */
  readonly #succeed: Succeed | undefined;
  #count = 0;
  /** The replacement that is under way. */
  #restarting: Promise<void> | undefined;

  constructor(succeed: Succeed | undefined) {
    this.#succeed = succeed;
  }

  /** Threads that hang and cannot be ended. */
  get count(): number {
    return this.#count;
  }

  get restarting(): Promise<void> | undefined {
    return this.#restarting;
  }

  /** Whether the program is being replaced, which reads the configuration anew; the log says so then. */
  makesReloadNeedless(log: Pick<Log, 'write'>): boolean {
    if (this.#restarting === undefined) return false;
    log.write('info', 'not reloaded: the server restarts itself, and reads its configuration anew');
    return true;
  }

  /** A thread hangs for good. @param isIdle it gets only processor time that nobody else wants */
  note(parts: Pick<ServerParts, 'log'>, isIdle: boolean): void {
    this.#count += 1;
    const load = isIdle ? 'it gets only processor time that nobody else wants' : 'it takes processor time from others';
    const end =
      this.#succeed === undefined
        ? 'restart the server when you can'
        : 'the server restarts itself when no request runs';
    parts.log.write('error', describeError(new LuafcgidError('LUAFCGID_WORKER_HANGS', { load, end })));
  }

  /**
   * Replaces the program if threads hang: when no request runs, or at once when as many hang as would work.
   * @param before what has to end first: a reload, and then the requests that run
   */
  async look(parts: ServerParts, before: RestartSteps): Promise<void> {
    if (this.#count === 0 || this.#succeed === undefined || this.#restarting !== undefined) return;
    const { workers } = parts.current.loaded.config;
    if (this.#count >= workers || (await parts.front.call('counts')).requests === 0) {
      this.#restarting ??= this.#restart(parts, this.#succeed, before);
    }
  }

  async #restart(parts: ServerParts, succeed: Succeed, before: RestartSteps): Promise<void> {
    const { log, listeners, manager, logs } = parts;
    log.write('warn', describeError(new LuafcgidError('LUAFCGID_SERVER_RESTARTS', { threads: this.#count })));
    await before.reloaded();
    // New connections wait in these sockets for the next program.
    const successor = await listeners.keep().catch(parts.reportBug);
    if (successor === undefined || before.isStopping()) return;
    manager.reloading();
    await before.drained();
    if (before.isStopping()) return;
    retireHooks(parts.current, log);
    await logs.close();
    const { leaveSignals } = await import('../linux/exec.js');
    await leaveSignals();
    // A stop that was asked for meanwhile would be forgotten by the next program.
    if (before.isStopping()) return;
    // From here on there is nothing left that could serve: an error ends the process.
    await succeed(successor);
  }
}

export interface RestartSteps {
  reloaded(): Promise<void>;
  drained(): Promise<void>;
  isStopping(): boolean;
}
