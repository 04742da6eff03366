/**
 * What a Lua state does, whichever engine runs it: it runs its script, serves requests, and tells what it has. The engines
 * add how their Lua is called.
 */

import { randomInt } from 'node:crypto';
import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import type { RoleName } from '../base/roles.js';
import { LuaError } from './lua-error.js';
import { luaStatus } from './lua-status.js';
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
  Suspended,
  WhyNoImage,
} from './state.js';
import { finished, StateVisits } from './state-visits.js';
import { trimTraceback } from './traceback.js';

/**
 * A script whose source has one of these words runs its handler so that it can wait from the first request on. Others can
 * once they have required such a module.
 */
const waitingModules = ['luafcgid', 'luasql', 'lsqlite3'];

function includesAny(source: Uint8Array, words: readonly string[]): boolean {
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.length);
  return words.some((word) => bytes.includes(word));
}

/** States are made alike: without a seed of its own every state would draw the same random numbers. */
function newSeed(): number {
  return randomInt(0x7fffffff);
}

const suspended: Suspended = { outcome: 'suspended' };

/** What a state is besides its memory, once its script is loaded. */
export interface Settled {
  readonly handler: ByteString;
  readonly role: RoleName;
  readonly canWait: boolean;
  readonly isolation: Isolation | undefined;
  readonly clockMs: number;
}

export abstract class EngineState extends StateVisits implements LuaState {
  startMs = performance.now();
  isolation: Isolation | undefined;
  /** The handler that Lua knows, and its role. */
  #handler: ByteString | undefined;
  #role: RoleName | undefined;
  #canWait = false;
  /** The request whose handler waits. */
  #suspended: RequestHost | undefined;
  /** The chunk that was run last, until somebody asks for its lines. */
  #script: { readonly chunkName: ByteString; readonly source: Uint8Array } | undefined;
  #globals: { values: LuaValue; functions: LuaValue } = { values: {}, functions: [] };

  /** The last step of making a state: Lua learns about its surroundings. Throws `LuaError`. */
  protected begin(): void {
    const { directory } = this.options;
    const path = [`${directory}/?.lua`, `${directory}/?/init.lua`, ...this.options.path].join(';');
    this.invoke('init', {
      directory,
      path,
      seed: newSeed(),
      memory_bytes: this.options.memoryBytes,
      has_files: this.options.files !== undefined,
      allows_bytecode: this.options.allowsBytecode === true,
      shows_locals: this.options.showsLocals === true,
    });
  }

  /** Pushes `onerror` and a compiled chunk, or an error message. Never raises. */
  protected abstract compile(source: Uint8Array, name: ByteString): number;
  /** Calls what `compile` pushed; leaves its first result on the stack. */
  protected abstract callCompiled(): number;
  /** Hands the value on top of the stack to the entry `returned`. */
  protected abstract keepReturned(): void;
  /** The string on top of the stack, valid until Lua runs on; nothing when it is no string. */
  protected abstract topBytes(): Uint8Array | undefined;
  abstract readonly hookTarget: HookTarget | undefined;
  /** Whether the state holds more than it may; asked between two visits. */
  protected abstract isOverLimit(): boolean;
  abstract memoryBytes(): number;

  run(chunk: Uint8Array, chunkName: ByteString): void {
    const source = withoutFirstLine(chunk);
    this.#script = { chunkName, source };
    if (isBytecode(source) && !this.options.allowsBytecode) {
      throw new LuaError('syntax', `${chunkName.replace(/^[@=]/, '')}: ${bytecodeRefusal}`);
    }
    if (includesAny(source, waitingModules)) this.enableWaiting();
    this.visit(() => {
      const compiled = this.compile(source, chunkName);
      if (compiled !== luaStatus.ok) throw this.errorOf(compiled);
      const status = this.callCompiled();
      const stop = this.stopAfterCall();
      if (stop !== undefined) throw this.stopped(stop, 'at its top level');
      if (status !== luaStatus.ok) throw this.errorOf(status);
      this.keepReturned();
    });
  }

  enableWaiting(): void {
    if (this.#canWait) return;
    this.#canWait = true;
    this.invoke('can_wait');
  }

  adapt(adaptation: Adaptation): void {
    this.enableWaiting();
    const { source, ...rest } = adaptation;
    const text = source && Buffer.from(withoutFirstLine(source)).toString('latin1');
    this.invoke('adapt', { ...rest, source: text });
  }

  /**
   * The script is loaded: does what its first request would do, and all garbage is collected. Throws `LuaError`.
   * @returns why the state cannot be copied, if it cannot
   */
  protected settle(handler: ByteString, role: RoleName, collect: (work: () => void) => void): Settled | WhyNoImage {
    this.#prepare(handler, role);
    if (!this.invoke('settle')) return 'source';
    collect(() => this.invoke('collect'));
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
    this.invoke('reseed', newSeed());
  }

  isolate(isolation: Isolation): void {
    if (this.request !== undefined) throw new LuafcgidError('LUAFCGID_ISOLATION_LATE');
    if (this.takeImage === undefined) throw new LuafcgidError('LUAFCGID_ISOLATION_ENGINE');
    this.isolation = isolation;
  }

  takeImage?(handler: ByteString, role?: RoleName): StateImage | WhyNoImage;

  hasFunction(name: ByteString, role?: RoleName): boolean {
    return this.invoke('has', { name, role });
  }

  call(name: ByteString): void {
    this.invoke('call', name);
  }

  serve(handler: ByteString, request: RequestHost, role: RoleName = 'RESPONDER'): ServeResult {
    this.#prepare(handler, role);
    return this.#execute('serve', request);
  }

  #prepare(handler: ByteString, role: RoleName): void {
    if (handler === this.#handler && role === this.#role) return;
    this.invoke('handler', { name: handler, role });
    this.#handler = handler;
    this.#role = role;
  }

  resume(): ServeResult {
    return this.#execute('resume', this.#takeSuspended());
  }

  cancel(): ByteString {
    const traceback = this.suspendedTraceback();
    const request = this.#takeSuspended();
    this.visit(() => {
      this.callEntry('cancel');
      this.#writeTop(request);
      this.forget();
    });
    return traceback;
  }

  suspendedTraceback(): ByteString {
    return this.visit(() => {
      this.callEntry('where');
      return trimTraceback(this.topMessage() ?? '');
    });
  }

  /** Runs the handler until it ends or waits. */
  #execute(entry: 'serve' | 'resume', request: RequestHost): ServeResult {
    this.enter();
    this.request = request;
    try {
      const status = this.callEntry(entry);
      if (this.stopAfterCall() !== undefined || status !== luaStatus.ok) return this.#endBadly(status);
      if (this.topIsTrue() && this.topBytes() === undefined) {
        this.#suspended = request;
        this.clearStack();
        return suspended;
      }
      this.#writeTop(request);
      this.leave();
      if (this.isOverLimit()) this.#collectOrFail();
      return finished;
    } catch (error) {
      throw this.leaveAfter(error);
    } finally {
      this.request = undefined;
      this.exit();
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
    const stop = this.beginTidying();
    const exit = typeof stop === 'object' && 'exitCode' in stop ? stop : undefined;
    const error = exit !== undefined ? undefined : stop === undefined ? this.errorOf(status) : this.stopped(stop, '');
    if (error?.kind !== 'memory') {
      // The output so far belongs before what the error adds. An error of this matters only if the script had none.
      this.forgetReport();
      const abandoned = this.callEntry('abandon');
      if (abandoned !== luaStatus.ok) {
        if (error === undefined) throw this.errorOf(abandoned);
      } else if (this.request !== undefined) {
        try {
          this.#writeTop(this.request);
        } catch (writeError) {
          if (error === undefined) throw writeError;
        }
      }
    }
    if (error !== undefined) throw error;
    this.forget();
    this.leave();
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
    this.invoke('globals');
    const { values, functions } = this.#globals;
    return {
      values: (Array.isArray(values) ? {} : values) as Readonly<Record<string, LuaValue>>,
      functions: functions as readonly string[],
    };
  }

  collectStep(): void {
    this.invoke('collect', 'step');
  }

  sourceLines(chunkName: ByteString, first: number, last: number): ByteString | undefined {
    const script = this.#script;
    this.#script = undefined; // the text may be long, and is needed once
    if (script?.chunkName !== chunkName || isBytecode(script.source)) return undefined;
    const lines = Buffer.from(script.source).toString('latin1').split('\n');
    return lines.slice(first - 1, last).join('\n');
  }

  /** The answer of the entry `globals`. */
  noteGlobals(values: LuaValue, functions: LuaValue): void {
    this.#globals = { values, functions };
  }
}
