/**
 * The directories of `files` as they were when the server took its configuration. The main thread opens each of them
 * once; every worker compares with what was opened, so a grant stays with its directory when that is renamed, and a
 * link or another directory that takes its name gets nothing of it.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, statSync } from 'node:fs';
import { toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import type { ByteString } from '../lua/state.js';
import { realDirectory } from './opened-file.js';

/** A directory that was looked up once. It can be handed to other threads: they share the descriptor. */
export interface HeldDirectory {
  /** As the configuration names it, one character per byte. */
  readonly path: ByteString;
  readonly dev: bigint;
  readonly ino: bigint;
  /** Keeps it open (O_PATH); undefined where the system cannot tell the path of an open directory. */
  readonly fd: number | undefined;
}

/** Directories whose files scripts may read, and may write. Neither implies the other. */
export interface FileGrants {
  readonly read: readonly HeldDirectory[];
  readonly write: readonly HeldDirectory[];
}

const isLinux = process.platform === 'linux';
/** O_PATH (open(2)), which Node.js does not name: holds a directory without reading it. */
export const O_PATH = 0o10000000;

/**
 * Opens directories, to be closed by `releaseGrants`.
 * @param granted their paths, one character per byte
 * @throws LuafcgidError `LUAFCGID_CONFIG_PLACE` when one of them is no directory, or may not be reached
 */
export function holdGrants(granted: {
  readonly read: readonly ByteString[];
  readonly write: readonly ByteString[];
}): FileGrants {
  const held = new Map<ByteString, HeldDirectory>();
  const hold = (path: ByteString): HeldDirectory => {
    try {
      const directory = held.get(path) ?? holdDirectory(path);
      held.set(path, directory);
      return directory;
    } catch (error) {
      closeAll(held.values());
      const values = { option: 'files', value: toText(path), reason: (error as Error).message };
      throw new LuafcgidError('LUAFCGID_CONFIG_PLACE', values, error);
    }
  };
  return { read: granted.read.map(hold), write: granted.write.map(hold) };
}

/** To be called when no worker uses them any more. */
export function releaseGrants({ read, write }: FileGrants): void {
  closeAll(new Set([...read, ...write]));
}

function holdDirectory(path: ByteString): HeldDirectory {
  const name = Buffer.from(path, 'latin1');
  if (!isLinux) {
    const { dev, ino } = statSync(name, { bigint: true });
    return { path, dev, ino, fd: undefined };
  }
  const fd = openSync(name, O_PATH | constants.O_DIRECTORY);
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { path, dev, ino, fd };
}

function closeAll(directories: Iterable<HeldDirectory>): void {
  for (const { fd } of directories) if (fd !== undefined) closeSync(fd);
}

/** Where the directory lies now, links resolved; undefined when it is not there any more. */
export function placeOfHeld({ path, dev, ino, fd }: HeldDirectory): ByteString | undefined {
  try {
    if (fd === undefined) {
      const now = statSync(Buffer.from(path, 'latin1'), { bigint: true });
      return now.dev === dev && now.ino === ino ? realDirectory(path) : undefined;
    }
    // A thread that was given up may outlive the descriptor: its number may be that of another file by now.
    const now = fstatSync(fd, { bigint: true });
    if (now.dev !== dev || now.ino !== ino || now.nlink === 0n) return undefined;
    return readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' }).toString('latin1');
  } catch {
    return undefined;
  }
}
