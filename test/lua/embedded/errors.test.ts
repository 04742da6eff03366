import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newRequest, newState, serve } from '../support.js';

test('an exhausted native stack is fatal, and only for its state', () => {
  const { state, run } = newState();
  const other = newState();
  run('function main() return pcall(string.find, ("a"):rep(1000000), (".?"):rep(1000000) .. "b") end');
  const error = luaError(() => serve(state, 'main'));
  assert.equal(error.kind, 'fatal');
  assert.match(error.message, /the native stack is exhausted/);
  const later = luaError(() => serve(state, 'main'));
  assert.equal(later.kind, 'fatal');
  assert.match(later.message, /broken/);
  state.close();
  assert.equal(other.evaluate('1 + 1'), '2');
  other.state.close();
});

test('host functions reached through the debug library check what they are given', () => {
  const { state, run } = newState();
  run(`
    local seen, found, host = {}, {}, nil
    local function search(value)
      if seen[value] then return end
      seen[value] = true
      if type(value) == "table" then
        if type(value.readbody) == "function" then host = value end
        for k, v in next, value do search(k) search(v) end
        if debug.getmetatable(value) then search(debug.getmetatable(value)) end
      elseif type(value) == "function" then
        if debug.getinfo(value, "S").what == "C" then found[value] = true end
        local i = 1
        while true do
          local name, upvalue = debug.getupvalue(value, i)
          if not name then break end
          if upvalue ~= nil then search(upvalue) end
          i = i + 1
        end
        search(debug.getfenv(value))
      end
    end
    function main(env, con)
      search(_G) search(debug.getregistry()) search(con)
      -- traceback counts up from any negative level, in stock Lua too: endless, not harmful.
      local count, left_out = 0, { [host.exit] = true, [debug.traceback] = true }
      local values = { {}, 1e9, -1, 0/0, "text", print, true, con, ("x"):rep(9000) }
      for f in pairs(found) do
        if not left_out[f] then
          count = count + 1
          pcall(f)
          for i = 1, #values do
            pcall(f, values[i]) pcall(f, values[i], values[i]) pcall(f, values[i], -1, values[i], 2)
          end
        end
      end
      host.log("info", tostring(count))
    end`);
  const request = newRequest();
  try {
    state.serve('main', request);
    assert.ok(
      request.calls.some((line) => /^log info 1\d\d$/.test(line)),
      'more than a hundred functions were called',
    );
  } catch (error) {
    // They may well have broken this state's library; what matters is that nothing else breaks.
    assert.equal((error as Error).name, 'LuaError');
  }
  state.close();
  const { evaluate } = newState();
  assert.equal(evaluate('1 + 1'), '2');
});
