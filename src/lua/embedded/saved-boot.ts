/**
 * The booted Lua that the build has saved beside the Lua files, so that a start only has to read it. Booting runs so much
 * code that the WebAssembly compiler takes it for hot and spends two processors' time on it, just when all else starts.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { entryNames } from '../entries.js';
import { luaFile } from '../runtime/manifest.js';
import { type BootedLua, luaFiles, stackBytes } from './machine-factory.js';
import { embeddedFile, initialPages } from './wasm/module.js';

const saved = new URL('./booted.bin', import.meta.url);

/** What a boot depends on. */
interface Origin {
  /** Names of the host functions, in their order. */
  readonly hostFunctions: readonly string[];
  readonly version: string;
}

interface SavedHead {
  readonly fingerprint: string;
  readonly runs: readonly { readonly start: number; readonly length: number }[];
  readonly heapStart: number;
  readonly others: Omit<BootedLua, 'image'>;
}

/** The same for two boots only if they give the same. */
function fingerprint({ hostFunctions, version }: Origin): string {
  const hash = createHash('sha1');
  for (const file of [embeddedFile(), ...luaFiles.map((name) => luaFile(name))]) {
    hash.update(readFileSync(file)).update('\0');
  }
  return hash.update(JSON.stringify([hostFunctions, entryNames, stackBytes, initialPages, version])).digest('hex');
}

/**
 * Saves a boot in the place of the one that was saved before: a line of JSON with the lengths of the image's runs, and
 * then their bytes.
 */
export function saveBoot(origin: Origin, { image, ...others }: BootedLua): void {
  const { runs, heapStart } = image;
  const head = {
    fingerprint: fingerprint(origin),
    runs: runs.map(({ start, bytes }) => ({ start, length: bytes.length })),
    heapStart,
    others,
  };
  writeFileSync(saved, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...runs.map(({ bytes }) => bytes)]));
}

/** What was saved, if a boot would give the same; else undefined: then one has to boot. */
export function savedBoot(origin: Origin): BootedLua | undefined {
  let file: Buffer;
  try {
    file = readFileSync(saved);
  } catch {
    return undefined;
  }
  const headBytes = file.indexOf('\n') + 1;
  const head = JSON.parse(file.toString('utf8', 0, headBytes)) as SavedHead;
  if (head.fingerprint !== fingerprint(origin)) return undefined;
  let at = headBytes;
  const runs = head.runs.map(({ start, length }) => {
    at += length;
    return { start, bytes: file.subarray(at - length, at) };
  });
  return { ...head.others, image: { runs, heapStart: head.heapStart } };
}
