/** Finds the file behind a script's path: links resolved, so that one file is one script however it is named. */
import { access, constants, realpath, stat } from 'node:fs/promises';
import { type ErrorCode, LuafcgidError } from '../errors.js';

/** File system reasons for "there is no such file"; all others mean that it may not be read. */
const MISSING: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);

/** Paths of this module are text in which each character is one byte, as everywhere in the front. */
function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** `root` as it is configured, resolved as scripts are. Directories that do not exist hold no scripts. */
export async function resolveRoots(roots: readonly string[]): Promise<string[]> {
  const resolved: string[] = [];
  for (const root of roots) {
    const real = await realpath(root, { encoding: 'buffer' }).catch(() => undefined);
    if (real !== undefined) resolved.push(real.toString('latin1'));
  }
  return resolved;
}

/**
 * The regular, readable file behind `path`.
 * @param roots resolved directories in one of which it has to lie; undefined: it may lie anywhere
 * @throws LuafcgidError of status 403 or 404
 */
export async function findScript(path: string, roots: readonly string[] | undefined): Promise<string> {
  try {
    const real = await realpath(bytesOf(path), { encoding: 'buffer' });
    const file = real.toString('latin1');
    if (roots !== undefined && !roots.some((root) => liesIn(file, root))) throw refusal('OUTSIDE_ROOT', path);
    if (!(await stat(real)).isFile()) throw refusal('NOT_A_FILE', path);
    await access(real, constants.R_OK);
    return file;
  } catch (error) {
    if (error instanceof LuafcgidError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (MISSING.has(code)) throw refusal('NOT_FOUND', path);
    throw refusal('UNREADABLE', path, code);
  }
}

function liesIn(file: string, root: string): boolean {
  return file.startsWith(root === '/' ? root : `${root}/`);
}

function refusal(
  fact: 'OUTSIDE_ROOT' | 'NOT_A_FILE' | 'NOT_FOUND' | 'UNREADABLE',
  path: string,
  reason?: string,
): LuafcgidError {
  const code: ErrorCode = `LUAFCGID_SCRIPT_${fact}`;
  return new LuafcgidError(code, { path: bytesOf(path).toString(), reason });
}
