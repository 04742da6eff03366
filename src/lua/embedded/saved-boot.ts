/**
 * The booted Lua that the build has saved beside the Lua files, so that a start only has to read it. Booting runs so much
 * code that the WebAssembly compiler takes it for hot and spends two processors' time on it, just when all else starts.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { entryNames } from '../entries.js';
import { deferredParts, loadedParts, luaFile } from '../runtime/manifest.js';
import { type BootedLua, STACK_BYTES } from './machine-factory.js';
import { embeddedFile, INITIAL_PAGES } from './wasm/module.js';
import { HASH_SHIFT } from './wasm/string-hash.js';
import { hostedFunctionNames } from './wasm/wide-numbers.js';

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
  /** The lengths of the deferred parts' chunks, by name. */
  readonly chunks: Readonly<Record<string, number>>;
  readonly others: Omit<BootedLua, 'image' | 'chunks'>;
}

/** The same for two boots only if they give the same. */
function fingerprint({ hostFunctions, version }: Origin): string {
  const hash = createHash('sha1');
  const parts = [...loadedParts('embedded'), ...deferredParts];
  for (const file of [embeddedFile(), ...parts.map((part) => luaFile(part.file))]) {
    hash.update(readFileSync(file)).update('\0');
  }
  const names = [hostedFunctionNames, hostFunctions, entryNames];
  const others = [parts, ...names, STACK_BYTES, INITIAL_PAGES, HASH_SHIFT, version];
  return hash.update(JSON.stringify(others)).digest('hex');
}

/**
 * Saves a boot in the place of the one that was saved before: a line of JSON with the lengths of the image's runs and of
 * the chunks, and then their bytes.
 */
export function saveBoot(origin: Origin, { image, chunks, ...others }: BootedLua): void {
  const { runs } = image;
  const head = {
    fingerprint: fingerprint(origin),
    runs: runs.map(({ start, bytes }) => ({ start, length: bytes.length })),
    chunks: Object.fromEntries(Object.entries(chunks).map(([name, bytes]) => [name, bytes.length])),
    others,
  };
  const parts = [...runs.map(({ bytes }) => bytes), ...Object.values(chunks)];
  writeFileSync(saved, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...parts]));
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
  const next = (length: number) => {
    at += length;
    return file.subarray(at - length, at);
  };
  const runs = head.runs.map(({ start, length }) => ({ start, bytes: next(length) }));
  const chunks = Object.fromEntries(Object.entries(head.chunks).map(([name, length]) => [name, next(length)]));
  return { ...head.others, image: { runs }, chunks };
}
