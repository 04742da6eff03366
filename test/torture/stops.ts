/**
 * Stops of scripts, one after the other, at whichever instruction each happens to be: by another thread as the watchdog does it, and
 * by the memory limit. What a stop breaks in native Lua ends the process, sooner or later.
 */
import { Worker } from 'node:worker_threads';
import { createInterrupts, Interrupts } from '../../src/channel/interrupts.js';
import { createEngine, prepareEngine } from '../../src/lua/engine.js';
import {
  type EngineName,
  type InterruptSource,
  LuaError,
  type LuaState,
  type RequestHost,
  type StateOptions,
} from '../../src/lua/state.js';

/** Endless work of each kind that a stop can meet. LuaJIT's compiler is off: its code looks at no hook. */
const ENDLESS: readonly string[] = [
  'while true do local f = load_text("return function() return {} end") f()() end',
  'while true do local t = load_text("return {a=" .. tick() .. ", b = {1, 2, \'x\'}}")() end',
  'while true do pcall(load_text, "x = = " .. tick()) load_text("local a <const") end',
  'local t = {} while true do t[tick() % 50] = load_text("return " .. tick()) if tick() % 20 == 0 then collectgarbage() end end',
  'while true do collectgarbage("step") local t = { {}, { {} } } end',
  'while true do finalized(function() local t = { tick() } end) if tick() % 50 == 0 then collectgarbage() end end',
  'while true do pcall(error, setmetatable({}, { __tostring = function() return "x" .. tick() end })) end',
  'while true do xpcall(function() local x = nil .. tick() end, function(m) return { m, debug.traceback() } end) end',
  'while true do local c = coroutine.create(function(...) for i = 1, 3 do coroutine.yield(i, ...) end error("e") end) for i = 1, 5 do coroutine.resume(c, {}, "x" .. i) end end',
  'local function nest(n) if n == 0 then while true do local t = { tick() } end end return coroutine.wrap(function() pcall(nest, n - 1) while true do tick() end end)() end nest(9)',
  'while true do for word in coroutine.wrap(function() for i = 1, 9 do coroutine.yield("w" .. i) end end) do local t = { word } end end',
  'while true do local s = ("abc"):rep(50):gsub("%w", function(c) return c .. tick() end) end',
  'while true do local t = {} for i = 1, 60 do t[i] = { (i * 7919) % 61 } end table.sort(t, function(a, b) return a[1] < b[1] end) end',
  'local p = setmetatable({}, { __index = function(_, k) return { k } end, __add = function(a, b) return a end }) while true do local x = p["k" .. tick()] p = p + 1 end',
  'while true do local t = {} for i = 1, 30 do t[i] = tostring(i) .. string.format("%5d%s", i, "x") end local s = table.concat(t, ",") end',
  'while true do for k, v in pairs({ a = 1, b = {}, c = "x" .. tick() }) do local s = tostring(v) end end',
  'local function f(...) local a, b = select(2, ...) return (unpack or table.unpack)({ ... }) end while true do f(1, {}, "x" .. tick(), function() end) end',
  'while true do debug.sethook(function() tick() end, "", 3) local t = { {} } debug.sethook() end',
  'while true do local t = debug.traceback("x") .. tick() end',
  'local t = setmetatable({}, { __mode = "k" }) while true do t[{}] = { {} } if tick() % 100 == 0 then collectgarbage() end end',
  'while true do pcall(string.rep) pcall(string.find, "a", "%") pcall(setmetatable, 1) pcall(next, {}, 1) end',
  'while true do local ok = pcall(coroutine.wrap(function() error({ "x" .. tick() }) end)) end',
  'xpcall(function() local x = nil + 1 end, function() while true do tick() end end)',
  'while true do xpcall(function() while true do tick() end end, function() while true do tick() end end) end',
  'error(setmetatable({}, { __tostring = function() while true do tick() end end }))',
  'while true do con:header("X-A", "b" .. tick() % 9) con:puts("p") con:reset() end',
];

/**
 * Deep recursion that ends in errors. Lua 5.4 frees half of its records of calls each time, and another thread that sets a hook
 * walks these: a stop at that very moment may end the process (docs/reliability.md, "Stops in Lua 5.4").
 */
const UNWINDING: readonly string[] = [
  'local function f(n) if n > 0 then return 1 + f(n - 1) end error({}) end while true do pcall(f, 150) end',
  'local function h(m) return xpcall(error, h, m) end while true do xpcall(error, h) end',
];

/** Work that ends when there is no memory left. */
const HOARDING: readonly string[] = [
  'local t = {} while true do t[#t + 1] = load_text("return " .. #t) end',
  'local t = {} while true do t[#t + 1] = load_text("return {a=" .. #t .. "}")() end',
  'local t = {} while true do t[#t + 1] = load_text("local a = ... return function() return a end")(#t) end',
  'local t = {} while true do t[#t + 1] = coroutine.wrap(function(a) while true do coroutine.yield({ a }) end end) t[#t](#t) end',
  'local t = {} while true do t[#t + 1] = finalized(function() end) end',
  'local t = {} while true do t[#t + 1] = ("abc"):gsub("b", function(c) t[#t + 1] = { c } return c .. #t end) end',
  'local t = {} while true do local s = {} for i = 1, 40 do s[i] = { -i } end table.sort(s, function(a, b) t[#t + 1] = { a } return a[1] < b[1] end) end',
  'local s = "x" while true do s = s .. s end',
  'local t = {} while true do t[#t + 1] = setmetatable({}, { __index = function(_, k) return { k } end }) local x = t[#t].k end',
];

/** In the embedded engine a script may catch that there is no memory; elsewhere it is ended. */
const CATCHING: readonly string[] = [
  'local t = {} while true do pcall(function() for i = 1, 1e9 do t[#t + 1] = { "x" .. i } end end) end',
  'local t = {} while true do xpcall(function() for i = 1, 1e9 do t[#t + 1] = ("x"):rep(200) .. i end end, function(m) return { m } end) end',
  'local t = {} coroutine.wrap(function() while true do pcall(function() t[#t + 1] = load_text("return {" .. #t .. "}")() end) end end)()',
];

const HEAD = `if jit then jit.off() end
  local load_text, count = loadstring or load, 0
  local function tick() count = count + 1 return count % 1000 end
  local function finalized(run)
    if newproxy then local p = newproxy(true) getmetatable(p).__gc = run return p end
    return setmetatable({}, { __gc = run })
  end\n`;

export interface StopOptions {
  readonly engine: EngineName;
  /** Stops from another thread. */
  readonly stops: number;
  /** Ends by the memory limit. */
  readonly memoryEnds: number;
  readonly seed: number;
  /** Without the scripts whose stop Lua 5.4 may not survive, see `UNWINDING`. */
  readonly spares?: boolean;
}

/** States are made anew after so many stops. */
const STOPS_OF_A_STATE = 20;

const request: RequestHost = {
  params: new Uint8Array(0),
  headerLine() {},
  header() {},
  status() {},
  headerValues: () => [],
  writeUpload: () => 0,
  readUpload: () => new Uint8Array(0),
  removeHeader() {},
  place: { id: 'run-1', state: 1, worker: 1 },
  problem: undefined,
  write() {},
  tryWrite: (bytes) => bytes.length,
  tryFlush: () => true,
  tryFinish: () => true,
  tryLastFlush: () => true,
  isHeld: false,
  flush() {},
  reset() {},
  finish() {},
  grant() {},
  isBodyWhole: true,
  readBody: () => null,
  readData: () => null,
  log() {},
  configure() {},
};

/** Stops scripts as often as is said. Gives what went wrong other than that the process ended. */
export async function stopScripts(options: StopOptions): Promise<readonly string[]> {
  const { engine: name, stops, memoryEnds, seed, spares = false } = options;
  const data = prepareEngine('2.0.0', name);
  const engine = createEngine(data);
  const shared = createInterrupts();
  const interrupts = new Interrupts(shared);
  const stopper = new Worker(new URL('./stops-thread.js', import.meta.url), {
    workerData: { shared, engine: data, seed },
  });
  await new Promise((resolve, reject) => {
    stopper.once('online', resolve);
    stopper.once('error', reject);
  });
  const failures: string[] = [];
  const source: InterruptSource = {
    get isStopWanted() {
      return interrupts.isStopWanted;
    },
    stopReason: () => new Error('stopped'),
    takeTrace: () => interrupts.takeTrace(),
    traced() {},
  };

  /** Runs each of the scripts in turn until as many have ended in this way. */
  const run = (
    scripts: readonly string[],
    count: number,
    kind: LuaError['kind'],
    settings: Partial<StateOptions>,
  ): void => {
    let state: LuaState | undefined;
    let used = 0;
    for (let nth = 0; nth < count; nth += 1) {
      if (state === undefined || used === STOPS_OF_A_STATE) {
        state?.close();
        used = 0;
        state = engine.createState({
          host: { log() {}, readSource: () => undefined },
          memoryBytes: 64 << 20,
          directory: '/srv',
          path: [],
          config: {},
          ...settings,
        });
        const handlers = scripts.map((script, at) => `function f${at}(env, con) ${script} end`).join('\n');
        state.run(
          Buffer.from(
            `${HEAD}${handlers}\nfunction fine(env, con) debug.sethook() con:puts(#load_text("return 'fine'")()) end`,
          ),
          '@/s.lua',
        );
      }
      used += 1;
      const script = nth % scripts.length;
      interrupts.begin(nth + 1);
      const target = state.hookTarget;
      if (target !== undefined) interrupts.setTarget(target.state, target.hook);
      try {
        state.serve(`f${script}`, request);
        failures.push(`${scripts[script]}: ended by itself`);
      } catch (error) {
        if (!(error instanceof LuaError) || error.kind !== kind) failures.push(`${scripts[script]}: ${String(error)}`);
      }
      interrupts.end();
      if (kind === 'memory')
        used = STOPS_OF_A_STATE; // its state is replaced, as the server does it
      else
        try {
          state.serve('fine', request);
        } catch (error) {
          failures.push(`after ${scripts[script]}: ${String(error)}`);
          state = undefined;
        }
    }
    state?.close();
  };

  run(spares ? ENDLESS : [...ENDLESS, ...UNWINDING], stops, 'stopped', { interrupts: source });
  await stopper.terminate();
  run(name === 'embedded' ? HOARDING : [...HOARDING, ...CATCHING], memoryEnds, 'memory', { memoryBytes: 4 << 20 });
  engine.close?.();
  return failures;
}
