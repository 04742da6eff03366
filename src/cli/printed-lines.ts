/** Hands the lines that scripts print to those who wait for them, by the file of the script. */
import { realpathSync } from 'node:fs';
import { toText } from '../base/byte-string.js';

/** Lines that one request keeps at the most. */
const MOST_LINES = 1000;

/** Finished requests are gone from here, so what is kept is bounded by those under way. */
export class PrintedLines {
  readonly #open = new Set<{ readonly script: string; readonly lines: string[] }>();

  /** A script has printed a line. */
  note(script: string, line: string): void {
    for (const { script: wanted, lines } of this.#open) {
      if (wanted === script && lines.length < MOST_LINES) lines.push(line);
    }
  }

  /** Collects what a script prints from now on. @param script its path, one character per byte @returns what ends that */
  collect(script: string): () => readonly string[] {
    const notes = { script: realPath(toText(script)), lines: [] };
    this.#open.add(notes);
    return () => {
      this.#open.delete(notes);
      return notes.lines;
    };
  }
}

/** Scripts are known by the file that links lead to. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
