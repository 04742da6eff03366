/** Handlers that wait: suspended where Lua can be, blocking with the same result elsewhere (data-access.md 4.1). */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LuaState, OperationResult, WaitHost } from '../../src/lua/state.js';
import { compatible, engineName, isJit, isLua54, isPlain51, luaError, newRequest, newState } from './support.js';

/** Timers that end when the test says so, in the order in which they were started. */
class ManualWaits implements WaitHost {
  readonly open: number[] = [];
  readonly over = new Set<number>();
  blocked = 0;
  isFull = false;
  #last = 0;

  startTimer(): number {
    this.#last += 1;
    this.open.push(this.#last);
    return this.#last;
  }

  source(): never {
    throw new Error('no source');
  }

  awaitBody(): undefined {
    return undefined;
  }

  awaitOutput(): number | undefined {
    return this.startTimer();
  }

  noteBlocked(): void {}

  httpClient(): never {
    throw new Error('no HTTP');
  }

  post(): number {
    return this.startTimer();
  }

  lock(): string {
    return 'timeout';
  }

  unlock(): boolean {
    return false;
  }

  holdsLock(): boolean {
    return false;
  }

  isOver(token: number): boolean {
    if (this.isFull) throw new Error('too many wait');
    return this.over.has(token);
  }

  take(token: number): OperationResult {
    assert.ok(this.over.delete(token));
    return { isError: false, value: undefined };
  }

  /** Ends the oldest operation. */
  end(): void {
    this.over.add(this.open.shift() as number);
  }

  block(): void {
    this.blocked += 1;
    this.end();
  }
}

interface Served {
  readonly body: string;
  /** How often the handler was suspended. */
  readonly suspended: number;
  readonly blocked: number;
}

/** Serves a request to its end; operations end one by one. */
function serveWaiting(source: string): Served {
  const waits = new ManualWaits();
  const { state, run } = newState({ waits });
  run(`${compatible}local luafcgid = require("luafcgid") local sleep = luafcgid.sleep ${source}`);
  const request = newRequest();
  let suspended = 0;
  for (let result = state.serve('main', request); result.outcome === 'suspended'; result = state.resume()) {
    suspended += 1;
    waits.end();
  }
  state.close();
  return { body: request.body, suspended, blocked: waits.blocked };
}

/** A handler that is suspended in its first operation. */
function suspend(source: string): { state: LuaState; waits: ManualWaits; request: ReturnType<typeof newRequest> } {
  const waits = new ManualWaits();
  const { state, run } = newState({ waits });
  run(`local luafcgid = require("luafcgid") ${source}`);
  const request = newRequest();
  assert.equal(state.serve('main', request).outcome, 'suspended');
  return { state, waits, request };
}

const yields = (body: string, engines: boolean): { body: string; suspended: number; blocked: number } =>
  engines ? { body, suspended: 1, blocked: 0 } : { body, suspended: 0, blocked: 1 };

/** Constructs, what they print, and on which engines a wait in them can be suspended. */
const CONSTRUCTS: readonly [name: string, source: string, body: string, isSuspended: boolean][] = [
  ['a plain call', 'con:puts("a") sleep(1) con:puts("b")', 'ab', true],
  ['a tail call', 'local function f() return sleep(1) end f() con:puts("b")', 'b', true],
  ['a chunk of loadstring', 'loadstring("local s = ... s(1)")(sleep) con:puts("b")', 'b', true],
  ['__call', 'setmetatable({}, { __call = function() sleep(1) end })() con:puts("b")', 'b', true],
  ['pcall', 'con:puts(tostring(pcall(function() sleep(1) end)))', 'true', true],
  [
    'pcall of an error',
    'local ok, e = pcall(function() sleep(1) error("x", 0) end) con:puts(tostring(ok), e)',
    'falsex',
    true,
  ],
  ['nested pcall', 'con:puts(tostring(select(2, pcall(pcall, function() sleep(1) end))))', 'true', true],
  [
    'xpcall',
    'local ok, e = xpcall(function() sleep(1) error("x", 0) end, function(m) return m .. "!" end) con:puts(tostring(ok), e)',
    'falsex!',
    true,
  ],
  [
    'a coroutine of the script',
    'local co = coroutine.create(function(a) sleep(1) coroutine.yield(a + 1) end) con:puts(tostring(select(2, coroutine.resume(co, 1))))',
    '2',
    true,
  ],
  [
    'coroutine.wrap in a for loop',
    'for v in coroutine.wrap(function() coroutine.yield(1) sleep(1) coroutine.yield(2) end) do con:puts(tostring(v)) end',
    '12',
    !isPlain51,
  ],
  [
    'a Lua iterator',
    'for v in function(_, v) if not v then sleep(1) return 1 end end do con:puts(tostring(v)) end',
    '1',
    !isPlain51,
  ],
  ['__index', 'con:puts(setmetatable({}, { __index = function() sleep(1) return "i" end }).x)', 'i', !isPlain51],
  ['__add', 'con:puts(tostring(setmetatable({}, { __add = function() sleep(1) return 7 end }) + 1))', '7', !isPlain51],
  ['__concat', 'con:puts(setmetatable({}, { __concat = function() sleep(1) return "c" end }) .. "x")', 'c', !isPlain51],
  [
    '__tostring',
    'con:puts(tostring(setmetatable({}, { __tostring = function() sleep(1) return "t" end })))',
    't',
    isJit,
  ],
  ['string.gsub', 'con:puts((("a"):gsub(".", function() sleep(1) return "g" end)))', 'g', false],
  [
    'table.sort',
    'local t, first = { 2, 1 }, true table.sort(t, function(a, b) if first then first = false sleep(1) end return a < b end) con:puts(t[1] .. "")',
    '1',
    false,
  ],
];

describe(`waiting on ${engineName}`, () => {
  for (const [name, source, body, isSuspended] of CONSTRUCTS) {
    it(`in ${name} ${isSuspended ? 'suspends the handler' : 'blocks'}, and gives the right result`, () => {
      assert.deepEqual(serveWaiting(`function main(env, con) ${source} end`), yields(body, isSuspended));
    });
  }

  it('lets functions of luafcgid.all wait at the same time, and gives their results in order', () => {
    const served = serveWaiting(`function main(env, con)
      con:puts(table.concat({ luafcgid.all(
        function() sleep(1) con:puts("1") return "a" end, function() sleep(1) con:puts("2") return "b" end,
        function() return "c" end) }, ",")) end`);
    assert.equal(served.body, '12a,b,c');
    assert.equal(served.blocked, 0);
  });

  it('raises the first error of luafcgid.all when all have ended', () => {
    const { body } = serveWaiting(`function main(env, con)
      local ok, e = pcall(luafcgid.all, function() sleep(1) error("first", 0) end, function() sleep(1) con:puts("second,") end)
      con:puts(e) end`);
    assert.equal(body, 'second,first');
  });

  it('has pcall give the error of a library function without a place, as Lua does (issue 14)', () => {
    const { body } = serveWaiting(`local json = require("luafcgid.json") function main(env, con)
      con:puts(select(2, pcall(json.decode, "[")), "; ", select(2, pcall(function() json.decode("[") end)))
      con:puts("; ", select(2, xpcall(json.encode, function(m) return (m:gsub("%(.*", "")) end, print)))
    end`);
    const fault = 'Expected value but found end of the text at character 2';
    assert.ok(body.startsWith(`${fault}; /srv/script.lua:`), body);
    assert.equal(body.split(fault).length, 3);
    assert.doesNotMatch(body, /luafcgid\]/);
  });

  it('passes yields of the script through pcall', () => {
    const { body } = serveWaiting(`function main(env, con)
      local co = coroutine.wrap(function() pcall(function() coroutine.yield("y") sleep(1) end) return "end" end)
      con:puts(${isPlain51 ? 'co(), co()' : 'co(), co()'}) end`);
    assert.equal(body, 'yend');
  });

  it('keeps error objects, and tells where an uncaught error was raised', () => {
    const waits = new ManualWaits();
    const { state, run } = newState({ waits });
    run('local luafcgid = require("luafcgid")\nfunction main(env, con)\n  luafcgid.sleep(1)\n  error("late")\nend');
    assert.equal(state.serve('main', newRequest()).outcome, 'suspended');
    waits.end();
    const error = luaError(() => state.resume());
    assert.equal(error.message, '/srv/script.lua:4: late');
    assert.match(error.traceback, /script\.lua:4: in function/);
    assert.equal(serveAgain(state, waits), 'suspended', 'the state serves on');
  });

  it('hides that the handler runs in a coroutine', () => {
    const { body } = serveWaiting(
      `function main(env, con) sleep(1) con:puts(tostring(${isLua54 ? 'select(2, coroutine.running())' : 'coroutine.running()'})) end`,
    );
    assert.equal(body, isLua54 ? 'true' : 'nil');
  });

  it('ends where it waits when the request is cancelled; no code of it runs any more', () => {
    const { state, waits, request } = suspend(`function main(env, con)
      con:puts("so far") pcall(luafcgid.sleep, 1) con:puts("never") end`);
    const traceback = state.cancel();
    assert.match(traceback, /script\.lua/);
    assert.equal(request.body, 'so far');
    assert.equal(serveAgain(state, waits), 'suspended', 'the state serves on');
  });

  it('tells the Lua stack of a suspended handler', () => {
    const { state } = suspend('local function deep() luafcgid.sleep(1) end\nfunction main() deep() end');
    assert.match(state.suspendedTraceback(), /script\.lua:1: in/);
  });

  it('ends with its code when os.exit is called after a wait', () => {
    const { state, waits } = suspend('function main(env, con) luafcgid.sleep(1) os.exit(3) end');
    waits.end();
    assert.deepEqual(state.resume(), { outcome: 'finished', exitCode: 3 });
  });

  it('fails in the script when too many requests wait', () => {
    const waits = new ManualWaits();
    waits.isFull = true;
    const { state, run } = newState({ waits });
    run(`local luafcgid = require("luafcgid") function main(env, con)
      local ok, message = pcall(luafcgid.sleep, 1) con:puts(message) end`);
    const request = newRequest();
    assert.equal(state.serve('main', request).outcome, 'finished');
    assert.match(request.body, /too many wait$/);
  });

  it('refuses what is no number of seconds', () => {
    for (const argument of ['"1"', '-1', '0/0', 'math.huge', 'nil']) {
      const { body } = serveWaiting(`function main(env, con) con:puts(tostring((pcall(sleep, ${argument})))) end`);
      assert.equal(body, 'false', argument);
    }
  });
});

function serveAgain(state: LuaState, _waits: ManualWaits): string {
  return state.serve('main', newRequest()).outcome;
}
