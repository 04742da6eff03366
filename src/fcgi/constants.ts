/** Numbers of the FastCGI specification 1.0, section 8, and the limits that this server sets itself. */

/** Section 8: `FCGI_VERSION_1`. */
export const VERSION = 1;

/** Section 3.3: bytes of a record's header. */
export const HEADER_BYTES = 8;

/** Section 8: record types. */
export const RecordType = {
  BEGIN_REQUEST: 1,
  ABORT_REQUEST: 2,
  END_REQUEST: 3,
  PARAMS: 4,
  STDIN: 5,
  STDOUT: 6,
  STDERR: 7,
  DATA: 8,
  GET_VALUES: 9,
  GET_VALUES_RESULT: 10,
  UNKNOWN_TYPE: 11,
} as const;

export { Role } from '../base/roles.js';

/** Section 5.1: flag of BEGIN_REQUEST that leaves the connection open after the answer. */
export const KEEP_CONN = 1;

/** Section 5.5: how the protocol part of a request ended. */
export const ProtocolStatus = { REQUEST_COMPLETE: 0, CANT_MPX_CONN: 1, OVERLOADED: 2, UNKNOWN_ROLE: 3 } as const;
export type ProtocolStatus = (typeof ProtocolStatus)[keyof typeof ProtocolStatus];

/**
 * Most content bytes put into one record. The format allows 65,535; content and padding together stay at or below that,
 * because some readers (PHP's) refuse more.
 */
export const MAX_CONTENT_BYTES = 65528;

/** Most bytes of one request's parameters. */
export const MAX_PARAMS_BYTES = 1 << 20;

/** Most requests that one connection may have open at the same time. */
export const MAX_REQUESTS_PER_CONNECTION = 128;
