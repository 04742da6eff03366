/** Which name was meant: the nearest known one. */
import { hookNames, optionNames } from './schema.js';

/** Insertions, deletions, replacements and swaps of neighbours that make one text of the other. */
function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        cost = Math.min(cost, beforePrevious[column - 2]! + 1);
      }
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length]!;
}

/** The known name (of a setting or hook, by default) that is spelled most like `name`; undefined when none is close. */
export function nearestName(
  name: string,
  knownNames: readonly string[] = [...optionNames, ...hookNames],
): string | undefined {
  // Settings are one lower-case word: maxPost and max_post are spellings of maxpost.
  const plain = name.toLowerCase().replace(/[_-]/g, '');
  let best: { name: string; edits: number } | undefined;
  for (const known of knownNames) {
    const edits = editDistance(plain, known.replaceAll('_', ''));
    const mostEdits = Math.floor(Math.max(plain.length, known.length) / 3);
    if (edits <= mostEdits && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) best = { name: known, edits };
  }
  return best?.name;
}
