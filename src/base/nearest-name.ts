/** Which name was meant: the nearest known one. */

/** Longer names are no misspellings of anything. */
const LONGEST_NAME = 100;

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

/** The known name that is spelled most like `name`; undefined when none is close. */
export function nearestName(name: string, knownNames: readonly string[]): string | undefined {
  if (name.length > LONGEST_NAME) return undefined;
  // Names of one kind differ in these by habit only: maxPost and max_post are spellings of maxpost.
  const plain = (text: string): string => text.toLowerCase().replace(/[_-]/g, '');
  let best: { name: string; edits: number } | undefined;
  for (const known of knownNames) {
    const edits = editDistance(plain(name), plain(known));
    const mostEdits = Math.floor(Math.max(plain(name).length, known.length) / 3);
    if (edits <= mostEdits && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) best = { name: known, edits };
  }
  return best?.name;
}
