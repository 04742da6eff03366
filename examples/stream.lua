-- Output that arrives as it is made: con:flush() sends what there is, now.
local layout = require("lib.layout")
local sleep = require("luafcgid").sleep

local steps, seconds_per_step = 10, 0.2

function main(env, con)
  -- A web server in front may collect output too; this asks nginx not to.
  con:header("X-Accel-Buffering", "no")
  con:header("Cache-Control", "no-store")
  layout.open(con, "Stream")
  con:puts("<ol>\n")
  con:flush()
  for step = 1, steps do
    sleep(seconds_per_step) -- stands for what takes time: a database, another server
    con:puts("<li>Step ", step, " of ", steps, " is done.</li>\n")
    con:flush()
  end
  con:puts("</ol>\n<p>That was all.</p>\n")
  layout.close(con)
end
