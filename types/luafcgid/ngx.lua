---@meta luafcgid.ngx

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---The part of OpenResty's `ngx` that makes sense without nginx, for scripts and libraries that are written for it. It is never a global by itself:
---@class luafcgid.ngx.module
---@field [string] any
local ngx = {}


return ngx
