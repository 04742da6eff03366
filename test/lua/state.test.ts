import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createEngine, prepareEngine } from '../../src/lua/engine.js';
import { compatible, engineName, isJit, isLua54, luaError, newState, serve } from './support.js';

test('states share nothing', () => {
  const [one, two] = [newState(), newState()];
  one.run('x = 1 string.mine = 2 require("luafcgid").mine = 3 getmetatable("").__index.other = 4 math.pi = 3');
  two.run(`function main(env, con)
    con:puts(tostring(x), tostring(string.mine), tostring(require("luafcgid").mine), tostring(("").other), math.floor(math.pi * 100))
  end`);
  assert.equal(serve(two.state, 'main').body, 'nilnilnilnil314');
  one.state.close();
  two.state.close();
});

test('a script keeps its globals from request to request', () => {
  const { state, run } = newState();
  run('count = 0 function main(env, con) count = count + 1 con:puts(count) end');
  assert.deepEqual(
    [1, 2, 3].map(() => serve(state, 'main').body),
    ['1', '2', '3'],
  );
  state.close();
});

test('a script that empties the libraries and its globals still answers', () => {
  const { state, run } = newState({ config: { list: ['a'] } });
  run(`${compatible}local m, serialize_input = require("luafcgid"), { 1, c = { 0.5, true } }
    local tostring, print, write, getenv, wrap, compile, _G = tostring, print, io.write, os.getenv, coroutine.wrap, loadstring, _G
    local date, clock, loadreader = os.date, os.clock, load
    function main(env, con)
      con:header("X-A", "b") con:header("X: y") con:status(201) con:type("a/b") con:redirect("/x", 303)
      con:cookie("a", "b c", { path = "/", expires = 0, samesite = "Lax" })
      con:puts("a", 1) con:puts(2) con:flush() con:reset()
      con:puts(con:query().q, con:cookies().c, con:form().f, con:config("list")[1], tostring(con:gets()), tostring(con:gets(5)))
      con:config("contenttype", "x/y") con:log("warn", "x")
      con:puts(m.serialize(serialize_input), m.escape("<"), m.urlencode("a b"), m.urldecode("a+b"), m.parse("a=%41").a)
      print("x", 1) write("y\\n") getenv("X") date() clock()
      con:puts(wrap(function() return "w" end)(), compile("return 'l'")(), loadreader(function() end) and "r" or "")
    end
    for name, library in _G.pairs(_G.package.loaded) do
      if _G.type(library) == "table" and name ~= "_G" and name ~= "luafcgid" then for key in _G.pairs(library) do library[key] = nil end end
    end
    local keep = main
    for name in _G.next, _G do if name ~= "next" and name ~= "tostring" then _G[name] = nil end end
    main = keep`);
  const params = {
    QUERY_STRING: 'q=Q',
    HTTP_COOKIE: 'c=C',
    CONTENT_TYPE: 'multipart/form-data; boundary=X',
  };
  const body = '--X\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nF\r\n--X--';
  assert.match(
    luaError(() => serve(state, 'main', { params, body })).message,
    /bad argument #3 to 'puts'/,
    'everything up to the file, which is a table',
  );
  const plain = body.replace('; filename="n"', '');
  assert.equal(serve(state, 'main', { params, body: plain }).body, 'QCFanilnil{1,["c"]={0.5,true}}&lt;a+ba bAwlr');
  assert.match(luaError(() => serve(state, 'none')).message, /no function 'none'/);
  state.close();
});

test('a state that answers while another one is being served stays apart', () => {
  const [outer, inner] = [newState(), newState()];
  inner.run('function main(env, con) con:puts("inner") end');
  outer.run('function main(env, con) con:puts("a") con:flush() con:puts("b") end');
  let seen = '';
  const { body } = serve(outer.state, 'main', {
    override: {
      flush() {
        seen = serve(inner.state, 'main').body;
      },
    },
  });
  assert.deepEqual([seen, body], ['inner', 'ab']);
  outer.state.close();
  inner.state.close();
});

test('call runs a global function; its errors come out', () => {
  const { state, run, evaluate } = newState();
  run('function startup() started = true end function broken() error("boom") end');
  state.call('startup');
  assert.equal(evaluate('started'), 'true');
  assert.equal(luaError(() => state.call('broken')).message, '/srv/script.lua:1: boom');
  assert.equal(luaError(() => state.call('none')).message, "there is no function 'none': the global is a nil value");
  state.close();
});

test('globals are those that the script made or changed', () => {
  const { state, run } = newState({ givesGlobals: true });
  assert.deepEqual(state.globals(), { values: {}, functions: [] });
  run(`listen = { "/run/a.sock", ":9000" } workers = 5 showerrors = false name = "\\195\\188\\0" empty = {}
    headers = { ["X-A"] = "b", nested = { 1, { two = 2 } } } holes = { 1, nil, 3 } mixed = { "a", b = "c", [10] = "d", f = print }
    function startup() end local hidden = 1 _VERSION = "changed"`);
  const { values, functions } = state.globals();
  assert.deepEqual(functions, ['startup']);
  assert.deepEqual(JSON.parse(JSON.stringify(values)), {
    listen: ['/run/a.sock', ':9000'],
    workers: 5,
    showerrors: false,
    name: '\xc3\xbc\0',
    empty: [],
    headers: { 'X-A': 'b', nested: [1, { two: 2 }] },
    holes: [1, null, 3],
    mixed: { '1': 'a', '10': 'd', b: 'c' },
    _VERSION: 'changed',
  });
  state.close();
});

test('globals that contain themselves, or nest too deeply, are an error', () => {
  const { state, run } = newState({ givesGlobals: true });
  run('t = {} t.t = t');
  assert.match(luaError(() => state.globals()).message, /a table contains itself/);
  run('t = {} for i = 1, 100 do t = { t } end');
  assert.match(luaError(() => state.globals()).message, /nested deeper than 64 levels/);
  run('t = "__proto__" p = { __proto__ = 1 }');
  assert.deepEqual(Object.keys(state.globals().values).sort(), ['p', 't']);
  state.close();
});

test('a garbage-collection step runs finalizers, and survives their errors', () => {
  const { state, run, evaluate } = newState();
  run(`collected = 0
    function finalized(run)
      if newproxy then getmetatable(newproxy(true)).__gc = run else setmetatable({}, { __gc = run }) end
    end
    for i = 1, 10 do finalized(function() collected = collected + 1 end) end
    for i = 1, 20000 do local t = {} end`);
  for (let step = 0; step < 100; step += 1) state.collectStep();
  assert.equal(evaluate('collected'), '10');
  run('finalized(function() error("in a finalizer") end)');
  for (let step = 0; step < 100; step += 1) {
    try {
      state.collectStep();
    } catch (error) {
      assert.equal((error as Error).message, '/srv/script.lua:1: in a finalizer');
    }
  }
  assert.equal(evaluate('collected'), '10');
  state.close();
});

test('the engine can be prepared in one thread and used in another', async () => {
  const data = prepareEngine('1.2.3', engineName);
  const door = new URL('../../src/lua/engine.js', import.meta.url).href;
  const script = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { createEngine } = await import(${JSON.stringify(door)});
    const state = createEngine(workerData).createState({ host: { log: (level, text) => parentPort.postMessage(text), readSource() {} },
      memoryBytes: 1 << 22, directory: '/', path: [], config: {} });
    state.run(Buffer.from('print(require("luafcgid").version, _VERSION)'), '@x');
    state.close();`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), { workerData: data });
  const text = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  assert.equal(text, `1.2.3\t${isLua54 ? 'Lua 5.4' : 'Lua 5.1'}`);
  await new Promise((resolve) => worker.once('exit', resolve));
  const engine = createEngine(data);
  assert.equal(engine.name, engineName);
  assert.match(engine.version, isJit ? /^LuaJIT 2\.1/ : isLua54 ? /^Lua 5\.4$/ : /^Lua 5\.1$/);
});
