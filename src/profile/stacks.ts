/** Counts Lua stacks that were seen at regular times, as a tree of functions: where time goes. */

/** A function at its place in stacks, or at the end of one the line that ran. */
export interface StackNode {
  readonly name: string;
  /** Stacks that go through it. */
  count: number;
  readonly children: Map<string, StackNode>;
}

/** What is seen of stacks that wait for a result, in the place of a line that runs. */
export const WAITING = 'waiting';

/** Levels of a stack that are looked at. */
const MOST_LEVELS = 100;
/** Different functions and lines at all places together. */
const MOST_NODES = 20_000;

/** `\t/srv/page.lua:12: in function 'total'`, as the Lua of each engine writes it. */
const LEVEL = /^\t(.+?):(?:(\d+):)? in (.*)$/;
const NAMED = /['‘`]([^'’`]+)['’`]/;
const PLACED = /<(?:.*\/)?([^/]+):(\d+)>/;

function nodeOf(name: string): StackNode {
  return { name, count: 0, children: new Map() };
}

export class Stacks {
  readonly root = nodeOf('all');
  /** Lines that ran, by `file:line`: how often. */
  readonly lines = new Map<string, number>();
  #nodes = 0;

  /** @param traceback as Lua writes it, innermost level first */
  add(traceback: string, isWaiting: boolean): void {
    const path = pathOf(traceback, isWaiting);
    if (path.length === 0) return;
    let node = this.root;
    node.count += 1;
    for (const name of path) {
      let child = node.children.get(name);
      if (child === undefined) {
        if (this.#nodes >= MOST_NODES) break;
        this.#nodes += 1;
        child = nodeOf(name);
        node.children.set(name, child);
      }
      child.count += 1;
      node = child;
    }
    const place = placeOf(traceback);
    if (place !== undefined) this.lines.set(place, (this.lines.get(place) ?? 0) + 1);
  }
}

interface Level {
  readonly file: string;
  readonly line: string | undefined;
  readonly what: string;
}

function levelsOf(traceback: string): Level[] {
  return traceback.split('\n', MOST_LEVELS).flatMap((text) => {
    const [, file, line, what] = LEVEL.exec(text) ?? [];
    return file === undefined || what === undefined ? [] : [{ file, line, what }];
  });
}

/** From the outermost function to the line that runs. */
function pathOf(traceback: string, isWaiting: boolean): string[] {
  const levels = levelsOf(traceback);
  const innermost = levels.find(({ line }) => line !== undefined);
  if (innermost === undefined) return [];
  const path = levels.map(nameOf).reverse();
  if (levels[0]?.line !== undefined) path.push(`line ${innermost.line}`);
  if (isWaiting) path.push(WAITING);
  return path;
}

/** The innermost line of Lua, `file:line`. */
function placeOf(traceback: string): string | undefined {
  const level = levelsOf(traceback).find(({ line }) => line !== undefined);
  return level === undefined ? undefined : `${level.file}:${level.line}`;
}

function nameOf({ file, what }: Level): string {
  const base = file.slice(file.lastIndexOf('/') + 1);
  if (what.startsWith('main chunk')) return `main chunk (${base})`;
  const [, placedFile, placedLine] = PLACED.exec(what) ?? [];
  if (placedFile !== undefined) return `function at line ${placedLine} (${placedFile})`;
  const name = NAMED.exec(what)?.[1] ?? what;
  return file === '[C]' ? `${name} (C)` : `${name} (${base})`;
}
