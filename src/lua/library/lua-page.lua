-- Lua Pages: text with Lua in it, as CGILua has them. `<?lua code ?>`, `<? code ?>` and `<% code %>` run, `<?lua= value ?>`, `<?= value ?>`
-- and `<%= value %>` write a value as it is. `$| value |$` and `<!--$$ code $$-->` are the older forms of these.
--
-- A page becomes a chunk in which each line of the page keeps its number, so that errors name the page's own lines.

local parts = ...

local setfenv = setfenv
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local concat = table.concat
local compile = parts.sources.compile

local lua_page = {}

-- What the chunk is given: what writes, the page's texts, and in Lua 5.4 its globals.
local start = setfenv and "local cgilua_con, cgilua_text = ... " or "local cgilua_con, cgilua_text, _ENV = ... "

local closers = { ["<?"] = "?>", ["<%"] = "%>", ["$|"] = "|$" }
local comment_start, comment_end = "<!--$$", "$$-->"

-- The next piece of Lua from `at` on: its first and last position, its code, and whether that is a value. `missing` notes closers that
-- do not come any more: text is looked at a fixed number of times.
local function next_piece(page, at, missing)
  while true do
    local first = find(page, "[<$]", at)
    if not first then return nil end
    local opener = sub(page, first, first + 1)
    local closer = closers[opener]
    if not closer and opener == "<!" and sub(page, first, first + #comment_start - 1) == comment_start then
      opener, closer = comment_start, comment_end
    end
    if closer and not missing[closer] then
      local inside = first + #opener
      local stop, last = find(page, closer, inside, true)
      if stop then
        local code, is_value = sub(page, inside, stop - 1), opener == "$|"
        if opener == "<?" then
          local target, rest = match(code, "^(%w*)(.*)$")
          if target == "" or target == "lua" then code = rest else code = nil end -- <?xml … ?> is no Lua
        end
        if code and (opener == "<?" or opener == "<%") then
          local value = match(code, "^[ \t]*=(.*)$")
          if value then code, is_value = value, true end
        end
        if code then return first, last, code, is_value end
        at = last
      else
        missing[closer] = true
      end
    end
    at = at < first + 1 and first + 1 or at + 1
  end
end

local function line_ends(text) return (gsub(text, "[^\n]+", "")) end

-- Translates a page: the source of its chunk, and its texts.
function lua_page.translate(page)
  local pieces, texts, at, missing = { start }, {}, 1, {}
  local function add_text(text)
    if text == "" then return end
    texts[#texts + 1] = text
    pieces[#pieces + 1] = " cgilua_con:puts(cgilua_text[" .. #texts .. "]);" .. line_ends(text)
  end
  while true do
    local first, last, code, is_value = next_piece(page, at, missing)
    if not first then break end
    add_text(sub(page, at, first - 1))
    pieces[#pieces + 1] = is_value and " cgilua_con:puts(" .. code .. ");" or " " .. code .. " "
    at = last + 1
  end
  add_text(sub(page, at))
  return concat(pieces), texts
end

-- A function that writes the page: `write_page(con, globals)`. Nil and a message where its Lua is none.
function lua_page.compile(page, name)
  page = gsub(gsub(page, "^\239\187\191", ""), "^#[^\n]*", "")
  local source, texts = lua_page.translate(page)
  local chunk, message = compile(source, name)
  if not chunk then return nil, message end
  if not setfenv then return function(con, globals) return chunk(con, texts, globals) end end
  return function(con, globals)
    setfenv(chunk, globals)
    return chunk(con, texts)
  end
end

-- The same for a script of Lua alone.
function lua_page.compile_script(source, name)
  source = gsub(gsub(source, "^\239\187\191", ""), "^#[^\n]*", "")
  local chunk, message = compile(setfenv and source or "local _ENV = ... " .. source, name)
  if not chunk then return nil, message end
  if not setfenv then return function(_, globals) return chunk(globals) end end
  return function(_, globals)
    setfenv(chunk, globals)
    return chunk()
  end
end

return lua_page
