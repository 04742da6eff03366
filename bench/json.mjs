/**
 * What `luafcgid.json` costs beside Debian's lua-cjson, in every engine: microseconds of processor time, the least of some rounds.
 * The embedded engine is to be compared with lua-cjson in lua5.1. Not a part of `npm run bench`: `node bench/json.mjs` after a build.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createEngine, prepareEngine } from '../dist/src/lua/engine.js';

const ENGINES = /** @type {const} */ (['embedded', 'lua5.1', 'lua5.4', 'luajit']);
const SCRIPT = `
local json = require("luafcgid.json")
local has_cjson, cjson = pcall(require, "cjson")
if cjson == json or has_cjson and cjson._NAME ~= "cjson" then has_cjson = false end

local small = { id = 17, name = "Ann Example", ok = true, tags = { "a", "b" }, price = 12.5 }
local rows, strings, escapes, integers, floats = {}, {}, {}, {}, {}
for i = 1, 100 do
  rows[i] = { id = i, name = "Name of row " .. i, email = "user" .. i .. "@example.org", active = i % 2 == 0,
    score = i * 1.25, note = "some words that are longer than others and go on " .. i, group = "g" .. i % 7 }
end
for i = 1, 2000 do strings[i], integers[i], floats[i] = "string number " .. i, i * 7, i / 7 end
for i = 1, 500 do escapes[i] = 'He said "no' .. i .. '"\\n<a href="/x">\\195\\164</a>' end
local cases = { { "small object", small, 300 }, { "100 records", rows, 6 }, { "2,000 strings", strings, 6 },
  { "500 strings with escapes", escapes, 10 }, { "2,000 whole numbers", integers, 6 }, { "2,000 fractions", floats, 3 } }

local clock = os.clock
local function cost(run, value, count)
  for _ = 1, 10 * count do run(value) end
  collectgarbage()
  local least = math.huge
  for _ = 1, 15 do
    local start = clock()
    for _ = 1, count do run(value) end
    least = math.min(least, (clock() - start) / count * 1e6)
  end
  return least
end

function report()
  for _, case in ipairs(cases) do
    local name, value, count = case[1], case[2], case[3]
    local text = json.encode(value)
    local line = string.format("%-24s %6d bytes", name, #text)
    for _, what in ipairs({ "encode", "decode" }) do
      local input = what == "encode" and value or text
      local own = cost(json[what], input, count)
      line = line .. string.format("   %s %8.1f", what, own)
      if has_cjson then
        local other = cost(cjson[what], input, count)
        line = line .. string.format(" (cjson %7.1f, x %5.2f)", other, own / other)
      end
    end
    print(line)
  end
end
report()`;

const wanted = ENGINES.find((name) => name === process.argv[2]);
if (wanted === undefined) {
  const file = fileURLToPath(import.meta.url);
  for (const name of ENGINES) spawnSync(process.execPath, [file, name], { stdio: 'inherit' });
} else {
  const state = createEngine(prepareEngine('2.0.0', wanted)).createState({
    host: { log: (_level, text) => process.stdout.write(`${text}\n`), readSource: () => undefined },
    memoryBytes: 1 << 30,
    directory: '/',
    path: [],
    config: {},
  });
  process.stdout.write(`${wanted}\n`);
  state.run(Buffer.from(SCRIPT, 'latin1'), '@bench/json.lua');
  state.close();
}
