/** Images that workers share: the pages that a script has changed, once in memory that all threads can read. */

import type { SharedStateImage } from '../state.js';
import type { ImageParts } from './memory-image.js';

/** The pages from `start` on: those at `at` of the shared memory; undefined: those of the booted Lua. */
interface SharedRun {
  readonly start: number;
  readonly length: number;
  readonly at: number | undefined;
}

/** What two threads must have in common for an image of one to be an image in the other. */
export interface Boot {
  readonly image: ImageParts;
  /** Tells it from every other boot: addresses of data and numbers of functions are the same in this one only. */
  readonly digest: string;
}

export interface SharedParts extends SharedStateImage {
  readonly digest: string;
  readonly runs: readonly SharedRun[];
  readonly memory: SharedArrayBuffer;
}

/** Copies what parts have beyond those of the booted Lua into memory that can be handed to other threads. */
export function shareParts({ runs }: ImageParts, { image, digest }: Boot): SharedParts {
  const booted = new Set(image.runs.map(({ bytes }) => bytes.buffer));
  const isBooted = ({ buffer }: Uint8Array): boolean => booted.has(buffer);
  const sizeBytes = runs.reduce((sum, { bytes }) => (isBooted(bytes) ? sum : sum + bytes.length), 0);
  const memory = new SharedArrayBuffer(sizeBytes);
  const copy = new Uint8Array(memory);
  let end = 0;
  const shared = runs.map(({ start, bytes }) => {
    if (isBooted(bytes)) return { start, length: bytes.length, at: undefined };
    const at = end;
    copy.set(bytes, at);
    end += bytes.length;
    return { start, length: bytes.length, at };
  });
  return { sizeBytes, digest, runs: shared, memory };
}

/** The parts as another thread has shared them, not copied. Undefined when its Lua is of another boot. */
export function openParts({ digest, runs, memory }: SharedParts, boot: Boot): ImageParts | undefined {
  if (digest !== boot.digest) return undefined;
  return {
    runs: runs.map(({ start, length, at }) => ({
      start,
      bytes: at === undefined ? bootedPages(boot, start, length) : new Uint8Array(memory, at, length),
    })),
  };
}

/** Pages of the booted Lua, which lie in one run of its image. */
function bootedPages({ image }: Boot, start: number, length: number): Uint8Array {
  const run = image.runs.find((each) => each.start <= start && start + length <= each.start + each.bytes.length);
  if (run === undefined) throw new Error(`the booted Lua has no ${length} bytes at ${start}`);
  return run.bytes.subarray(start - run.start, start - run.start + length);
}
