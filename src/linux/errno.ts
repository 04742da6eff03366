/** Numbers of errors (errno(3)), the same on all architectures of Linux that Node.js runs on. */
export const Errno = {
  EPERM: 1,
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  ENFILE: 23,
  EMFILE: 24,
  ENONET: 64,
  EPROTO: 71,
  ENOPROTOOPT: 92,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ENOBUFS: 105,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
} as const;
