-- A count that all workers share, and a limit of 20 visits in 10 seconds for each address. The dictionary `cache` is there without a
-- configuration; a script's own globals would count for one state only, as counter.lua shows.
local layout = require("lib.layout")
local cache = require("luafcgid.shared").cache

local LIMIT, SECONDS = 20, 10

function main(env, con)
  con:header("Cache-Control", "no-store")
  -- Counts from 0 in a window that begins with the first visit.
  local recent = cache:incr("recent " .. (env.REMOTE_ADDR or ""), 1, 0, SECONDS)
  if recent and recent > LIMIT then
    con:status(429)
    con:header("Retry-After", tostring(SECONDS))
    layout.open(con, "Too many visits")
    con:puts("<p>More than ", LIMIT, " visits in ", SECONDS, " seconds. Come back in a moment.</p>\n")
    layout.close(con)
    return
  end
  local visits = cache:incr("visits", 1, 0)
  layout.open(con, "Visits")
  con:puts("<p>This is visit <strong>", string.format("%d", visits), "</strong> since the server was started, ")
  con:puts("and visit ", string.format("%d", recent), " of ", LIMIT, " that you have in ", SECONDS, " seconds.</p>\n")
  con:puts('<p><a href="visits.lua">Once more</a></p>\n')
  layout.close(con)
end
