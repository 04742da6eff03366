/**
 * What a URL's path means in the document root: a script, a file, a folder, or nothing. Never anything outside the root.
 *
 * Paths are byte strings here (one character per byte), because file names are bytes and need not be UTF-8.
 */
import type { Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { toText } from '../base/byte-string.js';
import { nearestName } from '../base/nearest-name.js';
import type { ListedFile } from './listing.js';
import { hasType } from './static.js';

export type Place =
  /** `scriptName` is the part of the path that names the script, `pathInfo` the rest, empty or beginning with `/`. */
  | { readonly kind: 'script'; readonly scriptName: string; readonly pathInfo: string }
  | { readonly kind: 'file'; readonly file: Buffer; readonly name: string }
  /** A folder asked for without its last slash: relative links in it would be wrong. */
  | { readonly kind: 'redirect'; readonly path: string }
  /** A folder without an index. `path` has no slash at its end. */
  | { readonly kind: 'folder'; readonly path: string; readonly files: readonly ListedFile[] }
  /** `detail` says what was looked for. */
  | { readonly kind: 'refused'; readonly status: 400 | 403 | 404; readonly detail?: string };

const DEFAULT_EXTENSIONS: readonly string[] = ['.lua'];

export class Site {
  /** The root folder's real path, as a byte string without a slash at its end. */
  readonly root: string;
  readonly #front: string | undefined;
  /** How the names of scripts end. */
  readonly #extensions: readonly string[];
  /** What a folder is answered with. */
  readonly #indexNames: readonly string[];

  private constructor(root: string, front: string | undefined, extensions: readonly string[]) {
    this.root = root;
    this.#front = front;
    this.#extensions = extensions;
    this.#indexNames = [...extensions.map((extension) => `index${extension}`), 'index.html'];
  }

  /**
   * @param front the name of a script that answers for all paths in its folder, and in those below it, that are no files
   * @param extensions how the names of scripts end
   * @throws the file system's error when there is no such folder
   */
  static async open(root: string, front?: string, extensions = DEFAULT_EXTENSIONS): Promise<Site> {
    const real = await realpath(root, { encoding: 'buffer' });
    if (!(await stat(real)).isDirectory()) throw new Error('not a folder');
    return new Site(real.toString('latin1').replace(/\/$/, ''), front, extensions);
  }

  /** Finds what the path of a URL, still percent-encoded, stands for. */
  async find(urlPath: string): Promise<Place> {
    const decoded = decodePath(urlPath);
    const segments = decoded === undefined ? undefined : normalise(decoded);
    if (segments === undefined) return { kind: 'refused', status: 400 };
    const place = await this.#find(segments);
    const isNothing = place.kind === 'folder' || (place.kind === 'refused' && place.status === 404);
    return (isNothing && (await this.#frontOf(segments))) || place;
  }

  async #find(segments: readonly string[]): Promise<Place> {
    if (segments.some((segment) => segment.startsWith('.'))) return { kind: 'refused', status: 404 };
    try {
      return await this.#walk(segments);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EACCES' || code === 'EPERM') return { kind: 'refused', status: 403 };
      return { kind: 'refused', status: 404 };
    }
  }

  /** The front controller nearest to a path: in its folder, or in one above it. */
  async #frontOf(segments: readonly string[]): Promise<Place | undefined> {
    const front = this.#front;
    if (front === undefined) return undefined;
    for (let depth = segments.length - 1; depth >= 0; depth -= 1) {
      const place = await this.#find([...segments.slice(0, depth), front]);
      if (place.kind === 'script' && place.pathInfo === '') {
        return { ...place, pathInfo: `/${segments.slice(depth).join('/')}` };
      }
    }
    return undefined;
  }

  /** `segments` has an empty last one when the path ends with a slash. */
  async #walk(segments: readonly string[]): Promise<Place> {
    let path = '';
    for (const [index, segment] of segments.entries()) {
      if (segment === '') break;
      const folder = path;
      path += `/${segment}`;
      const stats = await this.#stat(path).catch((error: NodeJS.ErrnoException) => error);
      if (stats instanceof Error && stats.code === 'ENOENT') return this.#missing(folder, segment);
      if (stats instanceof Error) throw stats;
      if (stats.isDirectory()) continue;
      const rest = segments
        .slice(index + 1)
        .map((part) => `/${part}`)
        .join('');
      return this.#file(path, rest, stats);
    }
    if (segments.at(-1) !== '') return { kind: 'redirect', path: `${encodePath(path)}/` };
    for (const name of this.#indexNames) {
      const stats = await this.#stat(`${path}/${name}`).catch(() => undefined);
      if (stats?.isFile()) return this.#file(`${path}/${name}`, '', stats);
    }
    const real = (await realpath(this.#bytes(path), { encoding: 'buffer' })).toString('latin1');
    if (real !== this.root && !real.startsWith(`${this.root}/`)) return { kind: 'refused', status: 403 };
    if (this.#isHidden(real)) return { kind: 'refused', status: 404 };
    return { kind: 'folder', path, files: await this.#list(path) };
  }

  /** A name that is not there, with the one that may have been meant. */
  async #missing(folder: string, name: string): Promise<Place> {
    const names = (await this.#list(folder)).map((file) => file.name);
    const nearest = nearestName(name, names);
    const meant = nearest === undefined ? '' : ` Did you mean ${toText(`${folder}/${nearest}`)}?`;
    return { kind: 'refused', status: 404, detail: `There is no ${toText(`${folder}/${name}`)} here.${meant}` };
  }

  /** What may be asked for: no hidden files; folders first. */
  async #list(path: string): Promise<ListedFile[]> {
    const entries = await readdir(this.#bytes(path), { encoding: 'buffer', withFileTypes: true });
    const files = entries.map((entry) => ({ name: entry.name.toString('latin1'), isFolder: entry.isDirectory() }));
    const order = (file: ListedFile): string => (file.isFolder ? '0' : '1') + file.name;
    return files.filter(({ name }) => !name.startsWith('.')).sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  async #file(path: string, rest: string, stats: Stats): Promise<Place> {
    const real = (await realpath(this.#bytes(path), { encoding: 'buffer' })).toString('latin1');
    // A symbolic link may lead out of the root.
    if (!real.startsWith(`${this.root}/`)) return { kind: 'refused', status: 403 };
    if (!stats.isFile() || this.#isHidden(real)) return { kind: 'refused', status: 404 };
    if (this.#extensions.some((extension) => path.endsWith(extension)))
      return { kind: 'script', scriptName: path, pathInfo: rest };
    if (rest !== '') return { kind: 'refused', status: 404 };
    if (this.#isSource(path) || this.#isSource(real)) return { kind: 'refused', status: 404 };
    return { kind: 'file', file: this.#bytes(path), name: path };
  }

  /** Whether a link has led to what may not be asked for by its own name. */
  #isHidden(real: string): boolean {
    return real.slice(this.root.length).includes('/.');
  }

  /**
   * Whether a name is that of a script's source under another ending, as editors and people leave it: `a.lua~`,
   * `a.lua.bak`, and `a.LUA`, which is `a.lua` where letter case does not count. Other endings that are types of their own,
   * such as `a.lua.txt`, are files.
   */
  #isSource(path: string): boolean {
    const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
    if (hasType(path)) return false;
    return this.#extensions.some((extension) => {
      const at = name.indexOf(extension.toLowerCase());
      return at >= 0 && !/^[a-z0-9]/.test(name.slice(at + extension.length));
    });
  }

  #stat(path: string): Promise<Stats> {
    return stat(this.#bytes(path));
  }

  #bytes(path: string): Buffer {
    return Buffer.from(this.root + path, 'latin1');
  }
}

/** Percent-decodes a path to bytes; undefined when it is malformed or has a NUL. */
function decodePath(urlPath: string): string | undefined {
  if (!urlPath.startsWith('/') || /%(?![0-9a-f]{2})/i.test(urlPath)) return undefined;
  const decoded = urlPath.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decoded.includes('\0') ? undefined : decoded;
}

/** Resolves `.`, `..` and double slashes; undefined when the path climbs above the root. */
function normalise(path: string): string[] | undefined {
  const parts = path.split('/').slice(1);
  const segments: string[] = [];
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part !== '..') segments.push(part);
    else if (segments.pop() === undefined) return undefined;
  }
  if (['', '.', '..'].includes(parts.at(-1)!)) segments.push('');
  return segments;
}

/** Percent-encodes a byte string so that it can stand in a URL. */
export function encodePath(path: string): string {
  return path.replace(
    /[^A-Za-z0-9/._~!$&'()*+,;=:@-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
