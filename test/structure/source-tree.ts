/** What the files of `src/` import, read from their text. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout: compiled tests lie in `dist/test`. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCE = join(ROOT, 'src');

export interface Import {
  /** File below `src/`, without its ending: `fcgi/decoder`. */
  readonly from: string;
  /** The same, or the name of a module: `node:fs`. */
  readonly to: string;
  /** Nothing of it is left when the program runs. */
  readonly isType: boolean;
}

export interface SourceFile {
  readonly name: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(type\s)?([^;'"]*?)\s*(?:from\s*)?['"]([^'"]+)['"]/g;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]/g;

export function importsOf(name: string, text: string): Import[] {
  const target = (specifier: string): string =>
    specifier.startsWith('.') ? normalize(join(dirname(name), specifier)).replace(/\.js$/, '') : specifier;
  const found: Import[] = [];
  for (const [, type, names = '', specifier = ''] of text.matchAll(IMPORT)) {
    const list = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
    const areTypes = list?.split(',').every((each) => each.trim() === '' || each.trim().startsWith('type ')) ?? false;
    found.push({ from: name, to: target(specifier), isType: type !== undefined || areTypes });
  }
  for (const [, specifier = ''] of text.matchAll(DYNAMIC)) {
    found.push({ from: name, to: target(specifier), isType: false });
  }
  return found;
}

export function sourceFiles(): SourceFile[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .sort()
    .map((file) => {
      const name = file.replace(/\.ts$/, '');
      const text = readFileSync(join(SOURCE, file), 'utf8');
      return { name, text, imports: importsOf(name, text) };
    });
}

/** The room of a file: its folder below `src/`, or the file itself when it lies at the top. */
export function roomOf(name: string): string {
  return name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : name;
}
