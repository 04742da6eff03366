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

-- Whole applications, each with a folder of its own.
local applications = {
  { "guestbook/", "Guestbook", "Users, forms, uploads, sessions, templates, a database and a JSON API in one script." },
  { "links/", "Link shortener", "Short addresses with statistics and a rate limit, all in memory that workers share." },
  { "wiki/", "Wiki", "Pages that anybody can edit: an application for WSAPI, the interface of Orbit and Sputnik." },
}

local function list(con, entries)
  con:puts("<dl>\n")
  for _, entry in ipairs(entries) do
    local file, name, text = entry[1], entry[2], entry[3]
    con:puts('<dt><a href="', file, '">', escape(name), "</a> <code>", file, "</code></dt>\n<dd>", escape(text), "</dd>\n")
  end
  con:puts("</dl>\n")
end

function main(env, con)
  -- Where this script answers for all addresses that are no files.
  if (env.PATH_INFO or "") ~= "" then con:status(404) end
  layout.open(con, "Lua pages with luafcgid", true)
  con:puts('<p class="lead">Each of these pages is one Lua file in this folder. Change one and reload: the server notices.</p>\n')
  list(con, examples)
  con:puts('<h2>Applications</h2>\n<p class="lead">These need the settings of <code>config/config.lua</code>, with which npm start serves them.</p>\n')
  list(con, applications)
  con:puts("<footer><p>luafcgid ", escape(env.LUAFCGID_VERSION), ", ", escape(_VERSION), "</p></footer>\n")
  layout.close(con)
end
