/**
 * Runs hostile scripts in a real server, several at a time, and looks after each of them whether others are served well. In the end the
 * process must be the one that was started, and have given back what it took.
 */
import type { EngineName } from '../../src/lua/engine-names.js';
import { Random } from '../fuzz/random.js';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { eventually } from '../support/shared.js';
import { difference, ProcessWatch } from '../torture/process-watch.js';
import { Tally } from '../torture/tally.js';
import { SITE, VICTIMS } from './site.js';
import { type NamedSnippet, scriptOf } from './snippets/index.js';
import { AnswerScan, Tokens } from './tokens.js';
import { startUpstream } from './upstream.js';

export interface HostileOptions {
  readonly engine: EngineName;
  readonly io: string;
  readonly seed: number;
  readonly snippets: readonly NamedSnippet[];
  /** How often each is asked for: it finds what it has left in its state. */
  readonly times: number;
}

export interface Verdict {
  readonly failures: readonly string[];
  readonly summary: string;
}

/** How many hostile requests there are at a time: fewer than workers, so that others are served at once. */
const LANES = 3;
const WORKERS = 4;
/** For good scripts, and for what a hostile one does before its handler runs. */
const WATCHDOG_S = 10;
const MEMORY_MIB = 16;
/** Longest wait for an answer. Generous: it only ends a run that would hang. */
const GUARD_MS = 180_000;
/** What of an answer is kept, to be read. */
const KEPT_BYTES = 1 << 20;
/** What the resident size may differ by at the end: V8 and the C library give back late. */
const MEMORY_MARGIN_MIB = 160;

interface Reply {
  readonly status: number;
  /** Headers and body, as far as they were kept. */
  readonly bytes: Buffer;
  readonly foreign: string | undefined;
}

class HostileRun {
  readonly tally = new Tally();
  readonly #options: HostileOptions;
  readonly #server: Server;
  readonly #tokens: Tokens;
  readonly #random: Random;
  readonly #upstream: number;

  /** @param upstream the port of a server for the HTTP client */
  constructor(options: HostileOptions, server: Server, upstream: number) {
    this.#upstream = upstream;
    this.#options = options;
    this.#server = server;
    this.#random = new Random(options.seed);
    this.#tokens = new Tokens(this.#random);
  }

  /** Takes snippets from the list until it is empty. */
  async lane(list: { readonly snippet: NamedSnippet; readonly script: string }[]): Promise<void> {
    for (let next = list.shift(); next !== undefined; next = list.shift()) {
      const { snippet, script } = next;
      for (let nth = 1; nth <= this.#options.times; nth += 1) await this.#attack(snippet, script, nth);
      await this.victim();
      await this.good(snippet.name);
    }
  }

  async #attack(snippet: NamedSnippet, script: string, nth: number): Promise<void> {
    const { name, ends } = snippet;
    const token = this.#tokens.next(script);
    let reply: Reply;
    try {
      reply = await this.#ask(script, token, `a=${nth}&b=${token}`);
    } catch (error) {
      // A native worker that hangs ends with the process, which starts anew: a web server asks again then.
      if (ends !== 'lost' || this.#options.engine === 'embedded') this.#fail(name, String(error));
      this.tally.add('hostile', 'not answered');
      return;
    }
    this.tally.add('hostile', String(reply.status));
    if (reply.foreign !== undefined) this.#fail(name, `its answer holds ${reply.foreign}`);
    // A script that has been stopped may have been out of memory by then, too.
    const isStopped = reply.status === 504 || (reply.status === 500 && reply.bytes.includes('not enough memory'));
    if (ends === 'stopped' && !isStopped)
      this.#fail(name, `it was not stopped: ${reply.status} ${excerpt(reply.bytes)}`);
    if ([0, 503].includes(reply.status)) this.#fail(name, `answered with ${reply.status}: ${excerpt(reply.bytes)}`);
  }

  /** A script with secrets, which leaves them everywhere. */
  async victim(): Promise<void> {
    const script = `victim${this.#random.below(VICTIMS)}.lua`;
    const token = this.#tokens.next(script);
    await this.#expect(script, token, '', `victim ${token} well`, 'a victim');
  }

  async reach(): Promise<void> {
    await this.#expect('reach.lua', this.#tokens.next('reach.lua'), '', 'ok', 'a request to another server');
  }

  async good(after: string): Promise<void> {
    const token = this.#tokens.next('good.lua');
    const body = 'x'.repeat(this.#random.below(2000)) + token;
    await this.#expect(
      'good.lua',
      token,
      body,
      `good ${token} ${body.length} ${body}`,
      `a good request after ${after}`,
    );
  }

  async #expect(script: string, token: string, body: string, expected: string, what: string): Promise<void> {
    for (let tries = 1; ; tries += 1)
      try {
        const { status, bytes } = await this.#ask(script, token, body);
        this.tally.add(what.startsWith('a victim') ? 'victim' : 'good', String(status));
        const text = status === 0 ? '' : parseCgiAnswer(bytes).body.toString('latin1');
        if (status !== 200 || text !== expected) this.#fail(what, `answered with ${status}: ${excerpt(bytes)}`);
        return;
      } catch (error) {
        const mayAskAgain = this.#options.engine !== 'embedded' && tries < 3;
        if (!mayAskAgain) return this.#fail(what, String(error));
        this.tally.add('good', 'asked again');
      }
  }

  async #ask(script: string, token: string, body: string): Promise<Reply> {
    const scan = new AnswerScan(this.#tokens, script);
    const kept: Buffer[] = [];
    let keptBytes = 0;
    const connection = await FcgiConnection.connect(this.#server.socket, {
      guardMs: GUARD_MS,
      sink: (_id, _type, content) => {
        scan.add(content);
        if (keptBytes < KEPT_BYTES) kept.push(content);
        keptBytes += content.length;
      },
    });
    const params = scriptParams(this.#server.path(script), {
      REQUEST_METHOD: 'POST',
      CONTENT_TYPE: 'application/x-www-form-urlencoded',
      CONTENT_LENGTH: String(body.length),
      QUERY_STRING: `q=${token}`,
      HTTP_COOKIE: `session=${token}`,
      HTTP_X_TOKEN: token,
      HTTP_X_UPSTREAM: String(this.#upstream),
    });
    try {
      connection.send(requestBytes({ params, body }));
      await connection.response(1);
    } finally {
      connection.destroy();
    }
    const bytes = Buffer.concat(kept);
    return { status: parseCgiAnswer(bytes).status, bytes, foreign: scan.foreign };
  }

  #fail(what: string, detail: string): void {
    this.tally.fail(`${this.#options.engine}, seed ${this.#options.seed}: ${what}: ${detail}`);
  }
}

/**
 * Resolves when the server is not about to restart itself because of a thread that hangs: a signal would end the new program before that
 * heeds any.
 */
async function settled(server: Server): Promise<void> {
  await eventually('the end of a restart', () => {
    const log = server.log();
    return !/LUAFCGID_(WORKER_HANGS|SERVER_RESTARTS)/.test(log.slice(log.lastIndexOf('ready: listening')));
  });
}

function excerpt(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1', 0, 300));
}

/** Starts a server of the engine, and runs the snippets in it. */
export async function runHostile(t: Cleanup, options: HostileOptions): Promise<Verdict> {
  const { engine, io, seed, snippets, times } = options;
  // Whether a handler can wait changes what pcall and coroutines are: each seed has the snippets the other way round.
  const attacks = snippets.map((snippet, at) => ({
    snippet,
    script: `h${at}.lua`,
    canWait: ((at >> 1) + seed) % 2 === 0,
  }));
  const files = Object.fromEntries(attacks.map(({ snippet, script, canWait }) => [script, scriptOf(snippet, canWait)]));
  const upstream = await startUpstream(t);
  const server = await startServer(t, {
    files: { ...SITE, ...files },
    config: ({ scripts }) => `
      engine = "${engine}"; io = "${io}"; root = ${JSON.stringify(scripts)}
      workers = ${WORKERS}; states = 12; clones = 2; memory = ${MEMORY_MIB} * 1024 * 1024
      watchdog = ${WATCHDOG_S}; sweep = 100; queuetimeout = 120
      shared = { d = 65536 }; http = { allow = { "127.0.0.1:${upstream}" }, timeout = 30 }
      keys = { k = { ("0123456789abcdef"):rep(2) } }`,
  });
  const run = new HostileRun(options, server, upstream);
  const warmUp = async (): Promise<void> => {
    await run.reach();
    await Promise.all(Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? run.good('the start') : run.victim())));
  };
  /** Workers and states of before are gone then, and with them what they held. */
  const renew = async (): Promise<void> => {
    // A server whose threads hang restarts itself instead, which is as good.
    const renewals = (): number => server.log().split(/(?:reloaded|ready): listening/).length;
    const refusals = (): number => server.log().split('LUAFCGID_RELOAD_REFUSED').length;
    await settled(server);
    const before = renewals();
    while (renewals() === before) {
      // Workers may not get ready in time on a busy machine: then it is asked again.
      const refused = refusals();
      server.signal('SIGHUP');
      await eventually('the reload', () => renewals() > before || refusals() > refused);
    }
    await warmUp();
  };
  await warmUp();
  await renew();
  const watch = new ProcessWatch(server.pid);
  t.after(() => watch.stop());
  const before = watch.look();
  const descriptors = watch.descriptors();

  const random = new Random(seed);
  const list = attacks.map((attack) => ({ attack, order: random.below(2 ** 30) }));
  const queue = list.sort((a, b) => a.order - b.order).map(({ attack }) => attack);
  await Promise.all(Array.from({ length: LANES }, () => run.lane(queue)));
  const { peak } = watch;

  await renew();
  let now = watch.look();
  const wrong = (): string | undefined => {
    now = watch.look();
    if (now.residentMiB > before.residentMiB + MEMORY_MARGIN_MIB)
      return `${now.residentMiB} MiB resident, ${before.residentMiB} before`;
    if (engine !== 'embedded') return undefined;
    if (now.threads > before.threads) return `${now.threads} threads, ${before.threads} before`;
    if (now.descriptors > before.descriptors) return difference(descriptors, watch.descriptors());
    return undefined;
  };
  await eventually('everything given back', () => wrong() === undefined).catch(() => {
    run.tally.fail(`not everything was given back: ${wrong()}`);
  });
  watch.stop();
  await settled(server);
  await server.stop();
  const log = server.log();
  for (const code of ['LUAFCGID_BUG', 'the thread ended'])
    if (log.includes(code)) run.tally.fail(`${code} in the log:\n${linesWith(log, code)}`);
  // On a machine that is busy, also a script that would end by itself is taken for one that hangs.
  const lost = [...log.matchAll(/is replaced: \S*\/(h\d+\.lua) does not stop/g)].map(
    ([, script]) => attacks.find((attack) => attack.script === script)?.snippet.name,
  );
  const summary = [
    `${engine}, io ${io}, seed ${seed}: ${snippets.length} snippets, ${times} times each`,
    `  cost their worker: ${lost.join('; ') || 'none'}`,
    run.tally.table(),
    `  start, peak, end: ${[before, peak, now].map(({ residentMiB }) => residentMiB).join(', ')} MiB resident`,
  ].join('\n');
  return { failures: run.tally.failures, summary };
}

function linesWith(log: string, text: string): string {
  const lines = log.split('\n');
  const at = lines.findIndex((line) => line.includes(text));
  return lines
    .slice(at, at + 10)
    .map((line) => line.slice(0, 300))
    .join('\n');
}
