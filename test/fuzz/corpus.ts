/** Inputs that are kept: each reaches code that the others do not, or once found a bug. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/server.js';

const CORPUS = join(ROOT, 'test/fuzz/corpus');
/** Begins the names of those that found a bug: they are kept whatever they reach. */
const FOUND = 'found-';

function folderOf(target: string): string {
  return join(CORPUS, target);
}

export interface Kept {
  readonly file: string;
  readonly bytes: Buffer;
  readonly foundBug: boolean;
}

export function readCorpus(target: string): Kept[] {
  const folder = folderOf(target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({
      file: join('test/fuzz/corpus', target, name),
      bytes: readFileSync(join(folder, name)),
      foundBug: name.startsWith(FOUND),
    }));
}

/** Puts these in the place of all others but those that found bugs. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  for (const { file, foundBug } of readCorpus(target)) if (!foundBug) rmSync(join(ROOT, file));
  for (const bytes of inputs) keep(target, bytes, '');
}

export function keepFound(target: string, bytes: Uint8Array): string {
  return keep(target, bytes, FOUND);
}

function keep(target: string, bytes: Uint8Array, prefix: string): string {
  mkdirSync(folderOf(target), { recursive: true });
  const name = `${prefix}${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.bin`;
  writeFileSync(join(folderOf(target), name), bytes);
  return join('test/fuzz/corpus', target, name);
}
