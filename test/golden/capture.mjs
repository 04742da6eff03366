// Records what real web servers send to a FastCGI application: `node test/golden/capture.mjs` writes the .bin files
// beside this one. Needs nginx, apache2 (with mod_proxy_fcgi), lighttpd, caddy and haproxy.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const dir = mkdtempSync(join(tmpdir(), 'golden-'));
const HTTP = 18_080;
const FCGI = 18_090;
const root = '/srv/www';
const user = process.getuid() === 0 ? 'root' : undefined;
mkdirSync(join(dir, 'tmp'));

const SERVERS = {
  nginx: {
    command: ['nginx', '-p', dir, '-c', join(dir, 'nginx.conf')],
    files: {
      'nginx.conf': `${user ? 'user root;' : ''} daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path tmp; fastcgi_temp_path tmp; proxy_temp_path tmp; uwsgi_temp_path tmp;
  scgi_temp_path tmp;
  server {
    listen 127.0.0.1:${HTTP};
    root ${root};
    location / {
      include /etc/nginx/fastcgi.conf;
      fastcgi_pass 127.0.0.1:${FCGI};
      fastcgi_request_buffering off;
      fastcgi_keep_conn on;
    }
  }
}`,
    },
  },
  apache: {
    command: ['apache2', '-d', dir, '-f', join(dir, 'apache.conf'), '-X'],
    files: {
      'apache.conf': `ServerRoot ${dir}
ServerName localhost
PidFile ${dir}/apache.pid
ErrorLog ${dir}/apache.log
Listen 127.0.0.1:${HTTP}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
DocumentRoot /
ProxyPass / fcgi://127.0.0.1:${FCGI}${root}/
`,
    },
  },
  lighttpd: {
    command: ['lighttpd', '-D', '-f', join(dir, 'lighttpd.conf')],
    files: {
      'lighttpd.conf': `server.modules = ("mod_fastcgi")
server.document-root = "${root}"
server.bind = "127.0.0.1"
server.port = ${HTTP}
server.upload-dirs = ("${dir}/tmp")
server.stream-request-body = 2
fastcgi.server = (".lua" => (("host" => "127.0.0.1", "port" => ${FCGI}, "check-local" => "disable")))
`,
    },
  },
  caddy: {
    command: ['caddy', 'run', '--config', join(dir, 'Caddyfile'), '--adapter', 'caddyfile'],
    files: {
      Caddyfile: `{
  admin off
  auto_https off
}
http://:${HTTP} {
  bind 127.0.0.1
  root * ${root}
  reverse_proxy 127.0.0.1:${FCGI} {
    transport fastcgi {
      split .lua
    }
  }
}
`,
    },
  },
  haproxy: {
    command: ['haproxy', '-f', join(dir, 'haproxy.cfg')],
    files: {
      'haproxy.cfg': `defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend web
  bind 127.0.0.1:${HTTP}
  default_backend lua
backend lua
  use-fcgi-app lua
  server one 127.0.0.1:${FCGI} proto fcgi
fcgi-app lua
  docroot ${root}
  option get-values
  option mpxs-conns
  option max-reqs 10
`,
    },
  },
};

const REQUESTS = {
  get: 'GET /dir/hello.lua?x=1&y=%20z HTTP/1.1\r\nHost: example.org\r\nUser-Agent: golden\r\nCookie: a=b\r\nProxy: evil\r\nConnection: close\r\n\r\n',
  post: 'POST /form.lua HTTP/1.1\r\nHost: example.org\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\nConnection: close\r\n\r\na=1&b=two',
  chunked:
    'POST /form.lua HTTP/1.1\r\nHost: example.org\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nfour\r\n3\r\n on\r\n0\r\n\r\n',
};

function record(type, id, content = '') {
  const body = Buffer.from(content, 'latin1');
  return Buffer.concat([Buffer.of(1, type, id >> 8, id & 255, 0, body.length, 0, 0), body]);
}

/** Answers as the plainest application would, and keeps what came. */
function answer(socket, bytes, state) {
  state.bytes = Buffer.concat([state.bytes, bytes]);
  for (;;) {
    const rest = state.bytes.subarray(state.at);
    if (rest.length < 8) return;
    const [, type, high, low] = rest;
    const contentBytes = rest.readUInt16BE(4);
    const end = 8 + contentBytes + rest[6];
    if (rest.length < end) return;
    state.at += end;
    const id = (high << 8) | low;
    if (type === 9) socket.write(record(10, 0, '\x0f\x01FCGI_MPXS_CONNS1\x0e\x02FCGI_MAX_CONNS10'));
    if (type === 1) state.keeps = (rest[10] & 1) === 1;
    if (type !== 5 || contentBytes > 0) continue;
    socket.write(
      Buffer.concat([
        record(6, id, 'Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'),
        record(6, id),
        record(3, id, '\0\0\0\0\0\0\0\0'),
      ]),
    );
    if (!state.keeps) socket.end();
  }
}

async function ask(request) {
  for (let attempt = 0; attempt < 50; attempt++) {
    const text = await new Promise((resolve) => {
      const socket = net.connect(HTTP, '127.0.0.1', () => socket.write(request));
      let got = '';
      socket.on('data', (bytes) => {
        got += bytes;
      });
      socket.on('error', () => resolve(undefined));
      socket.on('close', () => resolve(got));
    });
    if (text?.startsWith('HTTP/1.1 200')) return;
    await wait(100);
    if (text) console.error(text.slice(0, 200));
  }
  throw new Error('no answer');
}

let connections = [];
const application = net.createServer((socket) => {
  const state = { bytes: Buffer.alloc(0), at: 0, keeps: true };
  connections.push(state);
  socket.on('data', (bytes) => answer(socket, bytes, state));
  socket.on('error', () => {});
});
await new Promise((resolve) => application.listen(FCGI, '127.0.0.1', resolve));
try {
  for (const [name, { command, files }] of Object.entries(SERVERS)) {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text);
    const [program, ...args] = command;
    // Nothing of this machine's environment: Apache passes PATH on.
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    const gone = new Promise((resolve) => child.on('exit', resolve));
    for (let n = 0; n < 50 && !(await canConnect()); n++) await wait(100);
    for (const [kind, request] of Object.entries(REQUESTS)) {
      connections = [];
      await ask(request).catch((error) => console.error(name, kind, error.message));
      const bytes = Buffer.concat(connections.map((each) => each.bytes));
      console.log(name, kind, connections.length, bytes.length);
      if (bytes.length > 0) writeFileSync(new URL(`./${name}-${kind}.bin`, import.meta.url), bytes);
    }
    child.kill();
    await gone;
  }
} finally {
  application.close();
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

function canConnect() {
  return new Promise((resolve) => {
    const socket = net.connect(HTTP, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
