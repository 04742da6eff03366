/** The status as text for a terminal. */

import { visibleLine } from '../logging/invisible.js';
import { NO_IMAGE } from '../metrics/counters.js';
import { quantileOf } from '../metrics/histogram.js';
import type { Status, StatusRequest } from './model.js';
import { firstScripts, SCRIPT_NUMBERS, ScriptAt, type StatusScript, scriptAt } from './script-table.js';
import { formatCount, formatDuration, formatMebibytes, formatRate, formatTime } from './words.js';

/** Rows of each table; what is left out is counted. */
const MOST_ROWS = 20;
const MOST_TEXT = 100;

export function renderText(status: Status): string {
  const sections = [
    head(status),
    scriptTable(status),
    imageTable(status),
    requestTable(status),
    sourceTable(status),
    dictionaryTable(status),
    errorTable(status),
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function head({ server, requests, workers, states, connections, limits }: Status): string {
  const busy = workers.filter(({ state }) => state !== 'idle').length;
  const refused = requests.refused.reduce((sum, { count }) => sum + count, 0);
  const memory = states.list.reduce((sum, { memoryBytes = 0 }) => sum + memoryBytes, 0);
  const bounds = limits.map(({ name, unit, used, limit }) =>
    unit === 'bytes'
      ? `${name} ${formatMebibytes(used)} of ${formatMebibytes(limit)} MiB`
      : `${name} ${formatCount(used)} of ${formatCount(limit)}`,
  );
  const lines: [string, string][] = [
    ['requests', requestLine(requests, refused)],
    [
      'workers',
      `${busy} of ${server.workerCount} busy   replaced ${server.workersReplaced}   hung ${server.workersHung}` +
        `   suspended requests ${formatCount(requests.suspended)}`,
    ],
    [
      'states',
      `${formatCount(states.total)} (${formatCount(states.idle)} idle)   evicted ${formatCount(states.evictedTotal)}` +
        `   memory ${formatMebibytes(memory)} MiB   process ${formatMebibytes(server.residentBytes)} MiB`,
    ],
    [
      'connections',
      `${formatCount(connections.open)} open, ${formatCount(connections.lent)} lent to workers` +
        `   opened ${formatCount(connections.openedTotal)}`,
    ],
    ['limits', bounds.join('   ')],
    ['listening', server.listeners.join(', ')],
  ];
  if (refused > 0) {
    const codes = requests.refused.map(({ code, count }) => `${code} ${formatCount(count)}`);
    lines.splice(1, 0, ['refused', codes.join('   ')]);
  }
  const title =
    `luafcgid ${server.version}  pid ${server.pid}  up ${formatDuration(server.uptimeSeconds * 1000)}  ` +
    `${server.engine}, ${server.io}  ${server.configuration || 'default configuration'}${reloadText(server)}`;
  return `${title}\n${lines.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n')}\n`;
}

function requestLine(requests: Status['requests'], refused: number): string {
  const oldest = requests.waiting === 0 ? '' : `oldest ${formatDuration(requests.oldestWaitMs)}, `;
  return (
    `${formatCount(requests.total)}   running ${formatCount(requests.running)}   ` +
    `waiting ${formatCount(requests.waiting)} (${oldest}max ${formatCount(requests.waitingMax)})   ` +
    `${formatRate(requests.perSecond)}/s   failed ${formatCount(requests.failed)}   ` +
    `timed out ${formatCount(requests.timedOut)}   refused ${formatCount(refused)}   slow ${formatCount(requests.slow)}`
  );
}

function reloadText({ lastReload }: Status['server']): string {
  if (lastReload === undefined) return '';
  return ` (reload at ${formatTime(lastReload.timeMs)}: ${lastReload.isRefused ? 'refused' : 'ok'})`;
}

/**
 * A table: columns of numbers stand to the right, the first column and the last to the left. What clients and scripts have written is
 * among the cells, and stays in its line.
 */
function table(
  head: readonly string[],
  values: readonly (readonly string[])[],
  leftColumns: readonly number[],
): string {
  const rows = values.map((row) => row.map(visibleLine));
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => (row[at] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (leftColumns.includes(at) ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${[head, ...rows].map(line).join('\n')}\n`;
}

function leftOut(count: number): string {
  return count > MOST_ROWS ? `… and ${formatCount(count - MOST_ROWS)} more\n` : '';
}

function timeCell(timeMs: number | undefined): string {
  return timeMs === undefined ? '-' : timeMs < 10 ? timeMs.toFixed(2) : formatCount(timeMs);
}

function scriptRow(script: StatusScript): string[] {
  return [
    script.script || '(all others)',
    formatCount(script.states),
    formatCount(script.requests),
    timeCell(quantileOf(script.run.counts, 0.5)),
    timeCell(quantileOf(script.run.counts, 0.99)),
    timeCell(quantileOf(script.queue.counts, 0.99)),
    timeCell(quantileOf(script.wait.counts, 0.99)),
    formatCount(script.failed),
    formatMebibytes(script.memoryBytes),
  ];
}

function scriptTable({ scripts }: Status): string {
  const { length } = scripts.names;
  if (length === 0) return '';
  const names = ['SCRIPT', 'STATES', 'REQUESTS', 'RUN P50', 'P99', 'QUEUE P99', 'WAIT P99', 'FAILED', 'MEM MIB'];
  return `${table(names, firstScripts(scripts, MOST_ROWS).map(scriptRow), [0])}${leftOut(length)}`;
}

/** Scripts that were loaded and could not be copied, with the reasons. */
function imageTable({ scripts }: Status): string {
  const { numbers } = scripts;
  const hasNone = (row: number): boolean =>
    NO_IMAGE.some((_, place) => (numbers[row * SCRIPT_NUMBERS + ScriptAt.NO_IMAGE + place] ?? 0) > 0);
  const without = [...scripts.names.keys()].filter(hasNone);
  if (without.length === 0) return '';
  const rows = without.slice(0, MOST_ROWS).map((row) => {
    const { script, loads, clones, noImage } = scriptAt(scripts, row);
    const reasons = Object.entries(noImage).map(([why, count]) => `${why}: ${formatCount(count)}`);
    return [script || '(all others)', formatCount(loads), formatCount(clones), reasons.join(', ')];
  });
  return `${table(['WITHOUT IMAGE', 'STATES MADE', 'FROM IMAGE', 'WHY NOT'], rows, [0, 3])}${leftOut(without.length)}`;
}

function requestRow(request: StatusRequest): string[] {
  const { worker, state, client, method, path, script, line, waitsFor, stage } = request;
  return [
    request.request,
    stage,
    state === undefined ? '-' : String(state),
    worker === undefined ? '-' : String(worker),
    formatDuration(request.ageMs),
    client || '-',
    `${method} ${path || script}`.slice(0, MOST_TEXT),
    line || waitsFor,
  ];
}

function requestTable({ running, waiting }: Status): string {
  const requests = [...running, ...waiting];
  if (requests.length === 0) return '';
  const names = ['REQUEST', 'STAGE', 'STATE', 'WORKER', 'SINCE', 'CLIENT', 'ASKED FOR', 'AT, OR WAITS FOR'];
  const rows = requests.slice(0, MOST_ROWS).map(requestRow);
  return `${table(names, rows, [0, 1, 5, 6, 7])}${leftOut(requests.length)}`;
}

function sourceTable({ server: { sources } }: Status): string {
  if (sources.length === 0) return '';
  const rows = sources.map(({ name, kind, open, busy, waiting, connections, queue, down }) => [
    name,
    kind,
    `${open} of ${connections}`,
    formatCount(busy),
    `${waiting} of ${queue}`,
    (down || 'reachable').slice(0, MOST_TEXT),
  ]);
  return table(['DATA SOURCE', 'KIND', 'OPEN', 'BUSY', 'WAITING', ''], rows, [0, 1, 5]);
}

function dictionaryTable({ server: { dictionaries } }: Status): string {
  if (dictionaries.length === 0) return '';
  const rows = dictionaries.map(({ name, items, usedBytes, sizeBytes, hits, misses, evictions, failures }) => [
    name,
    formatCount(items),
    `${formatMebibytes(usedBytes)} of ${formatMebibytes(sizeBytes)} MiB`,
    formatCount(hits),
    formatCount(misses),
    formatCount(evictions),
    formatCount(failures),
  ]);
  return table(['SHARED', 'ITEMS', 'USED', 'HITS', 'MISSES', 'EVICTED', 'NO ROOM'], rows, [0]);
}

/** Errors of scripts by script and line, the latest first; also what `luafcgid log` prints. */
export function errorTable({ errors }: Pick<Status, 'errors'>, mostRows = MOST_ROWS): string {
  if (errors.length === 0) return '';
  const rows = errors
    .slice(0, mostRows)
    .map(({ count, lastMs, place, script, code, text, request }) => [
      formatCount(count),
      formatTime(lastMs),
      request || '-',
      place || script || '-',
      `${code === '' ? '' : `${code}: `}${text}`.slice(0, 2 * MOST_TEXT),
    ]);
  const more = errors.length > mostRows ? `… and ${formatCount(errors.length - mostRows)} more\n` : '';
  return `${table(['ERRORS', 'LAST', 'REQUEST', 'PLACE', 'TEXT'], rows, [1, 2, 3, 4])}${more}`;
}
