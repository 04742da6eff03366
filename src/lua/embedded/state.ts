/** One Lua state of the embedded engine, behind the interface of `state.ts`. */

import type { RoleName } from '../../base/roles.js';
import { excerpt, MESSAGE_LIMIT_BYTES, TRACEBACK_LIMIT_BYTES } from '../crossing.js';
import { EngineState, type Settled } from '../engine-state.js';
import type { EntryName } from '../entries.js';
import { mebibytes } from '../lua-error.js';
import type { ByteString, StateImage, StateOptions, WhyNoImage } from '../state.js';
import type { Hook } from '../state-visits.js';
import { EngineAbort, isFatal } from './faults.js';
import { OpenFiles } from './libc/open-files.js';
import { collectorColour, isCollectorStopped } from './lua-memory.js';
import { luaGc, luaType, type Machine, REGISTRY_INDEX, type RunningMachine } from './machine.js';
import type { MachineFactory } from './machine-factory.js';
import type { MemoryImage } from './memory-image.js';

/** Which machine and state run now on this thread. */
export interface Running extends RunningMachine {
  state: EmbeddedState | undefined;
}

/** A state as its script's main chunk left it. */
export class EmbeddedImage implements StateImage {
  readonly memory: MemoryImage;
  readonly settled: Settled;
  readonly sizeBytes: number;

  constructor(memory: MemoryImage, copiedBytes: number, settled: Settled) {
    this.memory = memory;
    this.settled = settled;
    this.sizeBytes = copiedBytes;
  }
}

/** @throws when the image is another engine's */
export function ownImage(image: StateImage): EmbeddedImage {
  if (!(image instanceof EmbeddedImage)) throw new Error('the image belongs to another engine');
  return image;
}

const hookEveryInstruction = { mask: 8, count: 1 } as const;
/** How often the hook looks at interrupts: several thousand times a second. */
const INSTRUCTIONS_PER_LOOK = 10_000;
/** Where instructions take long, as those that join large strings do, it looks after fewer of them: so often, about. */
const SLOW_LOOK_MS = 10;
const QUICK_LOOK_MS = 1;

export class EmbeddedState extends EngineState {
  readonly machine: Machine;
  /** What it has open; undefined when it was granted none. */
  readonly files: OpenFiles | undefined;
  readonly #machines: MachineFactory;
  readonly #running: Running;
  /** Instructions to the next look. */
  #perLook = INSTRUCTIONS_PER_LOOK;
  #lookedMs = 0;
  /** What ran before this state did: one may serve while another waits. */
  #outerMachine: Machine | undefined;
  #outerState: EmbeddedState | undefined;

  constructor(machines: MachineFactory, running: Running, options: StateOptions) {
    super(options);
    this.#machines = machines;
    this.#running = running;
    this.files = options.files === undefined ? undefined : new OpenFiles(options.files);
    if (options.image !== undefined) {
      const { memory, settled } = ownImage(options.image);
      this.machine = machines.take(options.memoryBytes, memory);
      this.adopt(settled, true);
      return;
    }
    this.machine = machines.take(options.memoryBytes);
    if (options.interrupts !== undefined) this.rearm(this.machine.L);
    this.begin();
  }

  override takeImage(handler: ByteString, role: RoleName = 'RESPONDER'): StateImage | WhyNoImage {
    const settled = this.settle(handler, role, (collect) => this.#collectAll(collect));
    if (typeof settled === 'string') return settled;
    if (this.files?.isEmpty === false) return 'files';
    const { image, copiedBytes } = this.#machines.copy(this.machine);
    return new EmbeddedImage(image, copiedBytes, settled);
  }

  /**
   * Collects all garbage, and leaves the collector as the script has set it. The colour of all objects becomes that of the
   * booted Lua's, so that what the script has not changed is byte for byte as it was booted, and no part of the image.
   */
  #collectAll(collect: () => void): void {
    const { machine } = this;
    const wasStopped = isCollectorStopped(machine);
    for (let cycle = 0; cycle < 2; cycle += 1) {
      collect();
      if (collectorColour(machine.words, machine.L) === this.#machines.colour) break;
    }
    if (wasStopped) machine.x.lua_gc(machine.L, luaGc.stop, 0);
  }

  restore(image: StateImage): void {
    const { memory, settled } = ownImage(image);
    this.files?.closeAll();
    this.#machines.rewind(this.machine, memory);
    this.adopt(settled, false);
  }

  protected callEntry(entry: EntryName): number {
    const { x, L } = this.machine;
    const { entries } = this.#machines;
    x.lua_settop(L, 0);
    x.lua_rawgeti(L, REGISTRY_INDEX, entries.onerror);
    x.lua_rawgeti(L, REGISTRY_INDEX, entries[entry]);
    return x.lua_pcall(L, 0, 1, 1);
  }

  protected compile(source: Uint8Array, name: ByteString): number {
    const { x, L } = this.machine;
    x.lua_settop(L, 0);
    x.lua_rawgeti(L, REGISTRY_INDEX, this.#machines.entries.onerror);
    return this.machine.compile(L, source, Buffer.from(name, 'latin1'));
  }

  protected callCompiled(): number {
    return this.machine.x.lua_pcall(this.machine.L, 0, 1, 1);
  }

  protected keepReturned(): void {
    const { x, L } = this.machine;
    x.lua_rawgeti(L, REGISTRY_INDEX, this.#machines.entries.returned);
    x.lua_pushvalue(L, -2);
    x.lua_pcall(L, 1, 0, 1);
  }

  protected topIsTrue(): boolean {
    return this.machine.x.lua_toboolean(this.machine.L, -1) !== 0;
  }

  protected topBytes(): Uint8Array | undefined {
    const { machine } = this;
    return machine.x.lua_type(machine.L, -1) === luaType.string ? machine.bytes(machine.L, -1) : undefined;
  }

  protected topMessage(): ByteString | undefined {
    const { machine } = this;
    if (machine.x.lua_type(machine.L, -1) !== luaType.string) return undefined;
    return excerpt(machine.string(machine.L, -1), MESSAGE_LIMIT_BYTES);
  }

  protected clearStack(): void {
    this.machine.x.lua_settop(this.machine.L, 0);
    if (this.files?.hasWriters) this.#flushFiles();
  }

  /** What a script has written and not closed is stored at the end of each visit: nobody else would do it in time. */
  #flushFiles(): void {
    if (this.machine.x.fflush(0) === 0) return;
    this.options.host.log('error', 'what the script wrote to a file that it left open could not be stored');
  }

  protected enterRunning(): void {
    const running = this.#running;
    this.#outerMachine = running.machine;
    this.#outerState = running.state;
    running.machine = this.machine;
    running.state = this;
    this.#lookedMs = performance.now();
  }

  protected leaveRunning(): void {
    this.#running.machine = this.#outerMachine as Machine;
    this.#running.state = this.#outerState;
    this.#outerMachine = undefined;
    this.#outerState = undefined;
  }

  protected readHook(): Hook {
    const { x, L } = this.machine;
    return [x.lua_gethook(L), x.lua_gethookmask(L), x.lua_gethookcount(L)];
  }

  protected setStopHook(thread: number | undefined): void {
    const { x, L } = this.machine;
    x.lua_sethook(thread ?? L, this.#machines.exitHook, hookEveryInstruction.mask, hookEveryInstruction.count);
  }

  protected restoreHook(hook: Hook): void {
    this.machine.x.lua_sethook(this.machine.L, ...hook);
  }

  /** Lets the hook look at interrupts again, unless the thread has another one. */
  rearm(thread: number): void {
    if (this.machine.x.lua_gethook(thread) === 0) this.#watch(thread);
  }

  #watch(thread: number): void {
    const { x } = this.machine;
    x.lua_sethook(thread, this.#machines.interruptHook, hookEveryInstruction.mask, this.#perLook);
  }

  override lookAtInterrupts(thread: number): void {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    const before = this.#perLook;
    if (tookMs > SLOW_LOOK_MS) this.#perLook = Math.max(1, Math.floor((before * SLOW_LOOK_MS) / tookMs / 2));
    else if (tookMs < QUICK_LOOK_MS) this.#perLook = Math.min(INSTRUCTIONS_PER_LOOK, before * 2);
    // A hook that the script has set just now stays.
    const isWatched = this.machine.x.lua_gethook(thread) === this.#machines.interruptHook;
    if (this.#perLook !== before && isWatched) this.#watch(thread);
    super.lookAtInterrupts(thread);
  }

  readonly hookTarget = undefined;

  protected readTraceback(thread: number): ByteString {
    const { x } = this.machine;
    x.lua_rawgeti(thread, REGISTRY_INDEX, this.#machines.entries.traceback);
    const isText = x.lua_pcall(thread, 0, 1, 0) === 0 && x.lua_type(thread, -1) === luaType.string;
    const text = isText ? excerpt(this.machine.string(thread, -1), TRACEBACK_LIMIT_BYTES) : '';
    x.lua_settop(thread, -2);
    return text;
  }

  protected describeFatal(error: unknown): string | undefined {
    if (!isFatal(error)) return undefined;
    if (error instanceof RangeError) {
      return 'the native stack is exhausted, as by a pattern that backtracks too deeply';
    }
    const { message } = error as Error;
    return error instanceof EngineAbort ? message : `the virtual machine trapped: ${message}`;
  }

  protected memoryMessage(): string {
    const place = this.machine.refusedAt === '' ? '' : ` (${this.machine.refusedAt})`;
    return `not enough memory: the state may have ${mebibytes(this.options.memoryBytes)}${place}`;
  }

  protected isOverLimit(): boolean {
    return false; // the machine does not grow past it
  }

  memoryBytes(): number {
    return this.machine.memoryBytes;
  }

  deferredPart(name: ByteString): Uint8Array | undefined {
    return this.#machines.deferredPart(name);
  }

  protected free(isBroken: boolean): void {
    this.files?.closeAll();
    if (!isBroken) this.#machines.release(this.machine);
  }
}
