/** The web servers of examples/, each with the configuration that lies there: only paths and ports are changed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { APACHE, startApache } from './apache.js';
import { CADDY, startCaddy } from './caddy.js';
import type { Cleanup } from './cleanup.js';
import { HAPROXY, startHaproxy } from './haproxy.js';
import { LIGHTTPD, startLighttpd } from './lighttpd.js';
import { startNginxWith } from './nginx.js';
import { ROOT, type Server } from './server.js';
import type { WebServer } from './web-server.js';

type Changes = readonly (readonly [from: string, to: string])[];

/** The text of an example with something else in the place of what it names, which must be there. */
export function exampleWith(file: string, changes: Changes): string {
  return changes.reduce(
    (text, [from, to]) => {
      assert.ok(text.includes(from), `examples/${file} has no ${from}`);
      return text.replaceAll(from, to);
    },
    readFileSync(join(ROOT, 'examples', file), 'utf8'),
  );
}

export interface ExampleServer {
  /** As tests name it. */
  readonly name: 'nginx' | 'Apache' | 'lighttpd' | 'Caddy' | 'HAProxy';
  readonly file: string;
  readonly program: string;
  /** @param extra further changes to the example */
  start(t: Cleanup, server: Server, extra?: Changes): Promise<WebServer>;
}

function example(
  name: ExampleServer['name'],
  file: string,
  program: string,
  start: (t: Cleanup, configuration: (port: number) => string) => Promise<WebServer>,
  address: (port: number) => Changes[number],
): ExampleServer {
  return {
    name,
    file,
    program,
    start: (t, server, extra = []) =>
      start(t, (port) =>
        exampleWith(file, [
          address(port),
          ['/srv/www', server.scripts],
          ['/run/luafcgid/luafcgid.sock', server.socket],
          ...extra,
        ]),
      ),
  };
}

export const NGINX_EXAMPLE = example('nginx', 'nginx.conf', 'nginx', startNginxWith, (port) => [
  'listen 80;',
  `listen 127.0.0.1:${port};`,
]);
export const APACHE_EXAMPLE = example('Apache', 'apache.conf', APACHE, startApache, (port) => [
  '*:80',
  `127.0.0.1:${port}`,
]);
export const LIGHTTPD_EXAMPLE = example('lighttpd', 'lighttpd.conf', LIGHTTPD, startLighttpd, (port) => [
  'server.port          = 80',
  `server.port = ${port}`,
]);
export const CADDY_EXAMPLE = example('Caddy', 'Caddyfile', CADDY, startCaddy, (port) => [
  '\n:80 {',
  `\nhttp://127.0.0.1:${port} {\n\tbind 127.0.0.1`,
]);
export const HAPROXY_EXAMPLE = example('HAProxy', 'haproxy.cfg', HAPROXY, startHaproxy, (port) => [
  'bind :80',
  `bind 127.0.0.1:${port}`,
]);

export const EXAMPLE_SERVERS: readonly ExampleServer[] = [
  NGINX_EXAMPLE,
  APACHE_EXAMPLE,
  LIGHTTPD_EXAMPLE,
  CADDY_EXAMPLE,
  HAPROXY_EXAMPLE,
];
