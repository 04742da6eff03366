-- Configuration of luafcgid. Every setting: man luafcgid.conf, and /usr/share/doc/luafcgid/examples/config.lua.
-- After a change:  luafcgid check /etc/luafcgid/config.lua && systemctl reload luafcgid

-- Where the web server connects. luafcgid.socket holds this socket, for the group www-data.
listen = "/run/luafcgid/luafcgid.sock"

-- Scripts must lie here.
root = "/var/www"

-- Error pages show source and paths: only where nobody but you sees them.
showerrors = false

-- For luafcgid status, top, ping, log, stack, reload.
status = "/run/luafcgid/status.sock"
