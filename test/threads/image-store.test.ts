/** The books of the images that workers share (issue 16). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OfferedImage, placeOf } from '../../src/channel/image-messages.js';
import { ImageStore } from '../../src/threads/image-store.js';

const image = (script: string, key: string): OfferedImage => ({
  script,
  key,
  lua: undefined,
  files: undefined,
  memoryBytes: 1,
});

function keysOf(store: ImageStore, worker: number, script: string): string | undefined {
  return store.heard(worker, { wanted: script, question: 7 })?.image?.key;
}

function indexed(store: ImageStore, script: string): number {
  return new Int32Array(store.index)[placeOf(script)] as number;
}

test('an image is kept as long as a worker uses it', () => {
  const store = new ImageStore();
  store.heard(1, { offered: image('/a', '1.1') });
  assert.equal(indexed(store, '/a'), 1);
  assert.equal(keysOf(store, 2, '/a'), '1.1');
  store.heard(1, { dropped: '1.1', script: '/a' });
  assert.equal(keysOf(store, 3, '/a'), '1.1');
  store.gone(2);
  assert.equal(store.size, 1);
  store.heard(3, { dropped: '1.1', script: '/a' });
  assert.equal(store.size, 0);
  assert.equal(indexed(store, '/a'), 0);
  assert.deepEqual(store.heard(1, { wanted: '/a', question: 3 }), { question: 3, image: undefined });
});

test('a newer image takes the place of an older one, which others may still use and drop', () => {
  const store = new ImageStore();
  store.heard(1, { offered: image('/a', '1.1') });
  assert.equal(keysOf(store, 2, '/a'), '1.1');
  store.heard(2, { offered: image('/a', '2.1') });
  store.heard(1, { dropped: '1.1', script: '/a' });
  assert.equal(indexed(store, '/a'), 1);
  assert.equal(keysOf(store, 1, '/a'), '2.1');
  store.gone(1);
  store.gone(2);
  assert.equal(store.size, 0);
  assert.equal(indexed(store, '/a'), 0);
});
