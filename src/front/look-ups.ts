/** Script paths as web servers name them, and the files they were found to be. Housekeeping keeps them true. */

/** Paths kept; past this the one found longest ago is forgotten. */
const MAX_PATHS = 10_000;

export class LookUps {
  readonly #files = new Map<string, string>();

  find(path: string): string | undefined {
    return this.#files.get(path);
  }

  remember(path: string, file: string): void {
    this.#files.delete(path);
    this.#files.set(path, file);
    if (this.#files.size <= MAX_PATHS) return;
    for (const oldest of this.#files.keys()) {
      this.#files.delete(oldest);
      return;
    }
  }

  forget(path: string): void {
    this.#files.delete(path);
  }

  clear(): void {
    this.#files.clear();
  }

  /** Path and file of each, to be looked up again. */
  entries(): [path: string, file: string][] {
    return [...this.#files];
  }
}
