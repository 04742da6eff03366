-- Configuration of the container image. Variables of the environment win over it: LUAFCGID_WORKERS=4 is workers = 4.

-- The web server is in another container and connects over the network. Whoever can connect to this address can run any script
-- below root: let only the two containers use that network.
listen = ":9000"
root = "/srv/www"
showerrors = false

-- For the health check, and for luafcgid status, top, log, stack in the container.
status = "/run/luafcgid/status.sock"

-- Events to standard error and requests to standard output, an object on each line.
logformat = "json"
accesslog = "-"
accessformat = "json"
