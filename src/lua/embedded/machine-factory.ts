/** Makes machines with a booted Lua: one is booted for all threads, all others are copies of its memory. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { LuafcgidError } from '../../base/errors.js';
import { excerpt, MESSAGE_LIMIT_BYTES } from '../crossing.js';
import { type Entries, type EntryName, entryNames } from '../entries.js';
import { LuaError } from '../lua-error.js';
import { luaStatus } from '../lua-status.js';
import { deferredModules, deferredParts, type LuaPart, loadedParts, luaFile, standIns } from '../runtime/manifest.js';
import type { ByteString } from '../state.js';
import { ownChunkName } from '../traceback.js';
import { clearFreeMemory } from './heap.js';
import type { LuaCFunction, LuaHook } from './host-trampoline.js';
import { asWasmFunctions } from './host-trampoline.js';
import { collectorColour } from './lua-memory.js';
import { type LuaExports, luaGc, Machine, REGISTRY_INDEX } from './machine.js';
import { clearStack, copyChanges, copyMemory, type ImageParts, MemoryImage, type StackPlace } from './memory-image.js';
import { pushValue } from './values.js';
import { type HostedFunction, hostedFunctionNames } from './wasm/wide-numbers.js';

/**
 * C stack of each machine. Lua stops at 200 nested C calls, and the largest frame that can nest, of `string.gsub`, is under
 * 1.5 KB: the 4 MiB that the file reserves would only make every machine larger.
 */
export const STACK_BYTES = 512 * 1024;

/**
 * Closed machines up to this size are used again, up to this number and as long as all together take no more than this:
 * cheaper than new instances, whose pages the system has to provide one by one, and no garbage.
 */
const LARGEST_SPARE_BYTES = 16 << 20;
const MOST_SPARES = 16;
const ALL_SPARES_BYTES = 32 << 20;

/** Enough for booting; each state then has its own limit. */
const BOOT_MEMORY_BYTES = 64 << 20;

/** What a factory builds machines from. */
export interface MachineParts {
  readonly module: WebAssembly.Module;
  readonly imports: WebAssembly.Imports;
  /** Takes part in functions of Lua's library. */
  readonly hostedFunctions: Readonly<Record<HostedFunction, LuaCFunction>>;
  /** Host functions, by name. */
  readonly hostFunctions: Readonly<Record<string, LuaCFunction>>;
  readonly exitHook: LuaHook;
  /** Called every so often where interrupts are looked for. */
  readonly interruptHook: LuaHook;
  /** What scripts see as the server's version. */
  readonly version: string;
  /** Told which machine runs before one does. */
  use(machine: Machine): void;
  /** What another factory of the same module and version has booted; left out: this one boots. */
  readonly booted?: BootedLua | undefined;
}

/** A booted Lua, the same for all threads: booting takes longer than all else that an engine does at start. */
export interface BootedLua {
  readonly image: ImageParts;
  /** Of all that the images of scripts rely on: addresses of data, and the numbers of functions. */
  readonly digest: string;
  /** Addresses in it. */
  readonly L: number;
  readonly scratch: number;
  readonly stackTop: number;
  /** Where the C library keeps the end of its heap, beyond which nothing of the memory was ever used. */
  readonly heapEndAt: number;
  /** That of its collector between two cycles. */
  readonly colour: number;
  /** Where the hosted functions begin in every function table; the host functions follow, and then the hooks. */
  readonly firstFunction: number;
  /** References to the functions of the part `prelude`. */
  readonly entries: Entries;
  /** The precompiled chunks of the deferred parts, by name. */
  readonly chunks: Readonly<Record<string, Uint8Array>>;
}

function unusable(detail: string): LuafcgidError {
  return new LuafcgidError('LUAFCGID_LUA_ENGINE', { detail });
}

export class MachineFactory {
  readonly #parts: MachineParts;
  /** The host functions and the hooks, as a function table takes them. */
  readonly #functions: readonly unknown[];
  /** What all machines are copies of; can be cloned between threads. */
  readonly booted: BootedLua;
  readonly #image: MemoryImage;
  readonly #spares: Machine[] = [];
  #spareBytes = 0;
  /** The hooks' entries in every function table. */
  readonly exitHook: number;
  readonly interruptHook: number;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    const hosted = hostedFunctionNames.map((name) => parts.hostedFunctions[name]);
    const functions = [...hosted, ...Object.values(parts.hostFunctions)];
    this.#functions = asWasmFunctions(functions, [parts.exitHook, parts.interruptHook]);
    this.booted = parts.booted ?? this.#boot();
    this.exitHook = this.booted.firstFunction + functions.length;
    this.interruptHook = this.exitHook + 1;
    this.#image = new MemoryImage(this.booted.image);
  }

  /** References to the functions of the part `prelude`, the same in every machine. */
  get entries(): Entries {
    return this.booted.entries;
  }

  /** The colour of the booted Lua's objects. */
  get colour(): number {
    return this.booted.colour;
  }

  /** A machine with nothing but Lua and its library. */
  #start(): { machine: Machine; firstFunction: number; stackTop: number; heapEndAt: number } {
    const { machine, firstFunction } = this.#instantiate();
    this.#parts.use(machine);
    const { stackTop, heapEndAt } = moveStack(machine);
    machine.x.__wasm_call_ctors();
    machine.allocateScratch();
    machine.L = machine.x.luaL_newstate();
    if (machine.L === 0) throw unusable('luaL_newstate failed');
    machine.x.luaL_openlibs(machine.L);
    return { machine, firstFunction, stackTop, heapEndAt };
  }

  #boot(): BootedLua {
    // In a machine of their own, so that they leave nothing in the image. The parts do not let string.dump at their code.
    const { machine: compiler } = this.#start();
    const chunks = Object.fromEntries(deferredParts.map((part) => [part.name, this.#precompile(compiler, part)]));
    const { machine, firstFunction, stackTop, heapEndAt } = this.#start();
    const entries = this.#runPrelude(machine, firstFunction);
    for (let cycle = 0; cycle < 2; cycle += 1) machine.x.lua_gc(machine.L, luaGc.collect, 0);
    const { L, scratch, memory } = machine;
    const image = copyMemory(memory);
    const colour = collectorColour(machine.words, L);
    const others = { L, scratch, stackTop, heapEndAt, colour, firstFunction, entries };
    const functions = [...hostedFunctionNames, ...Object.keys(this.#parts.hostFunctions)];
    return { image, ...others, digest: digestOf(image, [others, functions]), chunks };
  }

  /** The precompiled chunk of a deferred part. */
  deferredPart(name: ByteString): Uint8Array | undefined {
    const { chunks } = this.booted;
    return Object.hasOwn(chunks, name) ? chunks[name] : undefined;
  }

  /**
   * A machine as booted, or as it was when `image` was copied. The limit counts its whole linear memory, which starts with 768 KiB: 512 KiB of C stack, most of
   * it never touched, and a heap with the booted Lua. Throws `LuaError` when the system has no memory left.
   */
  take(memoryLimitBytes: number, image = this.#image): Machine {
    const machine = this.#takeSpare(memoryLimitBytes, image) ?? this.#takeNew(memoryLimitBytes, image);
    machine.memoryLimitBytes = memoryLimitBytes;
    machine.x.stackRestore(this.booted.stackTop);
    return machine;
  }

  /** Makes the machine of a first state now: what others take of the address space later leaves that one. */
  reserve(): void {
    this.release(this.#takeNew(BOOT_MEMORY_BYTES, this.#image));
  }

  #takeSpare(memoryLimitBytes: number, image: MemoryImage): Machine | undefined {
    const fits = ({ memoryBytes }: Machine) => memoryBytes <= memoryLimitBytes && memoryBytes >= image.length;
    let machine: Machine | undefined;
    for (const spare of this.#spares) {
      if (fits(spare) && (machine === undefined || spare.memoryBytes <= machine.memoryBytes)) machine = spare;
    }
    if (machine === undefined) return undefined;
    this.#spares.splice(this.#spares.indexOf(machine), 1);
    this.#spareBytes -= machine.memoryBytes;
    image.restore(machine.memory);
    machine.refusedAt = '';
    return machine;
  }

  #takeNew(memoryLimitBytes: number, image: MemoryImage): Machine {
    let machine: Machine;
    try {
      let firstFunction: number;
      ({ machine, firstFunction } = this.#instantiate());
      if (firstFunction !== this.booted.firstFunction) throw unusable('its functions have other numbers than at boot');
    } catch (error) {
      if (error instanceof LuafcgidError) throw error;
      throw new LuafcgidError('LUAFCGID_LUA_ADDRESS_SPACE', { reason: (error as Error).message }, error);
    }
    // A state has at least what the booted Lua takes, whatever its limit is.
    machine.memoryLimitBytes = Math.max(memoryLimitBytes, BOOT_MEMORY_BYTES);
    if (machine.memoryBytes < image.length && !machine.grow(image.length)) {
      throw new LuaError('memory', 'the system has no memory for another Lua state');
    }
    image.writeTo(machine.memory);
    machine.L = this.booted.L;
    machine.scratch = this.booted.scratch;
    return machine;
  }

  /** Copies the memory of a machine at rest, of which nothing is garbage. Clears its C stack and what of its heap is free. */
  copy(machine: Machine): { readonly image: MemoryImage; readonly copiedBytes: number } {
    const { memory, words } = machine;
    const { stackTop, heapEndAt } = this.booted;
    clearStack(memory, this.#stack);
    clearFreeMemory(memory, words, stackTop, words.getUint32(heapEndAt, true));
    const { runs, copiedBytes } = copyChanges(memory, this.booted.image);
    return { image: new MemoryImage({ runs }), copiedBytes };
  }

  /** Lets a machine at rest go back to an image that it has gone on from. */
  rewind(machine: Machine, image: MemoryImage): void {
    image.rewind(machine.memory, this.#stack, machine.words.getUint32(this.booted.heapEndAt, true));
    machine.refusedAt = '';
    machine.x.stackRestore(this.booted.stackTop);
  }

  get #stack(): StackPlace {
    const { stackTop } = this.booted;
    return { bottom: stackTop - STACK_BYTES, top: stackTop };
  }

  /** Takes a machine back that nobody uses any more. */
  release(machine: Machine): void {
    const { memoryBytes } = machine;
    if (memoryBytes > LARGEST_SPARE_BYTES || this.#spares.length >= MOST_SPARES) return;
    if (this.#spareBytes + memoryBytes > ALL_SPARES_BYTES) return;
    this.#spares.push(machine);
    this.#spareBytes += memoryBytes;
  }

  #instantiate(): { machine: Machine; firstFunction: number } {
    const { module, imports } = this.#parts;
    const exports = new WebAssembly.Instance(module, imports).exports as LuaExports;
    const table = exports.__indirect_function_table;
    const firstFunction = table.grow(this.#functions.length);
    for (let at = 0; at < this.#functions.length; at += 1) table.set(firstFunction + at, this.#functions[at]);
    return { machine: new Machine(exports, BOOT_MEMORY_BYTES), firstFunction };
  }

  /** Pushes a part's chunk. */
  #compile(machine: Machine, { file }: LuaPart): void {
    const source = readFileSync(luaFile(file));
    this.#expectOk(machine, machine.compile(machine.L, source, Buffer.from(`=${ownChunkName}`)), file);
  }

  #precompile(machine: Machine, part: LuaPart): Uint8Array {
    const { x, L } = machine;
    const dump = machine.compile(L, Buffer.from('return string.dump(...)'), Buffer.from('=dump'));
    this.#expectOk(machine, dump, part.file);
    this.#compile(machine, part);
    this.#expectOk(machine, x.lua_pcall(L, 1, 1, 0), part.file);
    const bytes = new Uint8Array(machine.bytes(L, 1));
    x.lua_settop(L, 0);
    return bytes;
  }

  /** Loads the parts; gives references to the functions that the last one has for the engine. */
  #runPrelude(machine: Machine, firstFunction: number): Entries {
    const { x, L } = machine;
    const { hostFunctions, version } = this.#parts;
    const parts = 1;
    x.lua_createtable(L, 0, 32);
    machine.pushText(L, 'host');
    x.lua_createtable(L, 0, this.#functions.length);
    Object.keys(hostFunctions).forEach((name, at) => {
      machine.pushText(L, name);
      x.lua_pushcclosure(L, firstFunction + hostedFunctionNames.length + at, 0);
      x.lua_rawset(L, -3);
    });
    x.lua_rawset(L, parts);
    for (const [name, value] of Object.entries({
      version,
      deferred: deferredModules,
      stand_ins: standIns('embedded'),
    })) {
      machine.pushText(L, name);
      pushValue(machine, L, value);
      x.lua_rawset(L, parts);
    }
    for (const part of loadedParts('embedded')) {
      machine.pushText(L, part.name);
      this.#compile(machine, part);
      x.lua_pushvalue(L, parts);
      this.#expectOk(machine, x.lua_pcall(L, 1, 1, 0), part.file);
      x.lua_rawset(L, parts);
    }
    machine.pushText(L, 'prelude');
    x.lua_rawget(L, parts);
    const reference = (name: EntryName) => {
      machine.pushText(L, name);
      x.lua_rawget(L, parts + 1);
      return x.luaL_ref(L, REGISTRY_INDEX);
    };
    const entries = Object.fromEntries(entryNames.map((name) => [name, reference(name)]));
    x.lua_settop(L, 0);
    return entries as Entries;
  }

  #expectOk(machine: Machine, status: number, file: string): void {
    if (status !== luaStatus.ok)
      throw unusable(`${file}: ${excerpt(machine.string(machine.L, -1), MESSAGE_LIMIT_BYTES)}`);
  }
}

/** The same for two boots only if the memory of either goes on in the other. */
function digestOf({ runs }: ImageParts, others: unknown): string {
  const hash = createHash('sha1').update(JSON.stringify(others));
  for (const { start, bytes } of runs) hash.update(`${start}:${bytes.length}:`).update(bytes);
  return hash.digest('hex');
}

/**
 * Moves the C stack of a new machine down to right after the static data and lets the heap begin where it ends. The C
 * library keeps the heap's end, which is its start at first, in one word of its data. Gives the stack's top, and the place of
 * that word.
 */
function moveStack({ x, words }: Machine): { stackTop: number; heapEndAt: number } {
  x.emscripten_stack_init();
  const base = x.emscripten_stack_get_base();
  const dataEnd = x.emscripten_stack_get_end();
  const heapStarts: number[] = [];
  for (let at = 0; at < dataEnd; at += 4) if (words.getUint32(at, true) === base) heapStarts.push(at);
  const [heapStart] = heapStarts;
  if (base !== x.stackSave() || heapStart === undefined || heapStarts.length > 1) {
    throw unusable('its memory is laid out in an unknown way');
  }
  const top = (Math.ceil(dataEnd / 16) + STACK_BYTES / 16) * 16;
  words.setUint32(heapStart, top, true);
  x.stackRestore(top);
  return { stackTop: top, heapEndAt: heapStart };
}
