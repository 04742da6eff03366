/** FastCGI answers on the wire. */

const STDOUT = 6;
const END_REQUEST = 3;
const HEADER_BYTES = 8;

/** Walks over whole records. @type {import('./answer.mjs').Protocol['findEnd']} */
export function findEnd(bytes, from, length) {
  let at = from;
  while (length - at >= HEADER_BYTES) {
    const type = bytes[at + 1];
    const next = at + HEADER_BYTES + ((bytes[at + 4] << 8) | bytes[at + 5]) + bytes[at + 6];
    if (next > length) break;
    at = next;
    if (type === END_REQUEST) return at;
  }
  return -at - 1;
}

/** @type {import('./answer.mjs').Protocol['decode']} */
export function decode(answer) {
  const parts = [];
  let protocolStatus = -1;
  for (let at = 0; at + HEADER_BYTES <= answer.length; ) {
    const content = answer.readUInt16BE(at + 4);
    if (answer[at + 1] === STDOUT) parts.push(answer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + content));
    if (answer[at + 1] === END_REQUEST) protocolStatus = answer[at + HEADER_BYTES + 4];
    at += HEADER_BYTES + content + answer[at + 6];
  }
  if (protocolStatus !== 0) return `protocol status ${protocolStatus}`;
  const text = Buffer.concat(parts).toString('latin1');
  const split = /\r?\n\r?\n/.exec(text);
  if (split === null) return `no header block: ${JSON.stringify(text.slice(0, 80))}`;
  // CGI: an answer without a status is a 200.
  const status = /^status: *([0-9]+)/im.exec(text.slice(0, split.index))?.[1] ?? '200';
  return { status, body: text.slice(split.index + split[0].length) };
}
