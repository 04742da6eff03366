/**
 * How many bytes the files below the directories that scripts may write may have together. All workers count in the same memory; the
 * main thread counts the files themselves at start and with every sweep, since others change them, too.
 */

import { lstat, readdir } from 'node:fs/promises';
import { errorOfSystem } from '../base/system-error.js';
import type { FileGrants } from './held-directory.js';
import { realDirectory } from './opened-file.js';

/** Memory for a quota, which threads share. */
export function createQuotaMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT);
}

export class WriteQuota {
  readonly #used: BigInt64Array;
  readonly #totalBytes: bigint;

  constructor(memory: SharedArrayBuffer, totalBytes: number) {
    this.#used = new BigInt64Array(memory);
    this.#totalBytes = BigInt(totalBytes);
  }

  /** Files grow by so many bytes, or shrink by them if there are fewer than none. @throws the system's error `EDQUOT` when they may not grow */
  take(bytes: number): void {
    if (bytes === 0) return;
    const before = Atomics.add(this.#used, 0, BigInt(bytes));
    if (bytes < 0 || before + BigInt(bytes) <= this.#totalBytes) return;
    Atomics.sub(this.#used, 0, BigInt(bytes));
    throw errorOfSystem('EDQUOT');
  }

  /** So many bytes were counted. */
  set usedBytes(bytes: number) {
    Atomics.store(this.#used, 0, BigInt(bytes));
  }
}

/** Counts the bytes of all files below the directories that scripts may write; one that lies in another counts once. */
export async function countWritten({ write }: Pick<FileGrants, 'write'>): Promise<number> {
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
  for (const { path } of write) await look(realDirectory(path) ?? path);
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
