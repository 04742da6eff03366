local luafcgid = require("luafcgid")

function main(env, con)
  luafcgid.sleep(0.2)
  con:puts("note: awake\n")
end
