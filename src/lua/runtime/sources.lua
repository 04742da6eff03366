-- Lua sources: load, loadfile, dofile and require's search for Lua files. All files come through the host, which notes
-- that the state depends on them, and precompiled chunks are refused.

local host = ...

local type, tostring, select, error, pcall = type, tostring, select, error, pcall
local concat, gsub, gmatch, sub, find = table.concat, string.gsub, string.gmatch, string.sub, string.find
local byte = string.byte

local is_51 = _VERSION == "Lua 5.1"
local takes_text = jit ~= nil or not is_51 -- whether load takes a text as well as a function
local directory = "/"

local function bad_argument(position, name, wanted, value)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. wanted .. " expected, got " ..
    (value == nil and "no value" or type(value)) .. ")", 3)
end

local function resolve(path)
  if sub(path, 1, 1) == "/" then return path end
  return directory .. "/" .. gsub(path, "^%./", "")
end

-- Compiles a text. `...` is the mode and the chunk's globals, where the Lua version has them.
local function compile(source, name, mode, ...)
  local is_binary = byte(source, 1) == 27
  if mode ~= nil and takes_text and not find(tostring(mode), is_binary and "b" or "t", 1, true) then
    return nil, "attempt to load a " .. (is_binary and "binary" or "text") .. " chunk (mode is '" .. tostring(mode) .. "')"
  end
  return host.load(source, name, ...)
end

if loadstring then
  function loadstring(source, name, ...)
    if type(source) ~= "string" and type(source) ~= "number" then bad_argument(1, "loadstring", "string", source) end
    source = tostring(source)
    return compile(source, name == nil and source or tostring(name), ...)
  end
end

function load(reader, name, ...)
  if takes_text and (type(reader) == "string" or type(reader) == "number") then
    reader = tostring(reader)
    return compile(reader, name == nil and reader or tostring(name), ...)
  end
  if type(reader) ~= "function" then bad_argument(1, "load", "function", reader) end
  local pieces, count = {}, 0
  local ok, message = pcall(function()
    while true do
      local piece = reader()
      if piece == nil or piece == "" then return end
      if type(piece) ~= "string" and type(piece) ~= "number" then error("reader function must return a string", 0) end
      count = count + 1
      pieces[count] = piece
    end
  end)
  if not ok then return nil, message end
  return compile(concat(pieces), name == nil and "=(load)" or tostring(name), ...)
end

function loadfile(path, mode, ...)
  if path == nil then return nil, "cannot read standard input: a script has none" end
  path = resolve(tostring(path))
  if mode ~= nil and takes_text and host.modes ~= "bt" and not find(tostring(mode), "t", 1, true) then
    return nil, "attempt to load a text chunk (mode is '" .. tostring(mode) .. "')"
  end
  local chunk, message = host.loadfile(path, ...)
  if chunk == false then return nil, "cannot open " .. path end
  return chunk, message
end

local loadfile = loadfile

function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then error(message, 0) end
  return chunk()
end

-- Lua 5.4 joins what its searchers say, earlier versions expect the line ends in it.
local line_start = is_51 and "\n\tno file '" or "no file '"
local between = is_51 and "" or "\n\t"

local function search_path(name)
  local path = package.path
  if type(path) ~= "string" then error("'package.path' must be a string", 0) end
  local file_name = gsub(gsub(name, "%.", "/"), "%%", "%%%%")
  local tried = {}
  for template in gmatch(path, "[^;]+") do
    local file = resolve((gsub(template, "%?", file_name)))
    local chunk, message = host.loadfile(file)
    if chunk then return chunk, file end
    if message then error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. message, 0) end
    tried[#tried + 1] = line_start .. file .. "'"
  end
  return concat(tried, between)
end

local sources = { search_path = search_path }

-- Where relative names start.
function sources.init(script_directory, bytecode_is_allowed)
  directory = script_directory
  host.modes = bytecode_is_allowed and "bt" or "t" -- for native-host.lua
end

return sources
