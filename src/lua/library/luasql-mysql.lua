-- Stands in for luasql.mysql.

local parts = ...

return parts.luasql("mysql", "mysql")
