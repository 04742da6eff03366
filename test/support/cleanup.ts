/** What tests clean up, and the folders they work in. */
import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where a harness leaves its clean-up: a test's context `t`, or, in the body of a suite, `{ after }` of `node:test`.
 */
export interface Cleanup {
  after(undo: () => Promise<void> | void): void;
}

/** A new folder that is removed after the test. Its path is real and short: Unix sockets take 107 bytes. */
export function tempDir(t: Cleanup): string {
  const dir = mkdtempSync(join(realpathSync(tmpdir()), 'lfd-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Waits for a promise, but not forever: rejects with `describe()` after `guardMs`. */
export async function guarded<T>(promise: Promise<T>, guardMs: number, describe: () => string): Promise<T> {
  let guard: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    guard = setTimeout(() => reject(new Error(`${describe()} (waited ${guardMs} ms)`)), guardMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(guard);
  }
}
