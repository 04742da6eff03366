import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, luaError, newState, serve } from './support.js';

const survive = 'survived = true con:puts("not reached")';

test('os.exit ends the request, wherever it is called', async (t) => {
  const places: [name: string, source: string][] = [
    ['in the handler', `os.exit(7) ${survive}`],
    ['in pcall', `pcall(os.exit, 7) ${survive}`],
    ['in nested pcalls', `pcall(pcall, pcall, os.exit, 7) ${survive}`],
    ['in a loop of pcalls', 'while true do pcall(os.exit, 7) end'],
    ['in xpcall', `xpcall(function() os.exit(7) end, function(e) return e end) ${survive}`],
    ['in a message handler', `xpcall(error, function() os.exit(7) end) ${survive}`],
    ['in a coroutine', `coroutine.resume(coroutine.create(function() os.exit(7) end)) ${survive}`],
    ['in a wrapped coroutine', `coroutine.wrap(function() os.exit(7) end)() ${survive}`],
    ['in a wrapped coroutine in pcall', `pcall(coroutine.wrap(function() pcall(os.exit, 7) end)) ${survive}`],
    [
      'in coroutines in coroutines',
      `local function deep(n)
        if n == 0 then pcall(os.exit, 7) end
        local co = coroutine.create(deep)
        while true do pcall(coroutine.resume, co, n - 1) end
      end
      deep(20) ${survive}`,
    ],
    ['in a metamethod', `local x = setmetatable({}, {__index = function() os.exit(7) end}).y ${survive}`],
    ['in a sort', `pcall(table.sort, {3, 2, 1}, function() os.exit(7) end) ${survive}`],
    ['in gsub', `pcall(string.gsub, "aaa", "a", function() pcall(os.exit, 7) end) ${survive}`],
    ['in an iterator', `for k in function() os.exit(7) end do end ${survive}`],
    ['in tostring', `print(setmetatable({}, {__tostring = function() os.exit(7) end})) ${survive}`],
    ['in a reader of load', `load(function() os.exit(7) end) ${survive}`],
    ['in a debug hook', `debug.sethook(function() debug.sethook() os.exit(7) end, "l")\nlocal x = 1\n${survive}`],
    [
      'in a module being loaded',
      `package.preload.m = function() os.exit(7) end package.loaded.m = nil pcall(require, "m") ${survive}`,
    ],
    ['twice; the first code counts', `pcall(os.exit, 7) os.exit(8)`],
    [
      'and the hook that does it cannot be removed',
      `xpcall(function() os.exit(7) end, function() debug.sethook() end) debug.sethook() ${survive}`,
    ],
  ];
  for (const [name, source] of places) {
    await t.test(name, () => {
      const { state, run } = newState();
      run(`count = 0
        function main(env, con) count = count + 1 con:puts("said") ${source}\nend
        function after(env, con)
          for i = 1, 1000 do count = count + 0 end
          con:puts(count, tostring(survived), tostring(coroutine.resume(coroutine.create(function() end))))
        end`);
      for (let time = 1; time <= 2; time += 1) {
        const { body, exitCode } = serve(state, 'main');
        assert.deepEqual({ body, exitCode }, { body: 'said', exitCode: 7 });
        assert.equal(serve(state, 'after').body, `${time}niltrue`);
      }
      state.close();
    });
  }
});

test('the exit code is what os.exit was given', () => {
  const { state, run } = newState();
  run(`${compatible}function main(env, con) os.exit(loadstring("return " .. env.CODE)()) end`);
  for (const [code, expected] of [
    ['', 0],
    ['nil', 0],
    ['true', 0],
    ['false', 1],
    ['0', 0],
    ['255', 255],
    ['-1', -1],
    ['3.7', 3],
    ['"4"', 4],
  ] as const) {
    assert.equal(serve(state, 'main', { params: { CODE: code } }).exitCode, expected, code);
  }
  assert.match(
    luaError(() => serve(state, 'main', { params: { CODE: '{}' } })).message,
    /bad argument #1 to 'exit' \(number expected, got table\)/,
  );
  state.close();
});

test('a hook that the script had set works on after an exit', () => {
  const { state, run } = newState();
  run(`lines = 0
    debug.sethook(function() lines = lines + 1 end, "l")
    function main() os.exit() end
    function count(env, con)
      local before = lines
      local x = 1
      con:puts(tostring(lines > before))
    end`);
  serve(state, 'main');
  assert.equal(serve(state, 'count').body, 'true');
  state.close();
});

test('os.exit while a script loads is an error of the load', () => {
  const { state, run } = newState();
  const error = luaError(() => run('x = 1 pcall(os.exit, 3) x = 2'));
  assert.equal(error.kind, 'runtime');
  assert.equal(error.message, 'the script called os.exit(3) at its top level; only a request can be ended that way');
  run('function main(env, con) con:puts(x) end function hook() os.exit() end');
  assert.equal(serve(state, 'main').body, '1');
  assert.match(luaError(() => state.call('hook')).message, /os.exit\(0\) outside of a request/);
  assert.equal(serve(state, 'main').body, '1');
  state.close();
});

test('os.exit in a debug hook ends the request with its code, though the hook stays (attacks F13.2)', () => {
  const { state, run } = newState();
  run(
    'function main(env, con) con:puts("said") debug.sethook(function() os.exit(7) end, "cr") tostring(1) error("went on") end',
  );
  const { body, exitCode } = serve(state, 'main');
  assert.deepEqual({ body, exitCode }, { body: 'said', exitCode: 7 });
  state.close();
});
