/**
 * Walks through a document as a reader would: saves the files it shows, starts what it starts, types its commands, and
 * compares what they print. The places that a document names (`/srv/www`, port 80) are folders and ports of the test.
 *
 * A block is tested by its language: `console` blocks are typed; other blocks need a comment in the line before them,
 * `<!-- file: NAME -->` to be saved, or `<!-- not run: REASON -->`. Blocks of `text` are for the eye.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { tempDir } from '../../support/cleanup.js';
import { fetchHttp, type HttpAnswer } from '../../support/http.js';
import { startNginxWith } from '../../support/nginx.js';
import { runCommand, type Server, startServer } from '../../support/server.js';
import type { WebServer } from '../../support/web-server.js';
import { type Block, readBlocks } from './blocks.js';
import { parseCurl } from './curl.js';
import { assertShown, type Command, parseConsole } from './transcript.js';

/** Folders of the documents, and what they are called in the test's folder. */
const FOLDERS = [
  ['/srv/www', 'www'],
  ['/srv/lua', 'lua'],
  ['/etc/luafcgid', 'etc'],
  ['/run/luafcgid', 'run'],
  ['/var/log/luafcgid', 'log'],
  ['/etc/systemd/system', 'systemd'],
  ['/etc/nginx/conf.d', 'nginx'],
] as const;

const SERVER_CONFIG = '/etc/luafcgid/config.lua';
const NGINX_CONFIG = '/etc/nginx/conf.d/luafcgid.conf';

export class Walk {
  readonly #t: TestContext;
  readonly #dir: string;
  #server: Server | undefined;
  #gatewayPort: number | undefined;
  #nginx: WebServer | undefined;
  readonly #cookies = new Map<string, string>();

  constructor(t: TestContext) {
    this.#t = t;
    this.#dir = tempDir(t);
    for (const [, name] of FOLDERS) mkdirSync(join(this.#dir, name));
  }

  /** Walks through all blocks of a document. */
  async document(name: string): Promise<void> {
    for (const block of readBlocks(name)) await this.#block(block);
  }

  /** Saves the files that a document shows, and does nothing else. */
  saveFiles(name: string): void {
    for (const { directive, text } of readBlocks(name)) {
      if (directive?.name === 'file') this.save(directive.value, text);
    }
  }

  /** A file that the document has shown, with the test's places in it. */
  file(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** A path of the document, in the test's folder. */
  path(name: string): string {
    const local = this.#local(name);
    return local.startsWith('/') ? local : join(this.#dir, local);
  }

  /** Saves a file as the document would have it. */
  save(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), this.#local(text));
  }

  /** Text of the document with the test's places. */
  #local(text: string): string {
    return FOLDERS.reduce((result, [from, to]) => result.replaceAll(from, join(this.#dir, to)), text);
  }

  /** Text of the test with the document's places. */
  #shown(text: string): string {
    return FOLDERS.reduce((result, [from, to]) => result.replaceAll(join(this.#dir, to), from), text).replaceAll(
      `${this.#dir}/`,
      '',
    );
  }

  async #block(block: Block): Promise<void> {
    const { directive, language, place } = block;
    if (directive?.name === 'file') return this.#save(directive.value, block.text);
    if (directive?.name === 'not run' || language === 'text') return;
    assert.equal(language, 'console', `${place}: nothing says how this block is tested`);
    for (const command of parseConsole(block.text)) await this.#type(command, place);
  }

  async #save(name: string, text: string): Promise<void> {
    this.save(name, text);
    if (name === SERVER_CONFIG) await this.#restartServer();
    if (name === NGINX_CONFIG) await this.#restartNginx(this.#local(text));
  }

  async #restartServer(): Promise<void> {
    await this.#server?.stop();
    this.#server = await startServer(this.#t, { args: () => [this.path(SERVER_CONFIG)] });
  }

  async #restartNginx(text: string): Promise<void> {
    await this.#nginx?.stop();
    this.#nginx = await startNginxWith(this.#t, (port) => {
      assert.match(text, /listen 80;/);
      return text
        .replace('listen 80;', `listen 127.0.0.1:${port};`)
        .replace(/include(\s+)fastcgi/g, 'include$1/etc/nginx/fastcgi');
    });
  }

  async #type({ words, output }: Command, place: string): Promise<void> {
    const [program, ...args] = words[0] === 'npx' ? words.slice(1) : words;
    if (program === 'luafcgid') return this.#luafcgid(args, output, place);
    if (program === 'curl') return assertShown(this.#shown(await this.#curl(args)), output, place);
    if (program === 'journalctl') return assertShown(this.#shown(await this.#log(output)), output, place);
    assert.fail(`${place}: the test cannot type "${words.join(' ')}"`);
  }

  async #luafcgid(args: readonly string[], output: readonly string[], place: string): Promise<void> {
    if (args[0] === 'serve') {
      const command = ['serve', this.path(args[1] ?? '.'), '--port', '0'];
      const server = await startServer(this.#t, { args: () => command, ready: /http:\/\/127\.0\.0\.1:\d+\// });
      this.#gatewayPort = Number((await server.logged(/http:\/\/127\.0\.0\.1:(\d+)\//))[1]);
      return;
    }
    const { stdout, stderr } = await runCommand(
      args.map((word) => this.#local(word)),
      { cwd: this.#dir },
    );
    assertShown(this.#shown(stdout + stderr), output, place);
  }

  /** The log, once it has the last line that is shown: it comes through a pipe, and the answer may be faster. */
  async #log(shown: readonly string[]): Promise<string> {
    assert.ok(this.#server !== undefined, 'no server is running');
    const text = this.#local(shown.at(-1) ?? '').replace(/^\S+Z \w+ +(?:\[[^\]]*\] )?/, '');
    const pattern = text
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replace(/process \d+,(.*) io \w+, \d+ workers?/, 'process \\d+,$1 io \\w+, \\d+ workers?');
    await this.#server.logged(new RegExp(pattern));
    // The document's server is started as another user than root, which a test may be.
    return this.#server.log().replace(/^.*LUAFCGID_USER_ROOT.*\n/m, '');
  }

  /** What `curl` would print. */
  async #curl(words: readonly string[]): Promise<string> {
    const { url, method, headers, body, printsHead, keepsCookies } = parseCurl(words, (name) => this.path(name));
    const cookies = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const port = url.hostname === '127.0.0.1' ? this.#gatewayPort : this.#nginx?.port;
    assert.ok(port !== undefined, `nobody listens at ${url}`);
    const answer = await fetchHttp({
      port,
      method,
      path: url.pathname + url.search,
      headers: { ...headers, ...(keepsCookies && cookies !== '' && { Cookie: cookies }) },
      ...(body !== undefined && { body }),
    });
    for (const [name, value] of answer.headers) {
      const [, cookie, text] = /^([^=]+)=([^;]*)/.exec(name.toLowerCase() === 'set-cookie' ? value : '') ?? [];
      if (cookie !== undefined) this.#cookies.set(cookie, text as string);
    }
    return printsHead ? head(answer) + answer.text : answer.text;
  }
}

function head({ status, reason, headers }: HttpAnswer): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\n`);
  return `HTTP/1.1 ${status} ${reason}\n${lines.join('')}\n`;
}
