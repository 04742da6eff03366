/** Output to a client that reads slowly: suspends the handler where Lua can be, and blocks elsewhere. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LuaState, OperationResult, WaitHost } from '../../src/lua/state.js';
import { NO_BODY } from '../../src/worker/inbox.js';
import { OutputBuffer } from '../../src/worker/output-buffer.js';
import type { RequestOutlet } from '../../src/worker/request-channels.js';
import { ScriptRequest } from '../../src/worker/script-request.js';
import { compatible, engineName, isPlain51, newState } from './support.js';

const HEAD = /^Status: 200 OK\r\n[\s\S]*?\r\n\r\n/;

/** Takes so much and no more until it is told to read. */
class SlowClient implements RequestOutlet {
  got = '';
  /** What came in the last message. */
  lastBytes = 0;
  ends = 0;
  #takesBytes = 100_000;

  isHeld(): boolean {
    return this.got.length >= this.#takesBytes;
  }

  read(): void {
    this.#takesBytes = this.got.length + 100_000;
  }

  output(_id: number, bytes: Uint8Array): void {
    this.got += Buffer.from(bytes).toString('latin1');
  }

  tryOutput(id: number, bytes: Uint8Array): number {
    let at = 0;
    for (; at < bytes.length && !this.isHeld(); at += 30_000) this.output(id, bytes.subarray(at, at + 30_000));
    return Math.min(at, bytes.length);
  }

  end(_id: number, _flags: number, _status: number, last: Uint8Array): void {
    this.ends += 1;
    this.lastBytes = last.length;
    this.output(0, last);
  }

  finish(): void {}
  suspended(): void {}
  resumed(): void {}
  log(): void {}
  limit(): void {}

  get body(): string {
    assert.match(this.got, HEAD);
    return this.got.replace(HEAD, '');
  }
}

/** Waits that are over when the test says so. */
class OutputWaits implements WaitHost {
  readonly open = new Set<number>();
  readonly over = new Set<number>();
  blockedAt: string[] = [];
  hasPlaces = true;
  #last = 0;

  startTimer(): number {
    this.#last += 1;
    this.open.add(this.#last);
    return this.#last;
  }

  awaitOutput(): number | undefined {
    return this.hasPlaces ? this.startTimer() : undefined;
  }

  noteBlocked(place: string): void {
    this.blockedAt.push(place);
  }

  isOver(token: number): boolean {
    return this.over.has(token);
  }

  take(token: number): OperationResult {
    assert.ok(this.over.delete(token));
    return { isError: false, value: undefined };
  }

  endAll(): void {
    for (const token of this.open) this.over.add(token);
    this.open.clear();
  }

  source = (): never => assert.fail('no source');
  httpClient = (): never => assert.fail('no HTTP');
  awaitBody = (): undefined => undefined;
  post = (): never => assert.fail('nothing is posted');
  lock = (): string => 'timeout';
  unlock = (): boolean => false;
  holdsLock = (): boolean => false;
  block = (): void => assert.fail('nothing blocks in the host');
}

interface Slow {
  readonly client: SlowClient;
  readonly waits: OutputWaits;
  readonly state: LuaState;
  readonly request: ScriptRequest;
}

function setUp(source: string, { canWait = true, hasPlaces = true } = {}): Slow {
  const waits = new OutputWaits();
  waits.hasPlaces = hasPlaces;
  const client = new SlowClient();
  const files = { '/srv/page': '<% for _ = 1, 1500 do %><%= piece %><% end %>' };
  const { state, run } = newState({ waits }, files);
  run(`${compatible}${canWait ? 'local luafcgid = require("luafcgid")\n' : ''}${source}`);
  const settings = {
    httpStatus: '200 OK',
    contentType: 'text/html',
    headers: '',
    buffering: true,
    outputBufferBytes: 200_000,
    sendBufferBytes: 100_000,
    watchdogMs: 0,
    watchdogMaxMs: 0,
  };
  const request = new ScriptRequest(1, new Uint8Array(0), { role: 1, isHead: false }, settings, {
    inlet: NO_BODY,
    outlet: client,
    buffer: new OutputBuffer(),
    startedMs: 0,
    stateId: 1,
    origin: { runName: 'run', worker: 0 },
  });
  return { client, waits, state, request };
}

/** Serves to the end; the client reads each time that the handler waits for it. Gives how often that was. */
function serve({ client, waits, state, request }: Slow): number {
  let suspended = 0;
  for (let result = state.serve('main', request); result.outcome === 'suspended'; result = state.resume()) {
    suspended += 1;
    assert.ok(suspended < 1_000, 'it never ends');
    client.read();
    waits.endAll();
  }
  request.end(0, 0);
  state.close();
  return suspended;
}

const ALL = 'x'.repeat(1_500_000);

/** Ways to put a body of 1,500,000 x. */
const WAYS: Readonly<Record<string, string>> = {
  'one string': 'con:puts(("x"):rep(1500000))',
  'many small strings': 'for _ = 1, 150000 do con:puts("xxxxxxxxxx") end',
  'pieces as large as what is handed over': 'for _ = 1, 30 do con:puts(("x"):rep(50000)) end',
  'flushed pieces': 'for _ = 1, 150 do con:puts(("x"):rep(10000)) con:flush() end',
  'pieces without buffering': 'con:config("buffering", false) for _ = 1, 150 do con:puts(("x"):rep(10000)) end',
  'one string inside of pcall': 'assert(pcall(function() con:puts(("x"):rep(1500000)) end))',
  'pieces of a coroutine':
    'for piece in coroutine.wrap(function() for _ = 1, 30 do coroutine.yield(("x"):rep(50000)) end end) do con:puts(piece) end',
  'puts in a coroutine': 'coroutine.wrap(function() con:puts(("x"):rep(1500000)) end)()',
  'an answer that is finished': 'con:puts(("x"):rep(1500000)) con:finish()',
  'a template': 'require("luafcgid.template").puts(con, "page", { piece = ("x"):rep(1000) })',
  'an answer that ends with os.exit': 'for _ = 1, 30 do con:puts(("x"):rep(50000)) end os.exit(0)',
};

describe(`output to a slow client, on ${engineName}`, () => {
  for (const [name, source] of Object.entries(WAYS)) {
    it(`suspends the handler that puts ${name}; nothing is lost or doubled`, () => {
      const slow = setUp(`function main(env, con) ${source} end`);
      const suspended = serve(slow);
      assert.ok(suspended >= 5, `suspended ${suspended} times`);
      assert.deepEqual(slow.waits.blockedAt, []);
      assert.ok(slow.client.body === ALL, `${slow.client.body.length} bytes`);
      assert.ok(
        slow.client.lastBytes <= 64 * 1024,
        `the end of the request waits for nobody: ${slow.client.lastBytes}`,
      );
    });
  }

  it('keeps what functions of luafcgid.all put in whole strings', () => {
    const slow = setUp(`function main(env, con)
      luafcgid.all(function() con:puts(("a"):rep(400000)) end, function() con:puts(("b"):rep(400000)) con:puts("c") end)
    end`);
    assert.ok(serve(slow) > 0);
    assert.match(slow.client.body, /^a{400000}b{400000}c$/);
  });

  it('blocks where Lua cannot be suspended, is counted there, and gives the right result', () => {
    const slow = setUp(`function main(env, con)
      table.sort({ 2, 1 }, function(a, b) con:puts(("x"):rep(750000)) return a < b end)
    end`);
    slow.client.isHeld = () => true;
    const { state, request } = slow;
    assert.equal(state.serve('main', request).outcome, 'finished');
    request.end(0, 0);
    assert.match(slow.client.body, /^x{750000,}$/);
    assert.match(slow.waits.blockedAt.join(), /script\.lua:3/);
  });

  it('blocks in a script that requires no module that waits, and is counted', () => {
    const slow = setUp(`function main(env, con) con:puts(("x"):rep(1500000)) end`, { canWait: false });
    assert.equal(serve(slow), 0);
    assert.ok(slow.client.body === ALL);
    assert.match(slow.waits.blockedAt.join(), /script\.lua/);
  });

  it('blocks when no more requests may wait', () => {
    const slow = setUp(`function main(env, con) con:puts(("x"):rep(1500000)) end`, { hasPlaces: false });
    assert.equal(serve(slow), 0);
    assert.ok(slow.client.body === ALL);
    assert.ok(slow.waits.blockedAt.length > 0);
  });

  it('suspends a state that was told after its loading that it can wait', () => {
    const slow = setUp(
      `function main(env, con) con:puts(("x"):rep(500000)) assert(pcall(con.puts, con, ("x"):rep(500000)))
        assert(pcall(function() con:puts(("x"):rep(500000)) end)) end`,
      { canWait: false },
    );
    slow.state.enableWaiting();
    assert.ok(serve(slow) >= 5);
    assert.ok(slow.client.body === ALL);
    if (!isPlain51) assert.deepEqual(slow.waits.blockedAt, []);
  });

  it('leaves a script its own pcall when it is told later that it can wait', () => {
    const slow = setUp(
      `local plain = pcall
      function pcall(...) count = (count or 0) + 1 return plain(...) end
      function main(env, con) assert(pcall(function() con:puts("x") end)) con:puts(count) end`,
      { canWait: false },
    );
    slow.state.enableWaiting();
    serve(slow);
    assert.equal(slow.client.body, 'x1');
  });

  it('that is cancelled leaves a state that serves on', () => {
    const slow = setUp('function main(env, con) con:puts(("x"):rep(1500000)) end');
    assert.equal(slow.state.serve('main', slow.request).outcome, 'suspended');
    assert.match(slow.state.cancel(), /script\.lua:2/);
    assert.match(slow.client.body, /^x+$/);
    const next = setUp('');
    assert.equal(slow.state.serve('main', next.request).outcome, 'suspended');
    assert.match(next.client.body, /^x+$/, 'nothing is left of the one before');
    slow.state.cancel();
    slow.state.close();
  });
});
