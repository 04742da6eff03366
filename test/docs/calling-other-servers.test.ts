/** The scripts of docs/calling-other-servers.md do what the page says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readHttp } from '../../src/config/http-client.js';
import { serve } from '../io/http/support.js';
import { ROOT, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const text = readFileSync(join(ROOT, 'docs/calling-other-servers.md'), 'utf8');
const scripts = [...text.matchAll(/```lua\n(local http[^`]*)```/g)].map(([, source]) => source as string);

/** The server that the page calls api.example.com. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '';
  if (url.startsWith('/weather')) response.end('{"degrees":7}');
  else if (url === '/news') response.end('["All is well."]');
  else if (url === '/large.csv') response.end('a,b\n'.repeat(100_000));
  else if (url === '/orders') response.end(request.headers.authorization === 'Bearer none' ? '{"number":12}' : '{}');
}

describe('docs/calling-other-servers.md', () => {
  it('has scripts that do what it says', async (t) => {
    const { port } = await serve(t, answer);
    const server = await startServer(t, { config: `http = { allow = { "127.0.0.1:${port}" } }` });
    const answers: string[] = [];
    for (const [index, source] of scripts.entries()) {
      server.write(`s${index}.lua`, source.replaceAll('https://api.example.com', `http://127.0.0.1:${port}`));
      answers.push((await ask(server, `s${index}.lua`)).text);
    }
    const large = 'a,b\n'.repeat(100_000);
    assert.deepEqual(answers, [
      'In Oslo it is 7 degrees',
      'order 12 is placed',
      'no news today',
      '7 degrees. All is well.',
      large,
    ]);
  });

  it('has settings that are right', () => {
    assert.match(text, /allow = \{ "api\.example\.com:443", "search\.internal:9200", "localhost:8080" \}/);
    const allow = ['api.example.com:443', 'search.internal:9200', 'localhost:8080', '*.example.com:443', '*:443'];
    assert.equal(readHttp({ allow, private: ['10.1.0.0/16'] }, String, assert.fail)?.allow.length, 5);
  });
});
