/**
 * The embedded engine: Lua 5.1 as WebAssembly, each state an instance with a memory of its own. Nothing is shared between
 * states, and a state reaches nothing of the process but what its host grants.
 */

import type { LuaEngine } from '../state.js';
import { embeddedFunctions } from './functions.js';
import { libcImports } from './libc/imports.js';
import { type BootedLua, MachineFactory } from './machine-factory.js';
import { MemoryImage } from './memory-image.js';
import { saveBoot, savedBoot } from './saved-boot.js';
import { openParts, type SharedParts, shareParts } from './shared-image.js';
import { EmbeddedImage, EmbeddedState, ownImage, type Running } from './state.js';
import { checkEmbeddedModule, compileEmbeddedModule, saveChangedModule } from './wasm/module.js';
import { hostedFunctions } from './wide-functions.js';

/** What other threads need of an image besides its memory. */
interface SharedEmbeddedImage extends SharedParts {
  readonly settled: EmbeddedImage['settled'];
}

export type { BootedLua } from './machine-factory.js';
export { compileEmbeddedModule } from './wasm/module.js';

export interface EmbeddedEngineOptions {
  /** What scripts see as `LUAFCGID_VERSION` and as `version` of the module `luafcgid`. */
  readonly version?: string;
  /** What an engine of the same module and version has booted, perhaps in another thread. */
  readonly booted?: BootedLua | undefined;
}

/** With what it has booted, from which further engines begin. */
export interface EmbeddedEngine extends LuaEngine {
  readonly booted: BootedLua;
}

/**
 * The engine of one thread. `module` comes from `compileEmbeddedModule`, perhaps in another thread; without it the engine
 * compiles one for itself. Throws `LUAFCGID_LUA_ENGINE` when the WebAssembly file is not the expected one.
 */
export function createEmbeddedEngine(
  module: WebAssembly.Module = compileEmbeddedModule(),
  options: EmbeddedEngineOptions = {},
): EmbeddedEngine {
  if (options.booted === undefined) checkEmbeddedModule(module);
  // Nothing runs before a machine is made and noted here.
  const running = { machine: undefined, state: undefined } as unknown as Running;
  const machines = new MachineFactory({
    module,
    imports: libcImports(
      running,
      () => running.state?.files,
      (text) => running.state?.log.write(2, text),
    ),
    hostedFunctions: hostedFunctions(running, () => running.state?.files),
    hostFunctions: embeddedFunctions(running),
    // A memory error goes past message handlers: they would run inside of the hook, where nothing interrupts them.
    exitHook: (L) => running.machine.raiseMemoryError(L),
    interruptHook: (L) => running.state?.lookAtInterrupts(L),
    version: options.version ?? 'development',
    booted: options.booted,
    use(machine) {
      running.machine = machine;
    },
  });
  return {
    name: 'embedded',
    version: 'Lua 5.1',
    isConfined: true,
    hasImages: true,
    booted: machines.booted,
    reserve: () => machines.reserve(),
    createState: (stateOptions) => new EmbeddedState(machines, running, stateOptions),
    shareImage(image): SharedEmbeddedImage {
      const { memory, settled } = ownImage(image);
      return { ...shareParts(memory.parts, machines.booted), settled };
    },
    openImage(shared) {
      const { settled, sizeBytes, ...parts } = shared as SharedEmbeddedImage;
      const opened = openParts({ ...parts, sizeBytes }, machines.booted);
      return opened && new EmbeddedImage(new MemoryImage(opened), sizeBytes, settled);
    },
  };
}

function originOf(version: string) {
  return { hostFunctions: Object.keys(embeddedFunctions({ state: undefined })), version };
}

/** Lua as booted, for engines of this module and version. */
export function bootedLua(module: WebAssembly.Module, version: string): BootedLua {
  return savedBoot(originOf(version)) ?? createEmbeddedEngine(module, { version }).booted;
}

/** Changes the WebAssembly file and boots, and saves what came of both for later starts: a step of the build. */
export function saveBootedLua(version: string): void {
  saveChangedModule();
  saveBoot(originOf(version), createEmbeddedEngine(compileEmbeddedModule(), { version }).booted);
}
