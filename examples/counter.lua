-- The script's state lives on between requests: globals keep their values until the file changes or the pool needs the
-- room. Under load the server clones the state, and each clone counts for itself; with `clones = 1` in the
-- configuration there is one state, and one truth.
local layout = require("lib.layout")

count = 0
started = os.time()

function main(env, con)
  count = count + 1
  con:header("Cache-Control", "no-store")
  layout.open(con, "Counter")
  con:puts("<p>This Lua state was made at ", os.date("!%H:%M:%S", started), " UTC ")
  con:puts("and has answered <strong>", count, "</strong> ", count == 1 and "request" or "requests", ".</p>\n")
  con:puts('<p><a href="counter.lua">Once more</a></p>\n')
  layout.close(con)
end
