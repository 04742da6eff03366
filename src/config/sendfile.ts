/** Reads the setting `sendfile`: who sends the files that con:sendfile names. */
import type { LuaValue } from '../lua/state.js';
import { isList, shortLiteral } from './literal.js';
import type { SendfileSettings } from './option.js';

export const SENDFILE_ALLOWED =
  '"stream", "x-sendfile", or a table of directories and locations of nginx like { ["/srv/files"] = "/files/" }';

/** @param report takes note of a fault: what is wrong, what is allowed, what to do */
export function readSendfile(
  value: LuaValue,
  report: (value: LuaValue, allowed?: string, remedy?: string) => void,
): SendfileSettings | undefined {
  if (value === 'stream' || value === 'x-sendfile') return { mode: value, locations: {} };
  if (typeof value !== 'object' || isList(value) || Object.keys(value).length === 0) return void report(value);
  const locations: Record<string, string> = {};
  for (const [directory, location] of Object.entries(value)) {
    const isRight =
      /^\/[^\0\n]*[^/\0\n]$/.test(directory) && typeof location === 'string' && /^\/(?:[\w.~-]+\/)+$/.test(location);
    if (!isRight) {
      const remedy =
        'Write an absolute directory without "/" at its end, and a location that begins and ends with "/".';
      return void report(`["${directory}"] = ${shortLiteral(location)}`, SENDFILE_ALLOWED, remedy);
    }
    locations[directory] = location;
  }
  return { mode: 'x-accel-redirect', locations };
}
