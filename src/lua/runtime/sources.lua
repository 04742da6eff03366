-- Lua sources: load, loadfile, dofile and require's search for Lua files. All files come through the host, which notes
-- that the state depends on them, and precompiled chunks are refused.

local parts = ...

local host, stock = parts.host, parts.stock

local type, tostring, select, error, pcall = type, tostring, select, error, pcall
local concat, gsub, gmatch, sub, find = table.concat, string.gsub, string.gmatch, string.sub, string.find
local byte = string.byte
local create, resume = coroutine.create, coroutine.resume
local replace, raise = stock.replace, stock.raise

local is_51 = _VERSION == "Lua 5.1"
local has_modes = jit ~= nil or not is_51 -- whether chunks may be limited to texts or to precompiled ones
local directory = "/"
local allows_bytecode = false

local escape = 27 -- the first byte of a precompiled chunk

-- What string.dump has given this state last. Such a chunk may be loaded again: frameworks clone functions that way, and it is
-- nobody else's. By number, and by the chunk itself.
local most_dumps = 8
local dumps, last_dump = {}, 0
local is_own_dump = {}

local dump = string.dump
replace(string, "string", "dump", function(...)
  local ok, text = pcall(dump, ...)
  if not ok then raise(text) end
  if not allows_bytecode and not is_own_dump[text] then
    last_dump = last_dump % most_dumps + 1
    local former = dumps[last_dump]
    if former then is_own_dump[former] = nil end
    dumps[last_dump], is_own_dump[text] = text, true
  end
  return text
end)

-- Whether a precompiled chunk is refused that the caller would have taken.
local function is_refused(source, mode)
  if allows_bytecode or byte(source, 1) ~= escape then return false end
  return not has_modes or mode == nil or find(tostring(mode), "b", 1, true) ~= nil
end

local function refusal()
  local _, text = host.refusal()
  return text
end

-- What a call of load gives: one value if it succeeds. That there is no memory is for the state to know.
local function loaded(chunk, message)
  if chunk then return chunk end
  if message == "not enough memory" then error(message, 0) end
  return nil, message
end

local function wrap_load(name, load)
  return replace(_G, "_G", name, function(...)
    local source, _, mode = ...
    if type(source) == "string" then
      if is_refused(source, mode) and not is_own_dump[source] then return nil, refusal() end
    elseif type(source) == "function" and not allows_bytecode then
      local reader, at_start = source, true
      local function checked(...)
        local piece = reader(...)
        if at_start and type(piece) == "string" and piece ~= "" then
          at_start = false
          if is_refused(piece, mode) then error(refusal(), 0) end
        end
        return piece
      end
      local ok, chunk, message = pcall(load, checked, select(2, ...))
      -- LuaJIT takes a hook that has raised an error in a reader for one that still runs, and calls no hook any more, until
      -- a coroutine ends with an error.
      if jit then resume(create(error)) end
      if not ok then raise(chunk) end
      return loaded(chunk, message)
    end
    local ok, chunk, message = pcall(load, ...)
    if not ok then raise(chunk) end
    return loaded(chunk, message)
  end)
end

local load_text = loadstring or load

local checked_load = wrap_load("load", load)
if loadstring then checked_load = wrap_load("loadstring", loadstring) end

local function resolve(path)
  if sub(path, 1, 1) == "/" then return path end
  return directory .. "/" .. gsub(path, "^%./", "")
end

-- In native engines a script may change its working directory. A relative name of which there is no file beside the script is looked
-- for there.
local open_here = host.hasroom and io.open
local most_source_bytes = 16777216

local function load_here(path, ...)
  local file = open_here(path, "rb")
  if not file then return false end
  local size = file:seek("end")
  if not size or size > most_source_bytes then
    file:close()
    return nil, path .. ": it is no file of at most " .. most_source_bytes .. " bytes"
  end
  file:seek("set")
  local text, message = file:read("*a")
  file:close()
  if not text then return nil, "cannot read " .. path .. ": " .. message end
  return checked_load(gsub(text, "^#[^\n]*", ""), "@" .. path, ...)
end

-- Loads a file: the function; nil and a message; or false where there is none. `...` is its mode and its globals.
local function load_file(path, ...)
  local whole = resolve(path)
  local chunk, message = host.loadfile(whole, ...)
  if chunk == false and open_here and whole ~= path then chunk, message = load_here(path, ...) end
  if chunk == false then return nil, "cannot open " .. whole .. ": No such file or directory" end
  return chunk, message
end

local no_input = "cannot read standard input: a script has none"

local function check_path(path)
  return type(path) == "string" or type(path) == "number"
end

replace(_G, "_G", "loadfile", function(...)
  local path = ...
  if path == nil then return nil, no_input end
  if not check_path(path) then stock.bad_argument(1, stock.expected("string", select("#", ...), 1, path)) end
  return loaded(load_file(tostring(path), select(2, ...)))
end)

replace(_G, "_G", "dofile", function(...)
  local path = ...
  if path == nil then error(no_input, 0) end
  if not check_path(path) then stock.bad_argument(1, stock.expected("string", select("#", ...), 1, path)) end
  local chunk, message = load_file(tostring(path))
  if not chunk then error(message, 0) end
  return chunk()
end)

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

-- `compile` takes texts of the server's own making.
local sources = { resolve = resolve, compile = function(text, name) return load_text(text, name) end, search_path = search_path }

function sources.init(start)
  directory = start.directory -- where relative names start
  allows_bytecode = start.allows_bytecode
  host.allows_bytecode = allows_bytecode -- for native-host.lua
end

return sources
