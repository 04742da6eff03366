-- All that is known about a request: the parameters of the web server, the request's headers among them as HTTP_...
local layout = require("lib.layout")
local escape = require("luafcgid").escape

function main(env, con)
  local names = {}
  for name in pairs(env) do names[#names + 1] = name end
  table.sort(names)

  layout.open(con, "Environment")
  con:puts("<table>\n<caption>", #names, " parameters of this request</caption>\n")
  con:puts('<thead><tr><th scope="col">Name</th><th scope="col">Value</th></tr></thead>\n<tbody>\n')
  for _, name in ipairs(names) do
    -- Some of these values come from the client, so all are escaped.
    con:puts('<tr><th scope="row">', escape(name), "</th><td>", escape(env[name]), "</td></tr>\n")
  end
  con:puts("</tbody>\n</table>\n")
  layout.close(con)
end
