/** Where an opened file lies. Asked of the descriptor: names may be made to lead elsewhere at any moment. */
import { fstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

const isLinux = process.platform === 'linux';

/**
 * The path of an opened file, links resolved, one character per byte.
 * @param path what it was opened as
 * @throws the system's error; `Replaced` when the file has no name any more
 */
export function placeOf(fd: number, path: Buffer): string {
  if (isLinux) {
    const place = readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' }).toString('latin1');
    // Asked after the place: of a file that has no name any more the kernel tells another one, with " (deleted)" at its end.
    if (fstatSync(fd).nlink === 0) throw new Replaced(path);
    return place;
  }
  const stats = fstatSync(fd);
  if (stats.nlink === 0) throw new Replaced(path);
  // Elsewhere the kernel does not tell: the path as it is now, if it still leads to this file.
  const real = realpathSync(path, { encoding: 'buffer' });
  const now = statSync(real);
  if (now.ino !== stats.ino || now.dev !== stats.dev) throw new Replaced(path);
  return real.toString('latin1');
}

/** Has an entry for each file that this process has open, on Linux. */
export const OPENED_FILES = '/proc/self/fd';

/** Whether this process has a file open. Elsewhere than on Linux nobody can tell: false. */
export function isOpened({ dev, ino }: { readonly dev: number; readonly ino: number }): boolean {
  if (!isLinux) return false;
  return readdirSync(OPENED_FILES).some((name) => {
    const opened = statSync(`${OPENED_FILES}/${name}`, { throwIfNoEntry: false });
    return opened?.ino === ino && opened.dev === dev;
  });
}

/** Another file has the name by now, or none. */
export class Replaced extends Error {
  readonly code = 'ENOENT';

  constructor(path: Buffer) {
    super(`${path} was replaced while it was opened`);
  }
}

/** A directory's path with links resolved, one character per byte; undefined when there is none. */
export function realDirectory(path: string): string | undefined {
  try {
    return realpathSync(Buffer.from(path, 'latin1'), { encoding: 'buffer' }).toString('latin1');
  } catch {
    return undefined;
  }
}

/** As many links as a kernel follows. */
const MOST_LINKS = 40;

/**
 * The places that a path leads over: those of the links in it, and where it ends; all one character per byte. Who
 * renames one of them makes the path lead elsewhere.
 */
export function stepsTo(path: string): readonly string[] {
  const steps: string[] = [];
  let rest = resolve(path).split('/').filter(Boolean);
  let place = '';
  for (let links = 0; rest.length > 0 && links <= MOST_LINKS; ) {
    const next = `${place}/${rest.shift()}`;
    const target = linkAt(next);
    if (target === undefined) {
      place = next;
      continue;
    }
    links += 1;
    steps.push(next);
    rest = [...resolve(place || '/', target).split('/'), ...rest].filter(Boolean);
    place = '';
  }
  return [...steps, place || '/'];
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(Buffer.from(path, 'latin1'), { encoding: 'buffer' }).toString('latin1');
  } catch {
    return undefined;
  }
}

/** Whether a path lies below a directory; both with links resolved. */
export function liesIn(file: string, directory: string): boolean {
  return file.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}
