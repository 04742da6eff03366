-- The front page of {{name}}.
local template = require("luafcgid.template")

function main(env, con)
  template.puts(con, "../views/index.etlua", { name = con:query().name or "world" })
end
