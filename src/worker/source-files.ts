/**
 * Lua source files as the states of one worker read them: each read is noted with what the file was at that time, so
 * that housekeeping can tell when it is not that any more.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fingerprintOf, isRecent } from '../channel/fingerprint.js';

/** A file's content, and the text by which two versions of it differ. */
export interface SourceFile {
  readonly bytes: Uint8Array;
  readonly fingerprint: string;
}

/**
 * Reads a regular file. The fingerprint is taken before the content: a change in between makes it differ from the
 * file's next one, so it is seen. Paths have one character per byte.
 * @throws the system's error; EISDIR for anything but a regular file
 */
export function readSource(path: string): SourceFile {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  const fd = openSync(Buffer.from(path, 'latin1'), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (!stats.isFile()) throw Object.assign(new Error(`${path} is no regular file`), { code: 'EISDIR' });
    const isSettled = !isRecent(stats, Date.now());
    const bytes = readFileSync(fd);
    const digest = isSettled ? undefined : createHash('sha1').update(bytes).digest('hex');
    return { bytes, fingerprint: fingerprintOf(stats, digest) };
  } finally {
    closeSync(fd);
  }
}

/** Which files the scripts of a server may load as Lua code. */
export class SourceRules {
  readonly #anywhere: readonly string[];
  readonly #roots: readonly string[];

  /**
   * @param templates the configured module path, e.g. `/usr/share/lua/5.1/?.lua`
   * @param roots directories outside of which no script lies; none: scripts lie anywhere
   */
  constructor(templates: readonly string[], roots: readonly string[]) {
    this.#anywhere = templates.map((template) => dirname(template.replace(/\?.*$/, '?')));
    this.#roots = roots;
  }

  /** Whether a script may load `path`: it lies beside or below the script, on the module path, or in a root. */
  allows(path: string, scriptDirectory: string): boolean {
    const file = resolve(path);
    const granted = [scriptDirectory, ...this.#anywhere, ...this.#roots];
    if (!granted.some((directory) => liesIn(file, directory))) return false;
    if (this.#roots.length === 0) return true;
    // With roots, a link must not lead out of them.
    const real = realPathOf(file);
    return real === undefined || granted.some((directory) => liesIn(real, realPathOf(directory) ?? directory));
  }
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(Buffer.from(path, 'latin1'), { encoding: 'buffer' }).toString('latin1');
  } catch {
    return undefined;
  }
}

function liesIn(file: string, directory: string): boolean {
  return file.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}
