/** A screen of `luafcgid top`, made from two looks at the JSON form of the status. Pure. */
import { visibleLine } from '../logging/invisible.js';
import { formatCount, formatDuration, formatMebibytes, formatRate } from './words.js';

/** What `top` reads of the JSON form. */
export interface TopStatus {
  readonly server: {
    readonly version: string;
    readonly pid: number;
    readonly uptime_seconds: number;
    readonly time_ms: number;
    readonly worker_count: number;
    readonly resident_bytes: number;
  };
  readonly requests: {
    readonly total: number;
    readonly running: number;
    readonly suspended: number;
    readonly waiting: number;
    readonly oldest_wait_ms: number;
    readonly failed: number;
    readonly refused: readonly { readonly count: number }[];
  };
  readonly workers: readonly { readonly state: string }[];
  readonly scripts: readonly TopScript[];
  readonly running: readonly TopRequest[];
  readonly waiting: readonly TopRequest[];
}

interface TopScript {
  readonly script: string;
  readonly requests: number;
  readonly failed: number;
  readonly states: number;
  readonly run_ms: number;
  readonly run_p99_ms: number | null;
  readonly queue_p99_ms: number | null;
  readonly memory_bytes: number;
}

interface TopRequest {
  readonly request: string;
  readonly stage: string;
  readonly method: string;
  readonly path: string;
  readonly script: string;
  readonly client: string;
  readonly line: string;
  readonly waits_for: string;
  readonly age_ms: number;
}

interface Row {
  readonly script: TopScript;
  readonly perSecond: number;
  readonly failedPerSecond: number;
  /** Of the time between the looks in which its script ran, in all workers together. */
  readonly runPart: number;
}

/** What rows are sorted by, by the key that is pressed. */
export const SORT_KEYS = {
  r: (row: Row) => row.perSecond,
  t: (row: Row) => row.runPart,
  f: (row: Row) => row.failedPerSecond * 1e9 + row.script.failed,
  m: (row: Row) => row.script.memory_bytes,
} as const;
export type SortKey = keyof typeof SORT_KEYS;

/** Lines of requests that are shown below the scripts. */
const MOST_REQUESTS = 8;

/** @param before the look before this one, for rates; undefined at the first */
export function renderTop(
  now: TopStatus,
  before: TopStatus | undefined,
  key: SortKey,
  rows: number,
  columns: number,
): string {
  const seconds = before === undefined ? 0 : (now.server.time_ms - before.server.time_ms) / 1000;
  const requests = [...now.running, ...now.waiting].slice(0, MOST_REQUESTS).map(requestLine);
  const lines = [...headLines(now, before, seconds), '', SCRIPT_HEAD];
  // Two lines stand between the scripts and the requests, and the last one stays free for the cursor.
  const room = Math.max(1, Math.min(rows - lines.length - requests.length - 3, now.scripts.length));
  lines.push(...scriptRows(now, before, seconds, key).slice(0, room));
  if (requests.length > 0) lines.push('', ...requests);
  return `${lines.map((line) => visibleLine(line).slice(0, columns)).join('\n')}\n`;
}

function headLines(now: TopStatus, before: TopStatus | undefined, seconds: number): string[] {
  const { server, requests, workers } = now;
  const refused = sum(requests.refused);
  const perSecond = rateOf(requests.total, before?.requests.total, seconds);
  const busy = workers.filter(({ state }) => state !== 'idle').length;
  const oldest = requests.waiting === 0 ? '' : ` (oldest ${formatDuration(requests.oldest_wait_ms)})`;
  return [
    `luafcgid ${server.version}  pid ${server.pid}  up ${formatDuration(server.uptime_seconds * 1000)}` +
      `   ${formatMebibytes(server.resident_bytes)} MiB   r t f m: sort   q: quit`,
    `${formatRate(perSecond)} requests/s   ${busy} of ${server.worker_count} workers busy   running ${requests.running}` +
      `   suspended ${requests.suspended}   waiting ${requests.waiting}${oldest}` +
      `   failed ${formatCount(requests.failed)}   refused ${formatCount(refused)}`,
  ];
}

function sum(counts: readonly { readonly count: number }[]): number {
  return counts.reduce((total, { count }) => total + count, 0);
}

function rateOf(now: number, before: number | undefined, seconds: number): number {
  return before === undefined || seconds <= 0 ? 0 : Math.max(0, now - before) / seconds;
}

const SCRIPT_HEAD = '   REQ/S   RUN %   P99 MS  QUEUE P99  FAILED  STATES  MEM MIB  SCRIPT';

function scriptRows(now: TopStatus, before: TopStatus | undefined, seconds: number, key: SortKey): string[] {
  const known = new Map((before?.scripts ?? []).map((script) => [script.script, script]));
  const rows = now.scripts.map((script): Row => {
    const old = before === undefined ? undefined : (known.get(script.script) ?? { requests: 0, failed: 0, run_ms: 0 });
    return {
      script,
      perSecond: rateOf(script.requests, old?.requests, seconds),
      failedPerSecond: rateOf(script.failed, old?.failed, seconds),
      runPart: rateOf(script.run_ms, old?.run_ms, seconds) / 1000,
    };
  });
  const value = SORT_KEYS[key];
  return rows
    .sort((a, b) => value(b) - value(a) || b.script.requests - a.script.requests)
    .map(({ script, perSecond, runPart }) =>
      [
        formatRate(perSecond).padStart(8),
        (100 * runPart).toFixed(0).padStart(6),
        milliseconds(script.run_p99_ms).padStart(7),
        milliseconds(script.queue_p99_ms).padStart(9),
        formatCount(script.failed).padStart(6),
        formatCount(script.states).padStart(6),
        formatMebibytes(script.memory_bytes).padStart(7),
        script.script || '(all others)',
      ].join('  '),
    );
}

function milliseconds(timeMs: number | null): string {
  return timeMs === null ? '-' : timeMs < 10 ? timeMs.toFixed(2) : formatCount(timeMs);
}

function requestLine({ request, stage, age_ms, client, method, path, script, line, waits_for }: TopRequest): string {
  const at = line || waits_for;
  return `${request}  ${stage.padEnd(9)}  ${formatDuration(age_ms).padStart(7)}  ${client || '-'}  ${method} ${path || script}${at && `  ${at}`}`;
}
