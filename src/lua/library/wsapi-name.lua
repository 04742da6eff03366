-- Stands in for the module `wsapi`, which says what is there.

return { _NAME = "wsapi", _VERSION = "WSAPI 1.7", _DESCRIPTION = "Web server API, of luafcgid" }
