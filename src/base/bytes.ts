/** Bytes that several files need. */

/** No bytes at all. */
export const NOTHING: Uint8Array = new Uint8Array(0);
