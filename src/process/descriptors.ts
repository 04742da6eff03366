/** Whether the process may open as many files as it needs, so that it does not start and then serve nobody. */
import { readdirSync, readFileSync } from 'node:fs';
import { LuafcgidError } from '../base/errors.js';

/** Descriptors that are kept for files: the last 32, or a quarter of a low limit. */
const SPARE_DESCRIPTORS = 32;
const SPARE_PART = 0.25;
/** With fewer connections at a time a web server would wait for each of them. */
const FEWEST_CONNECTIONS = 8;

/** @throws LuafcgidError `LUAFCGID_SERVER_DESCRIPTORS` when too few descriptors are left for connections */
export function requireDescriptors(limit = openFilesLimit(), open = openFiles()): void {
  if (limit === undefined || open === undefined) return;
  const spare = Math.min(SPARE_DESCRIPTORS, Math.floor(limit * SPARE_PART));
  const left = limit - spare - open;
  if (left >= FEWEST_CONNECTIONS) return;
  const reason = `${limit} may be open, ${open} are at rest and ${spare} are kept for scripts, which leaves ${Math.max(0, left)} for connections`;
  throw new LuafcgidError('LUAFCGID_SERVER_DESCRIPTORS', { reason });
}

/** Undefined where there is no /proc, or no limit. */
function openFilesLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

function openFiles(): number | undefined {
  try {
    // The directory itself is open while it is read.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}
