/** The settings `status` and `statuspath`, from what is written to what the program uses. */
import { parseStatusAddress, type StatusAddress } from '../base/status-address.js';
import type { LuaValue } from '../lua/state.js';

/**
 * @param text undefined where the value is no text
 * @param report takes note of a fault: what would be allowed, and the remedy
 */
export function readStatusAddress(
  value: LuaValue,
  text: string | undefined,
  absolute: (name: string) => string,
  report: (value: LuaValue, allowed?: string, remedy?: string) => void,
): StatusAddress | undefined {
  // An empty name is none, as with files.
  if (value === '') return undefined;
  if (text === undefined) return void report(value);
  const address = parseStatusAddress(text, absolute);
  if (!('reason' in address)) return address;
  return void report(value, `an address for the status, but ${address.reason}`, address.remedy);
}

/** A path of URLs; undefined for none. */
export function readUrlPath(
  value: LuaValue,
  text: string | undefined,
  report: (value: LuaValue) => void,
): string | undefined {
  if (value === '') return undefined;
  return text !== undefined && /^\/[!-~]{1,199}$/.test(text) ? text : void report(value);
}
