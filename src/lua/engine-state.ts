/**
 * What a Lua state does, whichever engine runs it: calls of the functions of `prelude.lua`, errors and how they are told,
 * requests and `os.exit`. The engines add how their Lua is called.
 */

import { randomInt } from 'node:crypto';
import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import type { RoleName } from '../base/roles.js';
import type { EntryName } from './entries.js';
import type { HostedState } from './host-functions.js';
import { LuaError, type LuaErrorKind } from './lua-error.js';
import { ScriptLog } from './script-log.js';
import { bytecodeRefusal, isBytecode, withoutFirstLine } from './source-text.js';
import type {
  Adaptation,
  ByteString,
  Finished,
  HookTarget,
  Isolation,
  LuaState,
  LuaValue,
  RequestHost,
  ServeResult,
  StateImage,
  StateOptions,
  Suspended,
  WhyNoImage,
} from './state.js';
import { trimTraceback } from './traceback.js';

/** Results of `lua_pcall` and `luaL_loadbuffer`, in all versions. */
export const luaStatus = { ok: 0, runtime: 2, syntax: 3, memory: 4, handler: 5 } as const;

/** A hook as `lua_sethook` takes it. */
export type Hook = readonly [hook: number, mask: number, count: number];

const noHook: Hook = [0, 0, 0];

/**
 * A script whose source has one of these words runs its handler so that it can wait from the first request on. Others can
 * once they have required such a module.
 */
const waitingModules = ['luafcgid', 'luasql', 'lsqlite3'];

function includesAny(source: Uint8Array, words: readonly string[]): boolean {
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.length);
  return words.some((word) => bytes.includes(word));
}

const errorKinds: Readonly<Record<number, LuaErrorKind>> = {
  [luaStatus.runtime]: 'runtime',
  [luaStatus.syntax]: 'syntax',
  [luaStatus.memory]: 'memory',
  [luaStatus.handler]: 'runtime',
};

/** States are made alike: without a seed of its own every state would draw the same random numbers. */
function newSeed(): number {
  return randomInt(0x7fffffff);
}

const finished: Finished = { outcome: 'finished', exitCode: 0 };
const suspended: Suspended = { outcome: 'suspended' };

/** What a state is besides its memory, once its script is loaded. */
export interface Settled {
  readonly handler: ByteString;
  readonly role: RoleName;
  readonly canWait: boolean;
  readonly isolation: Isolation | undefined;
  readonly clockMs: number;
}

/** Why Lua code is being ended from outside. */
type Stop = Finished | { readonly reason: Error; readonly traceback: ByteString } | 'memory';

export abstract class EngineState implements LuaState, HostedState {
  readonly options: StateOptions;
  readonly log: ScriptLog;
  startMs = performance.now();
  isolation: Isolation | undefined;
  request: RequestHost | undefined;
  callArgument: LuaValue = undefined;
  /** The Lua thread that calls a host function. */
  callingThread = 0;
  #condition: 'usable' | 'broken' | 'closed' = 'usable';
  /** Whether Lua runs: a host function must not use the state that called it. */
  #isVisited = false;
  /** The handler that Lua knows, and its role. */
  #handler: ByteString | undefined;
  #role: RoleName | undefined;
  #canWait = false;
  /** The request whose handler waits. */
  #suspended: RequestHost | undefined;
  #reported: { readonly message: ByteString; readonly traceback: ByteString; readonly frames: ByteString } | undefined;
  #hostError: Error | undefined;
  /** The chunk that was run last, until somebody asks for its lines. */
  #script: { readonly chunkName: ByteString; readonly source: Uint8Array } | undefined;
  #stop: Stop | undefined;
  /** Whether the code that runs is what a stop from outside is meant for, and not the tidying up after it. */
  #mayBeStopped = false;
  #scriptHook: Hook = noHook;
  /** The hook of the main thread while a request that was left through an error is tidied up after. */
  #hookOfEnded: Hook | undefined;
  #globals: { values: LuaValue; functions: LuaValue } = { values: {}, functions: [] };

  constructor(options: StateOptions) {
    this.options = options;
    this.log = new ScriptLog(options.host);
  }

  /** The last step of making a state: Lua learns about its surroundings. Throws `LuaError`. */
  protected begin(): void {
    const { directory } = this.options;
    const path = [`${directory}/?.lua`, `${directory}/?/init.lua`, ...this.options.path].join(';');
    this.#call('init', {
      directory,
      path,
      seed: newSeed(),
      memory_bytes: this.options.memoryBytes,
      has_files: this.options.files !== undefined,
      allows_bytecode: this.options.allowsBytecode === true,
      shows_locals: this.options.showsLocals === true,
    });
  }

  /** Calls a function of `prelude.lua`, protected and with `onerror` as its handler; leaves one result on the stack. */
  protected abstract callEntry(entry: EntryName): number;
  /** Pushes `onerror` and a compiled chunk, or an error message. Never raises. */
  protected abstract compile(source: Uint8Array, name: ByteString): number;
  /** Calls what `compile` pushed; leaves its first result on the stack. */
  protected abstract callCompiled(): number;
  /** Hands the value on top of the stack to the entry `returned`. */
  protected abstract keepReturned(): void;
  /** Whether the value on top of the stack is true. */
  protected abstract topIsTrue(): boolean;
  /** The string on top of the stack, valid until Lua runs on; nothing when it is no string. */
  protected abstract topBytes(): Uint8Array | undefined;
  /** What of the string on top of the stack may become a message; nothing when it is no string. */
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
  abstract readonly hookTarget: HookTarget | undefined;
  /** Why there is no memory. */
  protected abstract memoryMessage(): string;
  /** Whether the state holds more than it may; asked between two visits. */
  protected abstract isOverLimit(): boolean;
  protected abstract free(isBroken: boolean): void;
  abstract memoryBytes(): number;
  abstract deferredPart(name: ByteString): Uint8Array | undefined;

  run(chunk: Uint8Array, chunkName: ByteString): void {
    const source = withoutFirstLine(chunk);
    this.#script = { chunkName, source };
    if (isBytecode(source) && !this.options.allowsBytecode) {
      throw new LuaError('syntax', `${chunkName.replace(/^[@=]/, '')}: ${bytecodeRefusal}`);
    }
    if (includesAny(source, waitingModules)) this.enableWaiting();
    this.#visit(() => {
      const compiled = this.compile(source, chunkName);
      if (compiled !== luaStatus.ok) throw this.#error(compiled);
      const status = this.callCompiled();
      this.#mayBeStopped = false;
      if (this.#stop !== undefined) throw this.#stopped(this.#stop, 'at its top level');
      if (status !== luaStatus.ok) throw this.#error(status);
      this.keepReturned();
    });
  }

  enableWaiting(): void {
    if (this.#canWait) return;
    this.#canWait = true;
    this.#call('can_wait');
  }

  adapt(adaptation: Adaptation): void {
    this.enableWaiting();
    const { source, ...rest } = adaptation;
    const text = source && Buffer.from(withoutFirstLine(source)).toString('latin1');
    this.#call('adapt', { ...rest, source: text });
  }

  /**
   * The script is loaded: does what its first request would do, and all garbage is collected. Throws `LuaError`.
   * @returns why the state cannot be copied, if it cannot
   */
  protected settle(handler: ByteString, role: RoleName, collect: (work: () => void) => void): Settled | WhyNoImage {
    this.#prepare(handler, role);
    if (!this.#call('settle')) return 'source';
    collect(() => this.#call('collect'));
    const { isolation, startMs } = this;
    return { handler, role, canWait: this.#canWait, isolation, clockMs: performance.now() - startMs };
  }

  /** The state has the memory of one that was settled so. Throws `LuaError`. @param isNew its clock goes on from there */
  protected adopt(settled: Settled, isNew: boolean): void {
    this.#handler = settled.handler;
    this.#role = settled.role;
    this.#canWait = settled.canWait;
    this.isolation = settled.isolation;
    if (isNew) this.startMs = performance.now() - settled.clockMs;
    this.#call('reseed', newSeed());
  }

  isolate(isolation: Isolation): void {
    if (this.request !== undefined) throw new LuafcgidError('LUAFCGID_ISOLATION_LATE');
    if (this.takeImage === undefined) throw new LuafcgidError('LUAFCGID_ISOLATION_ENGINE');
    this.isolation = isolation;
  }

  takeImage?(handler: ByteString, role?: RoleName): StateImage | WhyNoImage;

  hasFunction(name: ByteString, role?: RoleName): boolean {
    return this.#call('has', { name, role });
  }

  call(name: ByteString): void {
    this.#call('call', name);
  }

  serve(handler: ByteString, request: RequestHost, role: RoleName = 'RESPONDER'): ServeResult {
    this.#prepare(handler, role);
    return this.#execute('serve', request);
  }

  #prepare(handler: ByteString, role: RoleName): void {
    if (handler === this.#handler && role === this.#role) return;
    this.#call('handler', { name: handler, role });
    this.#handler = handler;
    this.#role = role;
  }

  resume(): ServeResult {
    return this.#execute('resume', this.#takeSuspended());
  }

  cancel(): ByteString {
    const traceback = this.suspendedTraceback();
    const request = this.#takeSuspended();
    this.#visit(() => {
      this.callEntry('cancel');
      this.#writeTop(request);
      this.#forget();
    });
    return traceback;
  }

  suspendedTraceback(): ByteString {
    return this.#visit(() => {
      this.callEntry('where');
      return trimTraceback(this.topMessage() ?? '');
    });
  }

  /** Runs the handler until it ends or waits. */
  #execute(entry: 'serve' | 'resume', request: RequestHost): ServeResult {
    this.#enter();
    this.request = request;
    try {
      const status = this.callEntry(entry);
      this.#mayBeStopped = false;
      if (status !== luaStatus.ok || this.#stop !== undefined) return this.#endBadly(status);
      if (this.topIsTrue() && this.topBytes() === undefined) {
        this.#suspended = request;
        this.clearStack();
        return suspended;
      }
      this.#writeTop(request);
      this.#leave();
      if (this.isOverLimit()) this.#collectOrFail();
      return finished;
    } catch (error) {
      throw this.#leaveAfter(error);
    } finally {
      if (this.#hookOfEnded !== undefined) this.restoreHook(this.#hookOfEnded);
      this.#hookOfEnded = undefined;
      this.request = undefined;
      this.#isVisited = false;
      this.leaveRunning();
    }
  }

  #takeSuspended(): RequestHost {
    const request = this.#suspended;
    if (request === undefined) throw new Error('no request is suspended');
    this.#suspended = undefined;
    return request;
  }

  /** The handler was left through an error or `os.exit`. */
  #endBadly(status: number): Finished {
    const stop = this.#stop;
    this.#endStop();
    // The script's own hook would run in what follows, and could end it.
    this.#hookOfEnded = this.readHook();
    this.restoreHook(noHook);
    const exit = typeof stop === 'object' && 'exitCode' in stop ? stop : undefined;
    const error = exit !== undefined ? undefined : stop === undefined ? this.#error(status) : this.#stopped(stop, '');
    if (error?.kind !== 'memory') {
      // The output so far belongs before what the error adds. An error of this matters only if the script had none.
      this.#reported = undefined;
      const abandoned = this.callEntry('abandon');
      if (abandoned !== luaStatus.ok) {
        if (error === undefined) throw this.#error(abandoned);
      } else if (this.request !== undefined) {
        try {
          this.#writeTop(this.request);
        } catch (writeError) {
          if (error === undefined) throw writeError;
        }
      }
    }
    if (error !== undefined) throw error;
    this.#forget();
    this.#leave();
    return exit ?? finished;
  }

  /** Hands over the output that an entry has left on the stack. */
  #writeTop(request: RequestHost): void {
    const output = this.topBytes();
    if (output === undefined) return;
    try {
      request.write(output);
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      throw new LuaError('runtime', toByteString(cause.message), '', cause);
    }
  }

  /** The state may have grown past its limit with what is garbage by now. */
  #collectOrFail(): void {
    this.callArgument = undefined;
    // Lua's own buffers shrink by half in each cycle.
    let before = Number.POSITIVE_INFINITY;
    while (this.isOverLimit() && this.memoryBytes() < before) {
      before = this.memoryBytes();
      this.callEntry('collect');
      this.clearStack();
    }
    if (this.isOverLimit()) throw new LuaError('memory', this.memoryMessage());
  }

  globals(): { values: Readonly<Record<string, LuaValue>>; functions: readonly string[] } {
    this.#call('globals');
    const { values, functions } = this.#globals;
    return {
      values: (Array.isArray(values) ? {} : values) as Readonly<Record<string, LuaValue>>,
      functions: functions as readonly string[],
    };
  }

  collectStep(): void {
    this.#call('collect', 'step');
  }

  close(): void {
    if (this.#condition === 'closed') return;
    if (this.#isVisited) throw new Error('the Lua state is at work');
    const isBroken = this.#condition === 'broken';
    this.#condition = 'closed';
    this.free(isBroken);
  }

  get isStopping(): boolean {
    return this.#stop !== undefined;
  }

  sourceLines(chunkName: ByteString, first: number, last: number): ByteString | undefined {
    const script = this.#script;
    this.#script = undefined; // the text may be long, and is needed once
    if (script?.chunkName !== chunkName || isBytecode(script.source)) return undefined;
    const lines = Buffer.from(script.source).toString('latin1').split('\n');
    return lines.slice(first - 1, last).join('\n');
  }

  noteError(message: ByteString, traceback: ByteString, frames: ByteString): void {
    this.#reported = { message, traceback, frames };
  }

  /** An error of a host function that is about to become a Lua error. */
  noteHostError(error: Error): void {
    this.#hostError = error;
  }

  /** The answer of the entry `globals`. */
  noteGlobals(values: LuaValue, functions: LuaValue): void {
    this.#globals = { values, functions };
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

  #endStop(): void {
    if (this.#stop === undefined) return;
    this.#stop = undefined;
    this.restoreHook(this.#scriptHook);
  }

  /** The error for code that was ended. @param where `os.exit` was called, if not in a request */
  #stopped(stop: Stop, where: string): LuaError {
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
  #call(entry: EntryName, argument?: LuaValue): boolean {
    return this.#visit(() => {
      this.callArgument = argument;
      const status = this.callEntry(entry);
      this.#mayBeStopped = false;
      if (this.#stop !== undefined) throw this.#stopped(this.#stop, 'outside of a request');
      if (status !== luaStatus.ok) throw this.#error(status);
      return this.topIsTrue();
    });
  }

  /** Runs `work` on this state and leaves it in order, whatever happened. */
  #visit<T>(work: () => T): T {
    this.#enter();
    try {
      const result = work();
      this.#leave();
      return result;
    } catch (error) {
      throw this.#leaveAfter(error);
    } finally {
      this.#isVisited = false;
      this.leaveRunning();
    }
  }

  /** Nothing may be asked of a state that was closed or broke, nor of one that is at work. */
  protected requireUsable(): void {
    if (this.#condition !== 'usable') throw new LuaError('fatal', `the Lua state is ${this.#condition}`);
  }

  #enter(): void {
    this.requireUsable();
    if (this.#isVisited) throw new Error('the Lua state is at work');
    this.#isVisited = true;
    this.#mayBeStopped = true;
    this.#reported = undefined;
    this.#hostError = undefined;
    this.enterRunning();
  }

  /** The end of every visit: the stack is empty, started lines are logged. */
  #leave(): void {
    this.clearStack();
    this.log.flush();
  }

  /** The same after an error. A broken machine is a fatal error. */
  #leaveAfter(error: unknown): unknown {
    let cause = error;
    if (cause instanceof LuaError) {
      try {
        this.#forget();
        this.#leave();
        return cause;
      } catch (another) {
        cause = another;
      }
    }
    this.#condition = 'broken';
    const fatal = this.describeFatal(cause);
    return fatal === undefined ? cause : new LuaError('fatal', `${fatal}; the Lua state cannot be used again`);
  }

  #forget(): void {
    this.#endStop();
    this.callEntry('forget');
  }

  /** The error that ended a call with this status. */
  #error(status: number): LuaError {
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
}
