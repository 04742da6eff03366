-- Input: con:query() has the fields of the URL, con:form() those of a posted form, files included.
local layout = require("lib.layout")
local escape = require("luafcgid").escape

-- A field is a string, a file is a table, and a name that comes more than once has a list of these.
local function show(value)
  if type(value) == "string" then return escape(value) end
  if value.filename then
    return ("a file named <b>%s</b>, %s, %d bytes"):format(escape(value.filename), escape(value.type), #value.content)
  end
  local items = {}
  for index, item in ipairs(value) do items[index] = "<li>" .. show(item) .. "</li>" end
  return "<ul>" .. table.concat(items) .. "</ul>"
end

local function table_of(con, caption, fields)
  if not next(fields) then return end
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  con:puts("<table>\n<caption>", caption, "</caption>\n<tbody>\n")
  for _, name in ipairs(names) do
    con:puts('<tr><th scope="row">', escape(name), "</th><td>", show(fields[name]), "</td></tr>\n")
  end
  con:puts("</tbody>\n</table>\n")
end

-- An unfinished form comes back with what was typed.
local function typed(fields, name)
  return type(fields[name]) == "string" and escape(fields[name]) or ""
end

function main(env, con)
  local query, form = con:query(), con:form()
  layout.open(con, "Forms")
  table_of(con, "From the query: <code>con:query()</code>", query)
  table_of(con, "From the form: <code>con:form()</code>", form)
  con:puts([[
<form method="get">
<h2>GET</h2>
<label for="word">A word</label>
<input id="word" name="word" value="]], typed(query, "word"), [[">
<button>Search</button>
</form>
<form method="post" enctype="multipart/form-data">
<h2>POST</h2>
<label for="text">A text</label>
<textarea id="text" name="text" rows="3" cols="40">
]], typed(form, "text"), [[</textarea>
<label for="file">A file</label>
<input id="file" name="file" type="file">
<br><button>Send</button>
</form>
]])
  layout.close(con)
end
