/** The status as JSON, for programs. Names have the form that monitoring knows: `uptime_seconds`. */
import { visibleJson } from '../logging/invisible.js';
import { quantileOf } from '../metrics/histogram.js';
import type { Status } from './model.js';
import { type StatusScript, scriptAt, type Times } from './script-table.js';
import { TextBuffer } from './text-buffer.js';

/** About as much as the row of a script takes. */
const SCRIPT_BYTES = 800;

/** @param start what the text begins with */
export function renderJson({ scripts, requests, ...others }: Status, start?: string): Buffer {
  const { length } = scripts.names;
  const text = new TextBuffer(2 ** 16 + length * SCRIPT_BYTES, start);
  const document = { ...others, requests: { ...requests, byStatus: statusesOf(requests.byStatus) } };
  // All but the brace at the end: the scripts are its last member.
  text.add(visibleJson(JSON.stringify(withSnakeNames(document)).slice(0, -1)));
  text.add(',"scripts":[');
  for (let row = 0; row < length; row += 1) {
    if (row > 0) text.add(',');
    text.add(visibleJson(JSON.stringify(scriptRow(scriptAt(scripts, row)))));
  }
  text.add(']}\n');
  return text.end();
}

/** There may be a thousand, so their names are written out here instead of being made of others. */
function scriptRow(script: StatusScript): Record<string, unknown> {
  return {
    script: script.script,
    requests: script.requests,
    by_status: statusesOf(script.byStatus),
    direct: script.direct,
    failed: script.failed,
    timed_out: script.timedOut,
    sent_bytes: script.sentBytes,
    loads: script.loads,
    load_ms: script.loadMs,
    clones: script.clones,
    no_image: script.noImage,
    blocked_waits: script.blockedWaits,
    states: script.states,
    memory_bytes: script.memoryBytes,
    queue_ms: script.queue.sumMs,
    queue_p50_ms: quantile(script.queue, 0.5),
    queue_p99_ms: quantile(script.queue, 0.99),
    run_ms: script.run.sumMs,
    run_p50_ms: quantile(script.run, 0.5),
    run_p99_ms: quantile(script.run, 0.99),
    wait_ms: script.wait.sumMs,
    wait_p50_ms: quantile(script.wait, 0.5),
    wait_p99_ms: quantile(script.wait, 0.99),
  };
}

function quantile({ counts }: Times, part: number): number | null {
  return quantileOf(counts, part) ?? null;
}

function statusesOf(byStatus: ArrayLike<number>): Record<string, number> {
  const [none = 0, ...hundreds] = Array.from(byStatus);
  const statuses: Record<string, number> = { none };
  for (const [at, count] of hundreds.entries()) statuses[`${at + 1}xx`] = count;
  return statuses;
}

/** The same values with names in snake case. Only names of fields are keys here, never data. */
function withSnakeNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSnakeNames);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [snakeName(name), withSnakeNames(member)]));
}

const snakeNames = new Map<string, string>();

function snakeName(name: string): string {
  const known = snakeNames.get(name);
  if (known !== undefined) return known;
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  snakeNames.set(name, snake);
  return snake;
}

/** Errors of scripts by script and line, as `luafcgid log --json` prints them. */
export function errorsJson(errors: Status['errors']): string {
  return `${visibleJson(JSON.stringify(withSnakeNames(errors)))}\n`;
}
