/**
 * Clients that do harm, in a thread of their own: each kind does one thing wrong, on as many connections as it is told,
 * and begins again when the server closes them.
 */
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { connectOptions } from '../peers/processes.mjs';
import { bodyRecord, pageParams, pageRequest, requestHead } from './fastcgi-request.mjs';

/** How long a connection waits before it is opened again, so that the attack itself is no busy loop. */
const AGAIN_MS = 20;
const DRIP_MS = 1000;
/** Answers that a client asks for and does not read. */
const UNREAD_ANSWERS = 60;

/**
 * @typedef {object} Attack
 * @property {string} kind one of `attacks`
 * @property {string} address
 * @property {string} hello path of a script with a short answer
 * @property {string} large path of a script with a long one
 * @property {number} connections
 */

const { kind, address, hello, large, connections } = /** @type {Attack} */ (workerData);
let isOver = false;
let opened = 0;

const page = pageRequest(hello, true);
const upload = { ...pageParams(hello), REQUEST_METHOD: 'POST', CONTENT_LENGTH: '1000000' };

/** What a connection does once it is open. @type {Readonly<Record<string, (socket: net.Socket) => void>>} */
const deeds = {
  silent: () => {},
  'half a record': (socket) => void socket.write(page.subarray(0, 5)),
  'a byte a second': (socket) => {
    let at = 0;
    const timer = setInterval(() => void socket.write(page.subarray(at, ++at)), DRIP_MS);
    socket.once('close', () => clearInterval(timer));
  },
  'endless parameters': (socket) => {
    // BEGIN_REQUEST and what would be parameters, were there an end.
    socket.write(page.subarray(0, 16));
    const piece = Buffer.concat([Buffer.from([1, 4, 0, 1, 0xff, 0xf8, 0, 0]), Buffer.alloc(0xfff8, 'x')]);
    const timer = setInterval(() => void (socket.writableNeedDrain || socket.write(piece)), 10);
    socket.once('close', () => clearInterval(timer));
  },
  'a body without an end': (socket) => {
    socket.write(requestHead(upload, true));
    socket.write(bodyRecord(Buffer.alloc(60_000, 'x')));
  },
  'an answer not read': (socket) => {
    socket.pause();
    for (let count = 0; count < UNREAD_ANSWERS; count += 1) socket.write(pageRequest(large, true));
  },
  'idle, kept': (socket) => void socket.write(page),
  'connect and close': (socket) => void socket.destroy(),
};

function open() {
  const socket = net.connect(connectOptions(address));
  let wait = AGAIN_MS;
  socket.on('connect', () => {
    opened += 1;
    if (opened === connections) parentPort?.postMessage('at it');
    if (kind === 'connect and close') wait = 0;
    deeds[kind]?.(socket);
  });
  if (kind !== 'an answer not read') socket.resume();
  socket.on('error', () => {});
  socket.on('close', () => {
    if (!isOver) setTimeout(open, wait);
  });
}

for (let count = 0; count < connections; count += 1) open();
parentPort?.on('message', () => {
  isOver = true;
  process.exit(0);
});
