/** A Unix socket's file, as it has to be from the moment it is there: its permissions and its owner. */
import { chownSync, closeSync, constants, fstatSync, lchownSync, openSync } from 'node:fs';
import { LuafcgidError } from '../../base/errors.js';

/** Who may connect to a Unix socket. What is undefined stays as the system makes it. */
export interface SocketAccess {
  readonly mode?: number | undefined;
  /** -1 for what stays as it is. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Runs `bind`, which creates a socket file synchronously, so that the file has this mode from its first moment. */
export function withFileMode<Result>(mode: number | undefined, bind: () => Result): Result {
  if (mode === undefined) return bind();
  const former = process.umask(0o777 & ~mode);
  try {
    return bind();
  } finally {
    process.umask(former);
  }
}

/**
 * Gives a socket's file to its owner.
 * @throws LuafcgidError `LUAFCGID_LISTEN_OWNER`
 */
export function giveSocketFile(path: string, owner: SocketAccess['owner']): void {
  if (owner === undefined) return;
  try {
    if (process.platform === 'linux') chownLinux(path, owner.uid, owner.gid);
    else lchownSync(path, owner.uid, owner.gid);
  } catch (error) {
    const [user, group] = [owner.uid, owner.gid].map((id) => (id < 0 ? 'as before' : id));
    throw new LuafcgidError('LUAFCGID_LISTEN_OWNER', { path, user, group, reason: (error as Error).message }, error);
  }
}

/** O_PATH (open(2)), which Node.js does not name. */
const O_PATH = 0o10000000;

/**
 * Root gives away a file here, in a folder that others may be able to write to. So the file is held first, and must be
 * a socket without a second name: neither a link nor somebody else's file that was put in its place.
 */
function chownLinux(path: string, uid: number, gid: number): void {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const stats = fstatSync(fd);
    if (!stats.isSocket() || stats.nlink !== 1) throw new Error('another file has taken its place');
    chownSync(`/proc/self/fd/${fd}`, uid, gid);
  } finally {
    closeSync(fd);
  }
}
