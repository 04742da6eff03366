/**
 * The least that can be called a FastCGI server: one thread that answers every request with the same bytes. What the
 * load generator reaches against it is the generator's ceiling. Started as a process: `fixed-responder.mjs SOCKET`.
 */

import { record } from './fastcgi-request.mjs';
import * as libc from './libc.mjs';

const STDOUT = 6;
const END_REQUEST = 3;
const STDIN = 5;
const BEGIN_REQUEST = 1;
const BACKLOG = 511;

const path = process.argv[2];
const page = 'Content-Type: text/plain; charset=utf-8\r\n\r\nHello, world!\n';
const answer = Buffer.concat([
  record(STDOUT, Buffer.from(page)),
  record(STDOUT, Buffer.alloc(0)),
  record(END_REQUEST, Buffer.alloc(8)),
]);

const { family, bytes: address } = libc.socketAddress(path);
const listener = libc.socket(family, libc.SOCK_STREAM_NONBLOCK, 0);
if (libc.bind(listener, address, address.length) !== 0 || libc.listen(listener, BACKLOG) !== 0) {
  throw new Error(`cannot listen on ${path}: error ${libc.errno()}`);
}
const epoll = new libc.Epoll();
epoll.add(listener, libc.EPOLLIN, listener);
const bytes = Buffer.alloc(64 * 1024);
for (;;) {
  const ready = epoll.wait(-1);
  for (let index = 0; index < ready; index += 1) {
    const fd = epoll.key(index);
    if (fd === listener) {
      const connection = libc.accept4(listener, null, null, libc.SOCK_NONBLOCK);
      if (connection >= 0) epoll.add(connection, libc.EPOLLIN, connection);
      continue;
    }
    const length = Number(libc.read(fd, bytes, bytes.length));
    if (length <= 0) {
      libc.close(fd);
      continue;
    }
    // The generator sends each request in one piece: one read is one request.
    let keep = false;
    let isComplete = false;
    for (let at = 0; at + 8 <= length; at += 8 + ((bytes[at + 4] << 8) | bytes[at + 5]) + bytes[at + 6]) {
      if (bytes[at + 1] === BEGIN_REQUEST) keep = (bytes[at + 10] & 1) === 1;
      isComplete ||= bytes[at + 1] === STDIN;
    }
    if (isComplete) libc.write(fd, answer, answer.length);
    if (isComplete && !keep) libc.close(fd);
  }
}
