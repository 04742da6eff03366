import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import {
  allBytes,
  compatible,
  inGlobal,
  isLua54,
  isPlain51,
  luaError,
  newState,
  serve,
  serveSource,
} from './support.js';

test('an error of any shape has a message and a traceback; of a table, its fields (users D9)', async (t) => {
  const { state, run } = newState();
  const shapes: [source: string, message: string | RegExp][] = [
    ['error("boom")', '/srv/script.lua:2: boom'],
    ['error("boom", 0)', 'boom'],
    ['error("")', '/srv/script.lua:2: '],
    // Lua 5.4 adds no place to numbers.
    ['error(5)', isLua54 ? '5' : '/srv/script.lua:2: 5'],
    ['error()', 'error object is a nil value'],
    ['error(nil)', 'error object is a nil value'],
    ['error({})', 'error object is a table value: {}'],
    ['error({ code = 42, why = "none" })', 'error object is a table value: { code = 42, why = "none" }'],
    [
      'error({ { 1 }, print, [true] = 5 })',
      'error object is a table value: { [1] = table, [2] = function, [boolean] = 5 }',
    ],
    ['error(true)', 'error object is a boolean value'],
    ['error(print)', 'error object is a function value'],
    ['error(coroutine.create(print))', 'error object is a thread value'],
    ['error(io.stdout)', 'file (stdout)'],
    ['error(setmetatable({}, {__tostring = function() return "mine" end}))', 'mine'],
    [
      'error(setmetatable({}, {__tostring = function() return {} end}))',
      isLua54
        ? "error object is a table value whose __tostring fails: '__tostring' must return a string"
        : 'error object is a table value whose __tostring fails: it returns no string',
    ],
    [
      'error(setmetatable({}, {__tostring = function() error({}) end}))',
      'error object is a table value whose __tostring fails: error object is a table value: {}',
    ],
    [
      'local t t = setmetatable({}, {__tostring = function() error(t) end}) error(t)',
      'error object is a table value whose __tostring fails: error object is a table value with a __tostring',
    ],
    ['error(setmetatable({}, {__tostring = 5}))', /__tostring fails: attempt to call a number value/],
    ['error(setmetatable({}, {__metatable = {}, __tostring = function() return "hidden" end}))', 'hidden'],
    [
      'local x = nil; x.y = 1',
      isLua54
        ? "/srv/script.lua:2: attempt to index a nil value (local 'x')"
        : "/srv/script.lua:2: attempt to index local 'x' (a nil value)",
    ],
    ['return 1 .. {}', '/srv/script.lua:2: attempt to concatenate a table value'],
    ['string.rep()', "/srv/script.lua:2: bad argument #1 to 'rep' (string expected, got no value)"],
    ['assert(false)', '/srv/script.lua:2: assertion failed!'],
    [
      'assert(nil, {})',
      isPlain51 ? /bad argument #2 to 'assert'/ : /error object is a table value|bad argument #2 to 'assert'/,
    ],
    ['error(env.BYTES, 0)', allBytes],
  ];
  for (const [source, message] of shapes) {
    await t.test(source, () => {
      run(`function main(env, con)\n${source}\nend`);
      const error = luaError(() => serve(state, 'main', { params: { BYTES: allBytes } }));
      assert.equal(error.kind, 'runtime');
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
      assert.match(error.traceback, /^stack traceback:\n/);
      assert.ok(error.traceback.endsWith(`\t/srv/script.lua:2: ${inGlobal('main', 1)}`), error.traceback);
      run('function main(env, con) con:puts("alive") end');
      assert.equal(serve(state, 'main').body, 'alive');
    });
  }
  state.close();
});

test('the traceback names the functions of the script and none of the engine', () => {
  const { state, run } = newState();
  run(`local function inner() error("deep") end
local function middle(con) inner() end
function main(env, con)
  middle(con)
end
function bad_puts(env, con)
  con:puts({})
end`);
  assert.equal(
    luaError(() => serve(state, 'main')).traceback,
    [
      'stack traceback:',
      "\t[C]: in function 'error'",
      `\t/srv/script.lua:1: in ${isLua54 ? 'upvalue' : 'function'} 'inner'`,
      `\t/srv/script.lua:2: in ${isLua54 ? 'upvalue' : 'function'} 'middle'`,
      `\t/srv/script.lua:4: ${inGlobal('main', 3)}`,
    ].join('\n'),
  );
  assert.equal(
    luaError(() => serve(state, 'bad_puts')).traceback,
    `stack traceback:\n\t/srv/script.lua:7: ${inGlobal('bad_puts', 6)}`,
  );
  assert.equal(
    luaError(() => run('\n\nerror("top")')).traceback,
    "stack traceback:\n\t[C]: in function 'error'\n\t/srv/script.lua:3: in main chunk",
  );
  state.close();
});

test('a script that does not compile is a syntax error with its line', () => {
  const { state, run } = newState();
  const error = luaError(() => run('x = 1\ny = = 2'));
  assert.equal(error.kind, 'syntax');
  assert.equal(error.message, "/srv/script.lua:2: unexpected symbol near '='");
  run('z = 3');
  state.close();
});

test('a handler that does not exist, or is no function', () => {
  const { state, run } = newState();
  run('number = 5 callable = setmetatable({}, {__call = function(self, env, con) con:puts("called") end})');
  assert.equal(luaError(() => serve(state, 'main')).message, "there is no function 'main': the global is a nil value");
  assert.equal(
    luaError(() => serve(state, 'number')).message,
    "there is no function 'number': the global is a number value",
  );
  assert.equal(serve(state, 'callable').body, 'called');
  assert.deepEqual(
    ['main', 'number', 'callable', 'print'].map((name) => state.hasFunction(name)),
    [false, false, true, true],
  );
  assert.equal(luaError(() => state.call('main')).message, "there is no function 'main': the global is a nil value");
  state.close();
});

test('endless recursion, nested calls and nested errors are errors of the script', async (t) => {
  const { state, run } = newState();
  const cases: [source: string, message: RegExp][] = [
    ['local function f() return 1 + f() end f()', /stack overflow/],
    ['local function f() f() f() end f()', /stack overflow/],
    ['local function f() string.gsub("a", "a", f) end f()', /C stack overflow/],
    ['local function f() return coroutine.wrap(f)() end f()', /C stack overflow/],
    [
      'local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x',
      /stack overflow/,
    ],
    [
      'local t = setmetatable({}, {__tostring = function(t) local s = tostring(t) return s end}) error(t)',
      /stack overflow/,
    ],
    ['local function f() local ok, e = pcall(f) error(e, 0) end f()', /stack overflow/],
    ['xpcall(error, function() error() end) error("after")', /after/],
    ['return loadstring("return " .. ("("):rep(1000) .. "1")()', /attempt to call a nil value/],
  ];
  for (const [source, message] of cases) {
    await t.test(source, () => {
      run(`${compatible}function main(env, con) ${source} end`);
      const error = luaError(() => serve(state, 'main'));
      assert.match(error.message, message);
      assert.equal(error.kind, 'runtime');
      assert.match(error.traceback, /stack traceback/);
      run('function main(env, con) con:puts("alive") end');
      assert.equal(serve(state, 'main').body, 'alive');
    });
  }
  state.close();
});

test('the traceback of a very deep stack is that of a deep one', () => {
  const { state, run } = newState();
  // Calls of every kind, where the stack begins and where it ends; what lies between is left out.
  run(`${compatible}
local t = {}
function t.field(n) error("deep", n) end
local function inner() pcall(error) local up = t.field up() end
local function down(n)
  if n == 0 then loadstring("local f = ... f()", "=chunk")(function() (function() t.last() end)() end) end
  down(n - 1)
  return n
end
function t.last() inner() end
function main(env, con) string.gsub("x", "x", function() down(tonumber(env.DEPTH)) end) end`);
  const tracebackAt = (depth: number): string => {
    const error = luaError(() => serve(state, 'main', { params: { DEPTH: String(depth) } }));
    assert.match(error.message, /deep/);
    return error.traceback.replace(/skipping \d+ levels/, 'skipping levels');
  };
  const deep = tracebackAt(100);
  assert.match(deep, /\n\s*\.\.\./);
  assert.equal(tracebackAt(5_000), deep);
  state.close();
});

test('a closed state says so', () => {
  const { state } = newState();
  state.close();
  state.close();
  assert.match(luaError(() => state.call('x')).message, /the Lua state is closed/);
});

test('an error of the host is a Lua error at the place of the call', async (t) => {
  const cause = new LuafcgidError('LUAFCGID_FCGI_PARAMS', { detail: 'é for a test' });
  const text = Buffer.from(cause.message).toString('latin1');
  const fail = () => {
    throw cause;
  };
  const override = {
    write: fail,
    header: fail,
    headerLine: fail,
    status: fail,
    flush: fail,
    reset: fail,
    finish: fail,
    readBody: fail,
    log: fail,
    configure: fail,
  };
  const calls = [
    'con:puts(("x"):rep(50000))',
    'for i = 1, 1000 do con:puts("x") end',
    'con:config("buffering", false)',
    'con:header("a", "b")',
    'con:header("a: b")',
    'con:status(200)',
    'con:type("a/b")',
    'con:redirect("/")',
    'con:cookie("a", "b")',
    'con:flush()',
    'con:reset()',
    'con:finish()',
    'con:gets()',
    'con:gets(5)',
    'con:form()',
    'con:log("x")',
  ];
  const params = { CONTENT_TYPE: 'application/x-www-form-urlencoded' };
  for (const call of calls) {
    await t.test(call, () => {
      const error = luaError(() => serveSource(`\n${call}`, { override, params }));
      assert.equal(error.kind, 'runtime');
      assert.equal(error.message, `/srv/script.lua:2: ${text}`);
      assert.equal(error.hostError, cause);
      assert.match(error.traceback, /script.lua:2: in function/);
    });
  }
  await t.test('when the last output is handed over', () => {
    const error = luaError(() => serveSource('con:puts("x")', { override }));
    assert.equal(error.message, text);
    assert.equal(error.hostError, cause);
  });
  await t.test('caught, it leaves the request as it is', () => {
    const caught = serveSource('local ok, e = pcall(con.gets, con) con:puts(tostring(ok), " ", e)', {
      override: { readBody: fail },
    });
    assert.equal(caught.body, `false ${text}`);
  });
  await t.test('caught and followed by another error, it is not to blame', () => {
    const error = luaError(() => serveSource('pcall(con.gets, con) error("own")', { override: { readBody: fail } }));
    assert.equal(error.message, '/srv/script.lua:1: own');
    assert.equal(error.hostError, undefined);
  });
  await t.test('thrown again, it is', () => {
    const source = 'local ok, e = pcall(con.gets, con) error(e, 0)';
    assert.equal(luaError(() => serveSource(source, { override: { readBody: fail } })).hostError, cause);
  });
  await t.test('when it is no error of the catalogue', () => {
    const other = new TypeError('bug');
    const override = {
      flush() {
        throw other;
      },
    };
    const error = luaError(() => serveSource('con:flush()', { override }));
    assert.equal(error.message, '/srv/script.lua:1: bug');
    assert.equal(error.hostError, other);
  });
});

test('output from before an error is handed over before the error is reported', () => {
  const { state, run } = newState();
  run('function main(env, con) con:puts("so far") error("boom") end');
  const written: string[] = [];
  const override = { write: (bytes: Uint8Array) => written.push(Buffer.from(bytes).toString('latin1')) };
  assert.throws(() => serve(state, 'main', { override }), { message: '/srv/script.lua:1: boom' });
  assert.deepEqual(written, ['so far']);
  state.close();
});

test('a script that wrecks the registry gets errors, not the process', () => {
  const { state, run } = newState();
  run('for key in pairs(debug.getregistry()) do if type(key) == "number" then debug.getregistry()[key] = nil end end');
  assert.equal(luaError(() => serve(state, 'main')).kind, 'runtime');
  state.close();
});

test('a misspelt method of con is told with the right one', () => {
  for (const [call, hint] of [
    ['con:put("x")', 'did you mean con:puts?'],
    ['con.putz("x")', 'did you mean con:puts?'],
    ['con:coookie("a", "b")', 'did you mean con:cookie?'],
    ['con:redirekt("/")', 'did you mean con:redirect?'],
  ] as const) {
    const { message } = luaError(() => serveSource(call));
    assert.match(message, /attempt to call/, call);
    assert.ok(message.endsWith(`; ${hint}`), message);
  }
  for (const call of [
    'con:render("x")',
    'local x = {} x:nothing()',
    '(function() local other = {} other:put() end)()',
    'con.puts.x()',
  ]) {
    assert.doesNotMatch(luaError(() => serveSource(call)).message, /did you mean/, call);
  }
});
