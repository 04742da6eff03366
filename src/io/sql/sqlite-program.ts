/**
 * Whether a statement of SQLite does little between two rows, judged by the program that SQLite has made of it. Pure.
 *
 * `EXPLAIN` tells the program: instructions, some of which jump. What runs for long comes to an instruction twice. So it is enough to
 * look at the circles of the program: when each of them gives a row, whoever takes the rows decides after each whether to go on.
 * A program with an instruction that is not listed here is taken for one that runs for long.
 */

/** A line of `EXPLAIN`. */
export interface Instruction {
  readonly opcode: string;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
  readonly p4: string;
}

/** Go on with the next one. */
const STRAIGHT: ReadonlySet<string> = new Set(
  `Add Affinity AggFinal AggStep And BeginSubrtn BitAnd BitNot BitOr Blob Cast Close CollSeq Column Compare Concat Copy DeferredSeek
  Divide Explain FinishSeek Function HaltIfNull IdxInsert IdxRowid Int64 IntCopy Integer IsTrue MakeRecord Move Multiply Noop Not
  Null NullRow OffsetLimit OpenEphemeral OpenRead Or Permutation PureFunc Real RealAffinity ReopenIdx Remainder ResultRow Return
  Rowid SCopy ShiftLeft ShiftRight SoftNull String String8 Subtract Transaction TypeCheck Variable ZeroOrNull`.split(
    /\s+/,
  ),
);
/** Go on with the next one, or with that of the address `p2`. */
const BRANCHES: ReadonlySet<string> = new Set(
  `DecrJumpZero ElseEq Eq Found Ge Gt IdxGE IdxGT IdxLE IdxLT If IfNoHope IfNot IfNotZero IfNullRow IfPos IsNull IsType Last Le Lt
  MustBeInt Ne Next NoConflict NotExists NotFound NotNull Once Prev Rewind SeekGE SeekGT SeekLE SeekLT SeekRowid`.split(
    /\s+/,
  ),
);
/** Functions whose time depends on the size of their values alone, and that make no larger ones. */
const FUNCTIONS: ReadonlySet<string> = new Set(
  `-> ->> abs avg coalesce count date datetime ifnull json_extract julianday length likelihood likely lower max min nullif round sign
  strftime substr substring sum time total typeof unixepoch unlikely upper`.split(/\s+/),
);
/** With this in `p3`, `Return` goes on with the next one in a program that calls no part of itself. */
const RETURNS_WHEN_CALLED = 1;

/** What is known of a program. */
export interface ProgramShape {
  /** It does little until its first row, between two rows, and after the last one. */
  readonly isShort: boolean;
  /** It gives one row at most. */
  readonly isSingle: boolean;
}

const LONG: ProgramShape = { isShort: false, isSingle: false };

export function shapeOf(program: readonly Instruction[]): ProgramShape {
  const next = program.map((_, at) => successorsOf(program, at));
  if (next.some((found) => found === undefined)) return LONG;
  const edges = next as readonly (readonly number[])[];
  const small = smallLoop(program);
  const withoutSmall = edges.map((targets, at) => (at === small ? targets.filter((to) => to > at) : targets));
  const isRow = (at: number): boolean => program[at]?.opcode === 'ResultRow';
  if (hasCircle(withoutSmall, isRow)) return LONG;
  const rows = program.filter(({ opcode }) => opcode === 'ResultRow').length;
  return { isShort: true, isSingle: rows <= 1 && !hasCircle(edges, () => false) };
}

/** Where an instruction may go on; undefined: nobody knows. */
function successorsOf(program: readonly Instruction[], at: number): readonly number[] | undefined {
  const { opcode, p2, p3, p4 } = program[at] as Instruction;
  if (opcode === 'Halt') return [];
  if (opcode === 'Goto') return [p2];
  if (opcode === 'Init') return p2 === 0 ? [at + 1] : [p2];
  if (opcode === 'Jump') return [(program[at] as Instruction).p1, p2, p3];
  if (BRANCHES.has(opcode)) return p2 === 0 ? [at + 1] : [at + 1, p2];
  if (!STRAIGHT.has(opcode)) return undefined;
  if (opcode === 'Return' && p3 !== RETURNS_WHEN_CALLED) return undefined;
  const isCall = opcode === 'Function' || opcode === 'PureFunc' || opcode === 'AggStep' || opcode === 'AggFinal';
  return isCall && !FUNCTIONS.has(p4.slice(0, p4.indexOf('('))) ? undefined : [at + 1];
}

/**
 * The end of a loop through a table that the program itself fills with the members of a list (`in (?, ?)`): each is put there by an
 * instruction of its own, before the loop. One such loop is as good as none. -1: there is none.
 */
function smallLoop(program: readonly Instruction[]): number {
  const isTemporary = new Set(program.filter(({ opcode }) => opcode === 'OpenEphemeral').map(({ p1 }) => p1));
  return program.findIndex(({ opcode, p1, p2 }, at) => {
    if ((opcode !== 'Next' && opcode !== 'Prev') || !isTemporary.has(p1) || p2 > at) return false;
    return program.every((other, place) => other.opcode !== 'IdxInsert' || other.p1 !== p1 || place < p2);
  });
}

/** Whether there is a way back to where it began, past nodes that are none of the left out ones. */
function hasCircle(edges: readonly (readonly number[])[], isLeftOut: (node: number) => boolean): boolean {
  const OPEN = 1;
  const DONE = 2;
  const state = new Uint8Array(edges.length);
  for (let start = 0; start < edges.length; start += 1) {
    const path: { readonly node: number; next: number }[] = [];
    const enter = (node: number): void => {
      state[node] = OPEN;
      path.push({ node, next: 0 });
    };
    if (state[start] === 0 && !isLeftOut(start)) enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const to = edges[top.node]?.[top.next];
      top.next += 1;
      if (to === undefined) {
        state[top.node] = DONE;
        path.pop();
      } else if (to < edges.length && !isLeftOut(to)) {
        if (state[to] === OPEN) return true;
        if (state[to] === 0) enter(to);
      }
    }
  }
  return false;
}
