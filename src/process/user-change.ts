/** Gives up root's rights: after the sockets and the log are open, before anything that clients ask for is done. */
import { LuafcgidError } from '../base/errors.js';

const ROOT = 0;

/** What the declarations of Node.js leave out. */
type WithInitgroups = NodeJS.Process & { readonly initgroups?: (user: string, extraGroup: number) => void };

/** Who the server becomes. What is undefined stays as it is. */
interface Identity {
  readonly user: { readonly name: string | undefined; readonly uid: number } | undefined;
  readonly gid: number | undefined;
}

/** Of the user, as messages name it. */
function textOf({ user, gid }: Identity): string {
  return user === undefined ? `group ${gid}` : `user ${user.name ?? user.uid}`;
}

/**
 * Checks that this process may become what is wanted.
 * @returns what changes it, for good and for all threads; undefined when nothing is to be changed
 * @throws LuafcgidError `LUAFCGID_USER_CHANGE` when only root may do that
 */
export function planUserChange(wanted: Identity): (() => void) | undefined {
  const { user, gid } = wanted;
  if (user === undefined && gid === undefined) return undefined;
  const [uid, ownGid] = [process.geteuid?.(), process.getegid?.()];
  if (uid !== ROOT) {
    if (uid !== undefined && (user?.uid ?? uid) === uid && (gid ?? ownGid) === ownGid) return undefined;
    throw failure(wanted, uid === undefined ? 'this system has no users' : `the server was started as user ${uid}`);
  }
  return () => {
    try {
      change(wanted);
    } catch (error) {
      throw error instanceof LuafcgidError ? error : failure(wanted, (error as Error).message, error);
    }
  };
}

/** The user comes last: it may not change the rest. The C library does each of these for all threads of the process. */
function change(wanted: Identity): void {
  const { user, gid } = wanted;
  if (gid !== undefined) {
    // Root's further groups go, those that the user belongs to come.
    if (user?.name !== undefined) (process as WithInitgroups).initgroups?.(user.name, gid);
    else process.setgroups?.([gid]);
    process.setgid?.(gid);
    if (process.getgid?.() !== gid || process.getegid?.() !== gid) throw failure(wanted, 'the group stayed');
  }
  if (user === undefined) return;
  process.setuid?.(user.uid);
  if (process.getuid?.() !== user.uid || process.geteuid?.() !== user.uid) throw failure(wanted, 'the user stayed');
  if (user.uid !== ROOT && canBecomeRoot()) throw failure(wanted, 'it could become root again');
}

function canBecomeRoot(): boolean {
  try {
    process.setuid?.(ROOT);
    return true;
  } catch {
    return false;
  }
}

function failure(wanted: Identity, reason: string, cause?: unknown): LuafcgidError {
  return new LuafcgidError('LUAFCGID_USER_CHANGE', { user: textOf(wanted), reason }, cause);
}

/** Whether what scripts do is done with root's rights. */
export function runsAsRoot(): boolean {
  return process.geteuid?.() === ROOT;
}
