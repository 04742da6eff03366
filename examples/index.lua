-- The list of the examples.
local layout = require("lib.layout")
local escape = require("luafcgid").escape

local examples = {
  { "hello.lua", "Hello", "The smallest script: one line of text." },
  { "environment.lua", "Environment", "Everything the web server says about a request." },
  { "form.lua", "Forms", "A query, a posted form and a file upload, parsed." },
  { "counter.lua", "Counter", "A global variable that is still there at the next request." },
  { "stream.lua", "Stream", "Lines that arrive one by one while the script is still running." },
  { "together.lua", "Two at once", "Two things that wait at the same time, while the worker serves others." },
  { "visits.lua", "Visits", "A count for all scripts and workers, and a limit for each visitor: shared memory." },
  { "remember.lua", "Cookies", "Your name and your visits, remembered in cookies." },
}

function main(env, con)
  layout.open(con, "Lua pages with luafcgid", true)
  con:puts('<p class="lead">Each of these pages is one Lua file in this folder. Change one and reload: the server notices.</p>\n<dl>\n')
  for _, example in ipairs(examples) do
    local file, name, text = unpack(example)
    con:puts('<dt><a href="', file, '">', escape(name), "</a> <code>", file, "</code></dt>\n<dd>", escape(text), "</dd>\n")
  end
  con:puts("</dl>\n<footer><p>luafcgid ", escape(env.LUAFCGID_VERSION), ", ", escape(_VERSION), "</p></footer>\n")
  layout.close(con)
end
