/**
 * The load generator, in a thread of its own that never returns to an event loop while it works. It is a closed loop:
 * each connection sends its next request as soon as it has its answer.
 */
import { parentPort } from 'node:worker_threads';
import { cpuMicrosOf, threadTimes } from '../peers/processes.mjs';
import { AnswerCheck } from './answer.mjs';
import * as fastcgi from './fastcgi-answer.mjs';
import { pageRequest } from './fastcgi-request.mjs';
import { Histogram } from './histogram.mjs';
import * as http from './http-answer.mjs';
import * as libc from './libc.mjs';

/**
 * @typedef {object} Job
 * @property {string} address
 * @property {'fastcgi' | 'http'} protocol
 * @property {string} path of the script (FastCGI), or of the page (HTTP)
 * @property {string} [query] the query string (FastCGI only)
 * @property {import('./answer.mjs').Expectation} expected
 * @property {number} connections
 * @property {boolean} keep keep connections; otherwise each request has a new one (FastCGI only)
 * @property {number} warmupMs load before the measurement
 * @property {number} measureMs
 * @property {number | undefined} pid the server's process, whose CPU time is measured with its threads and children
 *
 * @typedef {object} Outcome
 * @property {number} requests answered right within the measurement
 * @property {number} seconds
 * @property {number} p50Micros
 * @property {number} p99Micros
 * @property {number} errors
 * @property {string | undefined} firstError
 * @property {number} starved connections that got no answer while the measurement lasted
 * @property {number} cpuMicros CPU time of this thread within the measurement
 * @property {number} cpuWaitMicros time that this thread wanted a processor and had none
 * @property {number | undefined} serverCpuMicros CPU time of the server within the measurement
 */

const READ_BYTES = 256 * 1024;
/** After the measurement a connection may still wait this long for its answer. */
const GRACE_MS = 1000;
const CONNECT_TRIES = 2000;
const CONNECT_PAUSE_MICROS = 50;

class Connection {
  fd = -1;
  bytes = Buffer.allocUnsafe(READ_BYTES);
  length = 0;
  seen = 0;
  unsent = 0;
  startedMs = 0;
  answers = 0;
  isWaiting = false;
}

class Run {
  /** @type {Job} */
  #job;
  #address;
  #request;
  #findEnd;
  #check;
  #epoll = new libc.Epoll();
  /** @type {Connection[]} */
  #connections = [];
  #histogram = new Histogram();
  #waiting = 0;
  #isMeasuring = false;
  #isOver = false;
  #errors = 0;
  /** @type {string | undefined} */
  #firstError;

  /** @param {Job} job */
  constructor(job) {
    this.#job = job;
    this.#address = libc.socketAddress(job.address);
    const isHttp = job.protocol === 'http';
    this.#request = isHttp ? http.httpRequest(job.path, job.address) : pageRequest(job.path, job.keep, job.query);
    const protocol = isHttp ? http : fastcgi;
    this.#findEnd = protocol.findEnd;
    this.#check = new AnswerCheck(protocol, job.expected);
  }

  /** @returns {Outcome} */
  run() {
    for (let index = 0; index < this.#job.connections; index += 1) {
      this.#connections.push(new Connection());
      this.#begin(index);
    }
    this.#serveUntil(performance.now() + this.#job.warmupMs);
    for (const connection of this.#connections) connection.answers = 0;
    const { pid } = this.#job;
    const beginServerCpu = pid === undefined ? 0 : cpuMicrosOf(pid);
    this.#isMeasuring = true;
    const beginMs = performance.now();
    const beginTimes = threadTimes();
    this.#serveUntil(beginMs + this.#job.measureMs);
    const times = threadTimes();
    const seconds = (performance.now() - beginMs) / 1000;
    const serverCpuMicros = pid === undefined ? undefined : cpuMicrosOf(pid) - beginServerCpu;
    this.#isMeasuring = false;
    this.#isOver = true;
    const starved = this.#connections.filter((connection) => connection.answers === 0).length;
    this.#serveUntil(performance.now() + GRACE_MS);
    for (const connection of this.#connections) if (connection.fd >= 0) libc.close(connection.fd);
    this.#epoll.close();
    return {
      requests: this.#histogram.total,
      seconds,
      p50Micros: this.#histogram.percentile(0.5),
      p99Micros: this.#histogram.percentile(0.99),
      errors: this.#errors,
      firstError: this.#firstError,
      starved,
      cpuMicros: times.cpuMicros - beginTimes.cpuMicros,
      cpuWaitMicros: times.waitMicros - beginTimes.waitMicros,
      serverCpuMicros,
    };
  }

  /** @param {number} endMs */
  #serveUntil(endMs) {
    for (let nowMs = performance.now(); nowMs < endMs && this.#waiting > 0; nowMs = performance.now()) {
      const ready = this.#epoll.wait(Math.ceil(endMs - nowMs));
      for (let index = 0; index < ready; index += 1) {
        const key = this.#epoll.key(index);
        // Errors and hang-ups are read, like answers.
        if (this.#epoll.events(index) === libc.EPOLLOUT) this.#send(key);
        else this.#receive(key);
      }
    }
  }

  /** Sends a connection's next request. @param {number} index */
  #begin(index) {
    const connection = this.#connections[index];
    connection.startedMs = performance.now();
    connection.length = 0;
    connection.seen = 0;
    connection.unsent = this.#request.length;
    if (connection.fd < 0 && !this.#open(connection, index)) return;
    if (!connection.isWaiting) this.#waiting += 1;
    connection.isWaiting = true;
    this.#send(index);
  }

  /** @param {Connection} connection @param {number} index */
  #open(connection, index) {
    const { family, bytes } = this.#address;
    for (let tries = 1; ; tries += 1) {
      const fd = libc.socket(family, libc.SOCK_STREAM_NONBLOCK, 0);
      if (fd < 0) return this.#fail(connection, `socket: error ${libc.errno()}`);
      if (family === libc.AF_INET) libc.sendAtOnce(fd);
      const failed = libc.connect(fd, bytes, bytes.length) !== 0 && libc.errno() !== libc.EINPROGRESS;
      if (!failed) {
        connection.fd = fd;
        this.#epoll.add(fd, libc.EPOLLIN, index);
        return true;
      }
      const error = libc.errno();
      libc.close(fd);
      // A full backlog of a Unix socket refuses at once, where TCP would try again.
      const isFull = error === libc.EAGAIN || error === libc.ECONNREFUSED;
      if (!isFull || tries >= CONNECT_TRIES) return this.#fail(connection, `connect: error ${error}`);
      libc.usleep(CONNECT_PAUSE_MICROS);
    }
  }

  /** @param {number} index */
  #send(index) {
    const connection = this.#connections[index];
    const all = this.#request;
    const bytes = connection.unsent === all.length ? all : all.subarray(all.length - connection.unsent);
    const count = Number(libc.write(connection.fd, bytes, bytes.length));
    // A connection that broke is told of by epoll, and found out when it is read.
    if (count < 0 && libc.errno() !== libc.EAGAIN) return;
    connection.unsent -= Math.max(0, count);
    if (connection.unsent > 0) this.#epoll.change(connection.fd, libc.EPOLLIN | libc.EPOLLOUT, index);
    else if (bytes !== all) this.#epoll.change(connection.fd, libc.EPOLLIN, index);
  }

  /** @param {number} index */
  #receive(index) {
    const connection = this.#connections[index];
    for (;;) {
      if (connection.bytes.length - connection.length < READ_BYTES / 4) {
        const larger = Buffer.allocUnsafe(connection.bytes.length * 2);
        connection.bytes.copy(larger, 0, 0, connection.length);
        connection.bytes = larger;
      }
      const { bytes, length } = connection;
      const free = length === 0 ? bytes : bytes.subarray(length);
      const count = Number(libc.read(connection.fd, free, free.length));
      if (count === 0) return this.#renew(index, connection.isWaiting ? 'closed without an answer' : undefined);
      if (count < 0) {
        if (libc.errno() === libc.EAGAIN) return;
        return this.#renew(index, `read: error ${libc.errno()}`);
      }
      connection.length += count;
      const end = this.#findEnd(bytes, connection.seen, connection.length);
      if (end >= 0) return this.#finish(index, end);
      connection.seen = -end - 1;
      if (count < free.length) return;
    }
  }

  /** An answer is complete. @param {number} index @param {number} end */
  #finish(index, end) {
    const connection = this.#connections[index];
    const fault =
      this.#check.fault(connection.bytes, end) ?? (end < connection.length ? 'bytes after the end' : undefined);
    if (fault === undefined) {
      connection.answers += 1;
      if (this.#isMeasuring) this.#histogram.add((performance.now() - connection.startedMs) * 1000);
    }
    if (!this.#job.keep || fault !== undefined || this.#isOver) this.#renew(index, fault);
    else this.#begin(index);
  }

  /** Closes a connection and, while the run lasts, begins again on a new one. @param {number} index @param {string} [fault] */
  #renew(index, fault) {
    const connection = this.#connections[index];
    libc.close(connection.fd);
    connection.fd = -1;
    if (fault !== undefined) this.#count(fault);
    if (!this.#isOver) this.#begin(index);
    else this.#rest(connection);
  }

  /** @param {Connection} connection @param {string} fault */
  #fail(connection, fault) {
    this.#count(fault);
    this.#rest(connection);
    return false;
  }

  /** @param {Connection} connection */
  #rest(connection) {
    if (connection.isWaiting) this.#waiting -= 1;
    connection.isWaiting = false;
  }

  /** @param {string} fault */
  #count(fault) {
    // What breaks after the measurement is the end of the load itself.
    if (this.#isOver) return;
    this.#errors += 1;
    this.#firstError ??= fault;
  }
}

parentPort?.on('message', (/** @type {Job} */ job) => {
  parentPort?.postMessage(new Run(job).run());
});
