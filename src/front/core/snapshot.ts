/** What the front is doing at this moment, as plain values. It reads the books and changes nothing. */
import { toShortText } from '../../base/bounded-text.js';
import { WaitsFor } from '../../channel/messages.js';
import { At, STATUS_CLASSES } from '../../metrics/counters.js';
import type { Pool, PoolState } from '../../pool/pool.js';
import type { FrontSnapshot, StatusLimit, StatusRequest, StatusState, StatusWorker } from '../../status/model.js';
import type { FrontOptions } from '../model/actions.js';
import { askedOf } from '../model/asked.js';
import type { Meters } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Run } from '../model/run.js';
import type { Tally } from '../model/tally.js';
import type { WorkerLink } from '../model/worker-link.js';
import { tableOfScripts } from './script-numbers.js';

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
  const totals = tally.sums();
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
    scripts: tableOfScripts(totals, parts.tally.queued, states, (state) => memoryOf(parts, state)),
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
