/** Limits of clients that no test meets by chance. */
import type { FrontOptions } from '../../../src/front/core/front.js';

export const ROOMY = {
  connectionLimit: 1e6,
  bodyTotalBytes: 1e12,
  sendTotalBytes: 1e12,
  idleTimeoutMs: 1e9,
  readTimeoutMs: 1e9,
  sendTimeoutMs: 1e9,
  requestTimeMs: 0,
} as const satisfies Partial<FrontOptions>;
