/** What is shown of a script's fault: its source, and that of the places that led to it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { LuaError } from '../../src/lua/state.js';
import { describeFailure } from '../../src/worker/error-detail.js';
import { tempDir } from '../support/cleanup.js';

it('the places of the stack are shown once each, without the fault and without what may not be seen', (t) => {
  const dir = tempDir(t);
  const [page, library, secret] = ['page.lua', 'library.lua', 'secret.lua'].map((name) => join(dir, name));
  for (const file of [page, library, secret]) {
    writeFileSync(file as string, Array.from({ length: 20 }, (_, n) => `-- line ${n + 1}`).join('\n'));
  }
  const stack = [
    'stack traceback:',
    '\t[C]: in function `error`',
    `\t${library}:4: in function 'read'`,
    `\t${secret}:1: in function 'hide'`,
    `\t${page}:12: in function 'show'`,
    `\t${page}:12: in function 'show'`,
    `\t${page}:18: in function 'main'`,
  ];
  const error = new LuaError('runtime', `${library}:4: no such note`, stack.join('\n'));
  const { source, callers } = describeFailure(error, (file) => file !== secret).detail;
  const shown = (excerpt: typeof source) => [excerpt?.file, excerpt?.lines.find(({ isFault }) => isFault)?.text];
  assert.deepEqual(shown(source), [library, '-- line 4']);
  assert.deepEqual(callers?.map(shown), [
    [page, '-- line 12'],
    [page, '-- line 18'],
  ]);
});
