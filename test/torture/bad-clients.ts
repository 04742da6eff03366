/** Clients that misbehave in every way there is, and those who ask for bad scripts. None of them may hurt another. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import {
  beginRequest,
  FcgiConnection,
  pairs,
  parseCgiAnswer,
  record,
  requestBytes,
  scriptParams,
  stream,
  type Target,
  TYPE,
} from '../support/fcgi-client.js';
import type { Run } from './run.js';
import { BAD_SCRIPTS } from './site.js';

const GUARD_MS = 60_000;
const SCRIPT_CLIENTS = 3;
const RUDE_CLIENTS = 6;
const FLOOD = 40;
/** Connections that are left to the server to close. */
const MOST_LEFT = 60;
/** Threads that cannot be ended take processor time until the process ends. */
const MOST_HANGS_NATIVE = 2;
/** Between two scripts that take their worker along. */
const HANG_PAUSE_MS = 1_500;

/** Its connection is closed without its noticing. */
export const NEVER_READS = 'never reads';

interface Visit {
  readonly run: Run;
  readonly random: Random;
  readonly connection: FcgiConnection;
  readonly isTcp: boolean;
}

/** A whole request for a good script. */
function whole(
  { run, random }: Visit,
  script: string,
  bodyBytes: number,
  headers: Record<string, string> = {},
): Buffer {
  const body = run.noise.subarray(0, bodyBytes);
  const params = scriptParams(join(run.places.scripts, script), {
    REQUEST_METHOD: 'POST',
    CONTENT_LENGTH: String(bodyBytes),
    HTTP_X_TOKEN: `bad-${random.below(1e9)}`,
    HTTP_X_PIECE: '1000',
    ...headers,
  });
  return requestBytes({ keepConn: random.below(2) === 0, params, body });
}

/** Each is given a new connection, which is closed afterwards unless it says to leave it to the server. */
const RUDE: Readonly<Record<string, (visit: Visit) => Promise<'leave' | undefined>>> = {
  silent: async () => 'leave',
  'half a record': async (visit) => {
    visit.connection.send(beginRequest(1).subarray(0, 1 + visit.random.below(15)));
    return 'leave';
  },
  'endless parameters': async ({ connection, random }) => {
    connection.begin(1, { keepConn: true });
    for (let at = 0; at < 40 && !connection.isClosed; at += 1) {
      const text = 'x'.repeat(60_000);
      connection.send(stream(TYPE.PARAMS, 1, pairs([[`HTTP_${at}`, text]]), { end: false }));
      if (random.below(4) === 0) await pause(1);
    }
    return undefined;
  },
  'half of its parameters': async (visit) => {
    const bytes = whole(visit, 'token.lua', 0);
    visit.connection.send(bytes.subarray(0, 16 + visit.random.below(bytes.length - 40)));
    return 'leave';
  },
  'one byte now and then': async ({ connection, run }) => {
    connection.begin(1, { keepConn: true });
    for (let at = 0; at < 50 && !connection.isClosed && !run.isOver; at += 1) {
      connection.send(record(TYPE.PARAMS, 1, 'x').subarray(0, 9));
      await pause(20);
    }
    return undefined;
  },
  garbage: async ({ connection, random, run }) => {
    const from = random.below(100_000);
    connection.send(run.noise.subarray(from, from + 1 + random.below(20_000)));
    await pause(random.below(50));
    return undefined;
  },
  'garbage in records': async ({ connection, random, run }) => {
    for (let at = 0; at < 10; at += 1) {
      const from = random.below(100_000);
      connection.send(record(random.below(14), random.below(3), run.noise.subarray(from, from + random.below(300))));
    }
    await pause(random.below(50));
    return undefined;
  },
  'aborted in its body': async (visit) => {
    const bytes = whole(visit, 'body.lua', 200_000);
    visit.connection.send(bytes.subarray(0, 1_000 + visit.random.below(190_000)));
    if (visit.random.below(2) === 0) await pause(visit.random.below(30));
    visit.connection.abort(1);
    return undefined;
  },
  'gone in its body': async (visit) => {
    const bytes = whole(visit, 'body.lua', 200_000);
    await visit.connection.send(bytes.subarray(0, 1_000 + visit.random.below(190_000)));
    return undefined;
  },
  'a body that stops': async (visit) => {
    // Less than bodymemory: more would hold a worker, which is known and said.
    const bytes = whole(visit, 'body.lua', 60_000);
    visit.connection.send(bytes.subarray(0, 1_000 + visit.random.below(50_000)));
    return 'leave';
  },
  [NEVER_READS]: async (visit) => {
    visit.connection.pause();
    visit.connection.send(whole(visit, 'stream.lua', 0, { HTTP_X_ROWS: String(visit.random.below(60_000)) }));
    return 'leave';
  },
  'goes in its answer': async (visit) => {
    visit.connection.send(whole(visit, 'stream.lua', 0, { HTTP_X_ROWS: '20000' }));
    await visit.connection.received(1 + visit.random.below(100_000));
    return undefined;
  },
  'half closes': async (visit) => {
    const bytes = whole(visit, 'body.lua', 10_000);
    await visit.connection.send(bytes.subarray(0, visit.random.below(2) === 0 ? bytes.length : 5_000));
    visit.connection.end();
    await pause(visit.random.below(30));
    return undefined;
  },
  'asks and goes': async (visit) => {
    await visit.connection.send(whole(visit, visit.random.pick(['token.lua', 'stream.lua']), 0, { HTTP_X_ROWS: '9' }));
    return undefined;
  },
  'connects and closes, a flood': async ({ run, random, isTcp }) => {
    const target = isTcp ? run.places.port : run.places.socket;
    const isReset = isTcp && random.below(2) === 0;
    await Promise.all(
      Array.from({ length: FLOOD }, async () => {
        const connection = await FcgiConnection.connect(target, { lenient: true });
        connection.destroy({ reset: isReset });
      }),
    );
    return undefined;
  },
};

async function misbehave(run: Run, seed: number): Promise<void> {
  const random = new Random(seed);
  const kinds = Object.keys(RUDE);
  while (!run.isOver) {
    const kind = random.pick(kinds);
    const isTcp = random.below(2) === 0;
    const target: Target = isTcp ? run.places.port : run.places.socket;
    let connection: FcgiConnection | undefined;
    try {
      connection = await FcgiConnection.connect(target, { lenient: true, guardMs: GUARD_MS });
      const end = await (RUDE[kind] as (visit: Visit) => Promise<'leave' | undefined>)({
        run,
        random,
        connection,
        isTcp,
      });
      run.tally.add(`bad client: ${kind}`, 'done');
      if (end === 'leave' && run.left.size < MOST_LEFT) {
        const stays = connection;
        run.left.set(stays, kind);
        if (kind !== NEVER_READS)
          stays.closed().then(
            () => run.left.delete(stays),
            () => {},
          );
      } else
        connection.destroy({ reset: isTcp && kind !== 'half closes' && !connection.isClosed && random.below(2) === 0 });
    } catch (error) {
      // The server may hang up on them; it has to accept them, and to answer those who wait.
      const told = error instanceof Error ? error.message : String(error);
      const isHungUp = /closed while waiting|EPIPE|ECONNRESET/.test(told);
      run.tally.add(`bad client: ${kind}`, isHungUp ? 'hung up on' : 'FAILED');
      if (!isHungUp) run.fail(`a bad client (${kind}): ${told}`);
      connection?.destroy();
    }
    await pause(random.below(30));
  }
}

/** Asks for bad scripts, and judges what comes: an answer in order, with a status that fits. */
async function askForBadScripts(run: Run, seed: number): Promise<void> {
  const random = new Random(seed);
  const kinds = [...Object.keys(BAD_SCRIPTS), 'files.lua', 'changing.lua'];
  while (!run.isOver) {
    await pause(random.below(60));
    const script = random.pick(kinds);
    const { hangs, isLeft, statuses = [200] } = BAD_SCRIPTS[script] ?? {};
    if (hangs) {
      const isNow = run.mayHang(
        HANG_PAUSE_MS,
        run.engine === 'embedded' ? Number.POSITIVE_INFINITY : MOST_HANGS_NATIVE,
      );
      if (!isNow) continue;
    }
    const target: Target = random.below(2) === 0 ? run.places.port : run.places.socket;
    const oldest = run.changingVersion;
    let connection: FcgiConnection | undefined;
    try {
      connection = await FcgiConnection.connect(target, { guardMs: GUARD_MS });
      const params = scriptParams(join(run.places.scripts, script), {
        HTTP_X_TOKEN: `file-${seed}-${random.below(1e9)}-`,
      });
      connection.send(requestBytes({ params }));
      if (isLeft) {
        await connection.received(1 + random.below(300_000));
        run.tally.add(`bad script: ${script}`, 'left');
        continue;
      }
      const { status, body } = parseCgiAnswer((await connection.response(1)).stdout);
      const text = body.toString('latin1', 0, 2_000);
      const version = Number(/^version (\d+)$/.exec(text)?.[1]);
      const isFresh = script !== 'changing.lua' || (version >= oldest - 40 && version <= run.changingVersion);
      const isRight = statuses.includes(status) && isFresh;
      run.tally.add(`bad script: ${script}`, isRight ? `${status}` : `FAILED (${status})`);
      if (!isRight)
        run.fail(`the bad script ${script} was answered with ${status}, not ${statuses.join(' or ')}`, text);
    } catch (error) {
      run.tally.add(`bad script: ${script}`, 'FAILED');
      run.fail(`the bad script ${script} had no answer: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      connection?.destroy();
    }
  }
}

export async function runBadClients(run: Run): Promise<void> {
  await Promise.all([
    ...Array.from({ length: RUDE_CLIENTS }, (_, index) => misbehave(run, run.seed + 1_000 + index)),
    ...Array.from({ length: SCRIPT_CLIENTS }, (_, index) => askForBadScripts(run, run.seed + 2_000 + index)),
  ]);
}
