/**
 * The files that scripts of the embedded engine may use: those below the directories of `files`, after links are
 * resolved, and no others, whatever links are switched and whatever is renamed meanwhile.
 *
 * The folder of a file is opened first and asked where it lies. What is done then is done inside of that opened folder,
 * to a name that is not followed if it is a link; links are resolved here, step by step. A directory that decides what
 * may be used (a grant, a root, the script's own) can be neither moved nor replaced by a script, nor can those above it.
 */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errorOfSystem } from '../base/system-error.js';
import type { ByteString, FileAttributes, FileHost, OpenHow } from '../lua/state.js';
import { type FileGrants, O_PATH, placeOfHeld } from './held-directory.js';
import { isOpened, liesIn, stepsTo } from './opened-file.js';
import type { WriteQuota } from './write-quota.js';

/** As many as a kernel follows. */
const MOST_LINKS = 40;

const isLinux = process.platform === 'linux';

/** A folder that was opened, and a name in it. */
interface Entry {
  /** Where it lies, links resolved but that which it may be itself. */
  readonly place: ByteString;
  /** Names it within the opened folder, wherever that is moved. */
  readonly name: Buffer;
}

export class GrantedFiles implements FileHost {
  readonly #grants: FileGrants;
  readonly #directory: ByteString;
  readonly #fixed: readonly ByteString[];
  readonly largestBytes: number;
  readonly quota: WriteQuota | undefined;

  /**
   * @param directory where relative names start: that of the script
   * @param fixed further directories that scripts may not move: those that Lua sources are loaded from
   * @param largestBytes that a file may have which is written
   * @param quota of all files together
   */
  constructor(
    grants: FileGrants,
    directory: ByteString,
    fixed: readonly ByteString[] = [],
    largestBytes = Number.POSITIVE_INFINITY,
    quota?: WriteQuota,
  ) {
    this.quota = quota;
    this.largestBytes = largestBytes;
    this.#grants = grants;
    this.#directory = directory;
    this.#fixed = [directory, ...fixed];
  }

  open(path: ByteString, how: OpenHow): number {
    const wants = (entry: Entry): void => {
      if (how.reads) this.#require('read', entry);
      if (how.writes) this.#require('write', entry);
    };
    const access = how.writes ? (how.reads ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
    const flags =
      access |
      (how.creates ? constants.O_CREAT : 0) |
      (how.isNew ? constants.O_EXCL : 0) |
      (how.truncates ? constants.O_TRUNC : 0) |
      (how.appends ? constants.O_APPEND : 0) |
      constants.O_NOFOLLOW |
      constants.O_NOCTTY |
      // Opening a named pipe would wait for its other end.
      constants.O_NONBLOCK;
    let name: ByteString = resolve(this.#absolute(path));
    for (let links = 0; links < MOST_LINKS; links += 1) {
      const outcome = this.#within(name, (entry) => {
        const target = linkAt(entry);
        if (target !== undefined) return target.startsWith('/') ? target : `${dirname(entry.place)}/${target}`;
        wants(entry);
        const freed = how.truncates ? this.#sizeOf(entry) : 0;
        const fd = openRegular(entry.name, flags);
        this.quota?.take(-freed);
        return fd;
      });
      if (typeof outcome === 'number') return outcome;
      name = outcome;
    }
    throw errorOfSystem('ELOOP');
  }

  remove(path: ByteString): void {
    this.#within(this.#absolute(path), (entry) => {
      this.#require('write', entry);
      this.#requireMovable(entry);
      const freed = this.#freedWithout(entry);
      if (lstatSync(entry.name).isDirectory()) rmdirSync(entry.name);
      else unlinkSync(entry.name);
      this.quota?.take(-freed);
    });
  }

  rename(from: ByteString, to: ByteString): void {
    this.#within(this.#absolute(from), (source) =>
      this.#within(this.#absolute(to), (target) => {
        this.#require('write', source);
        this.#require('write', target);
        // What may not be read must not become readable by moving it.
        if (this.#may('read', target)) this.#require('read', source);
        this.#requireMovable(source);
        this.#requireMovable(target);
        const freed = isSame(source, target) ? 0 : this.#freedWithout(target);
        renameSync(source.name, target.name);
        this.quota?.take(-freed);
      }),
    );
  }

  makeTemporary(): ByteString {
    const [folder] = this.#grants.write;
    if (folder === undefined) throw errorOfSystem('EACCES');
    const path = `${folder.path}/lua_${randomBytes(8).toString('hex')}`;
    const how = { reads: false, writes: true, creates: true, isNew: true, truncates: false, appends: false };
    closeSync(this.open(path, how));
    return path;
  }

  attributes(path: ByteString, follows: boolean): FileAttributes {
    let name: ByteString = resolve(this.#absolute(path));
    for (let links = 0; links < MOST_LINKS; links += 1) {
      const outcome = this.#within(name, (entry) => {
        this.#requireAny(entry);
        const target = linkAt(entry);
        if (target === undefined || !follows) return attributesOf(lstatSync(entry.name), target);
        return target.startsWith('/') ? target : `${dirname(entry.place)}/${target}`;
      });
      if (typeof outcome !== 'string') return outcome;
      name = outcome;
    }
    throw errorOfSystem('ELOOP');
  }

  list(path: ByteString): readonly ByteString[] {
    let name: ByteString = resolve(this.#absolute(path));
    for (let links = 0; links < MOST_LINKS; links += 1) {
      const outcome = this.#within(name, (entry) => {
        const target = linkAt(entry);
        if (target !== undefined) return target.startsWith('/') ? target : `${dirname(entry.place)}/${target}`;
        if (!this.#may('read', entry, true)) throw errorOfSystem('EACCES');
        return namesIn(entry.name);
      });
      if (typeof outcome !== 'string') return outcome;
      name = outcome;
    }
    throw errorOfSystem('ELOOP');
  }

  makeDirectory(path: ByteString): void {
    this.#within(resolve(this.#absolute(path)), (entry) => {
      this.#require('write', entry);
      mkdirSync(entry.name, 0o777);
    });
  }

  removeDirectory(path: ByteString): void {
    this.#within(resolve(this.#absolute(path)), (entry) => {
      this.#require('write', entry);
      this.#requireMovable(entry);
      rmdirSync(entry.name);
    });
  }

  touch(path: ByteString, accessSeconds: number, modifiedSeconds: number): void {
    this.#within(this.#absolute(path), (entry) => {
      this.#require('write', entry);
      lutimesSync(entry.name, accessSeconds, modifiedSeconds);
    });
  }

  /** What becomes free of the quota when a file is removed or replaced: nothing while somebody has it open, who has it without a name then. */
  #freedWithout(entry: Entry): number {
    const bytes = this.#sizeOf(entry);
    return bytes > 0 && this.quota?.hasOpen === true && isOpened(lstatSync(entry.name)) ? 0 : bytes;
  }

  /** What becomes free of the quota when a file is emptied; one with other names stays. */
  #sizeOf({ name }: Entry): number {
    if (this.quota === undefined) return 0;
    const stats = lstatSync(name, { throwIfNoEntry: false });
    return stats?.isFile() && stats.nlink === 1 ? stats.size : 0;
  }

  #absolute(path: ByteString): ByteString {
    return path.startsWith('/') ? path : `${this.#directory}/${path}`;
  }

  /** @param countsItself whether the granted directory itself counts, and not only what lies in it */
  #may(what: keyof FileGrants, { place }: Entry, countsItself = false): boolean {
    return this.#grants[what].some((grant) => {
      const directory = placeOfHeld(grant);
      return directory !== undefined && (liesIn(place, directory) || (countsItself && place === directory));
    });
  }

  #requireAny(entry: Entry): void {
    if (!this.#may('read', entry, true) && !this.#may('write', entry, true)) throw errorOfSystem('EACCES');
  }

  /** What is moved, removed or replaced is no directory that decides what scripts may use, nor does it hold one. */
  #requireMovable({ place }: Entry): void {
    const held = [...this.#grants.read, ...this.#grants.write].map(placeOfHeld);
    for (const directory of [...held, ...this.#fixed.flatMap(stepsTo)]) {
      if (directory === place || (directory !== undefined && liesIn(directory, place))) throw errorOfSystem('EACCES');
    }
  }

  #require(what: keyof FileGrants, entry: Entry): void {
    if (!this.#may(what, entry)) throw errorOfSystem('EACCES');
  }

  /** Opens the folder of a file and does something to the file there. */
  #within<Result>(path: ByteString, work: (entry: Entry) => Result): Result {
    try {
      return withEntry(path, work);
    } catch (error) {
      // What lies outside is denied, there or not: a script learns nothing of it.
      const file = resolve(path);
      const grants = [...this.#grants.read, ...this.#grants.write];
      const directories = grants.flatMap((grant) => [grant.path, placeOfHeld(grant) ?? grant.path]);
      if (directories.some((directory) => liesIn(file, directory))) throw error;
      throw errorOfSystem('EACCES');
    }
  }
}

function withEntry<Result>(path: ByteString, work: (entry: Entry) => Result): Result {
  const slash = path.lastIndexOf('/');
  const base = path.slice(slash + 1);
  if (base === '' || base === '.' || base === '..') throw errorOfSystem('EISDIR');
  const folder = Buffer.from(path.slice(0, slash) || '/', 'latin1');
  const entryIn = (place: ByteString, folderName: string): Entry => ({
    place: place === '/' ? `/${base}` : `${place}/${base}`,
    name: Buffer.from(`${folderName}/${base}`, 'latin1'),
  });
  if (!isLinux) {
    // Here a folder that is switched between the two steps is not noticed.
    const place = realpathSync(folder, { encoding: 'buffer' }).toString('latin1');
    return work(entryIn(place, place));
  }
  const fd = openSync(folder, O_PATH | constants.O_DIRECTORY);
  try {
    const place = readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' }).toString('latin1');
    return work(entryIn(place, `/proc/self/fd/${fd}`));
  } finally {
    closeSync(fd);
  }
}

/** Where a link leads; undefined for what is none. */
function linkAt({ name }: Entry): ByteString | undefined {
  try {
    return readlinkSync(name, { encoding: 'buffer' }).toString('latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EINVAL' || code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Longer lists would fill a state. */
const MOST_NAMES = 100_000;

function namesIn(directory: Buffer): readonly ByteString[] {
  const names = readdirSync(directory, { encoding: 'buffer' });
  if (names.length > MOST_NAMES) throw errorOfSystem('EOVERFLOW');
  return ['.', '..', ...names.map((name) => name.toString('latin1'))];
}

function attributesOf(stats: Stats, target: ByteString | undefined): FileAttributes {
  const permission = (bit: number, letter: string): string => ((stats.mode & bit) === 0 ? '-' : letter);
  const permissions = [6, 3, 0]
    .map((shift) => permission(4 << shift, 'r') + permission(2 << shift, 'w') + permission(1 << shift, 'x'))
    .join('');
  const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);
  return {
    mode: kindOf(stats),
    permissions,
    size: stats.size,
    nlink: stats.nlink,
    uid: stats.uid,
    gid: stats.gid,
    dev: stats.dev,
    ino: stats.ino,
    rdev: stats.rdev,
    blocks: stats.blocks,
    blksize: stats.blksize,
    access: seconds(stats.atimeMs),
    modification: seconds(stats.mtimeMs),
    change: seconds(stats.ctimeMs),
    ...(target !== undefined && { target }),
  };
}

/** In the words of LuaFileSystem. */
function kindOf(stats: Stats): string {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'link';
  if (stats.isSocket()) return 'socket';
  if (stats.isFIFO()) return 'named pipe';
  if (stats.isCharacterDevice()) return 'char device';
  return stats.isBlockDevice() ? 'block device' : 'other';
}

/** Whether two names are those of one file: then renaming does nothing. */
function isSame({ name }: Entry, other: Entry): boolean {
  const stats = lstatSync(name, { throwIfNoEntry: false });
  const others = lstatSync(other.name, { throwIfNoEntry: false });
  return stats !== undefined && stats.ino === others?.ino && stats.dev === others.dev;
}

function openRegular(name: Buffer, flags: number): number {
  const fd = openSync(name, flags, 0o666);
  const stats = fstatSync(fd);
  if (stats.isFile()) return fd;
  closeSync(fd);
  throw errorOfSystem(stats.isDirectory() ? 'EISDIR' : 'EACCES');
}
