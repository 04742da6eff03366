local redis = require("luafcgid.redis").open("cache")

function main(env, con)
  con:puts("note: ", redis:get("note:" .. math.random(1000)), "\n")
end
