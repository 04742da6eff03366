-- Stands in for the module `openssl.rand` of luaossl.

local parts = ...

return { bytes = parts.crypto.random }
