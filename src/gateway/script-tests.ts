/**
 * Talks with a test file: a script that has required `luafcgid.test`. Its answer is a row of messages, and what it asks
 * for comes back as the body of its request. A message is a list of texts, as `src/lua/library/test.lua` writes it.
 */
import http from 'node:http';
import { toByteString } from '../base/byte-string.js';
import { type AnswerHead, AnswerReader } from './answer.js';
import type { Params } from './cgi-params.js';
import { Upstream, type UpstreamAddress } from './upstream.js';

/** What a test asks for; all texts have one character per byte. */
export interface TestRequest {
  readonly method: string;
  readonly path: string;
  /** `Name: value`, in the order in which they are sent. */
  readonly headers: readonly string[];
  readonly body: Buffer | undefined;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** What was logged meanwhile. */
  readonly log: readonly string[];
}

export interface TestOutcome {
  /** Why it failed; left out when it passed. */
  readonly failure?: string;
}

/** The tests of one file. */
export interface ScriptTests {
  readonly names: readonly string[];
  /** Why they cannot be run: the file cannot be loaded, or has no tests. */
  readonly fault: string | undefined;
  /** @param number from 1 on @param answer sends a request of the test; what it throws is an error in the test */
  run(number: number, answer: (request: TestRequest) => Promise<TestAnswer>): Promise<TestOutcome>;
}

/** Loads a test file, and asks for the names of its tests. */
export async function openScriptTests(address: UpstreamAddress, file: string): Promise<ScriptTests> {
  const run: ScriptTests['run'] = async (number, answer) => {
    let outcome: TestOutcome | undefined;
    const end = await converse(address, file, String(number), async ([kind, ...fields]) => {
      if (kind === 'request') return answered(await answer(requestOf(fields)).catch((error: Error) => error));
      outcome = kind === 'passed' ? {} : { failure: fields[0] ?? '' };
      return undefined;
    });
    return outcome ?? { failure: `the test was broken off (status ${end?.status ?? 0})` };
  };
  const names: string[] = [];
  const end = await converse(address, file, 'names', async (found) => {
    names.push(...found);
    return undefined;
  });
  return { names, fault: hasTests(end) ? undefined : faultOf(end), run };
}

/** @param head of the page that came in the place of tests */
function faultOf(head: AnswerHead | undefined): string {
  if ((head?.status ?? 0) >= 400) return `the file cannot be loaded (status ${head?.status})`;
  return 'it has no tests: a test file requires "luafcgid.test", and adds tests with it';
}

function requestOf([method = '', path = '', headers = '', body = '', hasBody = '']: readonly string[]): TestRequest {
  return {
    method,
    path,
    headers: headers === '' ? [] : headers.split('\n'),
    body: hasBody === '' ? undefined : Buffer.from(body, 'latin1'),
  };
}

function answered(answer: TestAnswer | Error): readonly (string | Buffer)[] {
  if (answer instanceof Error) return [toByteString(answer.message)];
  const { status, headers, body, log } = answer;
  return [String(status), headers.map((line) => `${line}\n`).join(''), body, toByteString(log.join('\n'))];
}

function encodeMessage(fields: readonly (string | Buffer)[]): Buffer {
  const parts = fields.flatMap((field) => {
    const bytes = typeof field === 'string' ? Buffer.from(field, 'latin1') : field;
    return [Buffer.from(`${bytes.length}\n`), bytes];
  });
  return Buffer.concat([Buffer.from(`${fields.length}\n`), ...parts]);
}

/** Messages in the order in which they came; what is left has no end yet. */
class MessageReader {
  #bytes = Buffer.alloc(0);

  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
  }

  next(): string[] | undefined {
    let at = 0;
    const number = (): number | undefined => {
      const end = this.#bytes.indexOf(10, at);
      if (end < 0) return undefined;
      const value = Number(this.#bytes.toString('latin1', at, end));
      at = end + 1;
      return value;
    };
    const count = number();
    if (count === undefined) return undefined;
    const fields: string[] = [];
    for (let field = 0; field < count; field += 1) {
      const length = number();
      if (length === undefined || this.#bytes.length < at + length) return undefined;
      fields.push(this.#bytes.toString('latin1', at, at + length));
      at += length;
    }
    this.#bytes = this.#bytes.subarray(at);
    return fields;
  }
}

/** Whether an answer comes from `luafcgid.test`: anything else is a page, of an error or of a script without tests. */
function hasTests(head: AnswerHead | undefined): boolean {
  return head?.headers.some(([name]) => name.toLowerCase() === 'x-tests') === true;
}

/**
 * Requests a test file, and answers its messages one after the other.
 * @returns the head of its answer; undefined when there was none
 */
function converse(
  address: UpstreamAddress,
  file: string,
  test: string,
  take: (message: readonly string[]) => Promise<readonly (string | Buffer)[] | undefined>,
): Promise<AnswerHead | undefined> {
  return new Promise((resolve, reject) => {
    const answer = new AnswerReader();
    const messages = new MessageReader();
    let head: AnswerHead | undefined;
    let working = Promise.resolve();
    const read = (bytes: Uint8Array): void => {
      if (!hasTests(head)) return;
      messages.push(bytes);
      for (let message = messages.next(); message !== undefined; message = messages.next()) {
        const taken = message;
        working = working.then(async () => {
          const reply = await take(taken);
          if (reply !== undefined) upstream.sendBody(encodeMessage(reply));
        });
      }
    };
    const upstream = new Upstream(address, paramsOf(file, test), {
      onOutput: (bytes) => {
        if (answer.hasHead) return read(bytes);
        const complete = answer.push(bytes);
        if (complete === undefined) return;
        head = complete.head;
        read(complete.body);
      },
      onErrorText: () => {},
      onDrain: () => {},
      onEnd: () => void working.then(() => resolve(head), reject),
      onFailure: reject,
    });
  });
}

function paramsOf(file: string, test: string): Params {
  const params: [string, string][] = [
    ['SCRIPT_FILENAME', file],
    ['SCRIPT_NAME', file.slice(file.lastIndexOf('/'))],
    ['REQUEST_URI', file.slice(file.lastIndexOf('/'))],
    ['REQUEST_METHOD', 'POST'],
    ['QUERY_STRING', ''],
    ['SERVER_PROTOCOL', 'HTTP/1.1'],
    ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ['REMOTE_ADDR', '127.0.0.1'],
    ['SERVER_NAME', 'localhost'],
    ['SERVER_PORT', '80'],
    ['TEST_NUMBER', test],
  ];
  return params.map(([name, value]) => [name, toByteString(value)]);
}

/** Sends a test's request to the gateway. */
export function sendRequest(
  port: number,
  { method, path, headers, body }: TestRequest,
): Promise<Omit<TestAnswer, 'log'>> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { rawHeaders: raw, statusCode: status = 0 } = response;
        const lines = raw.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${raw[index + 1]}`] : []));
        resolve({ status, headers: lines, body: Buffer.concat(chunks) });
      });
    });
    request.on('error', reject);
    for (const line of headers) {
      const colon = line.indexOf(': ');
      request.setHeader(line.slice(0, colon), line.slice(colon + 2));
    }
    if (body !== undefined) request.setHeader('Content-Length', body.length);
    request.end(body);
  });
}
