---@meta luafcgid.validate

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Checks what a form, a query string or a JSON body has sent, and tells its sender what is wrong in words.
---@class luafcgid.validate.module
local validate = {}

---A table with the values of the rules' fields, of the types that the rules name, and nothing else; or nil and a table from field to what is wrong with it.
---@param values table
---@param rules table<string, table>
---@return any
function validate.check(values, rules) end

return validate
