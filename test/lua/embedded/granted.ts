/** Grants for states of the embedded engine, as a server would hold them. */
import { after } from 'node:test';
import { GrantedFiles } from '../../../src/scripts/file-grants.js';
import { holdGrants, releaseGrants } from '../../../src/scripts/held-directory.js';
import type { WriteQuota } from '../../../src/scripts/write-quota.js';

/**
 * Files that scripts may use, held open until the tests of the file have ended.
 * @param directory that of the script
 */
export function grantedFiles(
  paths: { readonly read: readonly string[]; readonly write: readonly string[] },
  directory: string,
  fixed: readonly string[] = [],
  largestBytes?: number,
  quota?: WriteQuota,
): GrantedFiles {
  const grants = holdGrants(paths);
  after(() => releaseGrants(grants));
  return new GrantedFiles(grants, directory, fixed, largestBytes, quota);
}
