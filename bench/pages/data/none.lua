local luafcgid = require("luafcgid")

function main(env, con)
  con:puts("note: ", "title " .. math.random(1000), "\n")
end
