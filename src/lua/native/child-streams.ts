/**
 * The standard streams of programs that native scripts start. Node.js lets nobody inherit its own, so such a program
 * would begin without any, and write its errors into the first file that it opens.
 */
import type { Ffi } from '../../base/ffi.js';

/** fcntl(2) and getsockopt(2), on Linux. */
const F_SETFD = 2;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;

const STANDARD_STREAMS = [0, 1, 2];
const isLinux = process.platform === 'linux';

/** Lets programs inherit the standard streams, save one that is a listening socket (`listen = "fd:0"`). */
export function inheritStandardStreams(ffi: Ffi): void {
  if (!isLinux) return;
  const system = ffi.load(null);
  const control = system.func('int fcntl(int, int, int)');
  const getOption = system.func('int getsockopt(int, int, int, void*, void*)');
  for (const fd of STANDARD_STREAMS) {
    const listens = new Int32Array(1);
    getOption(fd, SOL_SOCKET, SO_ACCEPTCONN, listens, Uint32Array.of(listens.byteLength));
    if (listens[0] === 0) control(fd, F_SETFD, 0);
  }
}
