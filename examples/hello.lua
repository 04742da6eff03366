-- The smallest script. The server loads it once and calls main for every request.
function main(env, con)
  con:type("text/plain; charset=utf-8")
  con:puts("Hello from Lua!\n")
end
