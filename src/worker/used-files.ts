/** The files that a state was made of, and what they were then. */

import { dirname } from 'node:path';
import type { ByteString } from '../lua/state.js';
import { ABSENT, hasDigest, isUnchanged } from '../scripts/fingerprint.js';
import { type SourceRules, sourceFingerprint } from '../scripts/source-files.js';

/** Which rule says that a file may be read: what the operator names is no script's choice. */
export type FileRole = 'preload' | 'script' | 'loaded' | 'native';

export interface UsedFile {
  readonly fingerprint: string;
  readonly role: FileRole;
}

/** So many names of files that are not there are noted for a state: a script can make up names without end. */
const MOST_ABSENT_FILES = 500;

export class UsedFiles {
  readonly #files: Map<ByteString, UsedFile>;
  #absent = 0;

  constructor(files?: ReadonlyMap<ByteString, UsedFile>) {
    this.#files = new Map(files);
    for (const { fingerprint } of this.#files.values()) if (fingerprint === ABSENT) this.#absent += 1;
  }

  /** Whether the state was made of this file: its text may be shown beside an error. */
  has(path: ByteString): boolean {
    const file = this.#files.get(path);
    return file !== undefined && file.fingerprint !== ABSENT;
  }

  /** Returns whether that was not known. */
  note(path: ByteString, fingerprint: string, role: FileRole): boolean {
    const known = this.#files.get(path);
    if (fingerprint === ABSENT) {
      if (known !== undefined || this.#absent >= MOST_ABSENT_FILES) return false;
      this.#absent += 1;
    } else if (known?.fingerprint === ABSENT) this.#absent -= 1;
    this.#files.set(path, { fingerprint, role });
    return known?.fingerprint !== fingerprint;
  }

  /** All of them, for other threads. */
  entries(): ReadonlyMap<ByteString, UsedFile> {
    return this.#files;
  }

  copy(): UsedFiles {
    return new UsedFiles(this.#files);
  }

  *fingerprints(): IterableIterator<readonly [path: ByteString, fingerprint: string]> {
    for (const [path, { fingerprint }] of this.#files) yield [path, fingerprint];
  }

  /** Whether all files are what they were, and a state of this script would be made of them now. */
  areUnchanged(script: ByteString, rules: SourceRules): boolean {
    const directory = dirname(script);
    for (const [path, { fingerprint, role }] of this.#files) {
      if (!isUnchanged(fingerprint, fingerprintNow(path, role, hasDigest(fingerprint), rules, directory))) return false;
    }
    return true;
  }
}

/** Undefined when there is no such file, or it may not be read. */
function fingerprintNow(
  path: ByteString,
  role: FileRole,
  withDigest: boolean,
  rules: SourceRules,
  directory: string,
): string | undefined {
  const read: typeof sourceFingerprint = (file, check) => sourceFingerprint(file, check, withDigest);
  try {
    if (role === 'script') return rules.readScript(path, read);
    return role === 'loaded' ? rules.readFor(path, directory, read) : read(path);
  } catch {
    return undefined;
  }
}
