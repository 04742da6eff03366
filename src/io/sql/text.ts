/** Whether bytes are text. Pure. */

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Whether they are valid UTF-8. */
export function isText(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
