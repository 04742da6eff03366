/**
 * The status in the text format of OpenMetrics 1.0, which Prometheus reads. Each family comes once, with all its samples
 * together, and a label has few values: scripts are bounded where they are counted (`metrics/totals.ts`).
 */
import { limitOf, TIME_PLACES } from '../metrics/histogram.js';
import type { ServerFacts, Status, StatusDictionary, StatusScript, Times } from './model.js';

export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Every second power of two from 0.25 ms to 65 s, and no limit: what a histogram of a script shows. Each with the end of its line. */
const BUCKETS: readonly { readonly last: number; readonly ending: string }[] = [
  ...Array.from({ length: 10 }, (_, index) => 2 + 2 * index).map((last) => ({
    last,
    limit: number(limitOf(last) / 1000),
  })),
  { last: TIME_PLACES - 1, limit: '+Inf' },
].map(({ last, limit }) => ({ last, ending: `${limit}"} ` }));

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
  readonly #lines: string[] = [];

  family(name: string, type: 'counter' | 'gauge' | 'histogram' | 'info', help: string, unit = ''): void {
    this.#lines.push(`# TYPE ${name} ${type}`);
    if (unit !== '') this.#lines.push(`# UNIT ${name} ${unit}`);
    this.#lines.push(`# HELP ${name} ${help}`);
  }

  sample(name: string, labels: string, value: number): void {
    this.#lines.push(labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`);
  }

  counter(name: string, help: string, value: number, unit = ''): void {
    this.family(name, 'counter', help, unit);
    this.sample(`${name}_total`, '', value);
  }

  gauge(name: string, help: string, value: number, unit = ''): void {
    this.family(name, 'gauge', help, unit);
    this.sample(name, '', value);
  }

  histogram(name: string, labels: string, { counts, sumMs }: Times): void {
    // Most of what is shown are these lines: they are put together as one text for each histogram.
    const bucket = `${name}_bucket{${labels},le="`;
    let lines = '';
    let count = 0;
    let place = 0;
    for (const { last, ending } of BUCKETS) {
      for (; place <= last; place += 1) count += counts[place] as number;
      lines += `${bucket}${ending}${count}\n`;
    }
    this.#lines.push(`${lines}${name}_count{${labels}} ${count}\n${name}_sum{${labels}} ${sumMs / 1000}`);
  }

  text(): string {
    this.#lines.push('# EOF\n');
    return this.#lines.join('\n');
  }
}

export function renderOpenMetrics(status: Status): string {
  const out = new Exposition();
  server(out, status);
  requests(out, status);
  resources(out, status);
  scripts(out, status.scripts);
  return out.text();
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

interface Labelled {
  readonly script: StatusScript;
  readonly labels: string;
}

function scripts(out: Exposition, all: readonly StatusScript[]): void {
  const labelled = all.map((script) => ({ script, labels: labelText({ script: script.script || 'others' }) }));
  out.family('luafcgid_requests', 'counter', 'Requests that scripts have answered, by the hundreds of their status.');
  for (const { script, labels } of labelled) {
    for (const [at, count] of script.byStatus.entries()) {
      if (count === 0) continue;
      out.sample('luafcgid_requests_total', `${labels},status="${at === 0 ? 'none' : `${at}xx`}"`, count);
    }
  }
  const counter = (name: string, help: string, value: (script: StatusScript) => number, unit = ''): void => {
    out.family(name, 'counter', help, unit);
    for (const { script, labels } of labelled) out.sample(`${name}_total`, labels, value(script));
  };
  counter('luafcgid_script_errors', 'Requests whose script failed.', ({ failed }) => failed);
  counter('luafcgid_script_timeouts', 'Requests that a time limit ended.', ({ timedOut }) => timedOut);
  counter('luafcgid_script_loads', 'States that were made for a script.', ({ loads }) => loads);
  counter('luafcgid_script_clones', 'States that were made from its image.', ({ clones }) => clones);
  out.family('luafcgid_script_without_image', 'counter', 'Loads of a script that could not be copied, by the reason.');
  for (const { script, labels } of labelled) {
    for (const [why, count] of Object.entries(script.noImage)) {
      if (count === 0) continue;
      out.sample('luafcgid_script_without_image_total', `${labels},reason="${why}"`, count);
    }
  }
  counter('luafcgid_script_sent_bytes', 'Bytes of its answers.', ({ sentBytes }) => sentBytes, 'bytes');
  counter('luafcgid_script_blocked_waits', 'Waits that blocked a worker.', ({ blockedWaits }) => blockedWaits);
  out.family('luafcgid_script_states', 'gauge', 'Lua states of a script.');
  for (const { script, labels } of labelled) out.sample('luafcgid_script_states', labels, script.states);
  out.family('luafcgid_script_memory_bytes', 'gauge', 'Memory of its states.', 'bytes');
  for (const { script, labels } of labelled) out.sample('luafcgid_script_memory_bytes', labels, script.memoryBytes);
  const times = (name: string, help: string, value: (script: StatusScript) => Times, of: readonly Labelled[]): void => {
    out.family(name, 'histogram', help, 'seconds');
    for (const { script, labels } of of) out.histogram(name, labels, value(script));
  };
  times('luafcgid_request_run_seconds', 'Time in which scripts ran, waits left out.', ({ run }) => run, labelled);
  times(
    'luafcgid_request_queue_seconds',
    'Time for which requests waited for a state.',
    ({ queue }) => queue,
    labelled,
  );
  const waited = labelled.filter(({ script }) => script.wait.sumMs > 0);
  times('luafcgid_request_wait_seconds', 'Time for which scripts waited for results.', ({ wait }) => wait, waited);
}
