/**
 * How many bytes the files below the directories that scripts may write may have together. All workers count in the same memory; the
 * main thread counts the files themselves at start and with every sweep, since others change them, too.
 */

import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { errorOfSystem } from '../base/system-error.js';
import type { FileGrants } from './held-directory.js';
import { liesIn, OPENED_FILES, realDirectory } from './opened-file.js';

/** Numbers in the memory: the bytes that files have now, those by which scripts have made them grow since the start, and the files that scripts have open. */
const USED = 0;
const GROWN = 1;
const OPEN = 2;
const NUMBERS = 3;

/** Memory for a quota, which threads share. */
export function createQuotaMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(NUMBERS * BigInt64Array.BYTES_PER_ELEMENT);
}

export class WriteQuota {
  readonly #numbers: BigInt64Array;
  readonly #totalBytes: bigint;

  constructor(memory: SharedArrayBuffer, totalBytes: number) {
    this.#numbers = new BigInt64Array(memory);
    this.#totalBytes = BigInt(totalBytes);
  }

  /** A script has opened a file. */
  opened(): void {
    Atomics.add(this.#numbers, OPEN, 1n);
  }

  closed(): void {
    Atomics.sub(this.#numbers, OPEN, 1n);
  }

  /** Whether scripts have files open. Those of a lost worker count for ever: then it is looked in vain. */
  get hasOpen(): boolean {
    return Atomics.load(this.#numbers, OPEN) > 0n;
  }

  /** Files grow by so many bytes, or shrink by them if there are fewer than none. @throws the system's error `EDQUOT` when they may not grow */
  take(bytes: number): void {
    if (bytes === 0) return;
    const grown = BigInt(bytes);
    // Before it is counted as used: see `count`.
    if (bytes > 0) Atomics.add(this.#numbers, GROWN, grown);
    const before = Atomics.add(this.#numbers, USED, grown);
    if (bytes < 0 || before + grown <= this.#totalBytes) return;
    Atomics.sub(this.#numbers, USED, grown);
    Atomics.sub(this.#numbers, GROWN, grown);
    throw errorOfSystem('EDQUOT');
  }

  /**
   * Files are counted. What scripts write meanwhile is added to that, since the count may have missed it. It may also have seen
   * it: then it counts twice until the next count, so that more than the limit is never written.
   */
  async count(countedBytes: () => Promise<number>): Promise<void> {
    const before = Atomics.load(this.#numbers, GROWN);
    const bytes = BigInt(await countedBytes());
    const after = Atomics.load(this.#numbers, GROWN);
    Atomics.store(this.#numbers, USED, bytes + after - before);
    // What came between the two steps.
    Atomics.add(this.#numbers, USED, Atomics.load(this.#numbers, GROWN) - after);
  }
}

/**
 * Counts the bytes of all files below the directories that scripts may write; one that lies in another counts once.
 * @param withNameless also of files that were removed and are open still (on Linux)
 */
export async function countWritten({ write }: Pick<FileGrants, 'write'>, withNameless = false): Promise<number> {
  const seen = new Set<string>();
  let bytes = 0;
  const look = async (path: string): Promise<void> => {
    const stats = await ifCounted(lstat(Buffer.from(path, 'latin1')));
    if (stats === undefined) return;
    const known = seen.size;
    if (seen.add(`${stats.dev}:${stats.ino}`).size === known) return;
    if (stats.isFile()) bytes += stats.size;
    if (!stats.isDirectory()) return;
    const names = await ifCounted(readdir(Buffer.from(path, 'latin1'), { encoding: 'buffer' }));
    for (const name of names ?? []) await look(`${path}/${name.toString('latin1')}`);
  };
  const lookAtOpened = async (path: string, directories: readonly string[]): Promise<void> => {
    const stats = await ifCounted(stat(path));
    if (stats === undefined || !stats.isFile() || stats.nlink > 0) return;
    const place = (await ifCounted(readlink(path, { encoding: 'buffer' })))?.toString('latin1') ?? '';
    if (!directories.some((directory) => liesIn(place, directory))) return;
    const known = seen.size;
    if (seen.add(`${stats.dev}:${stats.ino}`).size > known) bytes += stats.size;
  };
  const directories = write.map(({ path }) => realDirectory(path) ?? path);
  for (const directory of directories) await look(directory);
  if (!withNameless) return bytes;
  for (const name of (await ifCounted(readdir(OPENED_FILES))) ?? [])
    await lookAtOpened(`${OPENED_FILES}/${name}`, directories);
  return bytes;
}

const UNCOUNTED = new Set(['ENOENT', 'ENOTDIR', 'EACCES']);

/** What goes away while it is counted has no bytes, and what the server may not list it does not count: undefined. */
async function ifCounted<Found>(found: Promise<Found>): Promise<Found | undefined> {
  try {
    return await found;
  } catch (error) {
    if (UNCOUNTED.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
