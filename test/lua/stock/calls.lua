-- Calls every function of Lua's library with many lists of arguments and emits a line for each call: what was called, and
-- what came of it. The test beside this file runs it in a stock interpreter and in a state of the server, and compares.
-- `emit` takes a line; without one they are printed.

local emit = emit or function(line) io.stdout:write(line, "\n") end

local type, tostring, pcall, select, pairs = type, tostring, pcall, select, pairs
local format, gsub, concat, sort = string.format, string.gsub, table.concat, table.sort
local unpack = unpack or table.unpack
local is_integer = math.type or function() return "float" end

---- how values are written ----

local function quote(text)
  return '"' .. gsub(text, '[%c"\\\127-\255]', function(c) return format("\\%03d", c:byte()) end) .. '"'
end

local show

local function show_table(value)
  local lines = {}
  for key, field in pairs(value) do lines[#lines + 1] = show(key) .. "=" .. show(field) end
  sort(lines)
  return "{" .. concat(lines, ",") .. "}"
end

function show(value)
  local kind = type(value)
  if kind == "number" then
    if value ~= value then return "nan" end
    if is_integer(value) == "integer" then return format("%d", value) end
    return format("%.17g", value)
  end
  if kind == "string" then return quote(value) end
  if kind == "table" and value == _G then return "_G" end
  if kind == "table" then return show_table(value) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  return kind
end

local function show_all(...)
  local shown = {}
  for i = 1, select("#", ...) do shown[i] = show((select(i, ...))) end
  return concat(shown, ", ")
end

local function show_results(ok, ...)
  if ok then return "gives " .. show_all(...) end
  local message = ...
  if type(message) ~= "string" then return "raises " .. show(message) end
  -- Chunk names and addresses differ from run to run.
  message = gsub(message, "0x%x+", "ADDRESS")
  return "raises " .. quote(message)
end

local function call(name, work, ...)
  local shown = show_all(...)
  emit(name .. "(" .. shown .. ") " .. show_results(pcall(work, ...)))
end

---- values ----

local huge, nan = math.huge, 0 / 0
local none = {}

local function some_table() return { 10, 20, 30, x = "field" } end
local function some_function(...) return ... end
local some_thread = coroutine.create(some_function)

-- `make` gives a new value where a call may change it.
local function make(value)
  if value == some_table then return some_table() end
  return value
end

local numbers = {
  -1, 0, 1, 2, 3, 10, 36, 3.7, -0.5, 255, 256, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 31 + 1, -2 ^ 31, -2 ^ 31 - 1, 2 ^ 32 - 1, 2 ^ 32, 2 ^ 32 + 2,
  -2 ^ 32 + 2, 2 ^ 53, 2 ^ 63, -2 ^ 63, 2 ^ 64, 1e300, huge, -huge,
}
local texts = { "", "abc", "hello world", "10", "0x10", " 7 ", "3000000000", "1f00000000", "-5", "1e10", "0x", "%d", "a\0b", "n", "*t" }
local others = { none, true, false, some_table, some_function, some_thread }

local values = { n = 0 }
local function add(list)
  for i = 1, #list do
    values.n = values.n + 1
    values[values.n] = list[i]
  end
end
add(others) add(numbers) add(texts)
values.n = values.n + 1 -- nil

local function each_value(visit)
  for i = 1, values.n do
    local value = values[i]
    if value == none then visit(0) else visit(1, make(value)) end
  end
end

-- All calls of a function with nothing, with each value, and with each value after some first arguments.
local function try(name, work, firsts)
  if not work then return end
  call(name, work)
  if not firsts or firsts.alone ~= false then
    each_value(function(count, value) if count == 1 then call(name, work, value) end end)
  end
  for _, first in pairs(firsts or {}) do
    if type(first) == "table" then
      local length = first.n or #first
      each_value(function(count, value)
        local arguments = {}
        for i = 1, length do arguments[i] = make(first[i]) end
        if count == 1 then arguments[length + 1] = value end
        call(name, work, unpack(arguments, 1, length + count))
      end)
    end
  end
end

---- the libraries ----

local function nothing() end

-- Pairs, so that both runs call in the same order.
local function all(library, list)
  for i = 1, #list, 2 do
    try(library .. list[i], (library == "" and _G or _G[library:sub(1, -2)])[list[i]], list[i + 1] or nil)
  end
end

all("string.", {
  "byte", { { "hello" }, { "hello", 2 }, { "hello", -3 }, { "hello", 2 ^ 31 } },
  "char", { { 65 }, { 65, 66 } },
  "find", { { "hello", "l" }, { "hello", "(l)(.)" }, { "hello", "l", 1 }, { "a.b", ".", 2 } },
  "format", {
    { "%d" }, { "%i" }, { "%u" }, { "%x" }, { "%X" }, { "%o" }, { "%c" }, { "%e" }, { "%g" }, { "%.3f" }, { "%s" }, { "%q" }, { "%5d" },
    { "%-12d|" }, { "%+d" }, { "% d" }, { "%#x" }, { "%#o" }, { "%020d" }, { "%.0d" }, { "%.30d" }, { "%5.3s|" }, { "%10.4x|" }, { "%s %d" },
    { "%d %s", 1 }, { "%x %d", 2 ^ 40 }, { "%%%d" }, { "%y" }, { "%" }, { "%123d" }, { "%.123d" }, { "%0000005d" }, { "%5" },
  },
  "gmatch", { { "hello", "l" } },
  "gsub", { { "hello", "l", "L" }, { "hello", "l" }, { "hello", "(l)", "%1%1" }, { "hello", "l", some_table } },
  "len", {},
  "lower", {},
  "match", { { "hello", "l+" }, { "hello", "()l", 2 } },
  "reverse", {},
  "sub", { { "hello" }, { "hello", 2 }, { "hello", -3 }, { "hello", 2 ^ 31 }, { "hello", -2 ^ 32 } },
  "upper", {},
  "pack", {}, "packsize", {}, "unpack", {},
})
-- Some of these would be as long as memory is large.
for _, times in pairs({ -1, 0, 3, 2.5, -2 ^ 31, -2 ^ 32, -huge, "3", true }) do call("string.rep", string.rep, "ab", times) end
for _, value in pairs({ true, some_function }) do call("string.rep", string.rep, value, 2) end
call("string.rep", string.rep, 12, 2)
call("string.rep", string.rep, "ab")
call("string.rep", string.rep)
if not math.type then
  for _, times in pairs({ 2 ^ 32, 2 ^ 32 + 2, 2 ^ 63, nan }) do call("string.rep", string.rep, "ab", times) end
end

all("table.", {
  "concat", { { some_table }, { some_table, "," }, { some_table, ",", 2 }, { some_table, ",", 3 } },
  "getn", {},
  "insert", { { some_table }, { some_table, 2 } },
  "maxn", {},
  "pack", {},
  "remove", { { some_table }, { {} } },
  "foreach", { { some_table } },
  "foreachi", { { some_table } },
  "setn", { { some_table } },
})
-- LuaJIT would move two thousand million values for the first of these.
for _, position in pairs({ not jit and 2 ^ 32 + 2 or 3, 1, 2, 4, -1, 0 }) do
  local list = some_table()
  call("table.insert", function(...) table.insert(...) return list end, list, position, "new")
end
local small = { -1, 0, 1, 2, 4, 2 ^ 32 + 1, 2 ^ 32 + 3, 3.7, "2", true }
for _, from in pairs(small) do
  for _, to in pairs(small) do
    local name = _G.unpack and "unpack" or "table.unpack"
    if not (type(from) == "number" and from > 2 ^ 31 and math.type) then
      call(name, unpack, some_table(), from, to)
      call("table.concat", table.concat, some_table(), "-", from, to)
    end
  end
end

all("math.", {
  "abs", {}, "acos", {}, "asin", {}, "atan", { { 1 } }, "atan2", { { 1 } }, "ceil", {}, "cos", {}, "cosh", {}, "deg", {}, "exp", {}, "floor", {},
  "fmod", { { 7 }, { -7 } }, "frexp", {}, "ldexp", { { 1 }, { 0.5 } }, "log", { { 8 } }, "log10", {}, "max", { { 1 } }, "min", { { 1 } }, "mod", { { 7 } },
  "modf", {}, "pow", { { 2 } }, "rad", {}, "sin", {}, "sinh", {}, "sqrt", {}, "tan", {}, "tanh", {}, "tointeger", {}, "type", {}, "ult", { { 1 } },
})
local function drawn(...)
  local value = math.random(...)
  local low, high = ...
  if not high then low, high = 1, low end
  return type(value), value >= (low or 0), value <= (high or 1)
end
try("math.random", drawn, { { 1 }, { 0 }, { -2 ^ 31 } })

all("os.", {
  "difftime", { { 2 ^ 40 }, { 0 } },
  "getenv", { { "LUAFCGID_NOT_SET" }, alone = false },
  "setlocale", {},
})
for _, form in pairs({ "!%c", "!*t", "!%Y-%m-%d %H:%M:%S", "!%j %U %W %w %y %p %I", "%c", "*t", "%x %X", "" }) do try("os.date", os.date, { { form }, alone = false }) end
for _, year in pairs({ 1, 1900, 1970, 2000, 2038, 2106, 5000, 2 ^ 31 - 1, 2 ^ 31 + 1900, 2 ^ 32 + 2000, "2000", true, none }) do
  call("os.time", os.time, { year = year ~= none and year or nil, month = 2, day = 30, hour = 25, min = -1, sec = 61 })
end
call("os.time", os.time, { year = 2000, month = 13, day = 0 })
call("os.time", os.time, { year = 2000, month = 1 })
call("os.time", os.time, "x")

all("", {
  "assert", { { true } }, "error", { { "message" }, { some_table } }, "getmetatable", {}, "ipairs", {}, "next", { { some_table } }, "pairs", {},
  "pcall", {}, "rawequal", { { 1 } }, "rawget", { { some_table } }, "rawset", { { some_table }, { some_table, "k" } }, "rawlen", {},
  "select", { { 1, "a", "b", alone = false }, alone = false }, "setmetatable", { { some_table } },
  "tonumber", {
    { "10" }, { "ff" }, { "ffffffffff" }, { "-ff" }, { " zz " }, { "0xff" }, { 10 }, { "" }, { "1f00000000000000000" }, { "7fffffff" }, { "80000000" },
    { "1e1" },
  },
  "tostring", {}, "type", {}, "xpcall", { { some_function } }, "newproxy", { { true } },
})
for _, which in pairs({ "#", 1, 2, 3, 4, -1, -3, -4, 0, 2 ^ 31, 2 ^ 32, 2 ^ 32 + 1, 2 ^ 32 + 2, 2 ^ 63, huge, "2", "x", true }) do
  call("select", select, which, "a", "b", "c")
end
for base = 0, 37 do
  for _, text in pairs({ "1", "10", "11111111111111111111111111111111111", "zz", "7fffffff", "-1", " 12 ", "1 2", "1\0", "+7", "--7", "0x7" }) do
    call("tonumber", tonumber, text, base)
  end
end
for _, text in pairs({ "0x", "0xg", "-0x", " 0x ", "0x1p4", "1e", "1e+", ".", ".5", "5.", "0x.8", "inf", "nan", "1_0", "١", "0b1" }) do
  call("tonumber", tonumber, text)
  call("arithmetic", function(value) return value + 0 end, text)
end
for _, chunk in pairs({ "return 1", "x = = 1", "", "return ...", 5, true }) do
  call("load", load, chunk)
  if loadstring then call("loadstring", loadstring, chunk) end
  if loadstring then call("loadstring", loadstring, chunk, "=name") end
  call("load", load, chunk, "=name")
  call("load", load, function() return nil end)
  call("load", load, function() return {} end, "=name")
  call("load", load, function() error("reader") end, "=name")
end
local pieces = { "return ", 5, "" }
call("load", load, function() return table.remove(pieces, 1) end)
call("load", load)
call("load", load, nil)
if loadstring then call("loadstring", loadstring) end
if not loadstring then
  for _, mode in pairs({ "t", "b", "bt", "x", 5 }) do call("load", load, "return 1", "=name", mode) end
end
call("loadfile", loadfile, "/no/such/file.lua")
call("dofile", dofile, "/no/such/file.lua")
try("getfenv", getfenv and function(...) return type(getfenv(...)) end, nil)
try("setfenv", setfenv, { { some_thread }, { print }, { pcall }, { pairs }, { load }, { coroutine.wrap(nothing) }, alone = false })

all("coroutine.", { "create", {}, "resume", {}, "status", {}, "wrap", {}, "isyieldable", nil, "close", {} })
call("coroutine.running", coroutine.running)
call("coroutine.yield", function() return coroutine.wrap(coroutine.yield)(1, nil, 2) end)
if utf8 then all("utf8.", { "char", {}, "codepoint", { { "abc" } }, "len", { { "abc" } }, "offset", { { "abc" } }, "codes", {} }) end
if bit then all("bit.", { "tobit", {}, "band", { { 255 } }, "bor", { { 255 } }, "bnot", {}, "lshift", { { 1 } }, "rshift", { { -1 } }, "tohex", { { 255 } } }) end

try("io.type", io.type)
try("io.lines", io.lines, { alone = false })
call("io.lines", io.lines, "/no/such/file")
call("io.open", io.open)
call("io.open", io.open, {})
call("io.open", io.open, "/no/such/file")
call("io.input", io.input, "/no/such/file")
call("io.input", io.input, {})
call("io.output", io.output, true)
call("io.close", io.close, 5)
call("io.close", io.close, {})
call("io.write", io.write, {})
call("io.write", io.write, "", nil)
call("io.read", io.read, "*x")
call("io.read", io.read, {})
call("io.popen", io.popen)
call("os.remove", os.remove)
call("os.remove", os.remove, "/no/such/file")
call("os.rename", os.rename, "/no/such/file")
call("os.rename", os.rename, "/no/such/file", "/no/such/file2")
call("require", require)
call("require", require, {})
call("print", print, setmetatable({}, { __tostring = function() return 5 end }))

for _, what in pairs({ "collect", "count", "step", "stop", "restart", "bad", 5, true }) do
  call("collectgarbage", function(...)
    local result = collectgarbage(...)
    return type(result)
  end, what)
end

---- debug ----

-- As functions of C: where a wrapper stands in a function's place, nothing of it shows.
local library_functions = {}
for name, library in pairs(package.loaded) do
  if type(library) == "table" and (_G[name] == library) and name ~= "luafcgid" then
    for key, value in pairs(library) do
      if type(value) == "function" and type(key) == "string" then library_functions[(name == "_G" and "" or name .. ".") .. key] = value end
    end
  end
end
local names = {}
for name in pairs(library_functions) do
  if name:find("^%l") and not name:find("^jit") and name ~= "emit" and name ~= "main" then names[#names + 1] = name end
end
sort(names)
for _, name in pairs(names) do
  local work = library_functions[name]
  local info = debug.getinfo(work, "Su")
  emit(format("debug.getinfo(%s) %s %s %s %s %s %s", name, info.what, info.source, info.short_src, tostring(info.linedefined), tostring(info.lastlinedefined), tostring(info.currentline)))
  call("string.dump " .. name, string.dump, work)
  call("debug.setupvalue " .. name, debug.setupvalue, work, 30, 1)
  call("debug.getlocal " .. name, debug.getlocal, 30, 1)
  if setfenv then
    call("setfenv " .. name, setfenv, work, {})
    call("getfenv " .. name, function() return getfenv(work) == _G end)
  end
  if debug.upvaluejoin then
    local x
    call("debug.upvaluejoin " .. name, debug.upvaluejoin, work, 1, function() return x end, 1)
  end
end

-- Errors of the library bear the line that called.
local function places()
  local line = debug.getinfo(1, "l").currentline
  local tries = {
    function() setmetatable(1) end, function() pairs() end, function() rawset({}, 1) end, function() rawget({}) end, function() next() end,
    function() io.lines("/no/such/file") end, function() io.open() end, function() coroutine.wrap(1) end, function() coroutine.create() end,
    function() coroutine.resume(1) end, function() coroutine.wrap(function() error("inside") end)() end,
    function() string.rep() end, function() ("x"):rep({}) end, function() ("x"):format({}) end, function() load() end, function() io.type() end,
    function() coroutine.wrap(function() error("inside", 2) end)() end, function() coroutine.wrap(function() error({}) end)() end,
    function() local f = coroutine.wrap(function() end) f() f() end, function() os.getenv() end, function() os.rename("x") end,
    function() os.remove() end, function() io.write({}) end, function() io.stderr.write() end, function() io.stdout:write({}) end,
    function() io.stdout:seek("bad") end, function() io.stdin:read("*x") end, function() io.stdout.close() end, function() dofile("/no/such") end,
    function() require("no.such.module.at.all.") end, function() setfenv(print, {}) end, function() table.foreach({}, 1) end, function() getmetatable() end,
    function() tostring() end, function() io.lines({}) end, function() io.input({}) end, function() print(setmetatable({}, { __tostring = function() return 1 end })) end,
    function() debug.sethook(1) end, function() debug.getinfo(1, "X") end, function() debug.getinfo("x") end, function() debug.traceback({}, 1) end,
    function() debug.setmetatable({}) end, function() debug.getmetatable() end, function() os.exit({}) end, function() package.loadlib() end,
    function() warn(1) end, function() warn() end, function() load(5) end, function() load("x", "x", 5) end, function() coroutine.close(1) end,
  }
  for i = 1, #tries do
    local ok, message = pcall(tries[i])
    message = tostring(message)
    -- Where modules are looked for is up to the system, and so are the names of tables.
    message = message:gsub("\n.*", ""):gsub("0x%x+", "ADDRESS"):gsub("^[^:]*:(%d+):", function(at) return "line +" .. (at - line) .. ":" end)
    emit("place " .. i .. " " .. tostring(ok) .. " " .. message)
  end
end
places()
