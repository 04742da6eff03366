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
  con:header("Content-Type", "text/html; charset=utf-8")
  con:puts("<!doctype html>\n<title>Table</title>\n<table>\n")
  for row = 1, 200 do
    con:puts("<tr><td>" .. row .. "</td><td>" .. escape("Name <" .. row .. ">") .. "</td><td>"
      .. escape("say \"hello\" & wave, it's row " .. row) .. "</td></tr>\n")
  end
  con:puts("</table>\n")
end
