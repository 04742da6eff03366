/** A real HAProxy, from the distribution's package, with a configuration made for one test. */
import type { Cleanup } from './cleanup.js';
import { startWebServer, type WebServer } from './web-server.js';

export const HAPROXY = 'haproxy';

/** Starts HAProxy with the given configuration, which says itself where to listen and logs to standard error. */
export function startHaproxy(t: Cleanup, configuration: (port: number) => string): Promise<WebServer> {
  return startWebServer(t, {
    name: 'HAProxy',
    program: HAPROXY,
    install: 'install it (Debian: apt-get install --no-install-recommends haproxy)',
    configure: (_dir, port) => `global\n    hard-stop-after 500ms\n\n${configuration(port)}`,
    // -db: in the foreground.
    args: (_dir, configFile) => ['-db', '-f', configFile],
    errorLog: 'error.log',
    // A soft stop; the other one does not end with status 0.
    stopSignal: 'SIGUSR1',
    fatal: /\[ALERT\]/,
  });
}
