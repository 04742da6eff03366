-- Configuration of luafcgid: a Lua script. Every setting is here with its default; remove the "--"
-- before the name to change one. "luafcgid check FILE" tells what is wrong with a configuration.
-- Relative file names start at the directory of this file. docs/configuration.md explains more.

---- Listening

-- Where to listen for the web server: one address or a list.
-- An address, or a list of them: "/path.sock", "127.0.0.1:9000", ":9000", "[::1]:9000", "fd:0" or
-- "systemd". Default: "127.0.0.1:9000", or what systemd passes.
--listen = "127.0.0.1:9000"

-- Permissions of Unix sockets, in octal.
-- Three or four octal digits, like "0660". Default: what the process's umask leaves.
--socketmode = "0660"

-- The user that Unix sockets belong to.
-- The name or the number of a user. Default: who starts the server.
--socketowner = "www-data"

-- The group that Unix sockets belong to.
-- The name or the number of a group. Default: the group of who starts the server.
--socketgroup = "www-data"

-- Who may connect over TCP: addresses and networks.
-- An IP address or network, or a list of them: "127.0.0.1", "::1", "10.0.0.0/8" or "fd00::/8".
-- Default: everybody who reaches the port.
--allowed = "127.0.0.1"

-- Connections that wait in the kernel to be accepted.
-- A whole number from 1 to 65535, or -1 (the default).
--backlog = 511

-- How sockets are driven: by the kernel's epoll, or by Node.js.
-- "auto", "epoll" or "node".
--io = "auto"

---- Pool

-- Threads that run Lua: the most requests that run at once.
-- A whole number from 1 to 256. Default: the number of processors, at least 2.
--workers = 4

-- The most Lua states, over all scripts.
-- A whole number from 1 to 1000000. Default: 256, or the value of workers if that is more.
--states = 256

-- The most Lua states of one script.
-- A whole number from 1 to 1000000. Default: 64, or the value of workers if that is more.
--clones = 64

-- How fast the popularity of a script is forgotten.
-- A number of seconds from 0.1 to 31536000.
--halflife = 600

-- Requests after which a state is replaced.
-- A whole number, at least 1, or 0 (no limit).
--maxcount = 0

-- The most memory of one Lua state.
-- A whole number of bytes from 2097152 (2 MiB) to 4294967296 (4 GiB), or 0 (4 GiB, which no state
-- can pass). Default: 128 MiB, or a quarter of the memory that the server may use if that is less.
--memory = 128 * 1024 * 1024

-- The most memory of all images: copies of loaded scripts, from which further states are made.
-- A whole number of bytes from 65536 (64 KiB) to 68719476736 (64 GiB), or 0 (no images). Default:
-- 64 MiB, or a sixteenth of the memory that the server may use if that is less.
--images = 64 * 1024 * 1024

-- How long the values of scripts live: as long as their state, or for one request.
-- "state" or "request".
--isolation = "state"

-- Time between two rounds of housekeeping.
-- A whole number of milliseconds from 10 to 86400000.
--sweep = 1000

-- Memory shared with each worker, for each direction.
-- A whole number of bytes from 1024 (1 KiB) to 67108864 (64 MiB).
--ring = 256 * 1024

---- Requests

-- The largest request body.
-- A whole number of bytes, at least 0.
--maxpost = 1024 * 1024

-- How much of a body is collected before the script starts.
-- A whole number of bytes from 0 to 1073741824 (1 GiB).
--bodymemory = 1024 * 1024

-- The most fields that a form, a query string or a Cookie header may have.
-- A whole number from 1 to 1000000.
--maxfields = 1000

-- The largest field of a multipart form that is no file.
-- A whole number of bytes from 1 to 2147483648 (2 GiB).
--maxfield = 1024 * 1024

-- The largest uploaded file that is kept in memory.
-- A whole number of bytes from 0 to 2147483648 (2 GiB).
--uploadmemory = 256 * 1024

-- The most requests that wait for a state.
-- A whole number from 0 to 1000000.
--queue = 1024

-- How long a request may wait for a state.
-- A number of seconds from 0.001 to 86400.
--queuetimeout = 30

-- How a request is refused when too many wait.
-- "page" or "protocol".
--overload = "page"

-- The most time a script may run.
-- A number of seconds from 0.001 to 86400, or 0 (no limit).
--watchdog = 60

-- The most time that a script may give itself.
-- A number of seconds from 0.001 to 86400, or 0 (no limit). Default: the value of watchdog; with
-- native engines no limit.
--watchdogmax = 600

-- The most time a request may take in all.
-- A number of seconds from 0.001 to 86400, or 0 (no limit).
--requesttime = 0

-- How many requests may wait for timers, databases, other servers and their clients at a time.
-- A whole number from 1 to 1000000.
--waiting = 1000

-- What becomes of a script whose client has gone.
-- "finish" or "stop".
--onabort = "finish"

---- Clients

-- The most connections at once.
-- A whole number from 1 to 1000000.
--connections = 10000

-- How long a connection may be open without a request.
-- A number of seconds from 0.1 to 86400.
--idletimeout = 75

-- How long a request may take to arrive.
-- A number of seconds from 0.1 to 86400.
--readtimeout = 75

-- How long a client may take nothing of what waits to be sent.
-- A number of seconds from 0.1 to 86400.
--sendtimeout = 75

-- How much all requests together may hold of their parameters and bodies.
-- A whole number of bytes, at least 1048576 (1 MiB). Default: 256 MiB, or an eighth of the memory
-- that the server may use if that is less.
--bodytotal = 256 * 1024 * 1024

-- How much of all answers together may wait in memory for their readers.
-- A whole number of bytes, at least 1048576 (1 MiB). Default: 256 MiB, or an eighth of the memory
-- that the server may use if that is less.
--sendtotal = 256 * 1024 * 1024

---- Answers

-- Response headers that every script gets.
-- Text of "Name: value" lines.
--headers = "X-Powered-By: Lua\r\n"

-- HTTP status of scripts that set none.
-- A status code from 200 to 599, alone or with its text, like "200 OK".
--httpstatus = "200 OK"

-- Content-Type of scripts that set none.
-- A MIME type, like "text/html" or "text/html; charset=utf-8".
--contenttype = "text/html"

-- Keep the answer until the script ends or flushes.
--buffering = true

-- How much of an answer `buffering` keeps.
-- A whole number of bytes from 1 to 1073741824 (1 GiB).
--outputbuffer = 1024 * 1024

-- How much of an answer is kept for a slow reader.
-- A whole number of bytes from 1 to 1073741824 (1 GiB).
--sendbuffer = 1024 * 1024

-- How much of all answers to slow readers may wait in temporary files.
-- A whole number of bytes, at least 0.
--spool = 1024 * 1024 * 1024

-- Show script errors in the browser.
--showerrors = true

-- The address that opens a file in your editor.
-- "none", or an address with {file} in it, like "vscode://file/{file}:{line}".
--editor = "none"

-- Which server sends a file to the client: this one, or the web server.
-- "stream", "x-sendfile", or a table of directories and locations of nginx like { ["/srv/files"] =
-- "/files/" }.
--sendfile = "stream"

---- Scripts

-- The Lua that runs the scripts.
-- "embedded", "lua5.1", "lua5.4" or "luajit".
--engine = "embedded"

-- The file of the Lua library that a native engine loads.
-- The name of a file. Default: the system's.
--lualib = "/usr/local/lib/libluajit-5.1.so.2"

-- The function of a script that answers a request.
-- The name of a global function, like "main".
--handler = "main"

-- Scripts that are written for another interface, by the ending of their names.
-- A table of extensions and adapters like { lp = "cgilua" }; adapters are "wsapi", "luafcgid2",
-- "mod_lua", "cgilua", "orbit", "ngx". Default: none.
--adapters = { ["lp"] = "cgilua", ["ws"] = "wsapi" }

-- The function of a script that decides whether a client may have something.
-- The name of a global function, like "authorize".
--authorizer = "authorize"

-- The script that answers all requests for an Authorizer.
-- The name of a file. Default: the file that is asked for.
--authscript = "/srv/app/authorize.lua"

-- The function of a script that answers with what it makes of a file.
-- The name of a global function, like "filter".
--filter = "filter"

-- The script that answers all requests for a Filter.
-- The name of a file. Default: the file that is asked for.
--filterscript = "/srv/app/filter.lua"

-- The function of a script that answers a request whose handler has failed.
-- The name of a global function, like "on_error".
--errorhandler = "on_error"

-- Settings of the application itself, which scripts can read.
-- A table of text, numbers, booleans and tables of these, of at most 64 KiB. Default: nothing.
--app = { ["title"] = "Guestbook", ["entries_per_page"] = 20 }

-- Directories that scripts must lie in.
-- A directory, or a list of directories. Default: anywhere.
--root = "/var/www"

-- How the names of scripts end: one extension or a list.
-- An extension like ".lua", a list of them, or "*" for any file.
--extensions = ".lua"

-- Where `require` looks after the directory of the script.
-- File name templates separated by ";", like "lib/?.lua", or a list of them. Default: only the
-- directory of the script.
--path = "lib/?.lua;lib/?/init.lua"

-- Directories whose files scripts of the embedded engine may use.
-- A table of directories like { read = { "data" }, write = { "data" } }. Default: no files.
--files = { ["read"] = { "/srv/data" }, ["write"] = { "/srv/data" } }

-- The largest file that a script of the embedded engine may write.
-- A whole number of bytes from 0 to 1125899906842624 (1048576 GiB), or 0 (no limit).
--filesmax = 0

-- How many bytes all files may have together that lie below the directories of `files.write`.
-- A whole number of bytes from 0 to 1125899906842624 (1048576 GiB), or 0 (no limit).
--filestotal = 0

-- The environment that scripts of the embedded engine see by `os.getenv`.
-- A list of names like { "HOME" }, or a table of names and values like { MODE = "test" }. Default:
-- nothing.
--environment = { "HOME", "TZ" }

-- Secrets with which `luafcgid.crypto` seals tokens, by name.
-- A table of names and secrets of at least 32 characters, or lists of these, like { session =
-- SECRET }. Default: none.
--keys = { ["session"] = "a secret of 32 characters at least" }

-- Load precompiled Lua.
--bytecode = false

-- Scripts that each worker loads before its first request.
-- The name of a file, or a list of names. Default: none.
--preloadscripts = { "/var/www/index.lua" }

-- A Lua file that runs in each new state before the script.
-- The name of a file. Default: none.
--preload = "preload.lua"

---- Data

-- Databases and caches that scripts may use, by the names that scripts know.
-- A table of names and data sources: "postgres://USER@HOST/DATABASE",
-- "mysql://USER@HOST/DATABASE", "sqlite:FILE", "redis://HOST", or { URL, connections = 4 } and
-- further fields. Default: nothing.
--data = { ["main"] = "postgres://app@db.internal/app", ["files"] = "sqlite:/var/lib/app/files.db" }

-- Where the sessions of con:session() are kept, and for how long.
-- "memory", the name of a data source, or a table of store, idle, absolute, name, maxsize, size,
-- path, domain, samesite and secure.
--sessions = "memory"

-- Servers that scripts may send HTTP requests to (luafcgid.http).
-- A table with allow = { "api.example.com:443" } and further fields. Default: no server.
--http = { ["allow"] = { "api.example.com:443" } }

-- Where the locks of luafcgid.lock and of session:lock lie.
-- "memory" or the name of a data source.
--locks = "memory"

-- Dictionaries in memory that all workers share, by name.
-- A table of names and sizes in bytes, from 32 KiB to 1 GiB, or of tables like { size = 64 * 2^20,
-- evict = true } and { store = "NAME OF A DATA SOURCE" }. Default: a dictionary cache of 16 MiB
-- that evicts.
--shared = { ["cache"] = { ["size"] = 67108864, ["evict"] = true }, ["limits"] = 4194304 }

---- Operation

-- Where the log goes: a file, or syslog.
-- The name of a file, "-" (standard output), "syslog", "syslog:FACILITY" or
-- "syslog:FACILITY:/SOCKET". Default: standard error.
--logfile = "/var/log/luafcgid/luafcgid.log"

-- How the log is written: lines for people, or JSON.
-- "text" or "json".
--logformat = "text"

-- The least important messages that are logged.
-- "debug", "info", "warn" or "error".
--loglevel = "info"

-- Where a line for each request goes.
-- The name of a file, "-" (standard output), "syslog", "syslog:FACILITY" or
-- "syslog:FACILITY:/SOCKET". Default: none.
--accesslog = "/var/log/luafcgid/access.log"

-- What the lines of the access log hold.
-- "json", or text with fields: {time}, {remote}, {user}, {host}, {method}, {uri}, {query},
-- {protocol}, {referer}, {agent}, {status}, {outcome}, {sent_bytes}, {received_bytes},
-- {duration_ms}, {wait_ms}, {cpu_ms}, {memory_bytes}, {script}, {state}, {worker}, {request},
-- {role} and {param:NAME}. Default: who asked for what, with what result and effort.
--accessformat = "{time} {remote} \"{method} {uri}\" {status} {sent_bytes} {duration_ms} {memory_bytes} {script} {state} {request}"

-- Where the server says over HTTP what it is doing.
-- The path of a Unix socket, or a loopback address like "127.0.0.1:9001". Default: none.
--status = "/run/luafcgid/status.sock"

-- The URL path under which the web server can ask for the same.
-- A path like "/luafcgid-status", of at most 200 characters and without spaces. Default: none.
--statuspath = "/luafcgid-status"

-- How long a stop waits for requests that run.
-- A number of seconds from 0.001 to 86400, or 0 (no time at all).
--draintimeout = 10

-- Where slow requests are logged, with what they were doing.
-- The name of a file, "-" (standard output), "syslog", "syslog:FACILITY" or
-- "syslog:FACILITY:/SOCKET". Default: none.
--slowlog = "/var/log/luafcgid/slow.log"

-- How long a request may run before `slowlog` tells of it.
-- A number of seconds from 0.001 to 86400.
--slowtime = 5

-- The user that the server becomes once it listens.
-- The name or the number of a user. Default: who starts the server.
--user = "www-data"

-- The group that the server belongs to once it listens.
-- The name or the number of a group. Default: that of user.
--group = "www-data"

-- Serves in the background; the command ends when the server is ready.
--daemonize = false

-- The file that the process number is written to.
-- The name of a file. Default: none.
--pidfile = "/run/luafcgid/luafcgid.pid"

---- Without effect

-- Accepted; no effect.
-- A whole number from 0 to 2147483647.
--retries = 2

-- Accepted; no effect.
-- A whole number of bytes from 0 to 1073741824 (1 GiB).
--headersize = 64

-- Accepted; no effect.
-- A whole number of bytes from 0 to 1073741824 (1 GiB).
--bodysize = 1024

---- Hooks

-- Called once before the first request, every "sweep" milliseconds, and once at the end.
--function startup() end
--function housekeeping() end
--function shutdown() end
