/**
 * Lua source files as the states of one worker read them: each read is noted with what the file was at that time, so
 * that housekeeping can tell when it is not that any more.
 */

import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { toShortText } from '../base/bounded-text.js';
import { LuafcgidError } from '../base/errors.js';
import { fingerprintOf, isRecent, SOURCE_LIMIT_BYTES } from './fingerprint.js';
import { type HeldDirectory, placeOfHeld } from './held-directory.js';
import { isScriptName } from './names.js';
import { liesIn, placeOf, Replaced, realDirectory } from './opened-file.js';

/** Room that is added for a file that has become longer than it was. */
const READ_BYTES = 16 * 1024;

/** A file's content, and the text by which two versions of it differ. */
export interface SourceFile {
  readonly bytes: Uint8Array;
  readonly fingerprint: string;
}

/** Throws when the file that was opened, of which it gets the place, is not to be read. */
export type PlaceCheck = (place: string) => void;

/** Opens a file as a source and reads what is wanted of it. */
type Reader<Result> = (path: string, check?: PlaceCheck) => Result;

/**
 * Reads a regular file. The fingerprint is taken before the content: a change in between makes it differ from the
 * file's next one, so it is seen. Paths have one character per byte.
 * @param check throws when the file that was opened, of which it gets the place, is not to be read
 * @throws the system's error; EISDIR for anything but a regular file; LuafcgidError `LUAFCGID_SCRIPT_TOO_LARGE`
 */
export function readSource(path: string, check?: PlaceCheck): SourceFile {
  return withSource(path, check, (fd, stats) => {
    const isSettled = !isRecent(stats, Date.now());
    const bytes = readBounded(fd, stats.size, path);
    return { bytes, fingerprint: fingerprintOf(stats, isSettled ? undefined : digestOf(bytes)) };
  });
}

/** The fingerprint that a file has now, under the same conditions. */
export function sourceFingerprint(path: string, check?: PlaceCheck, withDigest = false): string {
  return withSource(path, check, (fd, stats) => {
    return fingerprintOf(stats, withDigest ? digestOf(readBounded(fd, stats.size, path)) : undefined);
  });
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/** So often a file is opened again that others replace in this moment: somebody who does nothing else wins three of ten times. */
const MOST_REPLACED = 100;

/** Opens a file and reads it. Whoever replaces the file meanwhile, as deployments do, has the new one read. */
function withSource<Result>(
  path: string,
  check: PlaceCheck | undefined,
  read: (fd: number, stats: BigIntStats) => Result,
): Result {
  for (let tries = 1; ; tries += 1) {
    try {
      return withOpened(path, check, read);
    } catch (error) {
      if (!(error instanceof Replaced) || tries >= MOST_REPLACED) throw error;
    }
  }
}

function withOpened<Result>(
  path: string,
  check: PlaceCheck | undefined,
  read: (fd: number, stats: BigIntStats) => Result,
): Result {
  const name = Buffer.from(path, 'latin1');
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  const fd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd, { bigint: true });
    check?.(placeOf(fd, name));
    if (!stats.isFile()) throw Object.assign(new Error(`${path} is no regular file`), { code: 'EISDIR' });
    return read(fd, stats);
  } finally {
    closeSync(fd);
  }
}

/**
 * The content of an opened file. Its size is looked at before it is read, and again after: it may grow meanwhile, and files
 * of the kernel have none.
 */
function readBounded(fd: number, size: bigint, path: string): Uint8Array {
  const refuse = (): never => {
    throw new LuafcgidError('LUAFCGID_SCRIPT_TOO_LARGE', { path: toShortText(path), limit: SOURCE_LIMIT_BYTES });
  };
  if (size > SOURCE_LIMIT_BYTES) return refuse();
  let bytes = Buffer.allocUnsafeSlow(Number(size) + 1);
  let length = 0;
  for (;;) {
    const count = readSync(fd, bytes, length, bytes.length - length, length);
    if (count === 0) return bytes.subarray(0, length);
    length += count;
    if (length > SOURCE_LIMIT_BYTES) return refuse();
    if (length < bytes.length) continue;
    const grown = Buffer.allocUnsafeSlow(Math.min(2 * length + READ_BYTES, SOURCE_LIMIT_BYTES + 1));
    grown.set(bytes);
    bytes = grown;
  }
}

/** What the rules are made of. Paths have one character per byte. */
export interface SourcePlaces {
  /** The configured module path, e.g. `/usr/share/lua/5.1/?.lua`. */
  readonly templates: readonly string[];
  /** Directories outside of which no script lies; none: scripts lie anywhere. */
  readonly roots: readonly string[];
  /** How the names of scripts end; none: they may have any name. */
  readonly extensions: readonly string[];
  /** Further directories that scripts may load Lua files from. */
  readonly granted?: readonly HeldDirectory[];
}

/** Which files of a server are scripts, and which ones scripts may load as Lua code. */
export class SourceRules {
  readonly #places: SourcePlaces;
  /** Where all scripts may load Lua files from, besides what was granted. */
  readonly directories: readonly string[];
  readonly #granted: readonly HeldDirectory[];

  constructor(places: SourcePlaces) {
    this.#places = places;
    const { templates, roots, granted = [] } = places;
    this.directories = [...templates.map((template) => dirname(template.replace(/\?.*$/, '?'))), ...roots];
    this.#granted = granted;
  }

  /**
   * Reads a script that was looked up a moment ago: what it was then, another file may be by now.
   * @throws LuafcgidError of status 403 for a file that is none; what `read` throws
   */
  readScript<Result>(path: string, read: Reader<Result>): Result {
    const { roots, extensions } = this.#places;
    if (roots.length === 0 && extensions.length === 0) return read(path);
    return read(path, (place) => {
      const values = { path: Buffer.from(path, 'latin1').toString(), extensions: extensions.join(', ') };
      if (roots.length > 0 && !liesInOneOf(place, roots)) {
        throw new LuafcgidError('LUAFCGID_SCRIPT_OUTSIDE_ROOT', values);
      }
      if (!isScriptName(place, extensions)) throw new LuafcgidError('LUAFCGID_SCRIPT_EXTENSION', values);
    });
  }

  /**
   * Reads a file that a script wants to load: it lies beside or below the script, on the module path, in a root or in
   * another directory that was granted. Where there are roots, no link leads out of all these; none leads out of what
   * was granted.
   * @returns undefined when it may not be loaded
   * @throws what `read` throws
   */
  readFor<Result>(path: string, scriptDirectory: string, read: Reader<Result>): Result | undefined {
    // The name that is looked at must be the name that is opened: ".." means another thing after a link.
    const file = resolve(path);
    const directories = [scriptDirectory, ...this.directories];
    const isBeside = directories.some((directory) => liesIn(file, directory));
    if (!isBeside && !this.#granted.some((grant) => liesIn(file, grant.path))) return undefined;
    if (isBeside && this.#places.roots.length === 0) return read(file);
    let isAllowed = true;
    const source = read(file, (place) => {
      isAllowed =
        liesInOneOf(place, directories) || this.#granted.some((grant) => liesIn(place, placeOfHeld(grant) ?? NOWHERE));
    });
    return isAllowed ? source : undefined;
  }
}

/** No path begins with this. */
const NOWHERE = '\0';

function liesInOneOf(place: string, directories: readonly string[]): boolean {
  return directories.some((directory) => liesIn(place, realDirectory(directory) ?? directory));
}
