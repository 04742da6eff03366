/** Which states were made from files that have changed. */
import type { Pool, PoolState } from '../../pool/pool.js';
import { hasDigest, isUnchanged } from '../../scripts/fingerprint.js';
import type { Flushed } from '../../scripts/sweep.js';
import type { FrontRequest } from '../model/request.js';

/** Every file that a state was made from, and whether its content is needed to tell its versions apart. */
export function dependenciesOf(pool: Pool<FrontRequest>): Map<string, boolean> {
  const paths = new Map<string, boolean>();
  for (const state of pool.states()) {
    for (const [path, fingerprint] of state.dependencies) {
      paths.set(path, hasDigest(fingerprint) || (paths.get(path) ?? false));
    }
  }
  return paths;
}

/**
 * Takes the states out of service that were made from files which have changed.
 * @param fingerprints of files now; undefined: the file is gone. Files that are not listed count as unchanged.
 * @returns those that are idle and have to be closed, and all that is flushed
 */
export function retireStale(
  pool: Pool<FrontRequest>,
  fingerprints: ReadonlyMap<string, string | undefined>,
): { readonly idle: PoolState[]; readonly flushed: Flushed } {
  let states = 0;
  const files = new Set<string>();
  const idle = pool.retireStale((state) => {
    for (const [path, fingerprint] of state.dependencies) {
      if (fingerprints.has(path) && !isUnchanged(fingerprint, fingerprints.get(path))) {
        states += 1;
        files.add(path);
        return true;
      }
    }
    return false;
  });
  return { idle, flushed: { states, files: [...files] } };
}
