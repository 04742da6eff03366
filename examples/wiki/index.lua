-- A wiki as a WSAPI application: it knows its environment, `wsapi.request` and `wsapi.response`, and ends with a function that gives a
-- status, headers and an iterator. Only where its pages lie is this server's own: in the dictionary `wiki` of the setting `shared`.
local request = require("wsapi.request")
local response = require("wsapi.response")
local util = require("wsapi.util")
local wiki = require("luafcgid.shared").wiki

local home, longest_text = "Home", 20000
local first_text = "Welcome. Write *bold* words, and [[Names of pages]] that lead to them.\n\nAn empty line begins a paragraph."

local frame = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · Wiki</title>
<style>
:root { color-scheme: light dark; --text: #20262e; --soft: #5a6673; --back: #f7f6f2; --card: #fff; --line: #d9d6cd; --accent: #0f5f4e; --on: #fff; --wrong: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7e9ec; --soft: #a2adb9; --back: #14181b; --card: #1c2226; --line: #353d43; --accent: #7fd1bd; --on: #10201c; --wrong: #ffb4ab }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 44rem; padding: 0 1.25rem 3rem; font: 1.0625rem/1.6 system-ui, sans-serif; color: var(--text); background: var(--back) }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: baseline; padding: 1.5rem 0 .5rem; border-bottom: 1px solid var(--line) }
header strong { font: 600 1.5rem/1.2 Georgia, serif; margin-right: auto }
h1 { font: 600 1.75rem/1.25 Georgia, serif; margin: 1.5rem 0 1rem }
a { color: var(--accent) }
a.new { text-decoration-style: dashed }
p, li { overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
form, pre { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem }
label { display: block; margin-bottom: .4rem; font-weight: 600 }
textarea { width: 100%; min-height: 14rem; font: inherit; color: inherit; background: var(--back); padding: .6rem; border: 1px solid var(--soft); border-radius: .4rem }
button { font: inherit; font-weight: 600; margin-top: 1rem; padding: .5rem 1.1rem; border: 0; border-radius: .4rem; color: var(--on); background: var(--accent); cursor: pointer }
.wrong { color: var(--wrong); font-weight: 600 }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .9rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
</style>
</head>
<body>
<header><strong>Wiki</strong><nav aria-label="Wiki"><a href="$base/">Home</a> · <a href="$base/pages">All pages</a></nav></header>
<main>
<h1>$title</h1>
$content
</main>
<footer>$foot<a href="$base/source">The source of this application</a></footer>
</body>
</html>
]]

local marks = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local function escape(text) return (text:gsub("[&<>\"']", marks)) end

-- ---- pages: the number of the revision, the time of it, and the text ---------------------------------------------

local function load_page(name)
  local value = wiki:get("page:" .. name)
  if not value and name == home then return { revision = 0, text = first_text } end
  local revision, time, text = (value or ""):match("^(%d+) (%d+)\n(.*)$")
  return text and { revision = tonumber(revision), time = tonumber(time), text = text, stored = value }
end

-- Stores a text when the page is still what it was: true, or nil and why not.
local function save_page(name, old, text)
  local value = string.format("%d %d\n%s", (old and old.revision or 0) + 1, os.time(), text)
  local ok, why = wiki:cas("page:" .. name, old and old.stored, value)
  return ok, why
end

local function is_name(name) return #name > 0 and #name <= 60 and not name:find("[%c/\\%[%]]") end

local function page_address(base, name) return base .. "/page/" .. util.url_encode(name):gsub("%+", "%%20") end

local function link(base, name)
  local class = load_page(name) and "" or ' class="new"'
  return '<a href="' .. page_address(base, name) .. '"' .. class .. ">" .. escape(name) .. "</a>"
end

-- The text as HTML: everything is escaped before anything is marked.
local function to_html(base, text)
  local paragraphs = {}
  for paragraph in (text:gsub("\r", "") .. "\n\n"):gmatch("(.-)\n\n+") do
    local html = escape(paragraph):gsub("%*([^*\n]+)%*", "<strong>%1</strong>")
    html = html:gsub("%[%[([^%[%]\n]+)%]%]", function(escaped)
      local name = escaped:gsub("&#39;", "'"):gsub("&quot;", '"'):gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&amp;", "&")
      return is_name(name) and link(base, name) or escaped
    end)
    paragraphs[#paragraphs + 1] = "<p>" .. html:gsub("\n", "<br>\n") .. "</p>"
  end
  return table.concat(paragraphs, "\n")
end

-- ---- answers --------------------------------------------------------------------------------------------------------

local function send(web, title, content, status, foot)
  local answer = response.new(status or 200, {
    ["Content-Type"] = "text/html; charset=utf-8", ["Cache-Control"] = "no-store",
    ["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
  })
  local values = { title = escape(title), base = escape(web.script_name), content = content, foot = foot and foot .. " · " or "" }
  answer:write((frame:gsub("%$(%l+)", values)))
  return answer:finish()
end

local function fail(web, status, text) return send(web, text, "<p>" .. link(web.script_name, home) .. "</p>", status) end

local function show(web, name)
  local page = load_page(name)
  local edit = web.script_name .. "/edit/" .. util.url_encode(name):gsub("%+", "%%20")
  if not page then
    return send(web, name, '<p>There is no such page yet. <a href="' .. edit .. '">Write it</a></p>', 404)
  end
  local foot = page.time and "Revision " .. page.revision .. ", " .. os.date("!%Y-%m-%d %H:%M UTC", page.time)
  return send(web, name, to_html(web.script_name, page.text) .. '\n<p><a href="' .. edit .. '">Edit this page</a></p>', 200, foot)
end

local function edit_form(web, name, text, revision, wrong)
  return send(web, "Edit " .. name, (wrong and '<p class="wrong" role="alert">' .. escape(wrong) .. "</p>\n" or "") ..
    '<form method="post"><label for="text">Text</label>\n<textarea id="text" name="text" required maxlength="' .. longest_text ..
    '">\n' .. escape(text) .. '</textarea>\n<input type="hidden" name="revision" value="' .. revision ..
    '"><button>Save</button></form>', wrong and 409 or 200)
end

-- A form of another site comes with another origin: a browser says so in each POST.
local function is_of_this_site(env)
  local host = env.HTTP_ORIGIN:match("^https?://(.+)$")
  return host ~= nil and host == env.HTTP_HOST
end

local function save(web, name)
  if not is_of_this_site(web.env) then return fail(web, 403, "Please send the form from this page") end
  local text, revision = web.POST.text, tonumber(web.POST.revision)
  if type(text) ~= "string" or not revision or web:empty(text) or #text > longest_text then
    return fail(web, 422, "A page has 1 to " .. longest_text .. " characters")
  end
  local page = load_page(name)
  local ok, why
  if (page and page.revision or 0) == revision then ok, why = save_page(name, page, text) end
  if why == "no memory" then return fail(web, 507, "There is no room for more pages") end
  if not ok then
    page = load_page(name)
    return edit_form(web, name, text, page and page.revision or 0,
      "Somebody else has saved this page meanwhile. Your text is below; saving it again replaces the other one.")
  end
  return response.new(303):redirect(page_address(web.script_name, name))
end

local function list(web)
  local names = { home }
  for _, key in ipairs(wiki:get_keys(500)) do
    local name = key:match("^page:(.+)$")
    if name and name ~= home then names[#names + 1] = name end
  end
  table.sort(names)
  for at, name in ipairs(names) do names[at] = "<li>" .. link(web.script_name, name) .. "</li>" end
  return send(web, "All pages", "<ul>\n" .. table.concat(names, "\n") .. "\n</ul>")
end

local function source(web)
  local file = assert(io.open("index.lua", "rb"))
  local text = file:read("*a")
  file:close()
  return send(web, "Source", '<pre tabindex="0">' .. escape(text) .. "</pre>")
end

-- ---- the application ------------------------------------------------------------------------------------------------

return require("luafcgid.wsapi").handler(function(wsapi_env)
  local web = request.new(wsapi_env)
  local path = web.path_info
  if path == "/" then return show(web, home) end
  if path == "/pages" then return list(web) end
  if path == "/source" then return source(web) end
  local action, name = path:match("^/(%l+)/(.+)$")
  if not name or not is_name(name) then return fail(web, 404, "There is nothing at this address") end
  if action == "page" then return show(web, name) end
  if action ~= "edit" then return fail(web, 404, "There is nothing at this address") end
  if web.method == "POST" then return save(web, name) end
  local page = load_page(name)
  return edit_form(web, name, page and page.text or "", page and page.revision or 0)
end)
