/** A real Apache httpd, from the distribution's package, with a configuration made for one test. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.js';
import { startWebServer, type WebServer } from './web-server.js';

export const APACHE = 'apache2';

const MODULES = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'auth_basic',
  'authnz_fcgi',
  'dir',
  'mime',
  'proxy',
  'proxy_fcgi',
  'rewrite',
  'setenvif',
];
/** Where Debian's package puts modules. */
const MODULE_FOLDER = '/usr/lib/apache2/modules';

/** Starts Apache with the given virtual host, whose port is `${port}`. What it serves must be readable for everybody. */
export function startApache(t: Cleanup, virtualHost: (port: number) => string): Promise<WebServer> {
  return startWebServer(t, {
    name: 'Apache',
    program: APACHE,
    install: 'install it (Debian: apt-get install --no-install-recommends apache2-bin)',
    configure: (dir, port) => {
      chmodSync(dir, 0o755);
      return configuration(dir, port, virtualHost(port));
    },
    args: (dir, configFile) => ['-D', 'FOREGROUND', '-d', dir, '-f', configFile],
    errorLog: 'error.log',
    stopSignal: 'SIGTERM',
    fatal: /:(?:emerg|alert|crit)\]/,
  });
}

function configuration(dir: string, port: number, virtualHost: string): string {
  return `
${MODULES.map((name) => `LoadModule ${name}_module ${join(MODULE_FOLDER, `mod_${name}.so`)}`).join('\n')}
ServerName localhost
PidFile ${join(dir, 'apache.pid')}
ErrorLog ${join(dir, 'error.log')}
TypesConfig /dev/null
Mutex file:${dir} default
Listen 127.0.0.1:${port}
StartServers 1
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
${virtualHost}
`;
}
