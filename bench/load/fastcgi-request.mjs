/**
 * A FastCGI request as nginx sends it, in bytes. It shares no code with src/: what measures the server must not
 * inherit its mistakes.
 */

const BEGIN_REQUEST = 1;
const PARAMS = 4;
const STDIN = 5;
const RESPONDER = 1;
const KEEP_CONN = 1;

/** @param {number} type @param {Buffer} content */
export function record(type, content) {
  const padding = -content.length & 7;
  const header = Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 255, padding, 0]);
  return Buffer.concat([header, content, Buffer.alloc(padding)]);
}

/** @param {number} length */
function lengthBytes(length) {
  if (length < 128) return Buffer.from([length]);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length + 0x80000000);
  return bytes;
}

/** @param {Record<string, string>} params */
function encodePairs(params) {
  const parts = Object.entries(params).flatMap(([name, value]) => {
    const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)];
    return [lengthBytes(nameBytes.length), lengthBytes(valueBytes.length), nameBytes, valueBytes];
  });
  return Buffer.concat(parts);
}

/**
 * The parameters of a page view: the 20 of nginx's stock `fastcgi.conf`, and the headers of a browser.
 * @param {string} script path of the script
 * @returns {Record<string, string>}
 */
export function pageParams(script) {
  const name = script.slice(script.lastIndexOf('/'));
  return {
    SCRIPT_FILENAME: script,
    QUERY_STRING: '',
    REQUEST_METHOD: 'GET',
    CONTENT_TYPE: '',
    CONTENT_LENGTH: '',
    SCRIPT_NAME: name,
    REQUEST_URI: name,
    DOCUMENT_URI: name,
    DOCUMENT_ROOT: script.slice(0, script.lastIndexOf('/')),
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_SCHEME: 'http',
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_SOFTWARE: 'nginx/1.22.1',
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_PORT: '51234',
    SERVER_ADDR: '127.0.0.1',
    SERVER_PORT: '80',
    SERVER_NAME: 'localhost',
    REDIRECT_STATUS: '200',
    HTTP_HOST: 'localhost',
    HTTP_USER_AGENT: 'Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0',
    HTTP_ACCEPT: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    HTTP_ACCEPT_LANGUAGE: 'en-US,en;q=0.5',
    HTTP_ACCEPT_ENCODING: 'gzip, deflate, br',
    HTTP_CONNECTION: 'keep-alive',
    HTTP_COOKIE: 'session=0123456789abcdef0123456789abcdef',
  };
}

/**
 * The records before the body: BEGIN_REQUEST and the parameters.
 * @param {Record<string, string>} params
 * @param {boolean} keep the server shall keep the connection open
 */
export function requestHead(params, keep) {
  return Buffer.concat([
    record(BEGIN_REQUEST, Buffer.from([0, RESPONDER, keep ? KEEP_CONN : 0, 0, 0, 0, 0, 0])),
    record(PARAMS, encodePairs(params)),
    record(PARAMS, Buffer.alloc(0)),
  ]);
}

/** One record of a body; an empty one ends it. @param {Buffer} content */
export const bodyRecord = (content) => record(STDIN, content);

/** A whole request without a body. @param {string} script @param {boolean} keep @param {string} [query] */
export function pageRequest(script, keep, query = '') {
  const params = { ...pageParams(script), QUERY_STRING: query };
  return Buffer.concat([requestHead(params, keep), bodyRecord(Buffer.alloc(0))]);
}
