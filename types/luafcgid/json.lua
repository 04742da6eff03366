---@meta luafcgid.json

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Reads and writes JSON. The interface is that of lua-cjson, with these differences: a number keeps all its digits (17 where it needs them), `/` is not escaped, an array that `decode` has made is one for `encode` too (so `[]` stays `[]`), a table with holes is an error that names the place, and so is a string that is not UTF-8.
---@class luafcgid.json.module
---@field [string] any
local json = {}

---The value of a JSON text: tables for objects and arrays, strings, numbers, booleans, and `json.null`.
---@param text string
---@return any
function json.decode(text) end

---The JSON text of a value. A table whose keys are 1 to n is an array, any other an object; keys that are numbers become strings. Object members come in no order.
---@param value any
---@return string
function json.encode(value) end

---As `encode`, for use between `<script>` and `</script>`: `<`, `>`, `&` and the line ends of JavaScript are escaped.
---@param value any
---@return string
function json.script(value) end

return json
