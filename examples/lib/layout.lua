-- What the example pages share: the frame around their content. `require("lib.layout")` finds this file because the
-- folder of the script that asks is searched first.
local escape = require("luafcgid").escape

local layout = {}

local head = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s · luafcgid</title>
<style>
:root { color-scheme: light dark; --text: #1c2733; --soft: #566370; --back: #fbfbf9; --line: #d8dcdf; --accent: #0b4f9e }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ec; --soft: #a3aeb8; --back: #14191f; --line: #343d46; --accent: #8ab8f2 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 46rem; padding: 2rem 1.25rem 4rem; font: 1.0625rem/1.6 system-ui, sans-serif;
  color: var(--text); background: var(--back) }
a { color: var(--accent) }
a:focus-visible, button:focus-visible, input:focus-visible, textarea:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
h1 { line-height: 1.2; margin: 1rem 0 .5rem }
.lead, footer { color: var(--soft) }
dt { margin-top: 1rem; font-weight: 600 }
dd { margin: 0 }
table { border-collapse: collapse; width: 100%% }
caption { text-align: left; color: var(--soft) }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line) }
td { overflow-wrap: anywhere }
code, pre, th { font-family: ui-monospace, monospace; font-size: .9em }
form { margin: 1.5rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem }
label { display: block; margin: .5rem 0 .25rem }
input, textarea, button { font: inherit; padding: .4rem .6rem; border: 1px solid var(--soft); border-radius: .35rem; max-width: 100%% }
button { margin-top: .75rem; cursor: pointer }
</style>
</head>
<body>
%s<main>
<h1>%s</h1>
]]

local back = '<nav aria-label="Examples"><a href="index.lua">All examples</a></nav>\n'

-- Sends the page's beginning. `is_home` leaves out the way back to the list.
function layout.open(con, title, is_home)
  con:type("text/html; charset=utf-8")
  con:puts(head:format(escape(title), is_home and "" or back, escape(title)))
end

-- Sends its end.
function layout.close(con)
  con:puts("</main>\n</body>\n</html>\n")
end

return layout
