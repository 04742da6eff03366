-- Stands in for cjson.safe: as cjson, but errors are returned.

local parts = ...

local _ = parts.cjson

return parts.new_json(parts.cjson_settings, true)
