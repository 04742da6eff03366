/** A real Caddy, from the distribution's package, with a configuration made for one test. */
import { join } from 'node:path';
import type { Cleanup } from './cleanup.js';
import { startWebServer, type WebServer } from './web-server.js';

export const CADDY = 'caddy';

/** Starts Caddy with the given sites, which listen on the port on 127.0.0.1. */
export function startCaddy(t: Cleanup, sites: (port: number) => string): Promise<WebServer> {
  return startWebServer(t, {
    name: 'Caddy',
    program: CADDY,
    install: 'install it (Debian: apt-get install --no-install-recommends caddy)',
    configure: (dir, port) => `{
	admin off
	auto_https off
	grace_period 1s
	storage file_system ${dir}
	log {
		output file ${join(dir, 'error.log')}
	}
}
${sites(port)}`,
    args: (_dir, configFile) => ['run', '--adapter', 'caddyfile', '--config', configFile],
    env: (dir) => ({ XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir }),
    errorLog: 'error.log',
    stopSignal: 'SIGTERM',
    fatal: /"level":"(?:panic|fatal)"/,
  });
}
