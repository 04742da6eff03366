/** An nginx for one measurement: what it keeps open must not hold a server's worker during the next. */
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { findProgram, startProgram } from './processes.mjs';

/** @returns {string | undefined} */
export const findNginx = () => findProgram(/^nginx$/);

/** nginx's own `fastcgi.conf`, but for the script's name. */
const PARAMS = [
  'QUERY_STRING $query_string',
  'REQUEST_METHOD $request_method',
  'CONTENT_TYPE $content_type',
  'CONTENT_LENGTH $content_length',
  'SCRIPT_NAME $fastcgi_script_name',
  'REQUEST_URI $request_uri',
  'DOCUMENT_URI $document_uri',
  'DOCUMENT_ROOT $document_root',
  'SERVER_PROTOCOL $server_protocol',
  'REQUEST_SCHEME $scheme',
  'HTTPS $https if_not_empty',
  'GATEWAY_INTERFACE CGI/1.1',
  'SERVER_SOFTWARE nginx/$nginx_version',
  'REMOTE_ADDR $remote_addr',
  'REMOTE_PORT $remote_port',
  'SERVER_ADDR $server_addr',
  'SERVER_PORT $server_port',
  'SERVER_NAME $server_name',
  'REDIRECT_STATUS 200',
];

/**
 * @param {string} program
 * @param {string} folder
 * @param {{address: string, script: string, keep: boolean, keepalive: number, params?: readonly string[]}} upstream
 *   `keepalive`: idle connections to the server that may stay open; `params`: further FastCGI parameters
 */
export async function startNginx(program, folder, upstream) {
  const port = await freePort();
  const prefix = join(folder, 'nginx');
  mkdirSync(prefix, { recursive: true });
  const server = upstream.address.startsWith('/') ? `unix:${upstream.address}` : upstream.address;
  const tempPaths = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi']
    .map((name) => `${name}_temp_path ${join(prefix, name)};`)
    .join('\n  ');
  const configFile = join(prefix, 'nginx.conf');
  writeFileSync(
    configFile,
    `daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${join(prefix, 'nginx.pid')};
error_log ${join(prefix, 'error.log')} warn;
events { worker_connections 1024; }
http {
  access_log off;
  ${tempPaths}
  keepalive_requests 1000000000;
  upstream fastcgi {
    server ${server};
    ${upstream.keep ? `keepalive ${upstream.keepalive}; keepalive_requests 1000000000;` : ''}
  }
  server {
    listen 127.0.0.1:${port} backlog=511;
    server_name localhost;
    location / {
      fastcgi_pass fastcgi;
      fastcgi_keep_conn ${upstream.keep ? 'on' : 'off'};
      fastcgi_param SCRIPT_FILENAME ${upstream.script};
      ${[...PARAMS, ...(upstream.params ?? [])].map((param) => `fastcgi_param ${param};`).join('\n      ')}
    }
  }
}
`,
  );
  const running = await startProgram(
    program,
    ['-p', prefix, '-c', configFile, '-e', join(prefix, 'error.log')],
    `127.0.0.1:${port}`,
    'SIGTERM',
  );
  return { ...running, address: `127.0.0.1:${port}` };
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}
