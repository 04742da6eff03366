/** What workers and the main thread say to each other about keys from passwords, which the main thread has made by the pool of Node.js. */

import type { Derivation } from '../base/key-derivation.js';

/** A key that a worker wants. */
export interface KeyJob {
  readonly job: number;
  readonly password: Uint8Array;
  readonly derivation: Derivation;
}

export interface KeyResult {
  readonly job: number;
  /** Undefined: it could not be made. */
  readonly key: Uint8Array | undefined;
  /** Why not. */
  readonly message: string;
}
