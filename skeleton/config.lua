-- The server of {{name}}: luafcgid config.lua (what a setting may be: luafcgid --help).
listen = "127.0.0.1:9000"
-- Scripts must lie here. Everything else in this folder is for the server only.
root = "public"
-- Where `require` looks after the folder of the script, and what scripts may read besides.
path = "lib/?.lua"
files = { read = { "views" } }
-- What visitors see of an error: nothing but the number of the request, which stands in the log.
showerrors = false
