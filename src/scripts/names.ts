/** Which files are scripts, by their names. */

/**
 * Whether a file may be run as a script: its name ends with one of the extensions, and has something before it. Letters
 * count as they are written, as they do to most file systems. No extensions: any file may.
 * @param file its path with links resolved, one character per byte
 */
export function isScriptName(file: string, extensions: readonly string[]): boolean {
  if (extensions.length === 0) return true;
  const name = file.slice(file.lastIndexOf('/') + 1);
  return extensions.some((extension) => name.length > extension.length && name.endsWith(extension));
}
