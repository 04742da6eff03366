local db = require("luafcgid.db").open("file")

function main(env, con)
  local row = db:one("select title from notes where id = ?", math.random(1000))
  con:puts("note: ", row.title, "\n")
end
