/** Watches a folder and all folders below it. Node.js does that by itself on some systems only. */
import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';

/** Folders that are watched at most: the kernel has a limit for all programs together. */
const MOST_FOLDERS = 2_000;

export class TreeWatcher {
  readonly #onChange: () => void;
  readonly #onTrouble: (reason: string) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #isIncomplete = false;

  /**
   * @param onChange called for each event, often several for one edit
   * @param onTrouble called once, when not all folders can be watched
   */
  constructor(root: string, onChange: () => void, onTrouble: (reason: string) => void) {
    this.#onChange = onChange;
    this.#onTrouble = onTrouble;
    this.#add(root);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(folder: string): void {
    if (this.#watchers.has(folder) || this.#isIncomplete) return;
    if (this.#watchers.size >= MOST_FOLDERS) return this.#giveUp(`there are more than ${MOST_FOLDERS} folders`);
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        this.#onChange();
        // A folder may have come.
        if (event === 'rename' && name !== null) this.#addBelow(folder);
      });
      watcher.on('error', () => this.#drop(folder));
      this.#watchers.set(folder, watcher);
      this.#addBelow(folder);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // It is gone again, or nobody may look into it.
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EACCES') this.#giveUp(message);
    }
  }

  #addBelow(folder: string): void {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const isWatched = entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules';
        if (isWatched) this.#add(join(folder, entry.name));
      }
    } catch {
      this.#drop(folder);
    }
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  #giveUp(reason: string): void {
    this.#isIncomplete = true;
    this.#onTrouble(reason);
  }
}
