-- Output that arrives as it is made: con:flush() sends what there is, now.
local layout = require("lib.layout")

local steps, seconds_per_step = 10, 0.2

-- Stands for real work. Most scripts would ask a database here.
local function work(seconds)
  local stop = os.clock() + seconds
  local sum = 0
  while os.clock() < stop do
    for i = 1, 1000 do sum = sum + i % 7 end
  end
  return sum
end

function main(env, con)
  -- A web server in front may collect output too; this asks nginx not to.
  con:header("X-Accel-Buffering", "no")
  con:header("Cache-Control", "no-store")
  layout.open(con, "Stream")
  con:puts("<ol>\n")
  con:flush()
  for step = 1, steps do
    work(seconds_per_step)
    con:puts("<li>Step ", step, " of ", steps, " is done.</li>\n")
    con:flush()
  end
  con:puts("</ol>\n<p>That was all.</p>\n")
  layout.close(con)
end
