/**
 * The text by which two versions of a file differ: size, times of modification and of change in nanoseconds, device and
 * inode. The time of change is the one that nobody can set: tools that keep the modification time (rsync -t, tar) do not
 * hide a change with it. A file written just before it was read may be written again within the same tick of the file
 * system's clock; the fingerprint of such a one ends with "#" and a digest of its content.
 */

/** Coarsest tick of a kernel's file time (10 ms), with room for a clock that is read at another moment. */
const RECENT_MS = 100;

/** Largest file that is read as Lua source, or to see whether it is still what it was. A state holds several times as much. */
export const SOURCE_LIMIT_BYTES = 16 * 1024 * 1024;

export interface FileVersion {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly dev: bigint;
  readonly ino: bigint;
}

/** Of a file that was looked for and was not there. */
export const ABSENT = 'absent';

/** Whether the file may change again without its times telling. */
export function isRecent(version: FileVersion, nowMs: number): boolean {
  const { mtimeNs, ctimeNs } = version;
  const latestNs = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return nowMs - Number(latestNs / 1_000_000n) < RECENT_MS;
}

/** @param digest of the content, where it is needed to tell versions apart */
export function fingerprintOf(version: FileVersion, digest?: string): string {
  const { size, mtimeNs, ctimeNs, dev, ino } = version;
  const text = `${size}:${mtimeNs}:${ctimeNs}:${dev}:${ino}`;
  return digest === undefined ? text : `${text}#${digest}`;
}

/** Whether comparing with this fingerprint takes the content's digest. */
export function hasDigest(fingerprint: string): boolean {
  return fingerprint.includes('#');
}

/** Whether a file is still what was noted. @param now its fingerprint now, with a digest if the noted one has it */
export function isUnchanged(noted: string, now: string | undefined): boolean {
  if (now === undefined || noted === ABSENT) return now === undefined && noted === ABSENT;
  return hasDigest(noted) ? noted === now : noted === now.split('#', 1)[0];
}
