---@meta luafcgid.template

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Pages from templates, in etlua's language. What a template writes is escaped for HTML unless it says otherwise.
---@class luafcgid.template.module
local template = {}

---Writes a page to the client. This is the fastest way to make one: the pieces of the page go out without a Lua string being made of them.
---@param con luafcgid.con
---@param file string
---@param values? table
function template.puts(con, file, values) end

---The page as a string.
---@param file string
---@param values? table
---@return string
function template.render(file, values) end

---A function of values that gives a page, from the text of a template. `name` is what errors call it.
---@param text string
---@param name? string
---@return any
function template.compile(text, name) end

return template
