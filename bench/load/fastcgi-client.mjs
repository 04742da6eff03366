/** One FastCGI request at a time, on `node:net`: for what is measured one by one, or in gigabytes. */
import net from 'node:net';
import { connectOptions } from '../peers/processes.mjs';
import { bodyRecord, pageParams, requestHead } from './fastcgi-request.mjs';

const STDOUT = 6;
const END_REQUEST = 3;
const HEADER_BYTES = 8;
const PIECE_BYTES = 64 * 1024 - HEADER_BYTES;
/** What is kept of an answer: enough to see whether it is right. */
const KEPT_BYTES = 1024;
const LIMIT_MS = 300_000;

/** Takes records as they come, in whatever pieces. */
class AnswerReader {
  stdoutBytes = 0;
  /** The first bytes of the answer. */
  start = '';
  hasEnded = false;
  #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #contentLeft = 0;
  #recordLeft = 0;

  /** @param {Buffer} bytes */
  take(bytes) {
    for (let at = 0; at < bytes.length; ) {
      if (this.#recordLeft === 0) {
        const count = bytes.copy(this.#header, this.#headerBytes, at, at + HEADER_BYTES - this.#headerBytes);
        this.#headerBytes += count;
        at += count;
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#headerBytes = 0;
        this.#contentLeft = this.#header.readUInt16BE(4);
        this.#recordLeft = this.#contentLeft + this.#header[6];
        continue;
      }
      const count = Math.min(this.#recordLeft, bytes.length - at);
      if (this.#header[1] === STDOUT && this.#contentLeft > 0) this.#takeStdout(bytes, at, count);
      this.#contentLeft -= Math.min(this.#contentLeft, count);
      this.#recordLeft -= count;
      if (this.#header[1] === END_REQUEST && this.#recordLeft === 0) this.hasEnded = true;
      at += count;
    }
  }

  /** @param {Buffer} bytes @param {number} at @param {number} count */
  #takeStdout(bytes, at, count) {
    const content = Math.min(this.#contentLeft, count);
    this.stdoutBytes += content;
    if (this.start.length < KEPT_BYTES) {
      this.start += bytes.toString('latin1', at, at + Math.min(content, KEPT_BYTES - this.start.length));
    }
  }
}

/**
 * Asks for one page on a connection of its own.
 * @param {string} address
 * @param {string} script
 * @param {{query?: string, bodyBytes?: number}} [more] `bodyBytes`: length of a body to send
 * @returns {Promise<{start: string, bodyBytes: number, micros: number}>} the answer's first bytes, the length of its
 *   body, and the time from the connection's start to the answer's end
 */
export function ask(address, script, { query = '', bodyBytes = 0 } = {}) {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const socket = net.connect(connectOptions(address));
    const answer = new AnswerReader();
    const timer = setTimeout(() => socket.destroy(new Error(`${script}: no end after ${LIMIT_MS} ms`)), LIMIT_MS);
    socket.on('data', (bytes) => {
      answer.take(bytes);
      if (!answer.hasEnded) return;
      const micros = (performance.now() - begin) * 1000;
      const headBytes = answer.start.indexOf('\r\n\r\n') + 4;
      socket.destroy();
      if (/^status: (?!200)/im.test(answer.start.slice(0, headBytes)) || headBytes < 4) {
        reject(new Error(`${script}: ${JSON.stringify(answer.start.slice(0, 300))}`));
      } else resolve({ start: answer.start, bodyBytes: answer.stdoutBytes - headBytes, micros });
    });
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error(`${script}: closed before its answer had ended`));
    });
    const params = { ...pageParams(script), QUERY_STRING: query };
    if (bodyBytes > 0) Object.assign(params, { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(bodyBytes) });
    socket.write(requestHead(params, false));
    sendBody(socket, bodyBytes);
  });
}

/** Sends a body no faster than it is taken. @param {net.Socket} socket @param {number} bytes */
function sendBody(socket, bytes) {
  const piece = bodyRecord(Buffer.alloc(PIECE_BYTES, 'a'));
  let left = bytes;
  const send = () => {
    while (left >= PIECE_BYTES) {
      left -= PIECE_BYTES;
      if (!socket.write(piece)) {
        socket.once('drain', send);
        return;
      }
    }
    if (left > 0) socket.write(bodyRecord(Buffer.alloc(left, 'a')));
    socket.write(bodyRecord(Buffer.alloc(0)));
  };
  send();
}
