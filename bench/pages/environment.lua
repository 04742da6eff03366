-- Other servers that speak this script interface may have no `escape`: they do the same in Lua.
local found, library = pcall(require, "luafcgid")
local escape = found and type(library) == "table" and library.escape
if not escape then
  local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
  function escape(text)
    return (string.gsub(text, "[&<>\"']", entities))
  end
end

function main(env, con)
  local names = {}
  for name in pairs(env) do names[#names + 1] = name end
  table.sort(names)
  con:header("Content-Type", "text/html; charset=utf-8")
  con:puts("<!doctype html>\n<title>Environment</title>\n<table>\n")
  for _, name in ipairs(names) do
    con:puts("<tr><th>" .. escape(name) .. "</th><td>" .. escape(tostring(env[name])) .. "</td></tr>\n")
  end
  con:puts("</table>\n")
end
