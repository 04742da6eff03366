/** One Lua state of the embedded engine, behind the interface of `state.ts`. */

import { randomInt } from 'node:crypto';
import { toByteString } from '../byte-string.js';
import type { EntryName } from './entries.js';
import { isFatal } from './host-functions.js';
import { EngineAbort, type RunningMachine } from './libc.js';
import { LuaError, type LuaErrorKind } from './lua-error.js';
import { luaStatus, luaType, type Machine, registryIndex } from './machine.js';
import type { MachineFactory } from './machine-factory.js';
import { ScriptLog } from './script-log.js';
import { bytecodeRefusal, isBytecode, withoutFirstLine } from './source-text.js';
import type { ByteString, CallResult, LuaState, LuaValue, RequestHost, StateOptions } from './state.js';
import { trimTraceback } from './traceback.js';

/** Which machine and state run now on this thread. */
export interface Running extends RunningMachine {
  state: EmbeddedState | undefined;
}

const hookEveryInstruction = { mask: 8, count: 1 } as const;

const errorKinds: Readonly<Record<number, LuaErrorKind>> = {
  [luaStatus.runtime]: 'runtime',
  [luaStatus.syntax]: 'syntax',
  [luaStatus.memory]: 'memory',
  [luaStatus.handler]: 'runtime',
};

export class EmbeddedState implements LuaState {
  readonly machine: Machine;
  readonly options: StateOptions;
  readonly log: ScriptLog;
  readonly startMs = performance.now();
  readonly #machines: MachineFactory;
  readonly #running: Running;
  /** The request that is being answered. */
  request: RequestHost | undefined;
  /** What the Lua function being called was given. */
  callArguments: readonly ByteString[] = [];
  #condition: 'usable' | 'broken' | 'closed' = 'usable';
  #reported: { readonly message: ByteString; readonly traceback: ByteString } | undefined;
  #hostError: Error | undefined;
  #exitCode: number | undefined;
  #scriptHook: readonly [hook: number, mask: number, count: number] = [0, 0, 0];
  #globals: { values: LuaValue; functions: LuaValue } = { values: {}, functions: [] };

  constructor(machines: MachineFactory, running: Running, options: StateOptions) {
    this.#machines = machines;
    this.#running = running;
    this.options = options;
    this.log = new ScriptLog(options.host);
    this.machine = machines.take(options.memoryBytes);
    const { directory } = options;
    const path = [`${directory}/?.lua`, `${directory}/?/init.lua`, ...options.path].join(';');
    // A machine is a copy of another: without a seed of its own every state would draw the same random numbers.
    this.#call('init', directory, path, String(randomInt(0x7fffffff)));
  }

  run(chunk: Uint8Array, chunkName: string): void {
    const source = withoutFirstLine(chunk);
    const name = Buffer.from(chunkName, 'latin1');
    if (isBytecode(source)) {
      throw new LuaError('syntax', `${name.toString('latin1').replace(/^[@=]/, '')}: ${bytecodeRefusal}`);
    }
    const { x, L } = this.machine;
    this.#enter((): void => {
      x.lua_rawgeti(L, registryIndex, this.#machines.entries.onerror);
      const compiled = this.machine.compile(L, source, name);
      if (compiled !== luaStatus.ok) throw this.#error(compiled);
      const status = x.lua_pcall(L, 0, 0, 1);
      if (this.#exitCode !== undefined) throw this.#exitOutsideRequest('at its top level');
      if (status !== luaStatus.ok) throw this.#error(status);
    });
  }

  hasFunction(name: ByteString): boolean {
    return this.#call('has', name);
  }

  call(name: ByteString): void {
    this.#call('call', name);
  }

  serve(handler: ByteString, request: RequestHost): CallResult {
    this.request = request;
    try {
      return this.#enter(() => {
        const status = this.#protectedCall('serve', [handler]);
        const exitCode = this.#exitCode;
        this.#endExit();
        const ended = status === luaStatus.ok || exitCode !== undefined;
        const error = ended ? undefined : this.#error(status);
        if (status !== luaStatus.ok && status !== luaStatus.memory) {
          // The output so far belongs before what the error adds. An error of this matters only if the script had none.
          this.#reported = undefined;
          const abandoned = this.#protectedCall('abandon', []);
          if (ended && abandoned !== luaStatus.ok) throw this.#error(abandoned);
        }
        if (error !== undefined) throw error;
        return { exitCode: exitCode ?? 0 };
      });
    } finally {
      this.request = undefined;
    }
  }

  globals(): { values: Readonly<Record<string, LuaValue>>; functions: readonly string[] } {
    this.#call('globals');
    const { values, functions } = this.#globals;
    return {
      values: (Array.isArray(values) ? {} : values) as Readonly<Record<string, LuaValue>>,
      functions: functions as readonly string[],
    };
  }

  memoryBytes(): number {
    return this.machine.memoryBytes;
  }

  collectStep(): void {
    this.#call('collect');
  }

  close(): void {
    if (this.#condition === 'closed') return;
    if (this.#condition === 'usable') this.#machines.release(this.machine);
    this.#condition = 'closed';
  }

  /** Host functions: an error text and its Lua stack. */
  noteError(message: ByteString, traceback: ByteString): void {
    this.#reported = { message, traceback };
  }

  /** Host functions: an error that is about to become a Lua error. */
  noteHostError(error: Error): void {
    this.#hostError = error;
  }

  /** Host functions: the answer of the entry `globals`. */
  noteGlobals(values: LuaValue, functions: LuaValue): void {
    this.#globals = { values, functions };
  }

  /**
   * Host functions: `os.exit`. From here on a hook raises an error at every instruction of this thread and of the main one,
   * until the call of the engine is over. (Threads between the two get their hooks as the error reaches them.)
   */
  beginExit(L: number, code: number | undefined): void {
    const { x, L: mainThread } = this.machine;
    if (this.#exitCode === undefined) {
      this.#scriptHook = [x.lua_gethook(mainThread), x.lua_gethookmask(mainThread), x.lua_gethookcount(mainThread)];
    }
    this.#exitCode ??= code ?? 0;
    for (const thread of [L, mainThread]) {
      x.lua_sethook(thread, this.#machines.exitHook, hookEveryInstruction.mask, hookEveryInstruction.count);
    }
  }

  #endExit(): void {
    if (this.#exitCode === undefined) return;
    this.#exitCode = undefined;
    const { x, L } = this.machine;
    x.lua_sethook(L, ...this.#scriptHook);
  }

  #exitOutsideRequest(where: string): LuaError {
    const code = this.#exitCode;
    return new LuaError('runtime', `the script called os.exit(${code}) ${where}; only a request can be ended that way`);
  }

  /** Calls one of the engine's Lua functions and throws its error. Gives whether its result is true. */
  #call(entry: EntryName, ...args: readonly ByteString[]): boolean {
    return this.#enter(() => {
      const status = this.#protectedCall(entry, args);
      if (this.#exitCode !== undefined) throw this.#exitOutsideRequest('outside of a request');
      if (status !== luaStatus.ok) throw this.#error(status);
      return this.machine.x.lua_toboolean(this.machine.L, -1) !== 0;
    });
  }

  #protectedCall(entry: EntryName, args: readonly ByteString[]): number {
    const { x, L } = this.machine;
    const { entries } = this.#machines;
    this.callArguments = args;
    x.lua_settop(L, 0);
    x.lua_rawgeti(L, registryIndex, entries.onerror);
    x.lua_rawgeti(L, registryIndex, entries[entry]);
    return x.lua_pcall(L, 0, 1, 1);
  }

  /** Runs `work` on this state's machine and leaves it in order, whatever happened. A broken machine is a fatal error. */
  #enter<T>(work: () => T): T {
    if (this.#condition !== 'usable') throw new LuaError('fatal', `the Lua state is ${this.#condition}`);
    const running = this.#running;
    const outer = { ...running };
    running.machine = this.machine;
    running.state = this;
    this.#reported = undefined;
    this.#hostError = undefined;
    try {
      let result: T;
      try {
        result = work();
      } catch (error) {
        if (error instanceof LuaError) this.#leave();
        throw error;
      }
      this.#leave();
      return result;
    } catch (error) {
      if (error instanceof LuaError) throw error;
      this.#condition = 'broken';
      throw isFatal(error) ? this.#fatal(error as Error) : error;
    } finally {
      running.machine = outer.machine;
      running.state = outer.state;
    }
  }

  /** The end of every visit: the request is forgotten, the stack is empty, started lines are logged. */
  #leave(): void {
    const mustForget = this.request !== undefined || this.#exitCode !== undefined;
    this.#endExit();
    if (mustForget) this.#protectedCall('forget', []);
    this.machine.x.lua_settop(this.machine.L, 0);
    this.log.flush();
  }

  #fatal(error: Error): LuaError {
    const what =
      error instanceof RangeError
        ? 'the native stack is exhausted, as by a pattern that backtracks too deeply'
        : error instanceof EngineAbort
          ? error.message
          : `the virtual machine trapped: ${error.message}`;
    return new LuaError('fatal', `${what}; the Lua state cannot be used again`);
  }

  /** The error that ended a call with this status. */
  #error(status: number): LuaError {
    const kind = errorKinds[status] ?? 'fatal';
    if (kind === 'memory') {
      return new LuaError('memory', `not enough memory (the state may have ${this.options.memoryBytes} bytes)`);
    }
    const { machine } = this;
    const reported = this.#reported;
    const message =
      reported?.message ??
      (machine.x.lua_type(machine.L, -1) === luaType.string ? machine.text(machine.L, -1) : 'error in error handling');
    // Where a memory error came out of a coroutine, Lua raises its text again as an ordinary error.
    const isMemory = kind === 'runtime' && message.endsWith('not enough memory');
    const hostError = this.#hostError;
    const isHostError = hostError !== undefined && message.endsWith(toByteString(hostError.message));
    return new LuaError(
      isMemory ? 'memory' : kind,
      message,
      trimTraceback(reported?.traceback ?? ''),
      isHostError ? hostError : undefined,
    );
  }
}
