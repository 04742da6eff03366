/**
 * The status in the text format of OpenMetrics 1.0, which Prometheus reads. Each family comes once, with all its samples
 * together, and a label has few values: scripts are bounded where they are counted (`metrics/totals.ts`).
 */
import { NO_IMAGE, STATUS_CLASSES } from '../metrics/counters.js';
import { limitOf, TIME_PLACES } from '../metrics/histogram.js';
import type { ServerFacts, Status, StatusDictionary } from './model.js';
import { SCRIPT_NUMBERS, ScriptAt, type ScriptTable } from './script-table.js';
import { TextBuffer } from './text-buffer.js';

export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Every second power of two from 0.25 ms to 65 s, and no limit: what a histogram of a script shows. Each with the end of its line. */
const BUCKETS: readonly { readonly last: number; readonly ending: string }[] = [
  ...Array.from({ length: 10 }, (_, index) => 2 + 2 * index).map((last) => ({
    last,
    limit: number(limitOf(last) / 1000),
  })),
  { last: TIME_PLACES - 1, limit: '+Inf' },
].map(({ last, limit }) => ({ last, ending: `${limit}"} ` }));

/** About as much as the samples of a script take. */
const SCRIPT_BYTES = 3500;

type Labels = Readonly<Record<string, string>>;

/** A number as OpenMetrics writes it: always one that is no integer, so that all forms of a limit are the same text. */
function number(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (sign) => (sign === '\n' ? '\\n' : `\\${sign}`));
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

class Exposition {
  readonly #text: TextBuffer;

  constructor(text: TextBuffer) {
    this.#text = text;
  }

  family(name: string, type: 'counter' | 'gauge' | 'histogram' | 'info', help: string, unit = ''): void {
    this.#text.add(`# TYPE ${name} ${type}\n`);
    if (unit !== '') this.#text.add(`# UNIT ${name} ${unit}\n`);
    this.#text.add(`# HELP ${name} ${help}\n`);
  }

  sample(name: string, labels: string, value: number): void {
    this.#text.add(labels === '' ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`);
  }

  counter(name: string, help: string, value: number, unit = ''): void {
    this.family(name, 'counter', help, unit);
    this.sample(`${name}_total`, '', value);
  }

  gauge(name: string, help: string, value: number, unit = ''): void {
    this.family(name, 'gauge', help, unit);
    this.sample(name, '', value);
  }

  /** @param start where the counts of the `TIME_PLACES` places begin */
  histogram(name: string, labels: string, counts: Float64Array, start: number, sumMs: number): void {
    // Most of what is shown are these lines: they are put together as one text for each histogram.
    const bucket = `${name}_bucket{${labels},le="`;
    let lines = '';
    let count = 0;
    let place = 0;
    for (const { last, ending } of BUCKETS) {
      for (; place <= last; place += 1) count += counts[start + place] as number;
      lines += `${bucket}${ending}${count}\n`;
    }
    this.#text.add(`${lines}${name}_count{${labels}} ${count}\n${name}_sum{${labels}} ${sumMs / 1000}\n`);
  }

  end(): Buffer {
    this.#text.add('# EOF\n');
    return this.#text.end();
  }
}

/** @param start what the text begins with */
export function renderOpenMetrics(status: Status, start?: string): Buffer {
  const out = new Exposition(new TextBuffer(2 ** 16 + status.scripts.names.length * SCRIPT_BYTES, start));
  server(out, status);
  requests(out, status);
  resources(out, status);
  scripts(out, status.scripts);
  return out.end();
}

function server(out: Exposition, { server: facts }: Status): void {
  const { version, node, engine, io } = facts;
  out.family('luafcgid_build', 'info', 'Version, engine and sockets of the server.');
  out.sample('luafcgid_build_info', labelText({ version, node, engine, io }), 1);
  out.gauge('luafcgid_start_time_seconds', 'When the server was started.', facts.startedMs / 1000, 'seconds');
  out.counter('luafcgid_reloads', 'Configurations that were taken into service.', facts.reloads);
  out.gauge('luafcgid_last_reload_successful', 'Whether the last reload was.', facts.lastReload?.isRefused ? 0 : 1);
  out.gauge('luafcgid_resident_memory_bytes', 'Memory of the process.', facts.residentBytes, 'bytes');
}

function requests(out: Exposition, { requests: all, connections }: Status): void {
  out.gauge('luafcgid_requests_running', 'Requests that workers have.', all.running);
  out.gauge('luafcgid_requests_suspended', 'Those of them that wait for results.', all.suspended);
  out.gauge('luafcgid_requests_waiting', 'Requests that wait for a state.', all.waiting);
  out.gauge('luafcgid_requests_waiting_max', 'Most requests that have waited at a time.', all.waitingMax);
  out.gauge('luafcgid_oldest_wait_seconds', 'How long the first of them waits.', all.oldestWaitMs / 1000, 'seconds');
  out.counter('luafcgid_requests_aborted', 'Requests whose client went before the answer.', all.aborted);
  out.counter('luafcgid_requests_slow', 'Requests that were reported as slow.', all.slow);
  out.counter('luafcgid_requests_direct', 'Requests that workers have read by themselves.', all.direct);
  out.family('luafcgid_requests_refused', 'counter', 'Requests that the server answered in the place of a script.');
  for (const { code, status, count } of all.refused) {
    out.sample('luafcgid_requests_refused_total', labelText({ code, status: String(status) }), count);
  }
  out.gauge('luafcgid_connections_open', 'Connections of web servers.', connections.open);
  out.gauge('luafcgid_connections_lent', 'Those of them that workers serve by themselves.', connections.lent);
  out.counter('luafcgid_connections_opened', 'Connections that were accepted.', connections.openedTotal);
}

function resources(out: Exposition, { server: facts, workers, states, limits }: Status): void {
  const busy = workers.filter(({ state }) => state !== 'idle').length;
  out.gauge('luafcgid_workers', 'Worker threads as configured.', facts.workerCount);
  out.gauge('luafcgid_workers_busy', 'Workers that do something.', busy);
  out.counter('luafcgid_workers_replaced', 'Workers that ended or were given up.', facts.workersReplaced);
  out.gauge('luafcgid_workers_hung', 'Threads that hang and cannot be ended.', facts.workersHung);
  out.gauge('luafcgid_states', 'Lua states.', states.total);
  out.gauge('luafcgid_states_idle', 'Lua states without a request.', states.idle);
  out.counter('luafcgid_states_evicted', 'States that were closed to make room for others.', states.evictedTotal);
  out.family('luafcgid_limit_used', 'gauge', 'How much of a limit is used, by the setting that sets it.');
  for (const { name, used } of limits) out.sample('luafcgid_limit_used', labelText({ limit: name }), used);
  out.family('luafcgid_limit', 'gauge', 'Limits, by the setting that sets them.');
  for (const { name, limit } of limits) out.sample('luafcgid_limit', labelText({ limit: name }), limit);
  const { sources } = facts;
  const each = (name: string, help: string, value: (source: (typeof sources)[number]) => number): void => {
    out.family(name, 'gauge', help);
    for (const source of sources) {
      out.sample(name, labelText({ source: source.name, kind: source.kind }), value(source));
    }
  };
  each('luafcgid_source_up', 'Whether a data source can be reached.', ({ down }) => (down === '' ? 1 : 0));
  each('luafcgid_source_connections_open', 'Connections to a data source.', ({ open }) => open);
  each('luafcgid_source_connections_busy', 'Those of them in use.', ({ busy }) => busy);
  each('luafcgid_source_connections_limit', 'Most connections to it.', ({ connections }) => connections);
  each('luafcgid_source_waiting', 'Operations that wait for a connection.', ({ waiting }) => waiting);
  shared(out, facts);
}

function shared(out: Exposition, { dictionaries, locks }: ServerFacts): void {
  const each = (
    name: string,
    kind: 'gauge' | 'counter',
    help: string,
    value: (one: StatusDictionary) => number,
  ): void => {
    out.family(name, kind, help);
    const sample = kind === 'counter' ? `${name}_total` : name;
    for (const one of dictionaries) out.sample(sample, labelText({ dictionary: one.name }), value(one));
  };
  each('luafcgid_shared_bytes', 'gauge', 'Size of a shared dictionary.', ({ sizeBytes }) => sizeBytes);
  each('luafcgid_shared_used_bytes', 'gauge', 'How much of it is used.', ({ usedBytes }) => usedBytes);
  each('luafcgid_shared_items', 'gauge', 'Values that it holds.', ({ items }) => items);
  each('luafcgid_shared_hits', 'counter', 'Values that were found.', ({ hits }) => hits);
  each('luafcgid_shared_misses', 'counter', 'Values that were not found.', ({ misses }) => misses);
  each('luafcgid_shared_evictions', 'counter', 'Values that made room for others.', ({ evictions }) => evictions);
  each('luafcgid_shared_failures', 'counter', 'Values that found no room.', ({ failures }) => failures);
  out.gauge('luafcgid_locks_held', 'Locks that requests hold.', locks.held);
  out.gauge('luafcgid_locks_waiting', 'Requests that wait for one.', locks.waiting);
  out.counter('luafcgid_locks_deadlocks', 'Waits that were refused since they would never end.', locks.deadlocks);
}

function scripts(out: Exposition, { names, numbers }: ScriptTable): void {
  const labels = names.map((name) => `script="${escaped(name || 'others')}"`);
  const each = (visit: (label: string, start: number) => void): void => {
    for (let row = 0; row < labels.length; row += 1) visit(labels[row] as string, row * SCRIPT_NUMBERS);
  };
  const at = (place: number): number => numbers[place] as number;
  out.family('luafcgid_requests', 'counter', 'Requests that scripts have answered, by the hundreds of their status.');
  each((label, start) => {
    for (let hundreds = 0; hundreds < STATUS_CLASSES; hundreds += 1) {
      const count = at(start + ScriptAt.STATUS + hundreds);
      const status = hundreds === 0 ? 'none' : `${hundreds}xx`;
      if (count > 0) out.sample('luafcgid_requests_total', `${label},status="${status}"`, count);
    }
  });
  const column = (name: string, type: 'counter' | 'gauge', help: string, place: number, unit = ''): void => {
    out.family(name, type, help, unit);
    const sample = type === 'counter' ? `${name}_total` : name;
    each((label, start) => out.sample(sample, label, at(start + place)));
  };
  column('luafcgid_script_errors', 'counter', 'Requests whose script failed.', ScriptAt.FAILED);
  column('luafcgid_script_timeouts', 'counter', 'Requests that a time limit ended.', ScriptAt.TIMED_OUT);
  column('luafcgid_script_loads', 'counter', 'States that were made for a script.', ScriptAt.LOADS);
  column('luafcgid_script_clones', 'counter', 'States that were made from its image.', ScriptAt.CLONES);
  out.family('luafcgid_script_without_image', 'counter', 'Loads of a script that could not be copied, by the reason.');
  each((label, start) => {
    for (const [place, why] of NO_IMAGE.entries()) {
      const count = at(start + ScriptAt.NO_IMAGE + place);
      if (count > 0) out.sample('luafcgid_script_without_image_total', `${label},reason="${why}"`, count);
    }
  });
  column('luafcgid_script_sent_bytes', 'counter', 'Bytes of its answers.', ScriptAt.SENT_BYTES, 'bytes');
  column('luafcgid_script_blocked_waits', 'counter', 'Waits that blocked a worker.', ScriptAt.BLOCKED);
  column('luafcgid_script_states', 'gauge', 'Lua states of a script.', ScriptAt.STATES);
  column('luafcgid_script_memory_bytes', 'gauge', 'Memory of its states.', ScriptAt.MEMORY_BYTES, 'bytes');
  const times = (name: string, help: string, countsAt: number, sumAt: number, isLeftOut = false): void => {
    out.family(name, 'histogram', help, 'seconds');
    each((label, start) => {
      if (isLeftOut && at(start + sumAt) === 0) return;
      out.histogram(name, label, numbers, start + countsAt, at(start + sumAt));
    });
  };
  const { RUN_TIMES, RUN_MS, QUEUE_TIMES, QUEUE_MS, WAIT_TIMES, WAIT_MS } = ScriptAt;
  times('luafcgid_request_run_seconds', 'Time in which scripts ran, waits left out.', RUN_TIMES, RUN_MS);
  times('luafcgid_request_queue_seconds', 'Time for which requests waited for a state.', QUEUE_TIMES, QUEUE_MS);
  const waited = 'Time for which scripts waited for results.';
  times('luafcgid_request_wait_seconds', waited, WAIT_TIMES, WAIT_MS, true);
}
