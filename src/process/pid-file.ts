/**
 * The file with the process's number (`pidfile`). While the process lives the file is locked, so a file that was left
 * behind is never taken for that of a server that runs, whoever has its number by now. Where files cannot be locked, a
 * process of that number is taken for its owner.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { LuafcgidError } from '../base/errors.js';
import { type HeldPlace, holdPlace } from '../linux/trusted-path.js';

/** Locks an open file; false: another process has it. Undefined: files cannot be locked here. */
export type LockFile = ((fd: number) => boolean) | undefined;

const MODE = 0o644;
/** Others that start at the same time may each take the place once. */
const MAX_TRIES = 20;

const isLinux = process.platform === 'linux';

/** The system's way to lock files, where it is known. */
export async function systemLock(): Promise<LockFile> {
  if (!isLinux) return undefined;
  return import('../linux/file-lock.js').then(
    ({ lockFile }) => lockFile,
    () => undefined,
  );
}

export class PidFile {
  /** For messages. */
  readonly #path: string;
  /** Its folder is held open: nobody leads root elsewhere by putting a link in the place of the folder. */
  readonly #place: HeldPlace;
  readonly #lock: LockFile;
  /** Kept open as long as the file is ours: with it goes the lock. */
  #fd: number | undefined;

  /** @throws LuafcgidError when a server that runs has written the file, or it is something else */
  constructor(path: string, lock: LockFile) {
    this.#path = path;
    this.#lock = lock;
    this.#place = this.#guard(() => holdPlace(path));
    try {
      this.#guard(() => this.#look(false));
    } catch (error) {
      this.#place.close();
      throw error;
    }
  }

  /** Writes the file: it appears whole, and only if nobody else's is there. @throws LuafcgidError */
  write(): void {
    this.#guard(() => {
      const draft = `${this.#place.path}.${process.pid}`;
      // Left behind by one that was killed in the middle of this.
      rmSync(draft, { force: true });
      const fd = openSync(draft, 'wx', MODE);
      try {
        fchmodSync(fd, MODE);
        writeSync(fd, `${process.pid}\n`);
        this.#lock?.(fd);
        for (let tries = 0; !this.#appears(draft); tries += 1) {
          if (tries === MAX_TRIES) throw new Error('others write it all the time');
          this.#look(true);
        }
        this.#fd = fd;
      } finally {
        unlinkSync(draft);
        if (this.#fd === undefined) closeSync(fd);
      }
    });
  }

  /** Removes the file if it is still the one that was written. */
  remove(): void {
    const fd = this.#fd;
    if (fd === undefined) return this.#place.close();
    this.#fd = undefined;
    const { path } = this.#place;
    try {
      if (lstatSync(path, { bigint: true }).ino === fstatSync(fd, { bigint: true }).ino) unlinkSync(path);
    } catch {
      // The user that it runs as may not remove it: then at least it names nobody.
      ftruncateSync(fd);
    } finally {
      closeSync(fd);
      this.#place.close();
    }
  }

  #appears(draft: string): boolean {
    try {
      linkSync(draft, this.#place.path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  /** Makes sure that the file is nobody's. @param removes take it away then */
  #look(removes: boolean): void {
    let fd: number;
    try {
      fd = openSync(this.#place.path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    try {
      const text = fstatSync(fd).isFile() ? readFileSync(fd, 'latin1').trim() : 'no file';
      if (!/^[0-9]{0,10}$/.test(text)) {
        throw new LuafcgidError('LUAFCGID_SERVICE_PIDFILE', { file: this.#path, reason: 'it holds something else' });
      }
      const isFree = this.#lock === undefined ? !isOther(Number(text)) : this.#lock(fd);
      if (!isFree) throw new LuafcgidError('LUAFCGID_SERVICE_RUNNING', { file: this.#path, pid: text || 'one' });
      // With the lock nobody else takes away what is there: either it is still this file, or it is nobody's business.
      const now = lstatSync(this.#place.path, { bigint: true, throwIfNoEntry: false });
      if (removes && now?.ino === fstatSync(fd, { bigint: true }).ino) unlinkSync(this.#place.path);
    } finally {
      closeSync(fd);
    }
  }

  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (error instanceof LuafcgidError) throw error;
      const reason = (error as Error).message.replaceAll(this.#place?.path ?? this.#path, this.#path);
      throw new LuafcgidError('LUAFCGID_SERVICE_PIDFILE', { file: this.#path, reason }, error);
    }
  }
}

/** The process that a pid file names; undefined where there is none, or it does not run. */
export function processOf(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
  const pid = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  return isRunning(pid) ? pid : undefined;
}

/** Whether another process of this number runs. */
function isOther(pid: number): boolean {
  return pid !== process.pid && isRunning(pid);
}

/** Whether there is a process of this number. */
export function isRunning(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
