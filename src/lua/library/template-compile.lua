-- Turns the text of a template into a Lua function: a part of luafcgid.template.
--
-- The function appends to a table, in pairs: what goes out as it is, and what is escaped. A pair whose second half is
-- missing has an empty string there. Lines of the code are those of the template, so errors tell the right ones.

local parts = ...

local compile_text = parts.sources.compile
local find, format, gsub, match, rep, sub = string.find, string.format, string.gsub, string.match, string.rep, string.sub
local concat = table.concat
local takes_env = setfenv == nil

-- Calls in a code tag that work on the output; a template has them as statements only.
local statements = { include = true, layout = true, block = true, endblock = true, content = true }

local function quote(text)
  return (gsub(gsub(format("%q", text), "\\\n", "\\n"), "\r", "\\r"))
end

local function line_breaks(text)
  local _, count = gsub(text, "\n", "")
  return rep("\n", count)
end

local function statement(code)
  local name, arguments = match(code, "^%s*(%a+)%s*%((.*)$")
  if not statements[name] then return code end
  local is_empty = find(arguments, "^%s*%)")
  local start = find(code, name, 1, true)
  return sub(code, 1, start - 1) .. "_out, _n = _t." .. name .. "(_t, _out, _n" .. (is_empty and "" or ", ") .. arguments
end

-- The source of the function, or nil, a line and what is wrong there.
local function translate(text)
  local code, count = {}, 0
  local function add(piece)
    count = count + 1
    code[count] = piece
  end
  add(takes_env and "return function(_t, _out, _n, _ENV) local _v " or "return function(_t, _out, _n) local _v ")
  local at, length, line = 1, #text, 1
  local literal -- what goes out before the next tag
  local function flush_literal()
    if literal and literal ~= "" then
      add("_n = _n + 2 _out[_n - 1] = " .. quote(literal) .. ' _out[_n] = "" ' .. line_breaks(literal))
    end
    literal = nil
  end
  while at <= length do
    local open = find(text, "<%", at, true)
    local before = sub(text, at, (open or length + 1) - 1)
    literal = (literal or "") .. before
    line = line + #line_breaks(before)
    if not open then break end
    local kind = match(text, "^[=-]?", open + 2)
    local start = open + 2 + #kind
    local close = find(text, "%>", start, true)
    if not close then return nil, line, "a tag is opened and never closed by %>" end
    local inner = sub(text, start, close - 1)
    at = close + 2
    local trims = sub(inner, -1) == "-"
    if trims then inner = sub(inner, 1, -2) end
    local skipped = ""
    if trims then
      skipped = match(text, "^\r?\n", at) or ""
      at = at + #skipped
    end
    if kind == "" then
      flush_literal()
      add(statement(inner) .. " ")
    else
      if not find(inner, "%S") then return nil, line, "a tag has no expression" end
      if kind == "=" then
        -- The literal's own lines come before those of the expression.
        local literal_code = quote(literal or "")
        add(line_breaks(literal or ""))
        add("_v = " .. inner .. ' if _v == nil then _v = "" end _n = _n + 2 _out[_n - 1] = ' .. literal_code .. " _out[_n] = _v ")
        literal = nil
      else
        flush_literal()
        add("_v = _t.plain(_t, " .. inner .. ') _n = _n + 2 _out[_n - 1] = _v _out[_n] = "" ')
      end
    end
    line = line + #line_breaks(inner) + #line_breaks(skipped)
    if skipped ~= "" then add("\n") end
  end
  flush_literal()
  add("return _out, _n end")
  return concat(code)
end

-- A function that makes the template's function; or nil and a message.
local function compile(text, name)
  local source, line, wrong = translate(text)
  if not source then return nil, name .. ":" .. line .. ": " .. wrong end
  return compile_text(source, "@" .. name)
end

return { compile = compile }
