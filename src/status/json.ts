/** The status as JSON, for programs. Names have the form that monitoring knows: `uptime_seconds`. */
import { visibleJson } from '../logging/invisible.js';
import { quantileOf } from '../metrics/histogram.js';
import type { Status, Times } from './model.js';

export function renderJson(status: Status): string {
  const { scripts, requests, ...others } = status;
  const document = {
    ...others,
    requests: { ...requests, byStatus: statusesOf(requests.byStatus) },
    scripts: scripts.map(({ byStatus, queue, run, wait, ...script }) => ({
      ...script,
      byStatus: statusesOf(byStatus),
      ...timesOf('queue', queue),
      ...timesOf('run', run),
      ...timesOf('wait', wait),
    })),
  };
  return `${visibleJson(JSON.stringify(withSnakeNames(document)))}\n`;
}

function statusesOf(byStatus: readonly number[]): Record<string, number> {
  return Object.fromEntries(byStatus.map((count, at) => [at === 0 ? 'none' : `${at}xx`, count]));
}

function timesOf(name: string, { counts, sumMs }: Times): Record<string, number | null> {
  return {
    [`${name}Ms`]: sumMs,
    [`${name}P50Ms`]: quantileOf(counts, 0.5) ?? null,
    [`${name}P99Ms`]: quantileOf(counts, 0.99) ?? null,
  };
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
