/**
 * The files that a state of the embedded engine has open, as its C library sees them: numbers from 3, read and written
 * at a position. Whether one may be opened at all is for the host to say.
 */

import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import { errorOfSystem } from '../../../base/system-error.js';
import type { FileHost, OpenHow } from '../../state.js';

interface OpenFile {
  readonly fd: number;
  readonly how: OpenHow;
  position: number;
}

/** As many as C promises. A server has few descriptors, and its connections need them too. */
const MOST_FILES = 16;
/** Below are the standard streams. */
const FIRST = 3;

/** Where a position is counted from, as lseek(2) has it. */
export const seekFrom = { start: 0, here: 1, end: 2 } as const;

export class OpenFiles {
  readonly host: FileHost;
  readonly #files: (OpenFile | undefined)[] = [];
  /** The file whose position was set last, and that position. */
  #sought: { readonly number: number; readonly position: number } | undefined;

  constructor(host: FileHost) {
    this.host = host;
  }

  get isEmpty(): boolean {
    return this.#files.every((file) => file === undefined);
  }

  /** Whether some output may wait in the C library. */
  get hasWriters(): boolean {
    return this.#files.some((file) => file?.how.writes);
  }

  /** @throws the system's error */
  open(path: string, how: OpenHow): number {
    const free = this.#files.indexOf(undefined);
    const at = free < 0 ? this.#files.length : free;
    if (at >= MOST_FILES) throw errorOfSystem('EMFILE');
    this.#files[at] = { fd: this.host.open(path, how), how, position: 0 };
    this.host.quota?.opened();
    return at + FIRST;
  }

  read(number: number, into: Uint8Array): number {
    const file = this.#file(number);
    const count = readSync(file.fd, into, 0, into.length, file.position);
    file.position += count;
    return count;
  }

  write(number: number, bytes: Uint8Array): number {
    const file = this.#file(number);
    const start = file.how.appends ? fstatSync(file.fd).size : file.position;
    if (start + bytes.length > this.host.largestBytes) throw errorOfSystem('EFBIG');
    const count = this.#writeWithin(file, start, bytes);
    // The kernel adds to the end of a file that was opened so, whatever the position is.
    file.position = file.how.appends ? fstatSync(file.fd).size : file.position + count;
    return count;
  }

  /** Gives how many bytes were written. @throws the system's error */
  #writeWithin({ fd, position }: OpenFile, start: number, bytes: Uint8Array): number {
    const { quota } = this.host;
    if (quota === undefined) return writeSync(fd, bytes, 0, bytes.length, position);
    const growthOf = (written: number): number => Math.max(0, start + written - fstatSync(fd).size);
    const growth = growthOf(bytes.length);
    quota.take(growth);
    let left = growth;
    try {
      const count = writeSync(fd, bytes, 0, bytes.length, position);
      left = Math.min(growth, bytes.length - count);
      return count;
    } finally {
      quota.take(-left);
    }
  }

  /** Gives the new position. */
  seek(number: number, offset: number, from: number): number {
    const file = this.#file(number);
    const base =
      from === seekFrom.end
        ? fstatSync(file.fd).size
        : from === seekFrom.here
          ? file.position
          : from === seekFrom.start
            ? 0
            : -1;
    const position = base + offset;
    if (base < 0 || !(position >= 0) || position > Number.MAX_SAFE_INTEGER) throw errorOfSystem('EINVAL');
    file.position = position;
    this.#sought = { number, position };
    return position;
  }

  /** What `seek` was last called for since this was asked, and the position that it gave. */
  takeSought(): { readonly number: number; readonly position: number } | undefined {
    const sought = this.#sought;
    this.#sought = undefined;
    return sought;
  }

  isAppended(number: number): boolean {
    return this.#file(number).how.appends;
  }

  close(number: number): void {
    const { fd } = this.#file(number);
    this.#files[number - FIRST] = undefined;
    this.#closed(fd);
  }

  closeAll(): void {
    for (const file of this.#files.splice(0)) if (file !== undefined) this.#closed(file.fd);
  }

  #closed(fd: number): void {
    this.host.quota?.closed();
    closeSync(fd);
  }

  #file(number: number): OpenFile {
    const file = this.#files[number - FIRST];
    if (file === undefined) throw errorOfSystem('EBADF');
    return file;
  }
}
