-- The module luafcgid.json.

--- ## The module luafcgid.json
---
--- Reads and writes JSON. The interface is that of lua-cjson, with these differences: a number keeps all its digits (17
--- where it needs them), `/` is not escaped, an array that `decode` has made is one for `encode` too (so `[]` stays `[]`),
--- a table with holes is an error that names the place, and so is a string that is not UTF-8.
---
--- ```lua
--- local json = require("luafcgid.json")
--- ```
---
--- Where no C module of the name is installed, `require("cjson")` and `require("cjson.safe")` give this module with
--- lua-cjson's own settings: no check of UTF-8, and holes become `null` in arrays that are not excessively sparse. The
--- functions of `cjson.safe`, and of `json.safe`, give nil and a message in the place of an error.
---
--- - `json.null` stands for `null` in tables: a table cannot hold nil.
--- - `json.array_mt` and `json.empty_array_mt` are metatables of tables that are arrays, whatever they hold;
---   `json.empty_array` is written as `[]`. Any other empty table is written as `{}`.
--- - As in lua-cjson, `json.new()` gives an instance with settings of its own; `encode_max_depth`, `decode_max_depth`,
---   `encode_number_precision`, `encode_sparse_array`, `encode_invalid_numbers`, `decode_invalid_numbers`,
---   `encode_empty_table_as_object`, `encode_escape_forward_slash` and `decode_array_with_array_mt` give a setting and, with
---   a value, change it. `check_utf8(false)` lets strings be any bytes.
--- - In Lua 5.1 and LuaJIT numbers are doubles: whole numbers beyond 2^53 lose digits, so have them sent as strings.

local parts = ...

local host_decode, host_encode, host_chunk = parts.host.jsondecode, parts.host.jsonencode, parts.host.jsonchunk
local decode, encode = parts.json_decode.decode, parts.json_encode.encode
local bad_argument = parts.arguments.bad

local type, tostring, error, next, pcall = type, tostring, error, next, pcall
local setmetatable, getmetatable, newproxy = setmetatable, getmetatable, newproxy
local floor, gsub, upvalueid = math.floor, string.gsub, debug.upvalueid

-- Values that are equal to nothing else. Lua 5.4 can make no userdata; there they are addresses of variables.
local kept = {}

local function unique(name)
  if newproxy then
    local value = newproxy(true)
    getmetatable(value).__tostring = function() return name end
    return value
  end
  local variable = name
  local function holder() return variable end
  kept[name] = holder
  return upvalueid(holder, 1)
end

local null, empty_array = unique("null"), unique("[]")
local array_mt, empty_array_mt = { __name = "JSON array" }, { __name = "JSON array" }

-- Shorter texts are read by Lua in less time than a call of the host takes. LuaJIT reads no chunks that the host writes.
local least_by_chunk = 30
if jit then host_chunk = nil end

-- Largest depth that the embedded engine's host walks into.
local host_depth = 1000

local defaults = {
  null = null, empty_array = empty_array, array_meta = array_mt, empty_array_meta = empty_array_mt,
  encode_depth = 1000, decode_depth = 1000, checks_utf8 = true, empty_as_object = true,
  sparse_convert = false, sparse_ratio = 1, sparse_safe = 0,
}

-- In lua5.1 and lua5.4. What LuaJIT compiles of json-encode.lua takes no more time.
local flatten = parts.host.jsontext and not jit and parts.json_flatten
if flatten then flatten.use(defaults) end

local function new_module(changes, is_safe)
  local M = {
    null = null, empty_array = empty_array, array_mt = array_mt, empty_array_mt = empty_array_mt,
    _NAME = "luafcgid.json", _VERSION = parts.version,
  }
  local settings, encoding, decoding = {}, {}, {}
  for name, value in next, defaults do settings[name] = value end
  for name, value in next, changes do settings[name] = value end

  -- What `decode` goes by. Lua-cjson makes arrays of one kind of table or the other.
  local function renew()
    encoding, decoding = {}, {}
    for name, value in next, settings do encoding[name], decoding[name] = value, value end
    if settings.plain_arrays then decoding.array_meta = nil end
  end
  renew()

  local encode_in_host = true
  local decode_in_host, decode_by_chunk = host_decode ~= nil, host_chunk ~= nil

  --- json.decode(text)
  ---
  --- The value of a JSON text: tables for objects and arrays, strings, numbers, booleans, and `json.null`.
  ---
  --- Errors: the text is no JSON (the message tells the first character that is wrong), is not UTF-8, or is nested deeper
  ---   than 1,000 levels.
  --- Example: assert(json.decode('{"a":[1,2]}').a[2] == 2)
  function M.decode(...)
    local text = ...
    if type(text) ~= "string" then
      if type(text) ~= "number" then bad_argument(1, "decode", "string", text) end
      text = tostring(text)
    end
    if decode_in_host then
      local ok, is_done, value = host_decode(text, null, decoding.array_meta, decoding.checks_utf8)
      if ok and is_done then return value end
    elseif decode_by_chunk and #text >= least_by_chunk then
      local meta = decoding.array_meta
      local ok, make = host_chunk(text, decoding.checks_utf8, meta)
      if ok and make then return make(null, setmetatable, meta) end
    end
    local value, message = decode(text, decoding)
    if message then error(message, 2) end
    return value
  end

  --- json.encode(value)
  ---
  --- The JSON text of a value. A table whose keys are 1 to n is an array, any other an object; keys that are numbers
  --- become strings. Object members come in no order.
  ---
  --- Errors: a function, thread or userdata; a key that is neither string nor number; an array with holes; NaN and
  ---   infinities; a string that is not UTF-8; a table that contains itself; more than 1,000 levels. The message tells where.
  --- Example: con:puts(json.encode({ name = "Ann", tags = { "a", "b" } }))
  function M.encode(...)
    local value = ...
    if encode_in_host and host_encode then
      local ok, text = host_encode(value, null, array_mt, empty_array_mt, encoding.checks_utf8)
      if ok and text then return text end
    end
    if flatten and encode_in_host and type(value) == "table" then
      local text = flatten.encode(value, encoding.checks_utf8)
      if text then return text end
    end
    local text, message = encode(value, encoding)
    if message then error(message, 2) end
    return text
  end

  --- json.script(value)
  ---
  --- As `encode`, for use between `<script>` and `</script>`: `<`, `>`, `&` and the line ends of JavaScript are escaped.
  ---
  --- Errors: those of `encode`.
  --- Example: con:puts("<script>let user = ", json.script({ name = "</script>" }), "</script>")
  function M.script(...)
    local ok, text = pcall(M.encode, (...))
    if not ok then error(gsub(text, "^%[luafcgid%]:%d+: ", ""), 2) end
    text = gsub(text, "[<>&]", { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026" })
    return (gsub(text, "\226\128[\168\169]", { ["\226\128\168"] = "\\u2028", ["\226\128\169"] = "\\u2029" }))
  end

  -- The functions below give the setting and, with a value, change it before. Settings that the host does not know are
  -- left to Lua.
  local function changed()
    renew()
    encode_in_host = not settings.escapes_slash and not settings.precision
      and not settings.encode_invalid_numbers and settings.empty_as_object and settings.encode_depth >= host_depth
      and not settings.sparse_convert
    local is_usual = not settings.decode_invalid_numbers and settings.decode_depth >= host_depth
    decode_in_host, decode_by_chunk = host_decode ~= nil and is_usual, host_chunk ~= nil and is_usual
  end

  local function switch(name, key, words)
    M[name] = function(value)
      if value ~= nil then
        if value == "on" then value = true elseif value == "off" then value = false end
        if type(value) ~= "boolean" and not (words and words[value]) then bad_argument(1, name, "boolean", value) end
        settings[key] = value
        changed()
      end
      return settings[key] or false
    end
  end

  local function whole_number(value, position, name, least)
    if type(value) ~= "number" or floor(value) ~= value or value < least then
      bad_argument(position, name, "whole number of at least " .. least, value, 4)
    end
  end

  local function limit(name, key)
    M[name] = function(value)
      if value ~= nil then
        whole_number(value, 1, name, 1)
        settings[key] = value
        changed()
      end
      return settings[key]
    end
  end

  switch("encode_empty_table_as_object", "empty_as_object")
  switch("encode_escape_forward_slash", "escapes_slash")
  switch("encode_invalid_numbers", "encode_invalid_numbers", { null = true })
  switch("decode_invalid_numbers", "decode_invalid_numbers")
  switch("check_utf8", "checks_utf8")
  limit("encode_max_depth", "encode_depth")
  limit("decode_max_depth", "decode_depth")

  function M.decode_array_with_array_mt(value)
    if value ~= nil then
      if type(value) ~= "boolean" then bad_argument(1, "decode_array_with_array_mt", "boolean", value) end
      settings.plain_arrays = not value
      changed()
    end
    return not settings.plain_arrays
  end

  function M.encode_number_precision(value)
    if value ~= nil then
      whole_number(value, 1, "encode_number_precision", 1)
      if value > 17 then bad_argument(1, "encode_number_precision", "number from 1 to 17", value) end
      settings.precision = value < 17 and value or nil
      changed()
    end
    return settings.precision or 17
  end

  function M.encode_sparse_array(convert, ratio, safe)
    if convert ~= nil then
      if type(convert) ~= "boolean" then bad_argument(1, "encode_sparse_array", "boolean", convert) end
      settings.sparse_convert = convert
    end
    if ratio ~= nil then
      whole_number(ratio, 2, "encode_sparse_array", 0)
      settings.sparse_ratio = ratio == 0 and 1 / 0 or ratio
    end
    if safe ~= nil then
      whole_number(safe, 3, "encode_sparse_array", 0)
      settings.sparse_safe = safe
    end
    changed()
    return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe
  end

  -- Lua-cjson can keep its buffer; here nothing is to be gained by that.
  function M.encode_keep_buffer(value) return value ~= false end

  function M.new() return new_module(changes, is_safe) end

  if is_safe then
    for _, name in next, { "decode", "encode" } do
      local run = M[name]
      M[name] = function(...)
        local ok, result = pcall(run, ...)
        if ok then return result end
        if type(result) ~= "string" or result == "not enough memory" then error(result, 0) end
        return nil, (gsub(result, "^%[luafcgid%]:%d+: ", ""))
      end
    end
  end
  return M
end

parts.new_json = new_module -- for cjson.lua and cjson-safe.lua

local M = new_module({})
M.safe = new_module({}, true)

return M
