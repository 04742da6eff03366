/** Descriptors that two threads of this process share: each has its own number for the same open socket (dup(2)). */
import { errorNumber, libc, systemError } from './libc.js';

const F_DUPFD_CLOEXEC = 1030;
const SHUT_RDWR = 2;

const c = {
  control: libc.func('int fcntl(int, int, int)'),
  shutdown: libc.func('int shutdown(int, int)'),
  close: libc.func('int close(int)'),
};

/** Another number for the same socket, which is closed on its own. @throws the system's error */
export function duplicateDescriptor(fd: number): number {
  const copy: number = c.control(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw systemError('fcntl', errorNumber());
  return copy;
}

/** Ends the stream both ways, whoever else has the socket. */
export function endSocket(fd: number): void {
  c.shutdown(fd, SHUT_RDWR);
}

export function closeDescriptor(fd: number): void {
  c.close(fd);
}
