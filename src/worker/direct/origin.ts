/** A request that a worker has read from a connection by itself. */

import type { CgiRequest } from '../../cgi/request.js';

/** Where a request came from. */
export interface Origin {
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
