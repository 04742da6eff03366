/** The page on how to write a test of the front shows a test that is there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../structure/source-tree.js';

describe('test/front/README.md', () => {
  it('shows an example that is in the file which it names', () => {
    const page = readFileSync(join(ROOT, 'test/front/README.md'), 'utf8');
    const [, file = ''] = /Copy this one, of `(.+)`/.exec(page) ?? [];
    const [, example = ''] = /```ts\n([\s\S]+?)```/.exec(page) ?? [];
    assert.ok(example.length > 100);
    assert.ok(readFileSync(join(ROOT, 'test/front', file), 'utf8').includes(example));
  });
});
