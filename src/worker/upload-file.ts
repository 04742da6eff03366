/**
 * The temporary file for what a request has uploaded. It has no name any more when it is used, so nothing is left of it
 * whatever happens.
 */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LuafcgidError } from '../base/errors.js';

export class UploadFile {
  readonly #fd: number;
  #sizeBytes = 0;

  /** @throws LuafcgidError `LUAFCGID_UPLOAD_FAILED` */
  constructor() {
    this.#fd = attempt(() => {
      const file = join(tmpdir(), `luafcgid-upload-${crypto.randomUUID()}`);
      const fd = fs.openSync(file, 'wx+', 0o600);
      fs.unlinkSync(file);
      return fd;
    });
  }

  /**
   * Adds to the file; gives where.
   * @throws LuafcgidError `LUAFCGID_UPLOAD_FAILED`
   */
  write(bytes: Uint8Array): number {
    const offset = this.#sizeBytes;
    attempt(() => {
      for (let done = 0; done < bytes.length; )
        done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
    });
    this.#sizeBytes += bytes.length;
    return offset;
  }

  read(offset: number, maxBytes: number): Uint8Array {
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(maxBytes, this.#sizeBytes - offset)));
    return bytes.subarray(
      0,
      attempt(() => fs.readSync(this.#fd, bytes, 0, bytes.length, offset)),
    );
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new LuafcgidError('LUAFCGID_UPLOAD_FAILED', { reason: (error as Error).message }, error);
  }
}
