-- The first Lua code of a native state: makes the host functions of `prelude.lua` from the one C function that a native
-- state has. That function reads its arguments but never raises an error and never makes a Lua string itself, since an
-- error may not leave it. Text that it gives comes as a function that returns the text, or in memory that LuaJIT can read.

local call, make_manifest, slot_to_clear = ...

local manifest = make_manifest()
local type, error, pcall, next, rawget, tostring = type, error, pcall, next, rawget, tostring
local byte, sub, format, find = string.byte, string.sub, string.format, string.find
local concat, floor = table.concat, math.floor
local load, loadstring, is_51 = load, loadstring, _VERSION == "Lua 5.1"

-- Loops of these files would have LuaJIT make machine code for each new state, which takes longer than all else.
if jit then jit.off() end

local registry = debug.getregistry()
if slot_to_clear then registry[slot_to_clear] = nil end

local read_buffer, buffer -- of LuaJIT
if manifest.buffer then
  local ffi = require("ffi")
  buffer = ffi.cast("const char *", manifest.buffer)
  read_buffer = ffi.string
end

-- Statuses: true and a plain value; 1 and 2: text, as a function or as a length in the buffer; 3 and 4: the text of an
-- error, likewise; 5: a function; false: no memory for the text; nothing: the state is being closed.
local function finish(status, value)
  if status == true then return true, value end
  if status == 1 then return true, value() end
  if status == 2 then return true, read_buffer(buffer, value) end
  if status == 3 then return nil, value() end
  if status == 4 then return nil, read_buffer(buffer, value) end
  if status == 5 then return true, value end
  if status == false then error("not enough memory", 0) end
end

local host = {}
for i = 1, #manifest.functions do
  host[manifest.functions[i]] = function(...) return finish(call(i, ...)) end
end

---- sources ----

local read_source = host.source
local function refused()
  local _, refusal = host.refusal()
  return nil, refusal
end

local load_chunk = loadstring or load

-- Loads a Lua file: a function; nil and a message; or false where there is no such file. `...` is the mode and the globals,
-- where the Lua version has them.
function host.loadfile(path, ...)
  local ok, source = read_source(path)
  if not ok then return nil, source end
  if not source then return false end
  if is_51 and not jit then
    if byte(source, 1) == 27 and not host.allows_bytecode then return refused() end
    return loadstring(source, "@" .. path)
  end
  local mode = ...
  local wants_bytecode = mode == nil or find(tostring(mode), "b", 1, true)
  if byte(source, 1) == 27 and not host.allows_bytecode and wants_bytecode then return refused() end
  return load(source, "@" .. path, ...)
end

---- parameters ----

local read_params = host.params
local new_table = jit and require("table.new")

-- FastCGI name-value pairs (FastCGI 1.0, 3.4): lengths of one byte, or of four with the top bit set.
local function decode(block, params)
  local at, last = 1, #block
  while at < last do
    local name_bytes, value_bytes = byte(block, at, at + 1)
    if name_bytes < 128 and value_bytes < 128 then
      at = at + 2
    else
      local b, c, d
      at = at + 1
      if name_bytes >= 128 then
        b, c, d = byte(block, at, at + 2)
        if not d then break end
        name_bytes, at = (name_bytes - 128) * 16777216 + b * 65536 + c * 256 + d, at + 3
      end
      value_bytes = byte(block, at)
      if not value_bytes then break end
      at = at + 1
      if value_bytes >= 128 then
        b, c, d = byte(block, at, at + 2)
        if not d then break end
        value_bytes, at = (value_bytes - 128) * 16777216 + b * 65536 + c * 256 + d, at + 3
      end
    end
    local value_at = at + name_bytes
    local next_at = value_at + value_bytes
    if next_at > last + 1 then break end -- checked by the session; never trust a length all the same
    params[sub(block, at, value_at - 1)] = sub(block, value_at, next_at - 1)
    at = next_at
  end
end

function host.params(params)
  local ok, block = read_params()
  params = params or new_table and new_table(0, 32) or {}
  if ok then decode(block, params) end
  return ok, params
end

---- values that leave Lua: parsed by native-values.ts ----

local deepest = 64
-- What one call of `host.globals` may still write down: a table that refers to another one several times is written as often.
local values_left, bytes_left

local function flatten(value, pieces, open, depth)
  local kind = type(value)
  local piece = "u"
  values_left = values_left - 1
  if values_left < 0 then error("there are more than " .. manifest.most_values .. " values", 0) end
  if kind == "boolean" then
    piece = value and "b1" or "b0"
  elseif kind == "number" then
    piece = "n" .. format("%.17g", value) .. ";"
  elseif kind == "string" then
    bytes_left = bytes_left - #value
    if bytes_left < 0 then error("there are more than " .. manifest.most_bytes .. " bytes of text", 0) end
    piece = "s" .. #value .. ":" .. value
  elseif kind == "table" then
    if open[value] then error("a table contains itself", 0) end
    if depth >= deepest then error("tables are nested deeper than " .. deepest .. " levels", 0) end
    open[value] = true
    local length, count, is_list = 0, 0, true
    for key in next, value do
      local is_number = type(key) == "number"
      if is_number or type(key) == "string" then count = count + 1 end
      if not (is_number and key >= 1 and floor(key) == key) then
        is_list = false
      elseif key > length then
        length = key
      end
    end
    if length > 2 * count then is_list = false end -- a list may have holes, but it is not made of them
    length = format("%d", is_list and length or 0)
    pieces[#pieces + 1] = is_list and "a" .. length .. ":" or "r" .. count .. ":"
    if is_list then
      for i = 1, length + 0 do flatten(rawget(value, i), pieces, open, depth + 1) end
    else
      for key, field in next, value do
        if type(key) == "number" or type(key) == "string" then
          flatten(key, pieces, open, depth + 1)
          flatten(field, pieces, open, depth + 1)
        end
      end
    end
    open[value] = nil
    return
  end
  pieces[#pieces + 1] = piece
end

local send_globals = host.globals

function host.globals(values, functions)
  local pieces = {}
  values_left, bytes_left = manifest.most_values, manifest.most_bytes
  local ok, message = pcall(flatten, { values, functions }, pieces, {}, -1)
  if not ok then return nil, tostring(message) end
  return send_globals(concat(pieces))
end

---- parts ----

local read_part = host.part

-- Only Lua 5.4 takes the chunk's globals here.
function host.part(name, globals)
  local ok, dump = read_part(name)
  if not ok then return nil, dump end
  if not dump then return nil end
  if is_51 then return load_chunk(dump) end
  return load_chunk(dump, nil, "b", globals)
end

local parts = { host = host, version = manifest.version, deferred = manifest.deferred, stand_ins = manifest.stand_ins }
local names, count = manifest.parts, 0
local unpack = unpack or table.unpack

-- Called with the chunk of each part in turn, and once more without one: then gives what the engine calls.
return function(chunk)
  if chunk then
    count = count + 1
    parts[names[count]] = chunk(parts)
    return
  end
  if jit then jit.on() end
  local engine = parts.prelude
  -- A hook finds it here, whichever function's stack is the current one.
  registry[manifest.traceback_slot] = engine.traceback
  local entries = {}
  for i = 1, #manifest.entries do entries[i] = engine[manifest.entries[i]] end
  return unpack(entries)
end
