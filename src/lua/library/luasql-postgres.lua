-- Stands in for luasql.postgres.

local parts = ...

return parts.luasql("postgres", "postgres")
