/** Finds the file behind a script's path: links resolved, so that one file is one script however it is named. */

import { access, constants, realpath, stat } from 'node:fs/promises';
import { toShortText } from '../base/bounded-text.js';
import { type ErrorCode, isForWantOfRoom, LuafcgidError } from '../base/errors.js';
import { isScriptName } from './names.js';

/** File system reasons for "there is no such file"; all others mean that it may not be read. */
const MISSING: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);

/** Paths of this module are text in which each character is one byte, as everywhere in the front. */
function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** Looks scripts up below the configured roots. */
export class ScriptLookup {
  readonly #roots: readonly string[] | undefined;
  readonly #extensions: readonly string[];
  #resolvedRoots: Promise<string[]> | undefined;

  /**
   * @param roots directories in one of which a script has to lie; none: it may lie anywhere
   * @param extensions with one of which a script's name has to end; none: it may have any name
   */
  constructor(roots: readonly string[], extensions: readonly string[] = []) {
    this.#roots = roots.length === 0 ? undefined : roots;
    this.#extensions = extensions;
  }

  /** Looks anew at what the roots are: a link among them may lead elsewhere by now. */
  refresh(): void {
    this.#resolvedRoots = undefined;
  }

  /**
   * The regular, readable file behind `path`.
   * @throws LuafcgidError of status 403 or 404, or of 503 when nothing could be found out
   */
  find(path: string): Promise<string> {
    return asRefusals(path, async () => {
      const file = await this.#resolve(path);
      const real = bytesOf(file);
      if (!(await stat(real)).isFile()) throw refusal('NOT_A_FILE', path);
      if (!isScriptName(file, this.#extensions)) {
        throw refusal('EXTENSION', path, { extensions: Buffer.from(this.#extensions.join(', '), 'latin1').toString() });
      }
      await access(real, constants.R_OK);
      return file;
    });
  }

  /** Where `path` leads, below a root; whether that is a script that may be read is not looked at. @throws as `find` */
  leadsTo(path: string): Promise<string> {
    return asRefusals(path, () => this.#resolve(path));
  }

  async #resolve(path: string): Promise<string> {
    const real = await realpath(bytesOf(path), { encoding: 'buffer' });
    const file = real.toString('latin1');
    if (!(await this.#liesInRoot(file))) throw refusal('OUTSIDE_ROOT', path);
    return file;
  }

  async #liesInRoot(file: string): Promise<boolean> {
    if (this.#roots === undefined) return true;
    this.#resolvedRoots ??= resolveRoots(this.#roots);
    const roots = await this.#resolvedRoots.catch((error: unknown) => {
      this.#resolvedRoots = undefined;
      throw error;
    });
    return roots.some((root) => file.startsWith(root === '/' ? root : `${root}/`));
  }
}

/** What the file system says of a path, as an error of the request. */
async function asRefusals(path: string, look: () => Promise<string>): Promise<string> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof LuafcgidError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (MISSING.has(code)) throw refusal('NOT_FOUND', path);
    if (isForWantOfRoom(error)) throw refusal('NO_ROOM', path, { reason: code });
    throw refusal('UNREADABLE', path, { reason: code });
  }
}

/** Directories that do not exist hold no scripts. @throws the system's error when that could not be found out */
async function resolveRoots(roots: readonly string[]): Promise<string[]> {
  const resolved = await Promise.all(
    roots.map((root) =>
      realpath(bytesOf(root), { encoding: 'buffer' }).catch((error: unknown) => {
        if (isForWantOfRoom(error)) throw error;
      }),
    ),
  );
  return resolved.filter((root) => root !== undefined).map((root) => root.toString('latin1'));
}

function refusal(
  fact: 'OUTSIDE_ROOT' | 'EXTENSION' | 'NOT_A_FILE' | 'NOT_FOUND' | 'UNREADABLE' | 'NO_ROOM',
  path: string,
  values: Readonly<Record<string, string | undefined>> = {},
): LuafcgidError {
  const code: ErrorCode = `LUAFCGID_SCRIPT_${fact}`;
  return new LuafcgidError(code, { path: toShortText(path), ...values });
}
