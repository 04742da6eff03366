/**
 * Requests that change whatever they reach, at random: the next one in a restored state sees nothing of it (issue 16).
 * A request walks over all that Lua code can reach (tables with their keys and metatables, upvalues, environments, the
 * registry, the metatables of the basic types) and tells it in words, which have to be the same each time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StateImage } from '../../../src/lua/state.js';
import { newState, serve } from '../support.js';

/** The script under test: values of every kind, reachable in every way. */
const SCRIPT = `
local luafcgid, json, template = require("luafcgid"), require("luafcgid.json"), require("luafcgid.template")
local secret, list = { n = 1 }, { 1, 2, 3, { "deep" } }
local weak = setmetatable({}, { __mode = "k" }) weak[secret] = list
local object = setmetatable({}, { __index = secret, __call = function() return list end })
local proxy = newproxy(true) getmetatable(proxy).__index = function(_, key) return secret[key] end
thread = coroutine.create(function() local kept = { "of a thread" } while true do coroutine.yield(kept) end end)
coroutine.resume(thread)
config = { a = { b = { c = {} } }, f = function() secret.n = secret.n + 1 return secret, list, object, proxy, weak end }
own = setfenv(function() return inner end, { inner = {} })

-- Names for things in the order in which they are found; \`visit\` is told of each table and function.
local function walk(visit)
  local getinfo, getupvalue, getmeta, next, type, tostring = debug.getinfo, debug.getupvalue, debug.getmetatable, next, type, tostring
  local seen, queue, count, first = {}, {}, 0, 1
  local function name(value)
    local kind = type(value)
    if kind == "nil" or kind == "boolean" or kind == "number" then return tostring(value) end
    if kind == "string" then return string.format("%q", value) end
    if not seen[value] then
      count = count + 1
      seen[value] = kind .. count
      queue[count] = value
    end
    return seen[value]
  end
  for _, root in ipairs({ "", 0, true, print, thread, _G }) do local m = getmeta(root) if m then name(m) end end
  name(getmeta(nil)) name(_G) name(debug.getregistry())
  while first <= count do
    local value = queue[first]
    first = first + 1
    local kind, fields = type(value), {}
    name(getmeta(value))
    if kind == "table" then
      for key, field in next, value do fields[#fields + 1] = { key, field } end
    elseif kind == "function" then
      for at = 1, 60 do
        local _, upvalue = getupvalue(value, at)
        if _ == nil then break end
        fields[#fields + 1] = { at, upvalue }
      end
    end
    if kind ~= "thread" and kind ~= "string" then local e = debug.getfenv(value) if e then fields[#fields + 1] = { "env", e } end end
    visit(value, fields, name)
  end
end

-- How much there is of everything, and all texts and numbers of it, in no order: names depend on the order of hashes.
local function describe()
  local lines = {}
  walk(function(value, fields, name)
    local words = {}
    for at = 1, #fields do
      local key, field = fields[at][1], fields[at][2]
      name(key) name(field)
      local plain = function(v) local t = type(v) return (t == "string" or t == "number" or t == "boolean") and tostring(v) or t end
      words[at] = plain(key) .. "=" .. plain(field)
    end
    table.sort(words)
    lines[#lines + 1] = type(value) .. " " .. tostring(debug.getmetatable(value) ~= nil) .. " { " .. table.concat(words, ", ") .. " }"
  end)
  table.sort(lines)
  return table.concat(lines, "\\n")
end

local function mutate(seed, changes)
  local random, state = nil, seed
  function random(n) state = (state * 1103515245 + 12345) % 2147483648 return math.floor(state / 65536) % n + 1 end
  local things = {}
  walk(function(value, fields, name)
    for at = 1, #fields do name(fields[at][1]) name(fields[at][2]) end
    things[#things + 1] = value
  end)
  local rawset, setmeta, setupvalue, setfenv, type, next, pcall = rawset, debug.setmetatable, debug.setupvalue, setfenv, type, next, pcall
  local function any() return ({ "leaked", 42, {}, things[random(#things)], function() return "leaked" end, false })[random(6)] end
  for _ = 1, changes do
    local thing = things[random(#things)]
    local way = random(5)
    pcall(function()
      if type(thing) == "table" then
        if way == 1 then rawset(thing, "leak" .. random(1000), any())
        elseif way == 2 then setmeta(thing, { __index = any(), __newindex = any() })
        else
          local keys = {}
          for key in next, thing do keys[#keys + 1] = key end
          if #keys > 0 then rawset(thing, keys[random(#keys)], way == 3 and nil or any()) end
        end
      elseif type(thing) == "function" then
        if way <= 3 then setupvalue(thing, random(4), any()) else setfenv(thing, { leaked = any() }) end
      elseif type(thing) == "thread" then coroutine.resume(thing, any())
      else setmeta(thing, { __index = any() }) end
    end)
  end
end

function main(env, con)
  local query = con:query()
  if query.look then con:puts(describe()) return end
  local puts = con.puts
  mutate(tonumber(query.seed), tonumber(query.changes))
  if query.collect then collectgarbage() end
end`;

test('no change of anything that a request reaches is seen by the next one', () => {
  const { state, run } = newState({ memoryBytes: 64 << 20 });
  run(SCRIPT);
  const image = state.takeImage?.('main') as StateImage;
  assert.equal(typeof image, 'object', String(image));
  const look = () => serve(state, 'main', { params: { QUERY_STRING: 'look=1' } }).body;
  const seen = look();
  assert.ok(seen.split('\n').length > 200, `the walk reaches ${seen.split('\n').length} things`);
  state.restore?.(image);
  assert.equal(look(), seen, 'a walk tells the same each time');
  let failed = 0;
  const changes = fc.record({
    seed: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
    changes: fc.constantFrom(1, 3, 30, 300),
    collects: fc.boolean(),
  });
  fc.assert(
    fc.property(changes, ({ seed, changes, collects }) => {
      state.restore?.(image);
      try {
        const query = `seed=${seed}&changes=${changes}${collects ? '&collect=1' : ''}`;
        serve(state, 'main', { params: { QUERY_STRING: query } });
      } catch {
        failed += 1;
      }
      state.restore?.(image);
      const now = look();
      assert.ok(now === seen, firstDifference(seen, now));
    }),
    { numRuns: 60 },
  );
  assert.ok(failed > 0, 'no request has changed what the server itself needs');
});

function firstDifference(one: string, other: string): string {
  const lines = new Set(one.split('\n'));
  return other.split('\n').find((line) => !lines.has(line)) ?? 'something is missing';
}
