/** A status as tests need it: of any number of scripts, with whatever a test changes. */

import { NO_IMAGE } from '../../src/metrics/counters.js';
import { TIME_PLACES } from '../../src/metrics/histogram.js';
import type { Status } from '../../src/status/model.js';
import {
  SCRIPT_NUMBERS,
  ScriptAt,
  type ScriptTable,
  type StatusScript,
  type Times,
} from '../../src/status/script-table.js';

export function times(count: number, place = 4): Times {
  const counts = Array.from({ length: TIME_PLACES }, () => 0);
  counts[place] = count;
  return { counts, sumMs: count };
}

export function sampleScript(script: string, changes: Partial<StatusScript> = {}): StatusScript {
  return {
    script,
    requests: 3,
    byStatus: [0, 0, 2, 0, 0, 1],
    direct: 1,
    failed: 1,
    timedOut: 0,
    sentBytes: 300,
    loads: 1,
    loadMs: 4,
    clones: 2,
    noImage: { files: 1 },
    blockedWaits: 0,
    states: 1,
    memoryBytes: 2 ** 20,
    queue: times(3, 0),
    run: times(3),
    wait: times(0),
    ...changes,
  };
}

function tableOf(scripts: readonly StatusScript[]): ScriptTable {
  const numbers = new Float64Array(scripts.length * SCRIPT_NUMBERS);
  for (const [at, script] of scripts.entries()) {
    const row = numbers.subarray(at * SCRIPT_NUMBERS, (at + 1) * SCRIPT_NUMBERS);
    row.set(script.byStatus, ScriptAt.STATUS);
    const { queue, run, wait } = script;
    for (const [place, number] of [
      [ScriptAt.REQUESTS, script.requests],
      [ScriptAt.DIRECT, script.direct],
      [ScriptAt.FAILED, script.failed],
      [ScriptAt.TIMED_OUT, script.timedOut],
      [ScriptAt.SENT_BYTES, script.sentBytes],
      [ScriptAt.LOADS, script.loads],
      [ScriptAt.LOAD_MS, script.loadMs],
      [ScriptAt.CLONES, script.clones],
      [ScriptAt.BLOCKED, script.blockedWaits],
      [ScriptAt.STATES, script.states],
      [ScriptAt.MEMORY_BYTES, script.memoryBytes],
      [ScriptAt.QUEUE_MS, queue.sumMs],
      [ScriptAt.RUN_MS, run.sumMs],
      [ScriptAt.WAIT_MS, wait.sumMs],
    ] as const) {
      row[place] = number;
    }
    row.set(queue.counts, ScriptAt.QUEUE_TIMES);
    row.set(run.counts, ScriptAt.RUN_TIMES);
    row.set(wait.counts, ScriptAt.WAIT_TIMES);
    for (const [place, why] of NO_IMAGE.entries()) row[ScriptAt.NO_IMAGE + place] = script.noImage[why] ?? 0;
  }
  return { names: scripts.map(({ script }) => script), numbers };
}

type Changes = Partial<Omit<Status, 'scripts'>> & { readonly scripts?: readonly StatusScript[] };

export function sampleStatus({ scripts = [sampleScript('/srv/slow.lua')], ...changes }: Changes = {}): Status {
  return {
    server: {
      version: '2.0.0',
      pid: 812,
      node: 'v20.0.0',
      host: 'web1',
      engine: 'embedded',
      io: 'epoll',
      configuration: '/etc/luafcgid/config.lua',
      user: '33',
      startedMs: 1_000_000,
      listeners: ['/run/luafcgid/luafcgid.sock'],
      reloads: 1,
      lastReload: { timeMs: 1_500_000, isRefused: false, text: '' },
      workerCount: 2,
      workersReplaced: 1,
      workersHung: 0,
      residentBytes: 90 * 2 ** 20,
      sources: [{ name: 'main', kind: 'postgres', open: 2, busy: 1, waiting: 0, connections: 8, queue: 200, down: '' }],
      dictionaries: [
        {
          name: 'cache',
          sizeBytes: 16 * 2 ** 20,
          usedBytes: 2 ** 20,
          items: 12,
          hits: 30,
          misses: 4,
          evictions: 3,
          failures: 0,
          expired: 2,
        },
      ],
      locks: { held: 1, waiting: 2, acquired: 40, waited: 5, timeouts: 1, deadlocks: 0, left: 2 },
      uptimeSeconds: 3_600,
      timeMs: 4_600_000,
    },
    connections: { open: 3, lent: 2, openedTotal: 40 },
    requests: {
      total: 12,
      running: 1,
      suspended: 0,
      waiting: 1,
      waitingMax: 4,
      oldestWaitMs: 3_100,
      perSecond: 812,
      byStatus: [0, 0, 8, 0, 0, 1],
      direct: 3,
      failed: 1,
      timedOut: 0,
      aborted: 1,
      slow: 2,
      sentBytes: 1_000,
      refused: [{ code: 'LUAFCGID_POOL_FULL', status: 503, count: 3 }],
    },
    workers: [
      {
        worker: 0,
        state: 'running',
        request: '68d1a0-1',
        script: '/srv/slow.lua',
        busyMs: 3_500,
        suspended: 0,
        states: 2,
        lent: 0,
        requests: 5,
      },
    ],
    states: {
      total: 1,
      idle: 0,
      evictedTotal: 0,
      list: [
        {
          state: 1,
          script: '/srv/slow.lua',
          worker: 0,
          phase: 'busy',
          requests: 1,
          score: undefined,
          ageMs: 3_500,
          memoryBytes: 2 ** 20,
          usualMs: 10,
        },
      ],
    },
    limits: [
      { name: 'states', unit: 'count', used: 1, limit: 64 },
      { name: 'bodytotal', unit: 'bytes', used: 0, limit: 2 ** 28 },
    ],
    scripts: tableOf(scripts),
    running: [
      {
        request: '68d1a0-1',
        stage: 'running',
        method: 'GET',
        path: '/slow.lua',
        client: '192.0.2.7',
        script: '/srv/slow.lua',
        line: '/srv/slow.lua:3',
        waitsFor: '',
        worker: 0,
        state: 1,
        ageMs: 3_500,
        stageMs: 3_500,
        executedMs: 3_400,
        bodyBytes: 0,
      },
    ],
    waiting: [],
    errors: [
      {
        script: '/srv/report.lua',
        place: '/srv/report.lua:40',
        code: 'LUAFCGID_SCRIPT_FAILED',
        count: 17,
        firstMs: 1_000_000,
        lastMs: 4_000_000,
        text: 'attempt to index a nil value',
        request: '68d1a0-9',
      },
    ],
    ...changes,
  };
}
