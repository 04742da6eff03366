function main(env, con)
  con:type("text/plain; charset=utf-8")
  con:puts("Hello from a container.\n")
end
