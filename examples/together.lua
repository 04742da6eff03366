-- Two things that wait at the same time: luafcgid.all. The page takes as long as the slower one, and while it waits its worker
-- serves others. Here they wait for time; in your scripts they ask a database (luafcgid.db) or another server (luafcgid.http).
local layout = require("lib.layout")
local luafcgid = require("luafcgid")

local function brew(what, steps, seconds, tell)
  for step = 1, steps do
    luafcgid.sleep(seconds)
    tell(what, step, steps)
  end
  return what .. " is ready"
end

function main(env, con)
  con:header("X-Accel-Buffering", "no")
  con:header("Cache-Control", "no-store")
  layout.open(con, "Two at once")
  con:puts('<p class="lead">Tea takes 3 steps of 0.3 seconds, toast 4 of 0.2. One after the other that were 1.7 seconds.</p>\n<ol>\n')
  con:flush()
  local function tell(what, step, steps)
    con:puts("<li>", what, ": step ", step, " of ", steps, "</li>\n")
    con:flush()
  end
  local tea, toast = luafcgid.all(
    function() return brew("Tea", 3, 0.3, tell) end,
    function() return brew("Toast", 4, 0.2, tell) end
  )
  con:puts("</ol>\n<p>", tea, ", and ", toast, ".</p>\n")
  layout.close(con)
end
