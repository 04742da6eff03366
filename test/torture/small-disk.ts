/** A small file system of its own in memory, which can be filled. Only root can mount one; others get a plain folder. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Cleanup } from '../support/cleanup.js';

const SIZE_MIB = 12;
const PIECE = Buffer.alloc(64 * 1024, 'x');

export class SmallDisk {
  readonly folder: string;
  /** Whether it can be filled. */
  readonly isSmall: boolean;
  readonly #filler: string;
  #isFull = false;

  constructor(t: Cleanup, folder: string) {
    this.folder = folder;
    this.#filler = join(folder, 'filler');
    mkdirSync(folder);
    const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
    const options = `size=${SIZE_MIB}m,mode=1777`;
    this.isSmall = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'torture', folder]).status === 0;
    if (!this.isSmall) return;
    const unmount = (): void => {
      process.off('exit', unmount);
      // Lazily, so that it goes even while somebody has a file open.
      if (this.isMounted) spawnSync('umount', ['-l', folder]);
    };
    process.on('exit', unmount);
    t.after(unmount);
  }

  get isMounted(): boolean {
    return existsSync('/proc/mounts') && readFileSync('/proc/mounts', 'utf8').includes(` ${this.folder} `);
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  fill(): void {
    if (!this.isSmall) return;
    const file = openSync(this.#filler, 'a');
    try {
      for (;;) writeSync(file, PIECE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      this.#isFull = true;
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(this.#filler, { force: true });
    this.#isFull = false;
  }
}
