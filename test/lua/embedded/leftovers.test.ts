/** A machine that is used again carries nothing of the script before (attacks F5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbeddedState } from '../../../src/lua/embedded/state.js';
import { luaError, newState, serve } from '../support.js';

/** Ways to leave a text on the C stack, in the heap and in the static data. The text is put together when it runs. */
const PLACES = `
  local function secret() return "S3CRET" .. tostring(17 * 3) .. "TERCES" end
  local function through(work) return function(n) if n > 0 then work(n) end return secret() end end
  local nested
  nested = through(function(n) return (("a"):gsub("a", function(c) return nested(n - 1) .. secret() end)) end) nested(60)
  nested = through(function(n) return coroutine.wrap(function() return nested(n - 1) .. secret() end)() end) nested(60)
  nested = through(function(n) return select(2, pcall(nested, n - 1)) .. secret() end) nested(60)
  nested = through(function(n) return tostring(setmetatable({}, { __tostring = function() return nested(n - 1) .. secret() end })) end)
  nested(90)
  nested = through(function(n) table.sort({ 2, 1 }, function(a, b) nested(n - 1) return a < b end) return secret() end) nested(90)
  pcall(error, secret()) pcall(string.rep, secret(), -1, secret()) pcall(loadstring, "return '" .. secret() .. "'")
  ;(secret() .. "x"):find("(S.-)(T.*)x") string.format("%-50s %q %s", secret(), secret(), secret())
  table.concat({ secret(), secret() }, secret()) os.date(secret()) io.open(secret(), "r") os.rename(secret(), secret())
  os.getenv(secret()) loadstring(secret() .. " = ") xpcall(function() error(secret()) end, function(m) return debug.traceback(m) end)
  kept = { [secret()] = { secret() } } io.write(secret(), "\\n") con:header("X-A", secret()) con:puts(secret())
  collectgarbage() kept2 = secret():rep(50)`;
const SECRET = 'S3CRET51TERCES';

function memoryOf(state: unknown): Buffer {
  assert.ok(state instanceof EmbeddedState);
  return state.machine.memory;
}

test('the memory of a machine that is used again holds nothing of what the last script put everywhere', () => {
  const first = newState({ memoryBytes: 8 << 20 });
  first.run(`function main(env, con) ${PLACES} end`);
  serve(first.state, 'main', { params: { QUERY_STRING: SECRET } });
  const used = memoryOf(first.state);
  assert.ok(used.indexOf(SECRET) >= 0, 'the secret lies in the memory while its script is there');
  first.state.close();
  const second = newState({ memoryBytes: 8 << 20 });
  const again = memoryOf(second.state);
  assert.equal(again.buffer, used.buffer, 'the machine is used again');
  assert.equal(again.indexOf('S3CRET'), -1);
  assert.equal(again.indexOf('TERCES'), -1);
  second.state.close();
});

test('a used machine is, byte for byte, like a new one', () => {
  const fresh = newState({ memoryBytes: 8 << 20 });
  const used = newState({ memoryBytes: 8 << 20 });
  used.run(`function main(env, con) ${PLACES} end`);
  serve(used.state, 'main');
  const { buffer } = memoryOf(used.state);
  used.state.close();
  const again = newState({ memoryBytes: 8 << 20 });
  assert.equal(memoryOf(again.state).buffer, buffer);
  // What differs is what each state is told when it begins: the seed of its random numbers.
  const [one, other] = [memoryOf(fresh.state), memoryOf(again.state)];
  let differing = 0;
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) if (one[at] !== other[at]) differing += 1;
  assert.ok(differing < 200, `${differing} bytes differ`);
  assert.ok(other.subarray(one.length).every((byte) => byte === 0));
  fresh.state.close();
  again.state.close();
});

test('debug.getinfo takes no option that has it read the stack', () => {
  const { state, run } = newState();
  run('function main(env, con) debug.getinfo(1, ">S", 12345) end');
  assert.match(luaError(() => serve(state, 'main')).message, /bad argument #2 to 'getinfo' \(invalid option/);
  state.close();
});
