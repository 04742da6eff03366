/** The part of the WebAssembly JavaScript API that the embedded engine uses; Node has it, `@types/node` 20 does not. */
declare namespace WebAssembly {
  type Import = ((...args: number[]) => number | undefined) | ((...args: number[]) => void);
  type Imports = Record<string, Record<string, Import>>;

  class Module {
    constructor(bytes: Uint8Array);
    static exports(module: Module): { readonly name: string; readonly kind: string }[];
    static imports(module: Module): { readonly module: string; readonly name: string; readonly kind: string }[];
    private readonly module: never;
  }

  class Instance {
    constructor(module: Module, imports: Imports);
    readonly exports: unknown;
  }

  class Memory {
    readonly buffer: ArrayBuffer;
    grow(deltaPages: number): number;
    private constructor();
  }

  class Table {
    readonly length: number;
    get(index: number): unknown;
    set(index: number, value: unknown): void;
    grow(delta: number): number;
    private constructor();
  }

  class RuntimeError extends Error {}
}
