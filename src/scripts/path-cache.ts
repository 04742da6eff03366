/** Script paths as web servers name them, and the files they were found to be. Housekeeping keeps them true. */

/** Paths kept; past this the one found longest ago is forgotten. */
const MAX_PATHS = 10_000;

export class LookUps {
  readonly #files = new Map<string, string>();
  readonly #moved: (path: string) => void;

  /** @param moved told of paths that are not what they were found to be any more, or not kept true */
  constructor(moved: (path: string) => void) {
    this.#moved = moved;
  }

  find(path: string): string | undefined {
    return this.#files.get(path);
  }

  remember(path: string, file: string): void {
    if ((this.#files.get(path) ?? file) !== file) this.#moved(path);
    this.#files.delete(path);
    this.#files.set(path, file);
    if (this.#files.size <= MAX_PATHS) return;
    for (const oldest of this.#files.keys()) return this.forget(oldest);
  }

  forget(path: string): void {
    if (this.#files.delete(path)) this.#moved(path);
  }

  clear(): void {
    for (const path of [...this.#files.keys()]) this.forget(path);
  }

  /** Path and file of each, to be looked up again. */
  entries(): [path: string, file: string][] {
    return [...this.#files];
  }
}
