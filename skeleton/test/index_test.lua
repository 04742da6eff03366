-- luafcgid test
local test = require("luafcgid.test")

test("greets the world", function()
  local answer = test.get("/")
  test.equal(answer.status, 200)
  test.match(answer.body, "Hello, world!")
end)

test("greets who is named, whatever the name is", function()
  local answer = test.get("/", { query = { name = "<Ada>" } })
  test.match(answer.body, "Hello, &lt;Ada&gt;!")
end)
