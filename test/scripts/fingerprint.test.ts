import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ABSENT, fingerprintOf, hasDigest, isRecent, isUnchanged } from '../../src/scripts/fingerprint.js';

const MTIME_NS = 1_700_000_000_123_456_789n;
const VERSION = { size: 12n, mtimeNs: MTIME_NS, ctimeNs: MTIME_NS, dev: 1n, ino: 42n };

describe('the fingerprint of a file', () => {
  it('differs with size, times to the nanosecond, device, inode and content (reports A9)', () => {
    const all = [
      fingerprintOf(VERSION),
      fingerprintOf({ ...VERSION, size: 13n }),
      fingerprintOf({ ...VERSION, mtimeNs: VERSION.mtimeNs + 1n }),
      fingerprintOf({ ...VERSION, mtimeNs: VERSION.mtimeNs - 1_000_000_000n }),
      fingerprintOf({ ...VERSION, ctimeNs: MTIME_NS + 1n }),
      fingerprintOf({ ...VERSION, dev: 2n }),
      fingerprintOf({ ...VERSION, ino: 43n }),
      fingerprintOf(VERSION, 'aa'),
      fingerprintOf(VERSION, 'bb'),
    ];
    assert.equal(new Set(all).size, all.length);
    assert.equal(fingerprintOf({ ...VERSION }), all[0]);
  });

  const plain = fingerprintOf(VERSION);
  const digest = fingerprintOf(VERSION, 'aa');
  for (const [what, noted, now, unchanged] of [
    ['the same', plain, plain, true],
    ['the same, and looked at more closely', plain, digest, true],
    ['the same in content, too', digest, digest, true],
    ['another content at the same time', digest, fingerprintOf(VERSION, 'bb'), false],
    ['not looked at closely enough', digest, plain, false],
    ['another', plain, fingerprintOf({ ...VERSION, size: 1n }), false],
    ['another, looked at more closely', plain, fingerprintOf({ ...VERSION, size: 1n }, 'aa'), false],
    ['gone', plain, undefined, false],
    ['gone, content known', digest, undefined, false],
    ['not there, as before', ABSENT, undefined, true],
    ['there for the first time', ABSENT, plain, false],
    ['there for the first time, content known', ABSENT, digest, false],
  ] as const) {
    it(`says ${unchanged ? 'unchanged' : 'changed'} of a file that is ${what}`, () => {
      assert.equal(isUnchanged(noted, now), unchanged);
    });
  }

  it('tells whether it holds a digest', () => {
    assert.deepEqual([hasDigest(plain), hasDigest(digest)], [false, true]);
  });

  it('needs the content while the clock may not tell two versions apart', () => {
    const mtimeMs = Number(VERSION.mtimeNs / 1_000_000n);
    assert.equal(isRecent(VERSION, mtimeMs), true);
    assert.equal(isRecent(VERSION, mtimeMs + 20), true);
    assert.equal(isRecent(VERSION, mtimeMs + 60_000), false);
    // Its modification time was set: that it was changed a moment ago is told by the other one.
    assert.equal(isRecent({ ...VERSION, mtimeNs: 1n }, mtimeMs + 20), true);
    // A time in the future: nothing is known about it.
    assert.equal(isRecent(VERSION, mtimeMs - 60_000), true);
  });
});
