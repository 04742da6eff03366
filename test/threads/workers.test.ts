/** The threads of a server over a reload, with real threads; the front's part is played here. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  encodeStartHead,
  FromWorker,
  START_CREATE,
  START_NO_BODY,
  ToWorker,
  typeOf,
} from '../../src/channel/messages.js';
import { RingReader, RingWriter } from '../../src/channel/ring.js';
import { loadConfig, scriptValues } from '../../src/config/load.js';
import { createEngine, prepareEngine } from '../../src/lua/engine.js';
import { At, CountersView, OTHER_SCRIPTS } from '../../src/metrics/counters.js';
import { ScriptTotals } from '../../src/metrics/totals.js';
import { createLocks } from '../../src/shared/lock-memory.js';
import { type ReadyWorker, type WorkerSettings, Workers, type WorkersEvents } from '../../src/threads/workers.js';

const NOTHING = new Uint8Array(0);

class Team {
  readonly workers: Workers;
  /** Those that were added one by one: replacements. */
  readonly added: number[] = [];
  readonly gone: number[] = [];
  /** After they were given up. */
  readonly ended: number[] = [];
  readonly log: string[] = [];
  /** The file that workers run. */
  program = 'that of the start';
  /** The time after which a worker that is not ready is given up. */
  startLimitMs = 60_000;
  #heard: () => void = () => {};
  readonly #writers = new Map<number, RingWriter>();
  readonly #readers = new Map<number, RingReader>();
  readonly counters = new Map<number, SharedArrayBuffer>();
  readonly #settings: WorkerSettings;

  constructor(t: TestContext) {
    const engine = prepareEngine('2.0.0');
    const { config, hooks } = loadConfig(null, {}, createEngine(engine));
    hooks.close();
    this.#settings = {
      config,
      luaConfig: scriptValues(config),
      engine,
      roots: [],
      files: undefined,
      filesUsed: undefined,
      sources: [],
      shared: [],
      locks: createLocks([1, 2]),
      io: undefined,
      runName: 'test',
      accessFormat: undefined,
      warmScripts: [],
      ringBytes: 16 * 1024,
      waiting: new SharedArrayBuffer(4),
      setHook: undefined,
      sleeper: undefined,
      bell: { asleep: new SharedArrayBuffer(4), fd: undefined },
    };
    const events: WorkersEvents = {
      ready: async ({ id, channels }) => {
        this.#addRings(id, channels);
        this.added.push(id);
        this.#heard();
      },
      gone: (id) => {
        this.gone.push(id);
        this.#heard();
      },
      ended: (id) => {
        this.ended.push(id);
        this.#heard();
      },
      bell: () => this.#heard(),
      stop: async () => {
        for (const id of this.#writers.keys()) this.tellToStop(id);
      },
      log: (level, text) => {
        if (level === 'debug') return;
        this.log.push(text);
        this.#heard();
      },
      bug: (error) => assert.fail(String(error)),
      hangs: () => {},
    };
    this.workers = new Workers(
      events,
      () => this.program,
      () => this.startLimitMs,
    );
    t.after(() => this.workers.stop());
  }

  /** @param takeOver what the front does with those that make place */
  async start(count: number, takeOver: (retired: readonly number[]) => Promise<void>): Promise<readonly number[]> {
    let started: readonly ReadyWorker[] = [];
    await this.workers.start(this.#settings, count, async (ready, retired) => {
      started = ready;
      for (const { id, channels } of ready) this.#addRings(id, channels);
      await takeOver(retired);
    });
    return started.map(({ id }) => id);
  }

  #addRings(id: number, { toWorker, toFront, counters }: ReadyWorker['channels']): void {
    this.counters.set(id, counters);
    this.#writers.set(id, new RingWriter(toWorker));
    this.#readers.set(id, new RingReader(toFront));
  }

  /** Has a worker run one request of a script, in a new state, to its end. */
  async run(id: number, script: string): Promise<void> {
    const [writer, reader] = [this.#writers.get(id), this.#readers.get(id)];
    const head = encodeStartHead(0, 0, Buffer.from(script));
    writer?.tryWrite(ToWorker.START | START_CREATE | START_NO_BODY, 1, 1, head, NOTHING);
    Atomics.store(new Int32Array(this.#settings.bell.asleep), 0, 1);
    writer?.wakeReader();
    await this.until(() => {
      for (let frame = reader?.peek(); frame !== undefined; frame = reader?.peek()) {
        reader?.release();
        if (typeOf(frame.type) === FromWorker.END) return true;
      }
      Atomics.store(new Int32Array(this.#settings.bell.asleep), 0, 1);
      return false;
    });
  }

  tellToStop(id: number): void {
    const writer = this.#writers.get(id);
    writer?.tryWrite(ToWorker.STOP, 0, 0, NOTHING);
    writer?.wakeReader();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }
}

/** Turns enough for a replacement to be started, if there were one. */
async function severalTurns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await pause(1);
}

describe('workers that a reload retires', () => {
  it('are not replaced when they end before the front has said that it took over', async (t) => {
    const team = new Team(t);
    const first = await team.start(2, async () => {});
    const second = await team.start(1, async (retired) => {
      assert.deepEqual(retired, first);
      for (const id of retired) team.tellToStop(id);
      await team.until(() => team.gone.length === 2);
      await severalTurns();
    });
    assert.deepEqual(team.log, []);
    await team.workers.retiredEnded();
    // Who ends of the new ones is replaced, and by then a wrong one would be there as well.
    for (const id of second) team.tellToStop(id);
    await team.until(() => team.added.length === 1);
    assert.equal(team.log.length, 1);
    assert.ok(team.added.every((id) => id > (second[0] as number)));
  });

  it('are not added when they get ready after the front took over', async (t) => {
    const team = new Team(t);
    const [lost] = await team.start(1, async () => {});
    let known = 0;
    const started = team.start(1, async (retired) => {
      known = team.added.length;
      // The replacement may have been quicker.
      for (const id of retired) team.tellToStop(id);
    });
    team.workers.abandon(lost as number, 'late');
    await started;
    // The one that began in its place is among those that have to end.
    await team.workers.retiredEnded();
    assert.equal(team.added.length, known);
  });
});

describe('a program that was replaced by another version', () => {
  it('is not mixed with the one that runs: no reload, no new worker while there is another (users B6)', async (t) => {
    const team = new Team(t);
    const [lost = 0, kept = 0] = await team.start(2, async () => {});
    team.program = 'another';
    await assert.rejects(
      team.start(1, async () => assert.fail('it was taken into service')),
      { code: 'LUAFCGID_SERVER_REPLACED' },
    );
    team.tellToStop(lost);
    await team.until(() => team.gone.length === 1);
    await severalTurns();
    assert.deepEqual(team.added, []);
    assert.match(team.log.join('\n'), /worker 0 is lost: .*\nLUAFCGID_SERVER_REPLACED: version \S+ runs, .* Restart/);
    // Without any worker nobody would be served.
    team.tellToStop(kept);
    await team.until(() => team.added.length === 1);
  });
});

describe('the requests of workers', () => {
  it('are counted where others read them, script by script', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'luafcgid-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const script = join(folder, 'page.lua');
    writeFileSync(script, 'function main(env, con) con:status(404) con:puts("none") end');
    const team = new Team(t);
    const [worker = 0] = await team.start(1, async () => {});
    await team.run(worker, script);
    // The END is written before the request is counted: the worker is told to stop, and has counted by then.
    team.tellToStop(worker);
    await team.until(() => team.gone.length === 1);
    const totals = new ScriptTotals();
    totals.add(new CountersView(team.counters.get(worker) as SharedArrayBuffer));
    assert.deepEqual([totals.sum(At.STATUS + 4), totals.sum(At.DIRECT), totals.sum(At.LOADS)], [1, 0, 1]);
    assert.ok(totals.sum(At.SENT_BYTES) > 'Status: 404 Not Found'.length);
    assert.deepEqual([...totals.starts.keys()], [script, OTHER_SCRIPTS]);
  });
});

describe('a worker that does not get ready', () => {
  it('is given up and named: a start or reload is refused, and all is as before (issue 11.2)', async (t) => {
    const team = new Team(t);
    team.startLimitMs = 1;
    await assert.rejects(
      team.start(2, async () => assert.fail('it was taken into service')),
      {
        code: 'LUAFCGID_WORKER_START',
        message: /a worker did not start: it was not ready within 0\.001 s of its start/,
      },
    );
    team.startLimitMs = 60_000;
    await team.start(1, async (retired) => assert.deepEqual(retired, []));
    assert.deepEqual(team.log, []);
  });

  it('is given up and named when it should replace another, and the next one is tried (issue 11.2)', async (t) => {
    const team = new Team(t);
    const [lost = 0] = await team.start(1, async () => {});
    team.startLimitMs = 1;
    team.tellToStop(lost);
    await team.until(() => team.log.length > 1);
    team.startLimitMs = 60_000;
    await team.until(() => team.added.length === 1);
    assert.match(team.log[1] as string, /^worker 0 is replaced: it was not ready within 0\.001 s of its start$/);
  });
});
