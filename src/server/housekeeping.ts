/** What is done every `sweep` milliseconds: changed files are found, and the configuration's `housekeeping()` runs. */
import { toShortText } from '../base/bounded-text.js';
import { type Flushed, sweep } from '../scripts/sweep.js';
import { countFiles, runHook } from './generation.js';
import type { ServerParts } from './parts.js';

export async function keepHouse(parts: ServerParts): Promise<void> {
  const { loaded } = parts.current;
  await lookForChanges(parts);
  await countFiles(parts.current);
  // A reload may have closed the hooks meanwhile.
  if (loaded === parts.current.loaded) runHook(loaded, 'housekeeping', parts.log);
}

/** States whose files have changed are flushed: no request that comes afterwards is answered by one of them. */
export async function lookForChanges({ front, log, current }: ServerParts): Promise<void> {
  const { scripts, seenScripts } = current;
  scripts.refresh();
  const flushed = await sweep(
    { inventory: () => front.call('inventory'), refresh: (findings) => front.call('refresh', findings) },
    scripts,
    seenScripts,
  );
  if (flushed.states > 0) log.write('info', describe(flushed));
}

/** Files that are named; a deployment changes many. */
const MOST_NAMED = 3;

function describe({ states, files }: Flushed): string {
  const named = files.slice(0, MOST_NAMED).map(toShortText);
  if (files.length > MOST_NAMED) named.push(`and ${files.length - MOST_NAMED} more`);
  return `${states === 1 ? '1 state is' : `${states} states are`} flushed, made from files that have changed: ${named.join(', ')}`;
}
