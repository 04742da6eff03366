/** HTTP/1.1 on a kept connection: the request of a page view, and answers with a length or in chunks. */

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/** @param {string} path @param {string} host */
export function httpRequest(path, host) {
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n` +
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n' +
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n' +
      'Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n' +
      'Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n',
  );
}

/**
 * @param {Buffer} bytes
 * @param {number} length
 * @returns {{head: string, bodyAt: number, bodyBytes: number | undefined} | undefined} without `bodyBytes`: in chunks
 */
function readHead(bytes, length) {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0 || headEnd + HEAD_END.length > length) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const bodyBytes = /\r\ncontent-length: *([0-9]+)/i.exec(head)?.[1];
  return {
    head,
    bodyAt: headEnd + HEAD_END.length,
    bodyBytes: bodyBytes === undefined ? undefined : Number(bodyBytes),
  };
}

/**
 * Walks over chunks.
 * @param {Buffer} bytes
 * @param {number} from
 * @param {number} length
 * @param {(from: number, to: number) => void} [onChunk]
 * @returns {number} where the last one ends, or -1
 */
function walkChunks(bytes, from, length, onChunk) {
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf(LINE_END, at);
    if (lineEnd < 0 || lineEnd >= length) return -1;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const chunkAt = lineEnd + LINE_END.length;
    const next = chunkAt + size + LINE_END.length;
    // Not a number: no answer that ends.
    if (!(next <= length)) return -1;
    if (size === 0) return next;
    onChunk?.(chunkAt, chunkAt + size);
    at = next;
  }
}

/** Answers come in few pieces, so each look begins at their start. @type {import('./answer.mjs').Protocol['findEnd']} */
export function findEnd(bytes, _from, length) {
  const head = readHead(bytes, length);
  if (head === undefined) return -1;
  if (head.bodyBytes === undefined) return walkChunks(bytes, head.bodyAt, length);
  const end = head.bodyAt + head.bodyBytes;
  return end <= length ? end : -1;
}

/** @type {import('./answer.mjs').Protocol['decode']} */
export function decode(answer) {
  const head = readHead(answer, answer.length);
  if (head === undefined) return 'no header block';
  const status = /^HTTP\/1\.1 ([0-9]+)/.exec(head.head)?.[1];
  if (status === undefined) return `no status line: ${JSON.stringify(head.head.slice(0, 80))}`;
  if (head.bodyBytes !== undefined) return { status, body: answer.toString('latin1', head.bodyAt) };
  /** @type {string[]} */
  const parts = [];
  walkChunks(answer, head.bodyAt, answer.length, (from, to) => parts.push(answer.toString('latin1', from, to)));
  return { status, body: parts.join('') };
}
