local template = require("luafcgid.template")

function main(env, con)
  template.puts(con, "template.etlua", { count = 200 })
end
