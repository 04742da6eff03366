-- Configuration of the container image. Variables of the environment win over it: LUAFCGID_WORKERS=4 is workers = 4.

-- The web server is in another container. Who reaches the network of the two can run any script: keep it to them.
listen = ":9000"
root = "/srv/www"
showerrors = false

-- For the health check, and for luafcgid status, top, log, stack in the container.
status = "/run/luafcgid/status.sock"

-- Events to standard error and requests to standard output, an object on each line.
logformat = "json"
accesslog = "-"
accessformat = "json"
