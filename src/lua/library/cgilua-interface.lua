-- The table `cgilua` of scripts and pages that are written for CGILua, and what belongs to it.

local parts = ...

local run = parts.run
local type, error, tostring, select, setmetatable, pairs = type, error, tostring, select, setmetatable, pairs
local concat, find, lower, match, sub = table.concat, string.find, string.lower, string.match, string.sub
local urlcode, lua_page = parts.cgilua_urlcode, parts.lua_page

local cgilua = { _VERSION = "CGILua 5.2, of luafcgid", QUERY = {}, POST = {} }
local lp = {}

local error_handler, error_output -- of the script, if it has set any
local at_end = {}

-- ---- what comes -----------------------------------------------------------------------------------------------------

-- Reads a file of a form as one that is open.
local File = {}
File.__index = File

function File:read(what)
  if type(what) == "string" then what = match(what, "^%*?(%a)") end
  if what == nil then what = "l" end
  if what == "a" then
    local text = self.source:read(self.source.size, self.at) or ""
    self.at = self.source.size
    return text
  end
  if type(what) == "number" then
    local text = self.source:read(what, self.at)
    self.at = self.at + (text and #text or 0)
    return text
  end
  if what ~= "l" then error("a file of a form is read by \"*a\", \"*l\" or a number of bytes", 2) end
  local pieces, line_end = {}, nil
  repeat
    local piece = self.source:read(4096, self.at)
    if piece == nil or piece == "" then break end
    line_end = find(piece, "\n", 1, true)
    pieces[#pieces + 1] = line_end and sub(piece, 1, line_end - 1) or piece
    self.at = self.at + (line_end or #piece)
  until line_end
  if #pieces == 0 then return nil end
  return concat(pieces)
end

function File:lines() return function() return self:read("l") end end

function File:seek(whence, offset)
  local from = whence == "set" and 0 or whence == "end" and self.source.size or self.at
  self.at = from + (offset or 0)
  return self.at
end

function File:close() return true end

local function convert(value)
  if type(value) ~= "table" then return value end
  if value.filename then
    return { filename = match(value.filename, "([^/\\]*)$"), filesize = value.size, ["content-type"] = value.type,
      file = setmetatable({ source = value, at = 0 }, File) }
  end
  local list = {}
  for at = 1, #value do list[at] = convert(value[at]) end
  return list
end

local function convert_all(fields)
  local converted = {}
  for name, value in pairs(fields) do converted[name] = convert(value) end
  return converted
end

local function posted(env, con)
  if env.REQUEST_METHOD ~= "POST" then return {} end
  local kind = lower(match(env.CONTENT_TYPE or "", "^[^;%s]*"))
  if kind == "application/x-www-form-urlencoded" or kind == "multipart/form-data" then return convert_all(con:form()) end
  return { con:gets() }
end

local function variable(name)
  if name == nil then return run.env end
  return run.env[name]
end

cgilua.servervariable = variable

-- ---- what goes ------------------------------------------------------------------------------------------------------

function cgilua.put(...) run.con:puts(...) end

function cgilua.print(...)
  local texts = { ... }
  for at = 1, select("#", ...) do texts[at] = tostring(texts[at]) end
  run.con:puts(concat(texts, "\t"), "\n")
end

function cgilua.header(name, value) run.con:header(name, value) end
function cgilua.contentheader(kind, subkind) run.con:type(kind .. "/" .. subkind) end
function cgilua.htmlheader() run.con:type("text/html") end

function cgilua.errorlog(message)
  local kind = type(message)
  if kind ~= "string" and kind ~= "number" then parts.arguments.bad(1, "errorlog", "string", message) end
  run.con:log("error", message)
end

-- An address of this application: relative to its folder, with the fields of `args` as its query.
function cgilua.mkurlpath(script, args)
  local query = args and "?" .. urlcode.encodetable(args) or ""
  if sub(script, 1, 1) == "/" then return script .. query end
  return cgilua.script_vdir .. script .. query
end

function cgilua.mkabsoluteurl(path, protocol)
  local env = run.env
  local is_https = env.HTTPS ~= nil and env.HTTPS ~= "" and env.HTTPS ~= "off" or env.REQUEST_SCHEME == "https"
  local name = env.HTTP_HOST or (env.SERVER_NAME or "") .. ":" .. (env.SERVER_PORT or "")
  return (protocol or is_https and "https" or "http") .. "://" .. name .. (sub(path, 1, 1) == "/" and "" or "/") .. path
end

function cgilua.redirect(url, args)
  if find(url, "^https?:") then
    return run.con:redirect(url .. (args and "?" .. urlcode.encodetable(args) or ""))
  end
  run.con:redirect(cgilua.mkabsoluteurl(cgilua.mkurlpath(url, args)))
end

-- ---- other files ----------------------------------------------------------------------------------------------------

function cgilua.doscript(name) return parts.cgilua.run_file(name) end

-- Nil and a message where there is no such file.
function cgilua.doif(name)
  if not name then return nil end
  local path = parts.sources.resolve(name)
  local ok, text = parts.host.textfile(path)
  if not ok or not text then return nil, text or "cannot open " .. path end
  return parts.cgilua.run_file(name)
end

function lp.include(name, globals) return parts.cgilua.run_file(name, globals) end
function lp.translate(text) return (lua_page.translate(text)) end

function cgilua.handlelp(name, globals)
  cgilua.htmlheader()
  return lp.include(name, globals)
end

function cgilua.splitonlast(path) return match(path, "^(.-)([^:/\\]*)$") end
function cgilua.splitonfirst(path) return match(path, "^/([^:/\\]*)(.*)") end
cgilua.splitpath = cgilua.splitonlast

-- ---- a request ------------------------------------------------------------------------------------------------------

function cgilua.seterrorhandler(handler)
  if type(handler) ~= "function" then parts.arguments.bad(1, "seterrorhandler", "function", handler) end
  error_handler = handler
end

function cgilua.seterroroutput(output)
  if type(output) ~= "function" then parts.arguments.bad(1, "seterroroutput", "function", output) end
  error_output = output
end

-- Is called when the file has run to its end.
function cgilua.addclosefunction(work)
  if type(work) ~= "function" then parts.arguments.bad(1, "addclosefunction", "function", work) end
  at_end[#at_end + 1] = work
end

function cgilua.enablesession() end

-- Limits are the server's: maxpost, maxfield, uploadmemory.
function cgilua.setmaxinput() end
function cgilua.setmaxfilesize() end

local sapi = {
  Info = { _VERSION = "SAPI, of luafcgid", ispersistent = true },
  Request = { servervariable = variable, getpostdata = function(count) return run.con:gets(count) end },
  Response = {
    contenttype = function(kind) run.con:type(kind) end,
    errorlog = cgilua.errorlog, header = cgilua.header, write = cgilua.put,
    redirect = function(url) run.con:redirect(url) end,
  },
}

local interface = { cgilua = cgilua, lp = lp, sapi = sapi }

function interface.begin(env, con, path)
  local name = env.SCRIPT_NAME or ""
  cgilua.QUERY, cgilua.POST = convert_all(con:query()), posted(env, con)
  cgilua.script_path, cgilua.script_vpath, cgilua.urlpath = path, env.PATH_INFO ~= "" and env.PATH_INFO or name, name
  cgilua.script_pdir, cgilua.script_file = match(path, "^(.-)([^/]*)$")
  cgilua.script_vdir = match(name, "^(.*/)") or "/"
  at_end = {}
end

function interface.finish()
  for at = 1, #at_end do at_end[at]() end
end

function interface.has_error_handlers() return error_handler ~= nil or error_output ~= nil end

-- The file has failed, and has handlers for that.
function interface.fail(message)
  run.con:log("error", tostring(message))
  if error_handler then message = error_handler(message) end
  if not error_output then error(message, 0) end
  run.con:status(500)
  error_output(message)
end

return interface
