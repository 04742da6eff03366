-- Stands in for the module `wsapi.util`: texts of addresses, and environments for tests.

local parts = ...

local setmetatable, tonumber, type = setmetatable, tonumber, type
local byte, char, format, gsub, sub = string.byte, string.char, string.format, string.gsub, string.sub
local text_argument, loadfile, setfenv = parts.arguments.text, parts.globals.loadfile, setfenv

local M = {}

local function from_hex(digits) return char(tonumber(digits, 16)) end
local function to_hex(character) return format("%%%02X", byte(character)) end

-- Line ends come as one character, whatever the client has sent.
function M.url_decode(text)
  if not text then return nil end
  text = gsub(text_argument(text, 1, "url_decode"), "%+", " ")
  return (gsub(gsub(text, "%%(%x%x)", from_hex), "\r\n", "\n"))
end

function M.url_encode(text)
  if not text then return nil end
  text = gsub(text_argument(text, 1, "url_encode"), "\n", "\r\n")
  return (gsub(gsub(text, "[^%w ]", to_hex), " ", "+"))
end

-- Text that has no tags in HTML.
function M.sanitize(text)
  return (gsub(gsub(text_argument(text, 1, "sanitize"), ">", "&gt;"), "<", "&lt;"))
end

function M.not_empty(text)
  if text ~= nil and text ~= "" then return text end
  return nil
end

-- An environment whose input can be read again after `input:rewind()`.
function M.make_rewindable(wsapi_env)
  local kept, at = "", 1
  local input = { length = wsapi_env.input.length }
  function input:read(count)
    count = count or self.length or 0
    local missing = at + count - 1 - #kept
    if missing > 0 then kept = kept .. (wsapi_env.input:read(missing) or "") end
    local text = sub(kept, at, at + count - 1)
    at = at + #text
    return text ~= "" and text or nil
  end
  function input:rewind() at = 1 end
  return setmetatable({ input = input }, { __index = wsapi_env, __newindex = wsapi_env })
end

local function mock(method, content_type, query, body)
  local at, messages = 1, {}
  return {
    REQUEST_METHOD = method, QUERY_STRING = query or "", CONTENT_LENGTH = #body, CONTENT_TYPE = content_type or "x-www-form-urlencoded",
    PATH_INFO = "/", SCRIPT_NAME = "",
    input = {
      read = function(_, count)
        if at > #body then return nil end
        local text = sub(body, at, at + (count or #body) - 1)
        at = at + #text
        return text
      end,
    },
    error = { messages = messages, write = function(_, message) messages[#messages + 1] = message end },
  }
end

-- Environments for tests: a GET with this query, a POST with this body.
function M.make_env_get(query) return mock("GET", nil, query, "") end
function M.make_env_post(body, content_type, query) return mock("POST", content_type, query, body or "") end

-- Loads a file that has these globals.
function M.loadfile(name, globals)
  if not setfenv then return loadfile(name, "bt", globals) end
  local chunk, message = loadfile(name)
  if chunk and type(globals) == "table" then setfenv(chunk, globals) end
  return chunk, message
end

return M
