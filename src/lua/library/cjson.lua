-- Stands in for the C module cjson: luafcgid.json with the settings of lua-cjson.

local parts = ...

local _ = parts.json
parts.cjson_settings = { checks_utf8 = false, sparse_ratio = 2, sparse_safe = 10 }

return parts.new_json(parts.cjson_settings)
