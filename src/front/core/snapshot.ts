/** What the front is doing at this moment, as plain values. It reads the books and changes nothing. */
import { toShortText } from '../../base/bounded-text.js';
import { WaitsFor } from '../../channel/messages.js';
import { At, NO_IMAGE, STATUS_CLASSES } from '../../metrics/counters.js';
import { TIME_PLACES } from '../../metrics/histogram.js';
import { ScriptTotals } from '../../metrics/totals.js';
import type { Pool, PoolState } from '../../pool/pool.js';
import type {
  FrontSnapshot,
  StatusLimit,
  StatusRequest,
  StatusScript,
  StatusState,
  StatusWorker,
  Times,
} from '../../status/model.js';
import type { FrontOptions } from '../model/actions.js';
import { askedOf } from '../model/asked.js';
import type { Meters } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Run } from '../model/run.js';
import type { Tally } from '../model/tally.js';
import type { WorkerLink } from '../model/worker-link.js';

/** What a suspended request waits for, in words. */
const WAITS_FOR: Readonly<Record<number, string>> = {
  [WaitsFor.TIMER]: 'a time',
  [WaitsFor.DATA]: 'a data source',
  [WaitsFor.SEVERAL]: 'several results',
  [WaitsFor.BODY]: 'its body',
  [WaitsFor.LOCK]: 'a lock',
  [WaitsFor.OUTPUT]: 'its client to read',
  [WaitsFor.KEY]: 'the hash of a password',
};

/** Requests and states that are listed one by one. */
const MOST_REQUESTS = 200;
const MOST_STATES = 500;

export interface SnapshotParts {
  readonly options: FrontOptions;
  readonly tally: Tally;
  readonly pool: Pool<FrontRequest>;
  readonly meters: Meters;
  readonly connections: ReadonlyMap<number, FrontConnection>;
  readonly requests: ReadonlyMap<number, FrontRequest>;
  readonly workers: Iterable<WorkerLink>;
  readonly nameOf: (request: FrontRequest) => string;
}

export function takeSnapshot(parts: SnapshotParts, nowMs: number): FrontSnapshot {
  const { tally, pool, requests } = parts;
  const totals = new ScriptTotals();
  totals.addAll(tally.ended);
  for (const counters of tally.living) totals.add(counters);
  const runs = new Map<FrontRequest, Run>();
  for (const worker of parts.workers) for (const run of worker.runs.values()) runs.set(run.request, run);
  const counts = pool.counts();
  const states = [...pool.states()];
  const running = [...requests.values()].filter(({ stage }) => stage === 'running');
  const waiting = [...requests.values()].filter(({ stage }) => stage !== 'running');
  const queued = waiting.filter(({ stage }) => stage === 'waiting');
  const oldestMs = queued.reduce((oldest, request) => Math.min(oldest, request.queuedMs), nowMs);
  const list = (listed: readonly FrontRequest[]): StatusRequest[] =>
    [...listed]
      .sort((a, b) => a.times.arrivedMs - b.times.arrivedMs)
      .slice(0, MOST_REQUESTS)
      .map((request) => describeRequest(parts, request, runs.get(request), nowMs));
  return {
    connections: {
      open: parts.connections.size,
      lent: [...parts.connections.values()].filter(({ lentTo }) => lentTo !== undefined).length,
      openedTotal: tally.openedTotal,
    },
    requests: {
      total: tally.total,
      running: running.length,
      suspended: [...runs.values()].filter(({ isSuspended }) => isSuspended).length,
      waiting: queued.length,
      waitingMax: tally.waitingMax,
      oldestWaitMs: nowMs - oldestMs,
      perSecond: tally.perSecond,
      byStatus: Array.from({ length: STATUS_CLASSES }, (_, place) => totals.sum(At.STATUS + place)),
      direct: totals.sum(At.DIRECT),
      failed: totals.sum(At.FAILED),
      timedOut: totals.sum(At.TIMED_OUT),
      aborted: tally.aborted,
      slow: tally.slow,
      sentBytes: totals.sum(At.SENT_BYTES),
      refused: [...tally.refused].map(([code, { status, count }]) => ({ code, status, count })),
    },
    workers: [...parts.workers].map((worker) => describeWorker(parts, worker, states, nowMs)),
    states: {
      total: counts.states,
      idle: counts.idle,
      evictedTotal: tally.evicted,
      list: describeStates(parts, states, nowMs),
    },
    limits: limitsOf(parts, counts),
    scripts: describeScripts(parts, totals, states),
    running: list(running),
    waiting: list(waiting),
  };
}

function describeRequest(
  { nameOf }: SnapshotParts,
  request: FrontRequest,
  run: Run | undefined,
  nowMs: number,
): StatusRequest {
  const { cgi, times, stage } = request;
  const isSuspended = run?.isSuspended === true;
  const sinceMs = stage === 'running' ? times.startedMs : stage === 'waiting' ? times.queuedMs : times.arrivedMs;
  return {
    request: nameOf(request),
    stage: stage === 'over' ? 'running' : isSuspended ? 'suspended' : stage,
    ...askedOf(request),
    script: toShortText(request.script || cgi.scriptPath),
    line: run?.slowLine ?? '',
    waitsFor: waitsForOf(request, run),
    worker: request.worker?.place,
    state: request.state?.id,
    ageMs: nowMs - times.arrivedMs,
    stageMs: nowMs - (sinceMs ?? times.arrivedMs),
    executedMs: times.executedMs,
    bodyBytes: request.body.receivedBytes,
  };
}

function waitsForOf({ stage }: FrontRequest, run: Run | undefined): string {
  if (stage === 'waiting') return 'a state';
  if (stage === 'reading') return 'its body';
  if (stage === 'looking') return 'its file';
  if (run === undefined) return '';
  if (run.isSuspended) return WAITS_FOR[run.waitsFor] ?? 'a result';
  return run.isOutputHeld ? 'its client to read' : '';
}

function describeWorker(
  { nameOf }: SnapshotParts,
  worker: WorkerLink,
  states: readonly PoolState[],
  nowMs: number,
): StatusWorker {
  const { executing, lending, duties, isRetired, runs, busySinceMs } = worker;
  let state: StatusWorker['state'] = 'idle';
  if (executing !== undefined) state = 'running';
  else if (isRetired) state = 'retiring';
  else if (!duties.isEmpty) state = 'housekeeping';
  else if (lending.isServingDirect) state = 'direct';
  return {
    worker: worker.place,
    state,
    request: executing === undefined ? '' : nameOf(executing.request),
    script: toShortText(executing?.request.script ?? ''),
    busyMs: busySinceMs === undefined ? 0 : nowMs - busySinceMs,
    suspended: [...runs.values()].filter(({ isSuspended }) => isSuspended).length,
    states: states.filter(({ worker: home }) => home === worker.id).length,
    lent: lending.connections.size,
    requests: worker.counters?.total ?? 0,
  };
}

function memoryOf(parts: SnapshotParts, state: PoolState): number | undefined {
  for (const { id, counters } of parts.workers) if (id === state.worker) return counters?.memoryOf(state.id);
  return undefined;
}

function describeStates(parts: SnapshotParts, states: readonly PoolState[], nowMs: number): StatusState[] {
  const places = new Map([...parts.workers].map(({ id, place }) => [id, place]));
  return [...states]
    .sort((a, b) => b.lastUse - a.lastUse)
    .slice(0, MOST_STATES)
    .map((state) => ({
      state: state.id,
      script: toShortText(state.script),
      worker: places.get(state.worker) ?? -1,
      phase: state.status,
      requests: state.uses,
      score: Number.isFinite(state.score) ? state.score : undefined,
      ageMs: nowMs - state.createdMs,
      memoryBytes: memoryOf(parts, state),
      usualMs: state.usualMs,
    }));
}

function limitsOf(
  { options, meters, connections }: SnapshotParts,
  { states, waiting }: { readonly states: number; readonly waiting: number },
): StatusLimit[] {
  const { pool } = options;
  return [
    { name: 'connections', unit: 'count', used: connections.size, limit: options.connectionLimit },
    { name: 'states', unit: 'count', used: states, limit: pool.states },
    { name: 'queue', unit: 'count', used: waiting, limit: pool.queue },
    { name: 'bodytotal', unit: 'bytes', used: meters.requests.bytes, limit: options.bodyTotalBytes },
    { name: 'sendtotal', unit: 'bytes', used: meters.unsent.bytes, limit: options.sendTotalBytes },
  ];
}

/** All scripts that were asked for, those asked for most first. */
function describeScripts(
  parts: SnapshotParts,
  { scripts }: ScriptTotals,
  states: readonly PoolState[],
): StatusScript[] {
  const { queued } = parts.tally;
  const stateCounts = new Map<string, { count: number; bytes: number }>();
  for (const state of states) {
    const sums = stateCounts.get(state.script) ?? { count: 0, bytes: 0 };
    sums.count += 1;
    sums.bytes += memoryOf(parts, state) ?? 0;
    stateCounts.set(state.script, sums);
  }
  const names = new Set([...scripts.keys(), ...queued.keys()]);
  const described: StatusScript[] = [];
  for (const name of names) {
    const numbers = scripts.get(name);
    const queue = queued.get(name);
    const at = (place: number): number => numbers?.[place] ?? 0;
    const times = (place: number, sumAt: number): Times => ({
      counts: numbers === undefined ? NO_TIMES : partOf(numbers, place, TIME_PLACES),
      sumMs: at(sumAt),
    });
    const byStatus = numbers === undefined ? NO_STATUSES : partOf(numbers, At.STATUS, STATUS_CLASSES);
    const counts = queue === undefined ? [...NO_TIMES] : [...queue.counts];
    // What a worker reads by itself has waited in no queue.
    counts[0] = (counts[0] ?? 0) + at(At.DIRECT);
    const requests = byStatus.reduce((sum, count) => sum + count, 0);
    if (requests === 0 && queue === undefined) continue;
    described.push({
      script: toShortText(name),
      requests,
      byStatus,
      direct: at(At.DIRECT),
      failed: at(At.FAILED),
      timedOut: at(At.TIMED_OUT),
      sentBytes: at(At.SENT_BYTES),
      loads: at(At.LOADS),
      loadMs: at(At.LOAD_MS),
      clones: at(At.CLONES),
      noImage: Object.fromEntries(
        NO_IMAGE.flatMap((why, place) => (at(At.NO_IMAGE + place) > 0 ? [[why, at(At.NO_IMAGE + place)]] : [])),
      ),
      blockedWaits: at(At.BLOCKED),
      states: stateCounts.get(name)?.count ?? 0,
      memoryBytes: stateCounts.get(name)?.bytes ?? 0,
      queue: { counts, sumMs: queue?.sumMs ?? 0 },
      run: times(At.RUN_TIMES, At.RUN_MS),
      wait: times(At.WAIT_TIMES, At.WAIT_MS),
    });
  }
  return described.sort((a, b) => b.requests - a.requests);
}

/** A list that crosses to another thread. Spreading a part of the array would take ten times as long, for each script. */
function partOf(numbers: Float64Array, at: number, count: number): number[] {
  const part: number[] = [];
  for (let place = at; place < at + count; place += 1) part.push(numbers[place] as number);
  return part;
}

const NO_TIMES: readonly number[] = Array.from({ length: TIME_PLACES }, () => 0);
const NO_STATUSES: readonly number[] = Array.from({ length: STATUS_CLASSES }, () => 0);
