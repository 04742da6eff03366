/** One request made up on the command line: what a web server would send, without one. */
import { toByteString } from '../base/byte-string.js';
import type { Params } from './cgi-params.js';
import { Upstream, type UpstreamAddress } from './upstream.js';

export interface ScriptCall {
  /** Absolute path. */
  readonly script: string;
  readonly method: string;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
}

/** Whoever reads the answer in a terminal wants an error as text. */
const DEFAULT_ACCEPT = 'text/plain, */*;q=0.9';
const DEFAULT_CONTENT_TYPE = 'application/x-www-form-urlencoded';

/**
 * Sends the request; `onOutput` gets the answer as it comes, header block first.
 * @returns the status of the answer, and the application status: the code given to `os.exit`, 1 after an error
 */
export function callScript(
  address: UpstreamAddress,
  call: ScriptCall,
  onOutput: (bytes: Uint8Array) => void,
): Promise<{ readonly status: number; readonly appStatus: number }> {
  return new Promise((resolve, reject) => {
    let status = 0;
    const upstream = new Upstream(address, callParams(call), {
      onOutput: (bytes) => {
        // The server begins every answer with "Status: NNN".
        if (status === 0) status = Number.parseInt(Buffer.from(bytes.subarray(8, 11)).toString('latin1'), 10);
        onOutput(bytes);
      },
      onErrorText: (bytes) => process.stderr.write(bytes),
      onDrain: () => {},
      onEnd: (_protocolStatus, appStatus) => resolve({ status, appStatus }),
      onFailure: reject,
    });
    if (call.body !== undefined) upstream.sendBody(call.body);
    upstream.endBody();
  });
}

/** The parameters that a web server would send. */
export function callParams(call: ScriptCall): Params {
  const name = call.script.slice(call.script.lastIndexOf('/'));
  const params: [string, string][] = [
    ['SCRIPT_FILENAME', call.script],
    ['QUERY_STRING', call.query],
    ['REQUEST_METHOD', call.method],
    ['CONTENT_LENGTH', String(call.body?.length ?? 0)],
    ['SCRIPT_NAME', name],
    ['REQUEST_URI', call.query === '' ? name : `${name}?${call.query}`],
    ['DOCUMENT_ROOT', call.script.slice(0, -name.length)],
    ['SERVER_PROTOCOL', 'HTTP/1.1'],
    ['REQUEST_SCHEME', 'http'],
    ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ['SERVER_SOFTWARE', 'luafcgid-run'],
    ['REMOTE_ADDR', '127.0.0.1'],
    ['SERVER_NAME', 'localhost'],
    ['SERVER_PORT', '80'],
  ];
  let contentType = call.body === undefined ? '' : DEFAULT_CONTENT_TYPE;
  for (const [header, value] of call.headers) {
    if (header.toLowerCase() === 'content-type') contentType = value;
    else params.push([`HTTP_${header.toUpperCase().replaceAll('-', '_')}`, value]);
  }
  params.push(['CONTENT_TYPE', contentType]);
  if (!params.some(([name]) => name === 'HTTP_ACCEPT')) params.push(['HTTP_ACCEPT', DEFAULT_ACCEPT]);
  return params.map(([key, value]) => [key, toByteString(value)]);
}
