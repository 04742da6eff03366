/** Reads a CGI answer (RFC 3875, 6) as a web server does, for tests: header block, status, body. */

export type HeaderList = readonly (readonly [name: string, value: string])[];

export interface CgiAnswer {
  /** From `Status`; without one 302 when there is a `Location`, else 200. 0 when there was no output at all. */
  readonly status: number;
  readonly reason: string;
  /** In order, names as they were written, `Status` included. */
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/** Parses an application's whole output. Throws when the header block is missing or malformed. */
export function parseCgiAnswer(stdout: Buffer): CgiAnswer {
  if (stdout.length === 0) return { status: 0, reason: '', headers: [], body: stdout };
  const headers: [string, string][] = [];
  let at = 0;
  for (;;) {
    const lineEnd = stdout.indexOf(0x0a, at);
    if (lineEnd < 0) throw new Error(`header block without an end: ${excerpt(stdout)}`);
    const line = stdout.toString('latin1', at, lineEnd).replace(/\r$/, '');
    at = lineEnd + 1;
    if (line === '') break;
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (field === null || /[\0\r]/.test(line)) throw new Error(`malformed header line ${JSON.stringify(line)}`);
    headers.push([field[1]!, field[2]!]);
  }
  const statusLine = headerValue(headers, 'status');
  const [, code, reason] = /^(\d{3})(?: (.*))?$/.exec(statusLine ?? '') ?? [];
  if (statusLine !== undefined && code === undefined) throw new Error(`malformed Status: ${statusLine}`);
  const fallback = headerValue(headers, 'location') === undefined ? 200 : 302;
  return { status: code ? Number(code) : fallback, reason: reason ?? '', headers, body: stdout.subarray(at) };
}

/** The value of the first header of that name, in any letter case. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  return headerValues(headers, name)[0];
}

/** The values of all headers of that name, in order. */
export function headerValues(headers: HeaderList, name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

function excerpt(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1', 0, 200));
}
