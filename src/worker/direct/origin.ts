/** A request that a worker has read from a connection by itself. */

import type { CgiRequest } from '../../cgi/request.js';

/** Where a request came from. */
export interface Origin {
  /** Its number. */
  readonly id: number;
  /** When it was read. */
  readonly beganMs: number;
  /** The front's books say that its state is busy. */
  readonly isKnown: boolean;
  /** `bytes` and all views into them are its own. */
  readonly isCopied: boolean;
  readonly descriptor: number;
  /** Its connection was accepted here, and the front does not know of it. */
  readonly isNew: boolean;
  /** The connection stays open after it. */
  readonly keepsConnection: boolean;
  /** Its id on that connection. */
  readonly fcgiId: number;
  readonly state: number;
  /** All its records. */
  readonly bytes: Uint8Array;
  readonly cgi: CgiRequest;
  readonly bodyBytes: number;
}
