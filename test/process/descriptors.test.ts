/** Few descriptors: reports A6. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import { requireDescriptors } from '../../src/process/descriptors.js';

it('refuses a limit of open files that leaves next to nothing for connections, and says which (reports A6)', () => {
  for (const [limit, open] of [
    [1024, 1009],
    [48, 37],
    [40, 37],
    [256, 400],
    [1024, 985],
  ] as const) {
    assert.throws(
      () => requireDescriptors(limit, open),
      (error) =>
        error instanceof LuafcgidError &&
        error.code === 'LUAFCGID_SERVER_DESCRIPTORS' &&
        error.message.includes(`${limit} may be open, ${open} are at rest`) &&
        error.solve.includes('ulimit -n'),
      `${limit} ${open}`,
    );
  }
  for (const [limit, open] of [
    [1024, 984],
    [64, 37],
    [1_048_576, 400],
  ] as const) {
    requireDescriptors(limit, open);
  }
});

it('knows those of this process', () => {
  requireDescriptors();
  assert.throws(() => requireDescriptors(20), { code: 'LUAFCGID_SERVER_DESCRIPTORS' });
});
