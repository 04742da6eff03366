/** What was counted of each script, as the table that the status shows. */
import { toShortText } from '../../base/bounded-text.js';
import { NUMBERS, STATUS_CLASSES } from '../../metrics/counters.js';
import { TIME_PLACES } from '../../metrics/histogram.js';
import type { ScriptTotals } from '../../metrics/totals.js';
import type { PoolState } from '../../pool/pool.js';
import { SCRIPT_NUMBERS, ScriptAt, type ScriptTable } from '../../status/script-table.js';
import type { QueueTimes } from '../model/tally.js';

interface Row {
  readonly script: string;
  /** Where its numbers begin in the totals; undefined: no worker has counted it. */
  readonly start: number | undefined;
  readonly requests: number;
}

/**
 * All scripts that were asked for.
 * @param totals what workers have counted
 * @param queued how long requests of scripts waited for a state
 * @param memoryOf the memory of a state, where it is known
 */
export function tableOfScripts(
  totals: Pick<ScriptTotals, 'starts' | 'numbers'>,
  queued: ReadonlyMap<string, QueueTimes>,
  states: readonly PoolState[],
  memoryOf: (state: PoolState) => number | undefined,
): ScriptTable {
  const rows = rowsOf(totals, queued);
  const numbers = new Float64Array(rows.length * SCRIPT_NUMBERS);
  const placeOfScript = new Map<string, number>();
  for (const [row, { script, start, requests }] of rows.entries()) {
    const to = row * SCRIPT_NUMBERS;
    placeOfScript.set(script, to);
    if (start !== undefined) copy(totals.numbers, start, numbers, to, NUMBERS);
    numbers[to + ScriptAt.REQUESTS] = requests;
    const times = queued.get(script);
    if (times !== undefined) {
      copy(times.counts, 0, numbers, to + ScriptAt.QUEUE_TIMES, TIME_PLACES);
      numbers[to + ScriptAt.QUEUE_MS] = times.sumMs;
    }
    // What a worker reads by itself has waited in no queue.
    add(numbers, to + ScriptAt.QUEUE_TIMES, numbers[to + ScriptAt.DIRECT] as number);
  }
  for (const state of states) {
    const to = placeOfScript.get(state.script);
    if (to === undefined) continue;
    add(numbers, to + ScriptAt.STATES, 1);
    add(numbers, to + ScriptAt.MEMORY_BYTES, memoryOf(state) ?? 0);
  }
  return { names: rows.map(({ script }) => toShortText(script)), numbers };
}

/** Those asked for most first. */
function rowsOf(
  { starts, numbers }: Pick<ScriptTotals, 'starts' | 'numbers'>,
  queued: ReadonlyMap<string, QueueTimes>,
): Row[] {
  const rows: Row[] = [];
  for (const [script, start] of starts) {
    let requests = 0;
    for (let place = 0; place < STATUS_CLASSES; place += 1) {
      requests += numbers[start + ScriptAt.STATUS + place] as number;
    }
    if (requests > 0 || queued.has(script)) rows.push({ script, start, requests });
  }
  for (const script of queued.keys()) {
    if (!starts.has(script)) rows.push({ script, start: undefined, requests: 0 });
  }
  return rows.sort((a, b) => b.requests - a.requests);
}

/** Number by number: a view of a part of the source takes longer to make than so few numbers to copy. */
function copy(from: Float64Array, start: number, to: Float64Array, at: number, count: number): void {
  for (let place = 0; place < count; place += 1) to[at + place] = from[start + place] as number;
}

function add(numbers: Float64Array, at: number, count: number): void {
  numbers[at] = (numbers[at] as number) + count;
}
