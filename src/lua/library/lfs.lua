-- Stands in for the module `lfs` (LuaFileSystem) on the embedded engine: directories and attributes of files, within what the
-- setting `files` grants.

local parts = ...

local host, arguments, sources = parts.host, parts.arguments, parts.sources
local type, error, setmetatable, tonumber = type, error, setmetatable, tonumber
local sub = string.sub
local library_text, bad = arguments.library_text, arguments.bad_in_library
local time = os.time

local lfs = { _VERSION = "LuaFileSystem 1.8, of luafcgid" }

-- Nil, a message and the number of the system's error; or what came of it.
local function call(action, path, ...)
  local ok, result = host.files(action, path, ...)
  if not ok then error(result, 0) end
  if result.text then return nil, result.text, result.number end
  return result.done
end

local function told(what, path, text, number) return nil, what .. " '" .. path .. "': " .. text, number end

local function attributes(name, path, wanted, follows)
  path = library_text(path, 1, name)
  local found, text, number = call("attributes", path, follows)
  if not found then return told("cannot obtain information from file", path, text, number) end
  if type(wanted) == "string" then
    if found[wanted] == nil then bad(2, name, "name of an attribute", wanted, 4) end
    return found[wanted]
  end
  if type(wanted) ~= "table" then return found end
  for key, value in parts.globals.pairs(found) do wanted[key] = value end
  return wanted
end

-- All attributes as a table, that which is named, or all in a table that is given.
function lfs.attributes(path, wanted)
  local found, text, number = attributes("attributes", path, wanted, true)
  if found == nil then return nil, text, number end
  return found
end

-- Of a link itself.
function lfs.symlinkattributes(path, wanted)
  local found, text, number = attributes("symlinkattributes", path, wanted, false)
  if found == nil then return nil, text, number end
  return found
end

local Directory = {}
Directory.__index = Directory

function Directory:next()
  if self.is_closed then error("closed directory", 2) end
  self.at = self.at + 1
  local name = self.names[self.at]
  if name == nil then self:close() end
  return name
end

function Directory:close() self.is_closed, self.names = true, {} end

-- `for name in lfs.dir(path)`: the names in a directory, "." and ".." among them.
function lfs.dir(path)
  path = library_text(path, 1, "dir")
  local names, text = call("list", path)
  if not names then error("cannot open " .. path .. ": " .. text, 2) end
  local directory = setmetatable({ names = names, at = 0, is_closed = false }, Directory)
  return Directory.next, directory
end

function lfs.mkdir(path)
  path = library_text(path, 1, "mkdir")
  local done, text, number = call("mkdir", path)
  if not done then return nil, text, number end
  return true
end

function lfs.rmdir(path)
  path = library_text(path, 1, "rmdir")
  local done, text, number = call("rmdir", path)
  if not done then return nil, text, number end
  return true
end

-- Sets the times of access and of change, in seconds: now, where they are left out.
function lfs.touch(path, access, modification)
  path = library_text(path, 1, "touch")
  access = access == nil and time() or tonumber(access) or bad(2, "touch", "number", access)
  modification = modification == nil and access or tonumber(modification) or bad(3, "touch", "number", modification)
  local done, text, number = call("touch", path, access, modification)
  if not done then return nil, text, number end
  return true
end

-- Relative names start at the script's directory, and always will.
function lfs.currentdir() return sub(sources.resolve(""), 1, -2) end

function lfs.chdir(path)
  path = library_text(path, 1, "chdir")
  if path == "." or path == lfs.currentdir() then return true end
  return nil, "Unable to change working directory to '" .. path .. "'\nluafcgid: relative names start at the script's directory\n"
end

-- Files are bytes on every system that this one runs on.
function lfs.setmode() return true, "binary" end

local function refuse(name, reason)
  lfs[name] = function() return nil, "luafcgid: " .. name .. " is not there: " .. reason end
end

local locks = "take a lock of the module luafcgid.lock, which ends with its request"
refuse("lock_dir", locks)
refuse("lock", locks)
refuse("unlock", locks)
refuse("link", "links could lead out of what the setting files grants")

return lfs
