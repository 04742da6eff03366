/** An error that says no more than a code of the system, such as `EBADF`: what would have been the kernel's answer. */
export function errorOfSystem(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
