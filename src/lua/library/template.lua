-- The module luafcgid.template.

--- ## The module luafcgid.template
---
--- Pages from templates, in etlua's language. What a template writes is escaped for HTML unless it says otherwise.
---
--- ```lua
--- local template = require("luafcgid.template")
--- function main(env, con)
---   template.puts(con, "page.etlua", { title = "Users", users = users })
--- end
--- ```
---
--- ```html
--- <% layout("layout.etlua") -%>
--- <h1><%= title %></h1>
--- <% for i, user in ipairs(users) do %>
---   <p><%= user.name %></p>
--- <% end %>
--- ```
---
--- - `<%= value %>` writes a value, escaped. nil writes nothing; a function is called, and what it gives is escaped too;
---   a table needs a `__tostring`. `<%- value %>` writes it as it is: only for what is HTML already.
--- - `<% code %>` is Lua. `-%>` at the end of any tag drops the line end after it.
--- - `<% include("file", values) %>` writes another template; without values it sees those of this one.
--- - `<% layout("file", values) %>`, before anything else, puts the page into another template, which writes it where it
---   has `<% content() %>`.
--- - `<% block("name") %> … <% endblock() %>` in a page with a layout is kept for it; in the layout the same writes the
---   page's block of that name, or, when there is none, what stands in it.
---
--- File names start beside the script. A template is compiled once in each state; when its file changes, the states that use
--- it are made anew. Its names are the values that it is given, and of Lua `ipairs`, `pairs`, `next`, `select`, `tonumber`,
--- `tostring`, `type`, `unpack`, `string`, `table`, `math`, `os.date` and `os.time`, and `escape` and `urlencode` of
--- the module `luafcgid`. It sees no globals of the script. An error in it tells the line of the template.

local parts = ...

local host, run, arguments, waiting = parts.host, parts.run, parts.arguments, parts.waiting
local compile = parts.template_compile.compile
local resolve = parts.sources.resolve
local escape, urlencode = parts.luafcgid.escape, parts.luafcgid.urlencode
local bad_argument, text_argument = arguments.bad, arguments.text

local type, tostring, error, next, pcall, setmetatable, setfenv = type, tostring, error, next, pcall, setmetatable, setfenv
local getmetatable = debug.getmetatable
local concat, gsub = table.concat, string.gsub

local most_includes, most_layouts = 100, 20

local function copy(from)
  local to = {}
  for name, value in next, from do to[name] = value end
  return to
end

local visible = {
  __index = {
    ipairs = ipairs, pairs = pairs, next = next, select = select, tonumber = tonumber, tostring = tostring, type = type,
    unpack = unpack or table.unpack, string = copy(string), table = copy(table), math = copy(math),
    os = { date = os.date, time = os.time }, escape = escape, urlencode = urlencode,
  },
}

-- The names of a template: a copy, so that what it assigns to is its own.
local function scope_of(values)
  return setmetatable(values and copy(values) or {}, visible)
end

-- Makers of functions, by file.
local compiled = {}

local function load(name)
  local path = resolve(name)
  local maker = compiled[path]
  if maker then return maker end
  local ok, text = host.textfile(path)
  if not ok then return nil, text end
  if not text then return nil, "there is no template " .. path end
  local message
  maker, message = compile(text, path)
  compiled[path] = maker
  return maker, message
end

-- A table for pieces. While the line of an error is searched these look at what they are given.
local checking

local function new_pieces()
  return checking and setmetatable({}, checking) or {}
end

---- what a template calls ----

-- The text of a value that is neither string nor number.
local function text_of(value, calls)
  local kind = type(value)
  if kind == "string" or kind == "number" then return value end
  if kind == "boolean" then return tostring(value) end
  if kind == "nil" then return "" end
  if kind == "function" then
    if calls > 10 then error("a function of a template gives a function again and again", 0) end
    return text_of(value(), calls + 1)
  end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__tostring then return tostring(value) end
  error("a template cannot write a " .. kind .. " value", 0)
end

local Run = {}
Run.__index = Run

-- Runs one template; its output goes to the end of `out`. Gives where its output goes on.
local function execute(self, maker, out, count, scope)
  local outer = self.scope
  self.scope = scope
  local write = maker()
  if setfenv then setfenv(write, scope) end
  out, count = write(self, out, count, scope)
  self.scope = outer
  return out, count
end

local function template_of(name, statement)
  if type(name) ~= "string" then error(statement .. " needs the name of a file, not a " .. type(name) .. " value", 3) end
  local maker, message = load(name)
  if not maker then error(message, 3) end
  return maker
end

local function check_values(values, statement)
  if values ~= nil and type(values) ~= "table" then error(statement .. ": the values are a table, not a " .. type(values) .. " value", 3) end
end

function Run.include(self, out, count, name, values)
  local maker = template_of(name, "include")
  check_values(values, "include")
  self.depth = self.depth + 1
  if self.depth > most_includes then error("templates include each other more than " .. most_includes .. " levels deep", 2) end
  out, count = execute(self, maker, out, count, values and scope_of(values) or self.scope)
  self.depth = self.depth - 1
  return out, count
end

function Run.layout(self, out, count, name, values)
  if self.layout_maker then error("a template has one layout", 2) end
  self.layout_maker = template_of(name, "layout")
  check_values(values, "layout")
  self.layout_scope = values and scope_of(values) or self.scope
  self.main = out
  self.main_count = count
  return new_pieces(), 0
end

-- What is written as it is.
function Run.plain(_, value)
  local ok, text = pcall(text_of, value, 0)
  if not ok then error((gsub(text, "^%[luafcgid%]:%d+: ", "")), 2) end
  return text
end

function Run.content(self, out, count)
  if not self.page then error("content() is for layouts: no page has named this template as its layout", 2) end
  out[count + 1], out[count + 2] = self.page, ""
  return out, count + 2
end

function Run.block(self, out, count, name)
  if type(name) ~= "string" then error("block needs a name, not a " .. type(name) .. " value", 2) end
  local open = self.open
  open[#open + 1] = { name = name, out = out, count = count }
  return new_pieces(), 0
end

function Run.endblock(self, out, _)
  local open = self.open
  local block = open[#open]
  if not block then error("endblock() without a block", 2) end
  open[#open] = nil
  local blocks, name = self.blocks, block.name
  -- The page's own comes before that of its layout.
  blocks[name] = blocks[name] or out
  if self.layout_maker then return block.out, block.count end
  block.out[block.count + 1], block.out[block.count + 2] = blocks[name], ""
  return block.out, block.count + 2
end

---- output ----

-- Makes every piece a string or a number; those of blocks and pages are tables of pieces, in the places of what is not escaped.
local function normalize(out)
  local at = 1
  while out[at] ~= nil do
    local piece = out[at]
    local kind = type(piece)
    if kind == "table" and at % 2 == 1 and getmetatable(piece) == nil then
      normalize(piece)
    elseif kind ~= "string" and kind ~= "number" then
      out[at] = text_of(piece, 0)
    end
    at = at + 1
  end
end

local entities = parts.html.entities

-- The pieces as they go out, appended to `flat`.
local function flatten(out, flat, count)
  local at = 1
  while true do
    local plain, value = out[at], out[at + 1]
    if plain == nil then return count end
    local kind = type(plain)
    if kind == "table" and getmetatable(plain) == nil then
      count = flatten(plain, flat, count)
    else
      count = count + 1
      flat[count] = kind == "string" and plain or text_of(plain, 0)
    end
    if value ~= "" then
      if type(value) ~= "string" then value = text_of(value, 0) end
      count = count + 1
      flat[count] = gsub(value, "[&<>\"']", entities)
    end
    at = at + 2
  end
end

local function join(out)
  local flat = {}
  return concat(flat, "", 1, flatten(out, flat, 0))
end

if jit then
  -- LuaJIT compiles loops over bytes.
  local join_fast = parts.template_jit.join
  local join_slowly = join
  function join(out) return join_fast(out) or join_slowly(out) end
end

-- One table is kept for the next page, unless that was large.
local most_kept = 8192
local spare

-- Runs a template and its layouts: a table of pieces that ends with nil.
local function pieces_of(maker, values)
  local self = setmetatable({ depth = 0, blocks = {}, open = {} }, Run)
  local out, count = spare or new_pieces(), 0
  spare = nil
  local scope = scope_of(values)
  out, count = execute(self, maker, out, 0, scope)
  local layouts = 0
  while self.layout_maker do
    if #self.open > 0 then break end
    layouts = layouts + 1
    if layouts > most_layouts then error("layouts name each other more than " .. most_layouts .. " levels deep", 0) end
    out[count + 1] = nil
    local layout = self.layout_maker
    self.page, self.layout_maker = out, nil
    out, count = execute(self, layout, self.main, self.main_count, self.layout_scope)
  end
  if #self.open > 0 then error("the block " .. self.open[#self.open].name .. " has no endblock()", 0) end
  out[count + 1] = nil
  return out, count
end

local function keep(out, count)
  if count <= most_kept then spare = out end
end

-- Tells the line of a template that writes what it cannot: runs it again and looks at every value.
local function find_line(maker, values, message)
  checking = {}
  function checking.__newindex(_, _, value)
    if getmetatable(value) == checking or pcall(text_of, value, 0) then return end
    error((gsub(message, "^%[luafcgid%]:%d+: ", "")), 2)
  end
  local ok, told = pcall(pieces_of, maker, values)
  checking = nil
  return not ok and told or message
end

local function output(maker, values, finish)
  local out, count = pieces_of(maker, values)
  local ok, result, detail = waiting.pcall(finish, out)
  if not ok then error(find_line(maker, values, result), 0) end
  keep(out, count)
  return result, detail
end

local function to_text(out)
  if host.joinpieces then
    local ok, text = host.joinpieces(out)
    if ok and text then return text end
    normalize(out)
    ok, text = host.joinpieces(out)
    if ok and text then return text end
  end
  return join(out)
end

local put_pieces = parts.con.put_pieces

local function to_client(out)
  if host.writepieces then
    local ok, is_done = put_pieces(out)
    if ok and not is_done then
      normalize(out)
      ok, is_done = put_pieces(out)
    end
    if not ok or is_done then return ok, is_done end
  end
  return parts.con.put_text(join(out))
end

local function checked(values, position, name)
  if values ~= nil and type(values) ~= "table" then bad_argument(position, name, "table", values, 4) end
  return values
end

local M = {}

--- template.puts(con, file[, values])
---
--- Writes a page to the client. This is the fastest way to make one: the pieces of the page go out without a Lua string
--- being made of them.
---
--- Errors: no such file; an error in the template; `con` is not that of the running request, or after `con:finish()`.
--- Example: if false then template.puts(con, "page.etlua", { title = "Hello" }) end
function M.puts(con, file, values)
  if con ~= run.con or run.finished then run.refuse(con, "puts") end
  file = text_argument(file, 2, "puts")
  checked(values, 3, "puts")
  local maker, message = load(file)
  if not maker then error(message, 2) end
  local ok
  ok, message = output(maker, values, to_client)
  if not ok then error(message, 2) end
end

--- template.render(file[, values])
---
--- The page as a string.
---
--- Errors: no such file; an error in the template.
--- Example: if false then con:puts(template.render("page.etlua", { title = "Hello" })) end
function M.render(file, values)
  file = text_argument(file, 1, "render")
  checked(values, 2, "render")
  local maker, message = load(file)
  if not maker then error(message, 2) end
  local text = output(maker, values, to_text)
  return text
end

--- template.compile(text[, name])
---
--- A function of values that gives a page, from the text of a template. `name` is what errors call it.
---
--- Errors: the text is no template, or no Lua; the message tells the line.
--- Example: assert(template.compile("<p><%= x %></p>")({ x = "<" }) == "<p>&lt;</p>")
function M.compile(text, name)
  text = text_argument(text, 1, "compile")
  name = name == nil and "template" or text_argument(name, 2, "compile")
  local maker, message = compile(text, name)
  if not maker then error(message, 2) end
  return function(values)
    checked(values, 1, "template")
    local page = output(maker, values, to_text)
    return page
  end
end

return M
