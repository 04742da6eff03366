/** A real lighttpd, from the distribution's package, with a configuration made for one test. */
import { join } from 'node:path';
import type { Cleanup } from './cleanup.js';
import { startWebServer, type WebServer } from './web-server.js';

export const LIGHTTPD = 'lighttpd';

/** Starts lighttpd with the given configuration; its address and log are added. */
export function startLighttpd(t: Cleanup, configuration: (port: number) => string): Promise<WebServer> {
  return startWebServer(t, {
    name: 'lighttpd',
    program: LIGHTTPD,
    install: 'install it (Debian: apt-get install --no-install-recommends lighttpd)',
    configure: (dir, port) => `
server.bind = "127.0.0.1"
server.errorlog = "${join(dir, 'error.log')}"
server.pid-file = "${join(dir, 'lighttpd.pid')}"
server.upload-dirs = ( "${dir}" )
${configuration(port)}
`,
    args: (_dir, configFile) => ['-D', '-f', configFile],
    errorLog: 'error.log',
    stopSignal: 'SIGTERM',
    fatal: /\(error\)|\[error\]/,
  });
}
