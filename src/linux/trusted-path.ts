/**
 * How root opens and makes files that a configuration names (main thread). A folder in the path may belong to another
 * user, who can put a link or somebody else's file in the place of what is expected there; root would then write to it.
 * So the path is walked folder by folder: links are followed only in folders that root alone may write to, and a file
 * in any other folder must be a plain one with a single name, of root, of the folder's owner or of the server's user.
 * Servers that are not started as root open paths as they are: nobody gains by leading them elsewhere.
 */
import { closeSync, constants, existsSync, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';

const ROOT = 0;
/** Of group and others. */
const WRITABLE = 0o022;
const STICKY = 0o1000;
/** O_PATH (open(2)), which Node.js does not name. */
const O_PATH = 0o10000000;
/** As many as a kernel follows. */
const MOST_LINKS = 40;
/** Entries of these folders are links that no path leads to: `/proc/self/fd/2` may be a pipe. */
const OWN_DESCRIPTORS = /^\/proc\/\d+(\/task\/\d+)?\/fd$/;

/** Why root does not open a path. */
export class UntrustedPath extends Error {
  override readonly name = 'UntrustedPath';
}

/** A folder that is held open, and the name of something in it. */
export interface HeldPlace {
  /** Names it for the system's calls, wherever its folder is moved. */
  readonly path: string;
  /** Root alone may write to the folder and to those above it. */
  readonly isTrusted: boolean;
  close(): void;
}

/** Whether paths have to be walked. */
function walks(): boolean {
  return process.geteuid?.() === ROOT && process.platform === 'linux' && existsSync('/proc/self/fd');
}

/**
 * Opens a file as `openSync` does.
 * @param path absolute
 * @param owner the user that the server becomes, whose files root may write to
 * @returns the descriptor, and whether the file is one that only root can have put there
 * @throws UntrustedPath when another user may have put it there; the system's error
 */
export function openTrusted(
  path: string,
  flags: number,
  mode: number,
  owner?: number,
): { readonly fd: number; readonly isTrusted: boolean } {
  if (!walks()) return { fd: openSync(path, flags, mode), isTrusted: process.geteuid?.() !== ROOT };
  const place = holdPlace(path, true);
  try {
    const fd = openSync(place.path, place.isTrusted ? flags : flags | constants.O_NOFOLLOW, mode);
    try {
      if (!place.isTrusted) requirePlain(path, fd, [ROOT, ownerOfFolder(place), owner]);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return { fd, isTrusted: place.isTrusted };
  } catch (error) {
    if (!place.isTrusted && (error as NodeJS.ErrnoException).code === 'ELOOP') throw linkFault(path);
    throw named(error, path);
  } finally {
    place.close();
  }
}

/**
 * Opens the folder of a path, so that what is made there is made in this folder. Where paths are not walked, it is the
 * path itself.
 * @param followsLast whether a link that has the very name is followed as well
 * @throws UntrustedPath when the way leads over a link of another user; the system's error when there is no such folder
 */
export function holdPlace(path: string, followsLast = false): HeldPlace {
  if (!walks()) return { path, isTrusted: false, close: () => {} };
  let links = 0;
  let folder = openFolder('/');
  let isTrusted = isOfRootAlone(fstatSync(folder));
  const enter = (next: number, trusted: boolean): void => {
    closeSync(folder);
    folder = next;
    isTrusted = trusted;
  };
  try {
    const rest = namesOf(path);
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      const entry = `/proc/self/fd/${folder}/${name}`;
      const isLast = rest.length === 0;
      if (isLast && !followsLast) return held(entry, isTrusted, folder);
      if (lstatSync(entry, { throwIfNoEntry: false })?.isSymbolicLink()) {
        if (!isTrusted) throw linkFault(path);
        if (isLast && OWN_DESCRIPTORS.test(readlinkSync(`/proc/self/fd/${folder}`)))
          return held(entry, isTrusted, folder);
        links += 1;
        if (links > MOST_LINKS) throw Object.assign(new Error(`ELOOP: too many links, ${path}`), { code: 'ELOOP' });
        const target = readlinkSync(entry);
        rest.unshift(...namesOf(target));
        if (target.startsWith('/')) {
          const top = openFolder('/');
          enter(top, isOfRootAlone(fstatSync(top)));
        }
        continue;
      }
      if (isLast) return held(entry, isTrusted, folder);
      const parent = fstatSync(folder);
      const next = openFolder(entry);
      // What root has put into a folder like /tmp cannot be moved by others.
      const isKept = isTrusted || (parent.uid === ROOT && (parent.mode & STICKY) !== 0);
      enter(next, isKept && isOfRootAlone(fstatSync(next)));
    }
    throw Object.assign(new Error(`EISDIR: ${path} is a directory`), { code: 'EISDIR' });
  } catch (error) {
    closeSync(folder);
    throw named(error, path);
  }
}

/** The same error with the path that people know, in place of that of a descriptor. */
function named(error: unknown, path: string): unknown {
  if (!(error instanceof Error)) return error;
  return Object.assign(error, {
    message: error.message.replace(/'\/proc\/self\/fd\/\d+(\/[^']*)?'/, `'${path}'`),
    path,
  });
}

function held(path: string, isTrusted: boolean, folder: number): HeldPlace {
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(folder);
    isOpen = false;
  };
  return { path, isTrusted, close };
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function openFolder(path: string): number {
  return openSync(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function isOfRootAlone({ uid, mode }: Stats): boolean {
  return uid === ROOT && (mode & WRITABLE) === 0;
}

function ownerOfFolder({ path }: HeldPlace): number {
  return lstatSync(`${path.slice(0, path.lastIndexOf('/'))}/.`).uid;
}

function requirePlain(path: string, fd: number, owners: readonly (number | undefined)[]): void {
  const stats = fstatSync(fd);
  const why =
    !stats.isFile() && !stats.isFIFO()
      ? 'it is no plain file'
      : stats.nlink !== 1
        ? `it has ${stats.nlink} names`
        : owners.includes(stats.uid)
          ? undefined
          : `it belongs to user ${stats.uid}`;
  if (why !== undefined) throw new UntrustedPath(`others than root may write to the folder of ${path}, and ${why}`);
}

function linkFault(path: string): UntrustedPath {
  return new UntrustedPath(`${path} leads over a link in a folder that others than root may write to`);
}
