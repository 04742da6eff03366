/** What is done every `sweep` milliseconds: changed files are found, and the configuration's `housekeeping()` runs. */
import { sweep } from '../scripts/sweep.js';
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
export async function lookForChanges({ front, log, current: { scripts } }: ServerParts): Promise<void> {
  scripts.refresh();
  const flushed = await sweep(
    { inventory: () => front.call('inventory'), refresh: (findings) => front.call('refresh', findings) },
    (path) => scripts.find(path),
  );
  if (flushed > 0) log.write('info', `${flushed} states flushed: their files changed`);
}
