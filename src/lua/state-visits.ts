/**
 * Visits of a Lua state: how the host enters it, calls what it has, and leaves it in order, whatever happened. What ends its
 * code from outside (`os.exit`, a limit, an interrupt) and how errors are told belong to the visit.
 */

import { toByteString } from '../base/byte-string.js';
import type { EntryName } from './entries.js';
import type { HostedState } from './hosted-state.js';
import { LuaError } from './lua-error.js';
import { errorKinds, luaStatus } from './lua-status.js';
import { ScriptLog } from './script-log.js';
import type { ByteString, Finished, Isolation, LuaValue, RequestHost, StateOptions } from './state.js';
import { trimTraceback } from './traceback.js';

/** A hook as `lua_sethook` takes it. */
export type Hook = readonly [hook: number, mask: number, count: number];

const NO_HOOK: Hook = [0, 0, 0];

/** Why Lua code is being ended from outside. */
export type Stop = Finished | { readonly reason: Error; readonly traceback: ByteString } | 'memory';

export const finished: Finished = { outcome: 'finished', exitCode: 0 };

export abstract class StateVisits implements HostedState {
  readonly options: StateOptions;
  readonly log: ScriptLog;
  abstract readonly startMs: number;
  request: RequestHost | undefined;
  callArgument: LuaValue = undefined;
  /** The Lua thread that calls a host function. */
  callingThread = 0;
  #condition: 'usable' | 'broken' | 'closed' = 'usable';
  /** Whether Lua runs: a host function must not use the state that called it. */
  #isVisited = false;
  #reported: { readonly message: ByteString; readonly traceback: ByteString; readonly frames: ByteString } | undefined;
  #hostError: Error | undefined;
  #stop: Stop | undefined;
  /** Whether the code that runs is what a stop from outside is meant for, and not the tidying up after it. */
  #mayBeStopped = false;
  #scriptHook: Hook = NO_HOOK;
  /** The hook of the main thread while a request that was left through an error is tidied up after. */
  #hookOfEnded: Hook | undefined;

  constructor(options: StateOptions) {
    this.options = options;
    this.log = new ScriptLog(options.host);
  }

  /** Calls a function of `prelude.lua`, protected and with `onerror` as its handler; leaves one result on the stack. */
  protected abstract callEntry(entry: EntryName): number;
  /** Whether the value on top of the stack is true. */
  protected abstract topIsTrue(): boolean;
  /** The string on top of the stack, cut to the length that a message may have; nothing when it is no string. */
  protected abstract topMessage(): ByteString | undefined;
  protected abstract clearStack(): void;
  /** Lets callbacks find this state; gives what was there before, for `leaveRunning`. */
  protected abstract enterRunning(): void;
  protected abstract leaveRunning(): void;
  /** The hook of the main thread. */
  protected abstract readHook(): Hook;
  /** Lets a hook raise an error at every instruction of a thread; `undefined`: of the main one. */
  protected abstract setStopHook(thread: number | undefined): void;
  protected abstract restoreHook(hook: Hook): void;
  /** The error for a machine that broke, when this is one. */
  protected abstract describeFatal(error: unknown): string | undefined;
  /** Pushes the entry `traceback` on a Lua thread's stack and calls it protected; gives its text, and pops it. */
  protected abstract readTraceback(thread: number): ByteString;
  /** Why there is no memory. */
  protected abstract memoryMessage(): string;
  abstract deferredPart(name: ByteString): Uint8Array | undefined;

  protected abstract free(isBroken: boolean): void;
  abstract isolate(isolation: Isolation): void;
  abstract sourceLines(chunkName: ByteString, first: number, last: number): ByteString | undefined;

  get isStopping(): boolean {
    return this.#stop !== undefined;
  }

  noteError(message: ByteString, traceback: ByteString, frames: ByteString): void {
    this.#reported = { message, traceback, frames };
  }

  /** An error of a host function that is about to become a Lua error. */
  noteHostError(error: Error): void {
    this.#hostError = error;
  }

  /**
   * From here on a hook raises an error at every instruction of this thread and of the main one, until the call of the
   * engine is over. (Threads between the two get their hooks as the error reaches them.)
   */
  beginExit(code: number | undefined): void {
    this.#beginStop(code === undefined ? finished : { outcome: 'finished', exitCode: code });
  }

  /** The same for a state that holds more memory than it may. */
  stopForMemory(): void {
    this.#beginStop('memory');
  }

  /**
   * What a hook calls in a Lua thread of this state: does what is wanted from outside. (A thread that a stopped one
   * returns to is found by its own hook.)
   */
  lookAtInterrupts(thread: number): void {
    const { interrupts } = this.options;
    if (!this.#mayBeStopped) return;
    if (interrupts?.takeTrace()) interrupts.traced(trimTraceback(this.readTraceback(thread)));
    if (interrupts?.isStopWanted !== true) return;
    this.callingThread = thread;
    const isFirst = this.#stop === undefined;
    const traceback = isFirst ? trimTraceback(this.readTraceback(thread)) : '';
    this.#beginStop({ reason: interrupts.stopReason(), traceback });
  }

  #beginStop(stop: Stop): void {
    if (this.#stop === undefined) this.#scriptHook = this.readHook();
    this.#stop ??= stop;
    this.setStopHook(this.callingThread);
    this.setStopHook(undefined);
  }

  /** A call of Lua is over: why it was ended from outside, if it was. From here on nothing can end it. */
  protected stopAfterCall(): Stop | undefined {
    this.#mayBeStopped = false;
    return this.#stop;
  }

  /**
   * A request was left through an error or a stop, and is tidied up after: the script's own hook would run in that, and
   * could end it. It is off until the visit is over.
   * @returns why it was ended from outside, if it was
   */
  protected beginTidying(): Stop | undefined {
    const stop = this.#stop;
    this.#endStop();
    this.#hookOfEnded = this.readHook();
    this.restoreHook(NO_HOOK);
    return stop;
  }

  /** What was reported so far is not the error of what follows. */
  protected forgetReport(): void {
    this.#reported = undefined;
  }

  #endStop(): void {
    if (this.#stop === undefined) return;
    this.#stop = undefined;
    this.restoreHook(this.#scriptHook);
  }

  /** The error for code that was ended. @param where `os.exit` was called, if not in a request */
  protected stopped(stop: Stop, where: string): LuaError {
    if (stop === 'memory') return new LuaError('memory', this.memoryMessage());
    if ('reason' in stop) {
      return new LuaError('stopped', toByteString(stop.reason.message), stop.traceback, stop.reason);
    }
    return new LuaError(
      'runtime',
      `the script called os.exit(${stop.exitCode}) ${where}; only a request can be ended that way`,
    );
  }

  /** Calls one of the engine's Lua functions and throws its error. Gives whether its result is true. */
  protected invoke(entry: EntryName, argument?: LuaValue): boolean {
    return this.visit(() => {
      this.callArgument = argument;
      const status = this.callEntry(entry);
      const stop = this.stopAfterCall();
      if (stop !== undefined) throw this.stopped(stop, 'outside of a request');
      if (status !== luaStatus.ok) throw this.errorOf(status);
      return this.topIsTrue();
    });
  }

  /** Runs `work` on this state and leaves it in order, whatever happened. */
  protected visit<T>(work: () => T): T {
    this.enter();
    try {
      const result = work();
      this.leave();
      return result;
    } catch (error) {
      throw this.leaveAfter(error);
    } finally {
      this.exit();
    }
  }

  /** The end of every visit, whatever happened. */
  protected exit(): void {
    if (this.#hookOfEnded !== undefined) this.restoreHook(this.#hookOfEnded);
    this.#hookOfEnded = undefined;
    this.#isVisited = false;
    this.leaveRunning();
  }

  /** Nothing may be asked of a state that was closed or broke, nor of one that is at work. */
  protected requireUsable(): void {
    if (this.#condition !== 'usable') throw new LuaError('fatal', `the Lua state is ${this.#condition}`);
  }

  protected enter(): void {
    this.requireUsable();
    if (this.#isVisited) throw new Error('the Lua state is at work');
    this.#isVisited = true;
    this.#mayBeStopped = true;
    this.#reported = undefined;
    this.#hostError = undefined;
    this.enterRunning();
  }

  /** After a visit in which nothing failed: the stack is empty, started lines are logged. */
  protected leave(): void {
    this.clearStack();
    this.log.flush();
  }

  /** The same after an error. A broken machine is a fatal error. */
  protected leaveAfter(error: unknown): unknown {
    let cause = error;
    if (cause instanceof LuaError) {
      try {
        this.forget();
        this.leave();
        return cause;
      } catch (another) {
        cause = another;
      }
    }
    this.#condition = 'broken';
    const fatal = this.describeFatal(cause);
    return fatal === undefined ? cause : new LuaError('fatal', `${fatal}; the Lua state cannot be used again`);
  }

  protected forget(): void {
    this.#endStop();
    this.callEntry('forget');
  }

  /** The error that ended a call with this status. */
  protected errorOf(status: number): LuaError {
    const kind = errorKinds[status] ?? 'fatal';
    if (kind === 'memory') return new LuaError('memory', this.memoryMessage());
    const raised = this.topMessage();
    this.callEntry('report');
    const reported = this.#reported;
    const message = reported?.message ?? raised ?? 'error in error handling';
    // Where a memory error came out of a coroutine, Lua raises its text again as an ordinary error.
    const isMemory = kind === 'runtime' && message.endsWith('not enough memory');
    const hostError = this.#hostError;
    const isHostError = hostError !== undefined && message.endsWith(toByteString(hostError.message));
    return new LuaError(
      isMemory ? 'memory' : kind,
      message,
      trimTraceback(reported?.traceback ?? ''),
      isHostError ? hostError : undefined,
      reported?.frames,
    );
  }

  close(): void {
    if (this.#condition === 'closed') return;
    if (this.#isVisited) throw new Error('the Lua state is at work');
    const isBroken = this.#condition === 'broken';
    this.#condition = 'closed';
    this.free(isBroken);
  }
}
