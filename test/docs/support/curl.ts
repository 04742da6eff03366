/** The few options of `curl` that the documents use, so that their commands can be typed where there is no curl. */
import { readFileSync } from 'node:fs';

export interface CurlRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** `-i`: status and headers are printed too. */
  readonly printsHead: boolean;
  /** `-b` or `-c`: cookies are sent and kept. */
  readonly keepsCookies: boolean;
}

const FORM = 'application/x-www-form-urlencoded';

/** @param pathOf where a file that is uploaded lies */
export function parseCurl(words: readonly string[], pathOf: (name: string) => string): CurlRequest {
  const rest = [...words];
  const headers: Record<string, string> = {};
  const fields: string[] = [];
  let url: URL | undefined;
  let upload: string | undefined;
  let printsHead = false;
  let keepsCookies = false;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '-i') printsHead = true;
    else if (word === '-d') fields.push(rest.shift() ?? '');
    else if (word === '-H') {
      const [, name = '', value = ''] = /^([^:]+): *(.*)$/.exec(rest.shift() ?? '') ?? [];
      headers[name] = value;
    } else if (word === '-F') upload = rest.shift() ?? '';
    else if (word === '-b' || word === '-c') {
      rest.shift();
      keepsCookies = true;
    } else if (!word.startsWith('-')) url = new URL(word);
    else throw new Error(`the tests know no option ${word} of curl`);
  }
  if (url === undefined) throw new Error(`curl without an address: ${words.join(' ')}`);
  if (fields.length > 0) headers['Content-Type'] ??= FORM;
  if (upload !== undefined) headers['Content-Type'] = 'multipart/form-data; boundary=xyz';
  const body = upload === undefined ? fields.join('&') : multipart(upload, pathOf);
  const isPost = fields.length > 0 || upload !== undefined;
  return { url, method: isPost ? 'POST' : 'GET', headers, body: isPost ? body : undefined, printsHead, keepsCookies };
}

/** The body for `-F NAME=@FILE`. */
function multipart(field: string, pathOf: (name: string) => string): string {
  const [, name, file] = /^(\w+)=@(.+)$/.exec(field) ?? [];
  if (name === undefined || file === undefined) throw new Error(`-F ${field} is no NAME=@FILE`);
  const head = `Content-Disposition: form-data; name="${name}"; filename="${file}"\r\nContent-Type: application/octet-stream`;
  return `--xyz\r\n${head}\r\n\r\n${readFileSync(pathOf(file), 'latin1')}\r\n--xyz--\r\n`;
}
