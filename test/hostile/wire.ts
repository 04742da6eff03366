/**
 * Clients that send everything but what they should, beside clients that behave. Each connection has a token: no byte of another's may
 * reach it, and who behaves is answered with exactly what is right.
 */
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams, type Target } from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { eventually } from '../support/shared.js';
import { difference, ProcessWatch } from '../torture/process-watch.js';
import { Tally } from '../torture/tally.js';
import type { Verdict } from './run.js';
import { SITE } from './site.js';
import { AnswerScan, Tokens } from './tokens.js';
import { ATTACKS, means, type Plan } from './wire-attacks.js';

export interface WireOptions {
  readonly io: string;
  readonly seed: number;
  /** How many attacks there are. */
  readonly attacks: number;
}

const ATTACKERS = 6;
const GOOD_CLIENTS = 4;
/** Who waits for the server hears nothing more after so long. */
const QUIET_MS = 30;
/** Longest life of an attacker's connection. */
const LONGEST_MS = 3_000;
/** Longest wait for an answer. Generous: it only ends a run that would hang. */
const GUARD_MS = 180_000;
const MEMORY_MARGIN_MIB = 160;

class WireRun {
  readonly tally = new Tally();
  readonly #options: WireOptions;
  readonly #server: Server;
  readonly #targets: readonly Target[];
  readonly #tokens: Tokens;
  #connections = 0;
  #attacksLeft: number;

  constructor(options: WireOptions, server: Server, targets: readonly Target[]) {
    this.#options = options;
    this.#server = server;
    this.#targets = targets;
    this.#tokens = new Tokens(new Random(options.seed));
    this.#attacksLeft = options.attacks;
  }

  get isOver(): boolean {
    return this.#attacksLeft <= 0;
  }

  async attacker(random: Random): Promise<void> {
    const kinds = Object.keys(ATTACKS);
    while (!this.isOver) {
      // Each kind in turn, so that none is left out.
      const kind = kinds[this.#attacksLeft % kinds.length] as string;
      this.#attacksLeft -= 1;
      this.#connections += 1;
      const name = `connection ${this.#connections} (${kind})`;
      const token = this.#tokens.next(name);
      const plan = ATTACKS[kind]?.(means(random, token, this.#server.path('good.lua'))) as Plan;
      const scan = new AnswerScan(this.#tokens, name);
      await visit(random.pick(this.#targets), plan, scan);
      this.tally.add('attacks', plan.end);
      if (scan.foreign !== undefined) this.#fail(name, `it got ${scan.foreign}`);
    }
  }

  /** Asks until the attackers are done, on a kept connection or on new ones. */
  async goodClient(random: Random, isKept: boolean): Promise<void> {
    let connection: FcgiConnection | undefined;
    do {
      const target = random.pick(this.#targets);
      this.#connections += 1;
      const name = `good client ${this.#connections}`;
      const asked = Array.from({ length: 1 + random.below(3) }, (_, at) => ({
        id: at + 1,
        token: this.#tokens.next(name),
      }));
      try {
        connection ??= await FcgiConnection.connect(target, { guardMs: GUARD_MS });
        for (const { id, token } of asked) {
          const body = token.repeat(random.below(100));
          const params = scriptParams(this.#server.path('good.lua'), {
            REQUEST_METHOD: 'POST',
            CONTENT_LENGTH: String(body.length),
            HTTP_X_TOKEN: token,
          });
          const keepConn = isKept || asked.length > 1;
          connection.send(requestBytes({ id, keepConn, params, body }));
          if (random.below(2) === 0) await pause(0);
        }
        for (const { id, token } of asked) {
          const { stdout } = await connection.response(id);
          const { status, body } = parseCgiAnswer(stdout);
          const isRight =
            status === 200 && new RegExp(`^good ${token} \\d+ (${token})*$`).test(body.toString('latin1'));
          if (!isRight) this.#fail(name, `${status} ${JSON.stringify(body.toString('latin1', 0, 200))}`);
          this.tally.add('good', String(status));
        }
      } catch (error) {
        this.#fail(name, String(error));
        connection = undefined;
      }
      if (!isKept) {
        connection?.destroy();
        connection = undefined;
      }
    } while (!this.isOver);
    connection?.destroy();
  }

  #fail(who: string, what: string): void {
    this.tally.fail(`io ${this.#options.io}, seed ${this.#options.seed}: ${who}: ${what}`);
  }
}

/** Carries a plan out, and listens to what comes back. */
function visit(target: Target, plan: Plan, scan: AnswerScan): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(
      typeof target === 'string' ? { path: target } : { port: target as number, host: '127.0.0.1' },
    );
    let quiet: NodeJS.Timeout | undefined;
    const longest = setTimeout(() => socket.destroy(), LONGEST_MS);
    const waitOn = (): void => {
      clearTimeout(quiet);
      quiet = setTimeout(() => socket.destroy(), QUIET_MS);
    };
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(longest);
      clearTimeout(quiet);
      resolve();
    });
    if (!plan.readsNothing)
      socket.on('data', (bytes) => {
        scan.add(bytes);
        if (quiet !== undefined) waitOn();
      });
    socket.on('connect', async () => {
      for (const piece of plan.pieces) {
        if (socket.destroyed) return;
        socket.write(piece);
        if (plan.isSlow) await pause(1);
      }
      if (plan.end === 'reset' && typeof target === 'number') socket.resetAndDestroy();
      else if (plan.end === 'half close') {
        socket.end();
        waitOn();
      } else if (plan.end === 'wait') waitOn();
      else socket.write('', () => socket.destroy());
    });
  });
}

/** Starts a server with this driver, and attacks it. */
export async function attackWire(t: Cleanup, options: WireOptions): Promise<Verdict> {
  const { io, seed, attacks } = options;
  const server = await startServer(t, {
    files: SITE,
    config: ({ socket, scripts }) => `
      listen = { ${JSON.stringify(socket)}, "127.0.0.1:0" }; io = "${io}"; root = ${JSON.stringify(scripts)}
      workers = 2; connections = 200; readtimeout = 5; sendtimeout = 5; idletimeout = 60
      bodymemory = 20000; sendbuffer = 50000; ring = 65536; queuetimeout = 120; queue = 10000`,
  });
  const [, port] = await server.logged(/127\.0\.0\.1:([1-9][0-9]*)/);
  const run = new WireRun(options, server, [server.socket, Number(port)]);
  const randoms = Array.from({ length: ATTACKERS + 2 * GOOD_CLIENTS }, (_, at) => new Random(seed * 100 + at));
  // Buffers and states are there, before it is counted what there is.
  const warm = new WireRun({ ...options, attacks: 0 }, server, [server.socket, Number(port)]);
  for (let round = 0; round < 5; round += 1)
    await Promise.all(randoms.slice(ATTACKERS).map((random) => warm.goodClient(random, false)));
  const watch = new ProcessWatch(server.pid);
  t.after(() => watch.stop());
  const before = watch.look();
  const descriptors = watch.descriptors();
  await Promise.all([
    ...randoms.slice(0, ATTACKERS).map((random) => run.attacker(random)),
    ...randoms.slice(ATTACKERS, ATTACKERS + GOOD_CLIENTS).map((random, at) => run.goodClient(random, at % 2 === 0)),
  ]);
  const { peak } = watch;
  let now = watch.look();
  const wrong = (): string | undefined => {
    now = watch.look();
    if (now.descriptors > before.descriptors) return difference(descriptors, watch.descriptors());
    if (now.threads > before.threads) return `${now.threads} threads, ${before.threads} before`;
    if (now.residentMiB > before.residentMiB + MEMORY_MARGIN_MIB)
      return `${now.residentMiB} MiB resident, ${before.residentMiB} before`;
    return undefined;
  };
  await eventually('everything given back', () => wrong() === undefined).catch(() => {
    run.tally.fail(`not everything was given back: ${wrong()}`);
  });
  watch.stop();
  await server.stop();
  const log = server.log();
  for (const code of ['LUAFCGID_BUG', 'is replaced'])
    if (log.includes(code)) run.tally.fail(`${code} in the log:\n${log.slice(log.indexOf(code) - 200).slice(0, 2000)}`);
  const summary = [
    `wire, io ${io}, seed ${seed}: ${attacks} attacks of ${Object.keys(ATTACKS).length} kinds`,
    run.tally.table(),
    `  start, peak, end: ${[before, peak, now].map(({ residentMiB }) => residentMiB).join(', ')} MiB resident; ` +
      `${[before, peak, now].map((sample) => sample.descriptors).join(', ')} descriptors`,
  ].join('\n');
  return { failures: run.tally.failures, summary };
}
