/** The scripts of docs/shared-memory-and-locks.md do what the page says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const text = readFileSync(join(ROOT, 'docs/shared-memory-and-locks.md'), 'utf8');
const blocks = [...text.matchAll(/```lua\n([^`]*)```/g)].map(([, source]) => source as string);

describe('docs/shared-memory-and-locks.md', () => {
  it('has scripts and settings that do what it says', async (t) => {
    const scripts = blocks.filter((source) => source.includes('function main'));
    const settings = blocks.find((source) => source.startsWith('-- luafcgid.conf')) ?? '';
    const server = await startServer(t, { config: settings });
    const answers: string[] = [];
    for (const [index, source] of scripts.entries()) {
      server.write(`s${index}.lua`, source);
      const input = { params: { REMOTE_ADDR: '203.0.113.7' } };
      answers.push((await ask(server, `s${index}.lua`, input)).text, (await ask(server, `s${index}.lua`, input)).text);
    }
    assert.deepEqual(answers, [
      'visitor 1',
      'visitor 2',
      'attempt 1',
      'attempt 2',
      'the front page',
      'the front page',
      'invoice 1001',
      'invoice 1002',
    ]);
    const input = { params: { REMOTE_ADDR: '203.0.113.7' } };
    for (let at = 3; at <= 10; at += 1) await ask(server, 's1.lua', input);
    assert.equal((await ask(server, 's1.lua', input)).text, 'too many attempts');
  });
});
