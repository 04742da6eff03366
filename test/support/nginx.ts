/** A real nginx, from the distribution's package, with a configuration made for one test. */
import { join } from 'node:path';
import type { Cleanup } from './cleanup.js';
import { startWebServer, type WebServer } from './web-server.js';

export interface NginxOptions {
  /** The FastCGI server: path of a Unix socket, or `host:port`. */
  readonly fastcgi: string;
  /** Folder that the scripts' paths are below (`root`). */
  readonly root: string;
  /** Keeps connections to the FastCGI server open for further requests (`fastcgi_keep_conn`). */
  readonly keepConn?: boolean;
  /** How long it keeps them, e.g. "1s"; 60 seconds when left out. */
  readonly keepAlive?: string;
  /** false: a request body is passed on as it comes (`fastcgi_request_buffering off`). */
  readonly requestBuffering?: boolean;
  /** false: an answer is passed on as it comes (`fastcgi_buffering off`). */
  readonly buffering?: boolean;
  /** `client_max_body_size`; unlimited when left out. */
  readonly maxBody?: string;
  /** Further directives of the location that goes to FastCGI. */
  readonly location?: readonly string[];
  /** Further directives of the server block, e.g. other locations. */
  readonly server?: readonly string[];
}

/** Starts nginx: every path that ends in `.lua`, or has `.lua/` in it, goes to FastCGI; the rest are files of `root`. */
export function startNginx(t: Cleanup, options: NginxOptions): Promise<WebServer> {
  return startNginxWith(t, (port) => site(port, options));
}

/** Starts nginx with the given text in its `http` block. */
export function startNginxWith(t: Cleanup, http: (port: number) => string): Promise<WebServer> {
  return startWebServer(t, {
    name: 'nginx',
    program: 'nginx',
    install: 'install it (Debian: apt-get install nginx-light), or run `node scripts/require-packages.mjs` as root',
    configure: (dir, port) => configuration(dir, http(port)),
    args: (dir, configFile) => ['-p', dir, '-c', configFile],
    errorLog: 'error.log',
    stopSignal: 'SIGTERM',
    fatal: /\[(?:emerg|alert|crit)\]/,
  });
}

function configuration(dir: string, http: string): string {
  const tempPaths = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi']
    .map((name) => `${name}_temp_path ${join(dir, name)};`)
    .join('\n  ');
  return `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${join(dir, 'nginx.pid')};
error_log stderr notice;
error_log ${join(dir, 'error.log')} info;
events { worker_connections 512; }
http {
  access_log off;
  ${tempPaths}
  types { text/html html; text/css css; }
  default_type application/octet-stream;
  ${http}
}
`;
}

function site(port: number, options: NginxOptions): string {
  const address = options.fastcgi.startsWith('/') ? `unix:${options.fastcgi}` : options.fastcgi;
  const onOff = (value: boolean | undefined): string => (value === false ? 'off' : 'on');
  const lines = (directives: readonly string[] | undefined): string => (directives ?? []).join('\n      ');
  return `
  client_max_body_size ${options.maxBody ?? '0'};
  upstream luafcgid {
    server ${address};
    ${options.keepConn ? 'keepalive 8;' : ''}
    ${options.keepAlive === undefined ? '' : `keepalive_timeout ${options.keepAlive};`}
  }
  server {
    listen 127.0.0.1:${port};
    server_name localhost;
    root ${options.root};
    location ~ \\.lua(?:/|$) {
      fastcgi_split_path_info ^(.+?\\.lua)(/.*)?$;
      fastcgi_pass luafcgid;
      fastcgi_keep_conn ${options.keepConn ? 'on' : 'off'};
      fastcgi_request_buffering ${onOff(options.requestBuffering)};
      fastcgi_buffering ${onOff(options.buffering)};
      fastcgi_read_timeout 60s;
      ${FASTCGI_PARAMS.map(([name, value]) => `fastcgi_param ${name} ${value};`).join('\n      ')}
      ${lines(options.location)}
    }
    ${lines(options.server)}
  }
`;
}

/** nginx's own `fastcgi.conf`, and PATH_INFO. */
const FASTCGI_PARAMS: readonly (readonly [name: string, value: string])[] = [
  ['SCRIPT_FILENAME', '$document_root$fastcgi_script_name'],
  ['QUERY_STRING', '$query_string'],
  ['REQUEST_METHOD', '$request_method'],
  ['CONTENT_TYPE', '$content_type'],
  ['CONTENT_LENGTH', '$content_length'],
  ['SCRIPT_NAME', '$fastcgi_script_name'],
  ['PATH_INFO', '$fastcgi_path_info'],
  ['REQUEST_URI', '$request_uri'],
  ['DOCUMENT_URI', '$document_uri'],
  ['DOCUMENT_ROOT', '$document_root'],
  ['SERVER_PROTOCOL', '$server_protocol'],
  ['REQUEST_SCHEME', '$scheme'],
  ['HTTPS', '$https if_not_empty'],
  ['GATEWAY_INTERFACE', 'CGI/1.1'],
  ['SERVER_SOFTWARE', 'nginx/$nginx_version'],
  ['REMOTE_ADDR', '$remote_addr'],
  ['REMOTE_PORT', '$remote_port'],
  ['REMOTE_USER', '$remote_user'],
  ['SERVER_ADDR', '$server_addr'],
  ['SERVER_PORT', '$server_port'],
  ['SERVER_NAME', '$server_name'],
  ['REDIRECT_STATUS', '200'],
];
