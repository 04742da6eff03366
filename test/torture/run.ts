/** One run: the server, all that is done to it at once, and the judgement. */
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { tempDir } from '../support/cleanup.js';
import { FcgiConnection, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { startNginx } from '../support/nginx.js';
import { findProgram, freePort } from '../support/web-server.js';
import { NEVER_READS, runBadClients } from './bad-clients.js';
import { Counts, runGoodClients } from './good-clients.js';
import { operate } from './operator.js';
import { difference, ProcessWatch, type Sample } from './process-watch.js';
import { BAD_SCRIPTS, changing, fileWriter, GOOD_SCRIPTS } from './site.js';
import { SmallDisk } from './small-disk.js';
import { FIRST, LARGEST, Subject, type SubjectPlaces } from './subject.js';
import { Tally } from './tally.js';

const MIB = 1024 * 1024;
const NOISE_BYTES = 2 * MIB;
/** Longest wait for what has to come back to what it was. */
const SETTLE_MS = 120_000;
/** What the resident size may differ by at the end: JavaScript keeps up to 80 MiB of done buffers on each of two threads. */
const MEMORY_MARGIN_MIB = 160;
/** A thread that hangs in native code keeps the descriptors of its event loop. */
const HUNG_DESCRIPTORS = 8;
const MOST_TOLD = 10;
/** What the log must not have: mistakes of the server, good requests refused, threads that end without a reason. */
const NEVER = [
  'LUAFCGID_BUG',
  'LUAFCGID_POOL_FULL',
  'LUAFCGID_POOL_TIMEOUT',
  'LUAFCGID_REQUEST_NO_ROOM',
  'is replaced: the thread ended',
];

export interface TortureOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly engine: string;
  readonly io: string;
  /** Left out: that of the default. */
  readonly isolation?: string;
}

export interface Verdict {
  readonly failures: readonly string[];
  /** What was done and seen, for people. */
  readonly summary: string;
}

/** What all who take part in a run share. */
export class Run {
  readonly seed: number;
  readonly engine: string;
  readonly places: SubjectPlaces;
  readonly subject: Subject;
  readonly disk: SmallDisk;
  readonly tally = new Tally();
  readonly counts = new Counts();
  /** Random bytes to send. */
  readonly noise: Buffer;
  /** Connections that the server has to close by itself, and how they misbehave. */
  readonly left = new Map<FcgiConnection, string>();
  readonly webServerPort: number | undefined;
  /** No new request is to be made. */
  isOver = false;
  /** The newest version of the script that changes. */
  changingVersion = 0;
  hangs = 0;
  #hungMs = Number.NEGATIVE_INFINITY;
  readonly #startMs = performance.now();

  constructor(options: TortureOptions, subject: Subject, disk: SmallDisk, webServerPort: number | undefined) {
    this.seed = options.seed;
    this.engine = options.engine;
    this.places = subject.places;
    this.subject = subject;
    this.disk = disk;
    this.webServerPort = webServerPort;
    this.noise = noise(options.seed);
  }

  /** Whether one more script may hang now; counts it. */
  mayHang(pauseMs: number, most: number): boolean {
    const now = performance.now();
    if (this.hangs >= most || now - this.#hungMs < pauseMs) return false;
    this.hangs += 1;
    this.#hungMs = now;
    return true;
  }

  /** A failure, told with all that is known at this moment. */
  fail(what: string, detail = ''): void {
    const at = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    const lines = [
      `seed ${this.seed}, after ${at} s: ${what}`,
      detail,
      this.tally.failures.length < MOST_TOLD ? `the log then:\n${this.subject.lastLines()}` : '',
    ];
    this.tally.fail(lines.filter((line) => line !== '').join('\n  '));
  }
}

function noise(seed: number): Buffer {
  const random = new Random(seed);
  const words = new Uint32Array(NOISE_BYTES / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = random.below(2 ** 32);
  return Buffer.from(words.buffer);
}

/** What is to be undone at the end, last things first. */
class Undo {
  readonly #steps: (() => Promise<void> | void)[] = [];

  after(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  async all(): Promise<string[]> {
    const failures: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(`clean-up: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return failures;
  }
}

/** Waits until nothing is wrong any more. @returns what still is */
async function settled(wrong: () => string | undefined): Promise<string | undefined> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const what = wrong();
    if (what === undefined || performance.now() > deadline) return what;
    await pause(100);
  }
}

/** Each good script, often enough that every worker has had it. */
async function warmUp(run: Run): Promise<void> {
  for (let round = 0; round < 5; round += 1)
    await Promise.all(
      Object.keys(GOOD_SCRIPTS)
        .filter((script) => script !== 'count.lua')
        .flatMap((script) => [script, script, script])
        .map(async (script) => {
          const connection = await FcgiConnection.connect(run.places.socket);
          const params = scriptParams(join(run.places.scripts, script), {
            HTTP_X_TOKEN: 'warm',
            HTTP_X_ROWS: '20000',
            HTTP_X_PIECE: '0',
          });
          connection.send(requestBytes({ params }));
          await connection.response(1);
          connection.destroy();
        }),
    );
}

/** Waits until the number of descriptors has not changed for a while. */
async function quiet(watch: ProcessWatch): Promise<void> {
  for (let last = -1, since = 0; since < 10; ) {
    const { descriptors } = watch.look();
    since = descriptors === last ? since + 1 : 0;
    last = descriptors;
    await pause(100);
  }
}

/** Takes the first configuration into service: the same state of things at the start and at the end. */
async function reloadFirst(run: Run): Promise<void> {
  const { done } = run.subject.reloads;
  run.subject.configure(FIRST);
  await run.subject.signal('SIGHUP');
  await run.subject.until('the last reload', () => run.subject.reloads.done > done);
}

/** Starts a server and does everything to it for the time given. */
export async function torture(options: TortureOptions): Promise<Verdict> {
  const undo = new Undo();
  const interrupted = (): void => {
    undo.all().finally(() => process.exit(1));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const verdict = await inFolder(undo, options);
    return { ...verdict, failures: [...verdict.failures, ...(await undo.all())] };
  } finally {
    await undo.all();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

async function inFolder(undo: Undo, options: TortureOptions): Promise<Verdict> {
  const dir = tempDir(undo);
  const scripts = join(dir, 'scripts');
  mkdirSync(scripts);
  const disk = new SmallDisk(undo, join(dir, 'disk'));
  mkdirSync(join(disk.folder, 'data'));
  const denied = options.engine === 'embedded' ? [dir, scripts, disk.folder, realpathSync(tmpdir()), '.'] : [];
  for (const [name, text] of Object.entries(GOOD_SCRIPTS)) writeFileSync(join(scripts, name), text);
  for (const [name, { text }] of Object.entries(BAD_SCRIPTS)) writeFileSync(join(scripts, name), text);
  writeFileSync(join(scripts, 'files.lua'), fileWriter(join(disk.folder, 'data'), denied));
  writeFileSync(join(scripts, 'changing.lua'), changing(0));

  const places = { dir, scripts, disk: disk.folder, socket: join(dir, 'fcgi.sock'), port: await freePort() };
  const subject = new Subject(places, options.engine, options.io, options.isolation);
  undo.after(() => subject.kill());
  await subject.ready();
  const hasNginx = findProgram('nginx') !== undefined;
  const nginx = hasNginx
    ? await startNginx(undo, { fastcgi: places.socket, root: scripts, keepConn: true, keepAlive: '1s' })
    : undefined;

  const run = new Run(options, subject, disk, nginx?.port);
  await warmUp(run);
  await reloadFirst(run);
  await warmUp(run);
  const watch = new ProcessWatch(subject.pid);
  undo.after(() => watch.stop());
  // Connections of the web server and of the warm-up are gone by now, or soon.
  await quiet(watch);
  const before = watch.look();
  const descriptorsBefore = watch.descriptors();

  const ended = setTimeout(() => {
    run.isOver = true;
  }, options.seconds * 1000);
  await Promise.all([runGoodClients(run), runBadClients(run), operate(run)]).finally(() => {
    clearTimeout(ended);
    run.isOver = true;
  });
  const { peak } = watch;
  disk.empty();
  const end = await judgeEnd(run, watch, before, descriptorsBefore).catch((error: unknown) => {
    run.fail(error instanceof Error ? error.message : String(error));
    return watch.look();
  });
  judgeLimits(run, before, peak);
  for (const gap of run.counts.gaps()) run.fail(`good requests did not run exactly once: ${gap}`);
  watch.stop();
  await nginx?.stop();
  await judgeStop(run);
  const { done, refused } = subject.reloads;
  const of = (name: keyof Sample): string => [before, peak, end].map((sample) => sample[name]).join(', ');
  const summary = [
    `seed ${options.seed}, engine ${options.engine}, io ${options.io}, ${options.seconds} s; ` +
      `nginx: ${nginx ? 'yes' : 'not installed, left out'}; ` +
      `full disk: ${disk.isSmall ? 'yes' : 'no, only root can mount a small one'}`,
    run.tally.table(),
    `  in all: ${run.tally.total('good')} good requests, ${run.tally.total('bad script')} for bad scripts, ` +
      `${run.tally.total('bad client')} visits of bad clients`,
    `  reloads: ${done} done, ${refused} refused; workers lost: ${subject.times('LUAFCGID_SCRIPT_HANGS')}`,
    `  start, peak, end: ${of('residentMiB')} MiB resident; ${of('threads')} threads; ${of('descriptors')} descriptors`,
  ].join('\n');
  return { failures: run.tally.failures, summary };
}

/** After the load: clients that were left are hung up on, and everything comes back to what it was. */
async function judgeEnd(run: Run, watch: ProcessWatch, before: Sample, open: Map<string, number>): Promise<Sample> {
  const waiting = await settled(() => {
    // Who does not read does not see either that the connection was closed: only its descriptor tells.
    const kinds = [...run.left]
      .filter(([connection, kind]) => !connection.isClosed && kind !== NEVER_READS)
      .map(([, kind]) => kind);
    return kinds.length > 0 ? `${kinds.length} clients: ${[...new Set(kinds)].join(', ')}` : undefined;
  });
  if (waiting !== undefined) run.fail(`the server did not hang up on ${waiting}`);
  await reloadFirst(run);
  await warmUp(run);
  const hungThreads = run.engine === 'embedded' ? 0 : run.hangs;
  const wrong = await settled(() => {
    const now = watch.look();
    const hungDescriptors = Math.max(0, now.threads - before.threads) * HUNG_DESCRIPTORS;
    if (now.descriptors > before.descriptors + hungDescriptors || now.descriptors < before.descriptors)
      return `descriptors: ${difference(open, watch.descriptors())}`;
    if (now.threads > before.threads + hungThreads) return `${now.threads} threads, ${before.threads} before`;
    if (now.residentMiB > before.residentMiB + MEMORY_MARGIN_MIB)
      return `${now.residentMiB} MiB resident, ${before.residentMiB} before`;
    const children = watch.children();
    return children.length > 0 ? `processes ${children.join(', ')}` : undefined;
  });
  if (wrong !== undefined) run.fail(`not everything came back: ${wrong}`);
  for (const connection of run.left.keys()) connection.destroy();
  return watch.look();
}

/** What the settings allow holds at every moment, as far as it is seen from outside. */
function judgeLimits(run: Run, before: Sample, peak: Sample): void {
  const { workers, states, memoryMiB, bodyTotalMiB, sendTotalMiB } = LARGEST;
  // While a reload goes on, workers of the old configuration finish beside those of the new one.
  const mostThreads = before.threads + 2 * workers + run.hangs;
  if (peak.threads > mostThreads) run.fail(`${peak.threads} threads, ${mostThreads} allowed`);
  const mostMiB =
    before.residentMiB + 2 * states * memoryMiB + bodyTotalMiB + sendTotalMiB + MEMORY_MARGIN_MIB + 2 * workers * 4;
  if (peak.residentMiB > mostMiB) run.fail(`${peak.residentMiB} MiB resident, ${mostMiB} allowed`);
}

async function judgeStop(run: Run): Promise<void> {
  const { subject, places } = run;
  await subject.stop().catch((error: unknown) => run.fail(error instanceof Error ? error.message : String(error)));
  if (subject.exit?.code !== 0) run.fail(`after SIGTERM the server ended with ${JSON.stringify(subject.exit)}`);
  if (existsSync(places.socket)) run.fail('the server has left its socket behind');
  for (const code of NEVER)
    if (subject.times(code) > 0) run.fail(`${code} in the log:\n${linesWith(subject.log, code)}`);
}

function linesWith(log: string, text: string): string {
  return log
    .split('\n')
    .flatMap((line, at, lines) => (line.includes(text) ? lines.slice(at, at + 8) : []))
    .slice(0, 40)
    .join('\n');
}
