/** One state of a native Lua library, behind the interface of `state.ts`. */

import { excerpt, MESSAGE_LIMIT_BYTES, TRACEBACK_LIMIT_BYTES } from '../crossing.js';
import { EngineState } from '../engine-state.js';
import { type EntryName, entryNames } from '../entries.js';
import { mebibytes } from '../lua-error.js';
import type { ByteString, HookTarget, StateOptions } from '../state.js';
import type { Hook } from '../state-visits.js';
import { TRACEBACK_SLOT } from './boot.js';
import type { CStack } from './c-stack.js';
import type { HostGate } from './gate.js';
import type { JsonChunk } from './json-chunk.js';
import type { NativeLibrary } from './library.js';
import type { GrowingMemory } from './memory.js';

/** What the states of one engine share. */
export interface NativeParts {
  readonly library: NativeLibrary;
  readonly gate: HostGate;
  readonly running: { state: NativeState | undefined };
  /** For sources on their way to Lua. */
  readonly source: GrowingMemory;
  /** Address of a hook that raises an error: `luaL_error` itself. */
  readonly stopHook: number;
  /** Address of a hook that calls `lookAtMemory`. */
  readonly memoryHook: number;
  /** Address of a hook that calls `beInterrupted`. */
  readonly interruptHook: number;
  readonly cStack: CStack;
  /** Makes a folder the working directory; undefined where all threads share one. */
  readonly enterDirectory: ((directory: ByteString) => void) | undefined;
  boot(): number;
  deferredPart(name: ByteString): Uint8Array | undefined;
  readonly jsonChunk: JsonChunk | undefined;
}

const everyInstruction = { mask: 8, count: 1 } as const;
/** How often a coroutine looks at interrupts: several thousand times a second. */
const INSTRUCTIONS_PER_LOOK = 10_000;

/** Where the entries lie on the stack: at its bottom, out of every script's reach. */
const slots = Object.fromEntries(entryNames.map((name, at) => [name, at + 1])) as Record<EntryName, number>;

export class NativeState extends EngineState {
  readonly #parts: NativeParts;
  readonly #library: NativeLibrary;
  readonly #L: number;
  #outer: NativeState | undefined;
  /** The hook that a thread had before it got the one that looks at the memory. */
  #looking: { readonly thread: number; readonly hook: Hook } | undefined;

  constructor(parts: NativeParts, options: StateOptions) {
    super(options);
    this.#parts = parts;
    this.#library = parts.library;
    this.#L = parts.boot();
    try {
      this.begin();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  protected callEntry(entry: EntryName): number {
    this.#library.pushValue(this.#L, slots[entry]);
    return this.#library.pcall(this.#L, 0, 1, slots.onerror);
  }

  protected compile(source: Uint8Array, name: ByteString): number {
    const { source: memory } = this.#parts;
    memory.reserve(source.length + name.length + 1);
    memory.bytes.set(source);
    memory.bytes.write(`${name}\0`, source.length, 'latin1');
    const { address } = memory;
    return this.#library.loadBuffer(this.#L, address, source.length, address + source.length);
  }

  protected callCompiled(): number {
    return this.#library.pcall(this.#L, 0, 1, slots.onerror);
  }

  protected keepReturned(): void {
    this.#library.pushValue(this.#L, slots.returned);
    this.#library.pushValue(this.#L, -2);
    this.#library.pcall(this.#L, 1, 0, slots.onerror);
  }

  protected topIsTrue(): boolean {
    return this.#library.toBoolean(this.#L, -1) !== 0;
  }

  protected topBytes(): Uint8Array | undefined {
    return this.#parts.gate.readTop(this.#L);
  }

  protected topMessage(): ByteString | undefined {
    const string = this.#parts.gate.topString(this.#L);
    return string && excerpt(string, MESSAGE_LIMIT_BYTES);
  }

  protected clearStack(): void {
    this.#library.setTop(this.#L, entryNames.length);
  }

  protected enterRunning(): void {
    const { running } = this.#parts;
    this.#outer = running.state;
    running.state = this;
    this.#parts.enterDirectory?.(this.options.directory);
    // The stop came before it was known where the request would run: nobody has set a hook.
    if (this.options.interrupts?.isStopWanted === true) {
      this.#library.setHook(this.#L, this.#parts.interruptHook, everyInstruction.mask, everyInstruction.count);
    }
  }

  protected leaveRunning(): void {
    this.#parts.running.state = this.#outer;
    this.#outer = undefined;
  }

  protected readHook(): Hook {
    return this.#hookOf(this.#L);
  }

  #hookOf(thread: number): Hook {
    const library = this.#library;
    return [library.getHook(thread), library.getHookMask(thread), library.getHookCount(thread)];
  }

  protected setStopHook(thread: number | undefined): void {
    this.#library.setHook(thread ?? this.#L, this.#parts.stopHook, everyInstruction.mask, everyInstruction.count);
  }

  protected restoreHook(hook: Hook): void {
    this.#library.setHook(this.#L, ...hook);
  }

  /** Host functions: inside of a finalizer Lua 5.4 cannot tell what it holds, so a hook looks right after it. */
  lookAtMemorySoon(): void {
    const thread = this.callingThread;
    // What is being stopped raises errors, whose texts are made by Lua's allocator: finalizers run then, too.
    if (this.isStopping || this.#library.getHook(thread) === this.#parts.memoryHook) return;
    this.#looking = { thread, hook: this.#hookOf(thread) };
    this.#library.setHook(thread, this.#parts.memoryHook, everyInstruction.mask, everyInstruction.count);
  }

  /** The hook of `lookAtMemorySoon`. */
  lookAtMemory(thread: number): void {
    const hook: Hook = this.#looking?.thread === thread ? this.#looking.hook : [0, 0, 0];
    this.#looking = undefined;
    this.#library.setHook(thread, ...hook);
    // The hook for these was in its place, and has begun to count anew.
    this.lookAtInterrupts(thread);
    if (!this.isOverLimit()) return;
    this.callingThread = thread;
    this.stopForMemory();
  }

  get hasRoom(): boolean {
    return this.#parts.cStack.hasRoom;
  }

  get hookTarget(): HookTarget {
    return { state: this.#L, hook: this.#parts.interruptHook };
  }

  /** The interrupts' hook. In the main Lua thread somebody has set it from outside, for this once. */
  beInterrupted(thread: number): void {
    if (thread === this.#L) this.#library.setHook(thread, 0, 0, 0);
    this.lookAtInterrupts(thread);
  }

  /** Lua 5.1 and 5.4: from outside only the main thread can be reached, so a coroutine looks by itself. */
  watch(thread: number): void {
    if (thread === 0 || this.options.interrupts === undefined) return;
    this.#library.setHook(thread, this.#parts.interruptHook, everyInstruction.mask, INSTRUCTIONS_PER_LOOK);
  }

  protected readTraceback(thread: number): ByteString {
    const library = this.#library;
    library.rawGetI(thread, library.kind.registryIndex, TRACEBACK_SLOT);
    const string = library.pcall(thread, 0, 1, 0) === 0 ? this.#parts.gate.topString(thread) : undefined;
    const text = string === undefined ? '' : excerpt(string, TRACEBACK_LIMIT_BYTES);
    library.setTop(thread, -2);
    return text;
  }

  protected describeFatal(): undefined {
    return undefined; // native code does not throw
  }

  protected memoryMessage(): string {
    return `not enough memory: the state may have ${mebibytes(this.options.memoryBytes)}`;
  }

  protected isOverLimit(): boolean {
    return this.#library.usedKib(this.#L) * 1024 > this.options.memoryBytes;
  }

  memoryBytes(): number {
    this.requireUsable();
    return this.#library.usedKib(this.#L) * 1024;
  }

  get jsonChunk(): JsonChunk | undefined {
    return this.#parts.jsonChunk;
  }

  deferredPart(name: ByteString): Uint8Array | undefined {
    return this.#parts.deferredPart(name);
  }

  protected free(): void {
    const { running, library } = this.#parts;
    const outer = running.state;
    // Finalizers that run now find no host.
    running.state = undefined;
    try {
      library.close(this.#L);
    } finally {
      running.state = outer;
    }
  }
}
