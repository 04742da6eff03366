/**
 * The sweep: notices that files are not any more what states were made from, whatever the requests do meanwhile. It
 * compares versions of files and never asks which of two times is later, so edits within one second, older versions
 * put back and deletions are all seen.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isForWantOfRoom, LuafcgidError } from '../base/errors.js';
import { fingerprintOf, SOURCE_LIMIT_BYTES } from './fingerprint.js';

/** What was taken out of service. */
export interface Flushed {
  readonly states: number;
  /** Files that have changed, one character per byte. */
  readonly files: readonly string[];
}

/** What the sweep needs of the front. Paths have one character per byte. */
export interface Swept {
  inventory(): Promise<{
    /** Script paths as web servers name them, and the files they were found to be. */
    readonly scripts: readonly (readonly [path: string, file: string])[];
    /** Files that states were made from, and whether telling their versions apart takes their content. */
    readonly dependencies: ReadonlyMap<string, boolean>;
  }>;
  refresh(findings: {
    /** Script paths that lead elsewhere by now; undefined: nowhere. */
    readonly moved: readonly (readonly [path: string, file: string | undefined])[];
    /** Fingerprints of the dependencies now; undefined: the file is gone. */
    readonly fingerprints: ReadonlyMap<string, string | undefined>;
  }): Promise<Flushed>;
}

/** Files looked at together: enough to keep the file system's threads busy, few enough to leave room for others. */
const BATCH = 64;

/** Files that were scripts at the last sweep, and their versions then. */
export type SeenScripts = Map<string, string>;

/**
 * Looks once at every file, and flushes what is stale.
 * @param lookup what a script's path leads to now: `find` sees whether that may be run, `leadsTo` does not
 * @param seen from one sweep to the next: of a file of the same version it is known that it may be run, which saves
 * two calls of the file system for each script
 */
export async function sweep(
  swept: Swept,
  lookup: Readonly<Record<'find' | 'leadsTo', (path: string) => Promise<string>>>,
  seen: SeenScripts,
): Promise<Flushed> {
  const { scripts, dependencies } = await swept.inventory();
  const fingerprints = new Map<string, string | undefined>();
  await inBatches([...dependencies], async ([path, needsContent]) => {
    try {
      fingerprints.set(path, await currentFingerprint(path, needsContent));
    } catch (error) {
      // Nothing was found out: it counts as unchanged until the next sweep.
      if (!isForWantOfRoom(error)) throw error;
    }
  });
  const moved: [path: string, file: string | undefined][] = [];
  const last = new Map(seen);
  seen.clear();
  await inBatches(scripts, async ([path, file]) => {
    const version = fingerprints.get(file);
    const isSeen = version !== undefined && last.get(file) === version;
    try {
      const now = await (isSeen ? lookup.leadsTo(path) : lookup.find(path));
      if (now !== file) moved.push([path, now]);
      else if (version !== undefined) seen.set(file, version);
    } catch (error) {
      if (!isUnknown(error)) moved.push([path, undefined]);
    }
  });
  return swept.refresh({ moved, fingerprints });
}

/** Whether a look-up failed for reasons that say nothing of the script. */
function isUnknown(error: unknown): boolean {
  return error instanceof LuafcgidError && error.code === 'LUAFCGID_SCRIPT_NO_ROOM';
}

/** Undefined when there is no such regular file any more. @throws the system's error when that cannot be known now */
async function currentFingerprint(path: string, needsContent: boolean): Promise<string | undefined> {
  const file = Buffer.from(path, 'latin1');
  try {
    const version = await stat(file, { bigint: true });
    if (!version.isFile()) return undefined;
    // What has grown past the limit is not what was read: no digest is needed to tell.
    if (!needsContent || version.size > SOURCE_LIMIT_BYTES) return fingerprintOf(version);
    return fingerprintOf(
      version,
      createHash('sha1')
        .update(await readFile(file))
        .digest('hex'),
    );
  } catch (error) {
    if (isForWantOfRoom(error)) throw error;
    return undefined;
  }
}

async function inBatches<Item>(items: readonly Item[], look: (item: Item) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += BATCH) await Promise.all(items.slice(at, at + BATCH).map(look));
}
