/** The file calls of the embedded Lua's C library: what they are given in memory, and how they tell errors. */

import { LOG_PIECE_BYTES, PATH_LIMIT_BYTES } from '../../crossing.js';
import type { RunningMachine } from '../machine.js';
import type { OpenFiles } from './open-files.js';

/** Error numbers of this C library, which are those of WASI. `embedded-stdlib.lua` turns them into those of the system. */
const errorNumbers: Readonly<Record<string, number>> = {
  EACCES: 2,
  EBADF: 8,
  EBUSY: 10,
  EDQUOT: 19,
  EEXIST: 20,
  EFBIG: 22,
  EINVAL: 28,
  EIO: 29,
  EISDIR: 31,
  ELOOP: 32,
  EMFILE: 33,
  ENAMETOOLONG: 37,
  ENFILE: 41,
  ENOENT: 44,
  ENOMEM: 48,
  ENOSPC: 51,
  ENOTDIR: 54,
  ENOTEMPTY: 55,
  ENOTTY: 59,
  ENXIO: 60,
  EPERM: 63,
  EROFS: 69,
  ETXTBSY: 74,
  EXDEV: 75,
};

/** `open` flags of this C library. */
const flag = { write: 1, readWrite: 2, create: 0o100, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const;
/** `fcntl` commands. */
const GET_FLAGS = 3;

/** The error number of what was thrown; a bug of the server stays what it is. */
function numberOf(error: unknown): number {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') throw error;
  return errorNumbers[code] ?? (errorNumbers.EIO as number);
}

function denied(): never {
  throw Object.assign(new Error('no files were granted'), { code: 'EACCES' });
}

/**
 * @param files those of the running state; undefined when it was granted none
 * @param print takes what C code writes to standard output and error
 */
export function fileImports(
  running: RunningMachine,
  files: () => OpenFiles | undefined,
  print: (text: string) => void,
): Record<'env' | 'wasi', Record<string, WebAssembly.Import>> {
  const granted = (): OpenFiles => files() ?? denied();
  const pathAt = (at: number): string => {
    const { memory } = running.machine;
    const end = memory.indexOf(0, at);
    if (end - at > PATH_LIMIT_BYTES) throw Object.assign(new Error('a path is too long'), { code: 'ENAMETOOLONG' });
    return memory.toString('latin1', at, end);
  };
  /** System calls give a negative error number. */
  const call = (work: () => number): number => {
    try {
      return work();
    } catch (error) {
      return -numberOf(error);
    }
  };
  /** Works on the parts of memory that a vector names, until one is not done whole; notes how much was done. */
  const eachPart = (vectors: number, count: number, doneAt: number, work: (part: Uint8Array) => number): number => {
    const { memory, words } = running.machine;
    let done = 0;
    try {
      for (let at = vectors; at < vectors + count * 8; at += 8) {
        const start = words.getUint32(at, true);
        const part = memory.subarray(start, start + words.getUint32(at + 4, true));
        if (part.length === 0) continue;
        const partDone = work(part);
        done += partDone;
        if (partDone < part.length) break;
      }
    } catch (error) {
      if (done === 0) return numberOf(error);
    }
    words.setUint32(doneAt, done, true);
    return 0;
  };
  return {
    env: {
      __syscall_openat: (_folder, pathAtByte, flags) =>
        call(() => {
          const has = (bits: number): boolean => (flags! & bits) !== 0;
          return granted().open(pathAt(pathAtByte!), {
            reads: !has(flag.write),
            writes: has(flag.write | flag.readWrite),
            creates: has(flag.create),
            isNew: has(flag.exclusive),
            truncates: has(flag.truncate),
            appends: has(flag.append),
          });
        }),
      __syscall_fcntl64: (number, command) =>
        call(() => (granted().isAppended(number!) && command === GET_FLAGS ? flag.append : 0)),
      /** No file is a terminal. */
      __syscall_ioctl: () => -(errorNumbers.ENOTTY as number),
      __syscall_unlinkat: (_folder, path) =>
        call(() => {
          granted().host.remove(pathAt(path!));
          return 0;
        }),
      __syscall_rmdir: (path) =>
        call(() => {
          granted().host.remove(pathAt(path!));
          return 0;
        }),
      __syscall_renameat: (_fromFolder, from, _toFolder, to) =>
        call(() => {
          granted().host.rename(pathAt(from!), pathAt(to!));
          return 0;
        }),
    },
    wasi: {
      fd_read: (number, vectors, count, doneAt) =>
        eachPart(vectors!, count!, doneAt!, (part) => granted().read(number!, part)),
      /** Scripts print through the prelude; 1 and 2 are only reached when C code prints, as the panic function does. */
      fd_write: (number, vectors, count, doneAt) =>
        eachPart(vectors!, count!, doneAt!, (part) => {
          if (number! > 2) return granted().write(number!, part);
          const piece = part.subarray(0, LOG_PIECE_BYTES);
          print(Buffer.from(piece).toString('latin1'));
          return piece.length;
        }),
      fd_close: (number) =>
        -call(() => {
          granted().close(number!);
          return 0;
        }),
      /** A 64-bit offset comes as two halves, and goes as one. */
      fd_seek: (number, low, high, from, positionAt) =>
        -call(() => {
          const position = granted().seek(number!, high! * 2 ** 32 + (low! >>> 0), from!);
          running.machine.words.setBigInt64(positionAt!, BigInt(position), true);
          return 0;
        }),
    },
  };
}
