/** Dictionaries in shared memory: what they hold is what a model holds, whatever is done to them (issue 13, 6). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createDictionary, Dictionary, MOST_VALUE_BYTES, readStatus, type Value } from '../../src/shared/dictionary.js';
import { hashKey } from '../../src/shared/key-hash.js';
import { audit } from './support/audit.js';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');
const plain = (value: Value | undefined): unknown => (value instanceof Uint8Array ? text(value) : value);

interface Clock {
  nowMs: number;
}

function create(sizeBytes: number, { evicts = false, clock = { nowMs: 1000 } as Clock } = {}) {
  const shared = createDictionary(sizeBytes, [12345, -67890]);
  const dictionary = new Dictionary({ shared, owner: 1, evicts, nowMs: () => clock.nowMs });
  const value = (key: string): unknown => plain(dictionary.get(bytes(key))?.value);
  return { shared, dictionary, clock, value };
}

const KEY = fc.integer({ min: 0, max: 11 }).map((at) => `key ${at}${'+'.repeat(at * 9)}`);
const VALUE: fc.Arbitrary<Value> = fc.oneof(
  fc.uint8Array({ maxLength: 300, size: 'max' }),
  fc.double(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.boolean(),
);
const TTL = fc.constantFrom(0, 0, 10, 20, 50);
const ACTION = fc.oneof(
  fc.record({ do: fc.constantFrom('set', 'add', 'replace'), key: KEY, value: VALUE, ttl: TTL }),
  fc.record({ do: fc.constant('get'), key: KEY }),
  fc.record({ do: fc.constant('delete'), key: KEY }),
  fc.record({ do: fc.constant('incr'), key: KEY, by: fc.integer({ min: -5, max: 5 }), ttl: TTL }),
  fc.record({ do: fc.constantFrom('pushFirst', 'pushLast'), key: KEY, value: VALUE }),
  fc.record({ do: fc.constantFrom('popFirst', 'popLast'), key: KEY }),
  fc.record({ do: fc.constant('expire'), key: KEY, ttl: TTL }),
  fc.record({ do: fc.constant('cas'), key: KEY, value: VALUE, isSame: fc.boolean() }),
  fc.record({ do: fc.constant('wait'), ms: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ do: fc.constant('flush') }),
  fc.record({ do: fc.constant('flushExpired') }),
);

interface ModelItem {
  value: Value | Value[];
  expiresMs: number;
}

describe('a dictionary', () => {
  for (const evicts of [false, true]) {
    const name = evicts
      ? 'that evicts forgets keys, and never gives a wrong value'
      : 'does what a model does, down to the memory that is free again';
    it(name, () => {
      fc.assert(
        fc.property(fc.array(ACTION, { maxLength: 120, size: 'max' }), (actions) => {
          // So small that values do not always find room.
          const { shared, dictionary, clock } = create(32 * 1024, { evicts });
          const model = new Map<string, ModelItem>();
          const live = (key: string): ModelItem | undefined => {
            const item = model.get(key);
            return item !== undefined && (item.expiresMs === 0 || item.expiresMs > clock.nowMs) ? item : undefined;
          };
          const expiry = (ttl: number): number => (ttl === 0 ? 0 : clock.nowMs + ttl);
          for (const action of actions) {
            const key = 'key' in action ? bytes(action.key) : bytes('-');
            const name = 'key' in action ? action.key : '';
            // What was evicted is gone from the model, too.
            if (evicts && live(name) !== undefined && dictionary.ttlMs(key) === undefined) model.delete(name);
            const present = live(name);
            if ('value' in action && 'ttl' in action) {
              const condition = { set: 'always', add: 'absent', replace: 'present' }[action.do] as 'always';
              const { refusal } = dictionary.set(key, action.value, { condition, ttlMs: action.ttl });
              const expected =
                action.do === 'add' && present
                  ? 'exists'
                  : action.do === 'replace' && !present
                    ? 'not found'
                    : undefined;
              if (expected !== undefined) assert.equal(refusal, expected);
              else if (refusal === undefined) model.set(name, { value: action.value, expiresMs: expiry(action.ttl) });
              else assert.ok(refusal === 'no memory' && !evicts);
            } else if (action.do === 'get') {
              const found = dictionary.get(key);
              if (present === undefined) assert.equal(found, undefined);
              else if (Array.isArray(present.value)) assert.equal(found?.value, undefined);
              else assert.deepEqual(found?.value, present.value);
            } else if (action.do === 'delete') {
              assert.equal(dictionary.delete(key), present !== undefined);
              model.delete(name);
            } else if (action.do === 'incr' && 'by' in action) {
              const { refusal, value } = dictionary.increment(key, action.by, 7, action.ttl);
              if (present === undefined) {
                if (refusal === undefined) model.set(name, { value: 7 + action.by, expiresMs: expiry(action.ttl) });
              } else if (typeof present.value === 'number' || typeof present.value === 'bigint') {
                const sum = Number(present.value) + action.by;
                assert.deepEqual([refusal, value], [undefined, sum]);
                present.value = sum;
              } else assert.equal(refusal, 'not a number');
            } else if ('value' in action && action.do.startsWith('push')) {
              const end = action.do === 'pushFirst' ? 'first' : 'last';
              const { refusal, length } = dictionary.lists.push(key, end, action.value, MOST_VALUE_BYTES);
              if (present !== undefined && !Array.isArray(present.value)) assert.equal(refusal, 'value not a list');
              else if (refusal === undefined) {
                const list = (present?.value as Value[] | undefined) ?? [];
                if (end === 'first') list.unshift(action.value);
                else list.push(action.value);
                assert.equal(length, list.length);
                model.set(name, { value: list, expiresMs: present?.expiresMs ?? 0 });
              }
            } else if (action.do.startsWith('pop')) {
              const popped = dictionary.lists.pop(key, action.do === 'popFirst' ? 'first' : 'last');
              if (present === undefined) assert.equal(popped, undefined);
              else if (!Array.isArray(present.value)) assert.equal(popped, 'value not a list');
              else {
                const list = present.value;
                assert.deepEqual(popped, action.do === 'popFirst' ? list.shift() : list.pop());
                if (list.length === 0) model.delete(name);
              }
            } else if (action.do === 'expire' && 'ttl' in action) {
              assert.equal(dictionary.expire(key, action.ttl), present !== undefined);
              if (present !== undefined) present.expiresMs = expiry(action.ttl);
            } else if ('isSame' in action) {
              const held = present?.value;
              const old = action.isSame && !Array.isArray(held) ? held : bytes('other');
              const { refusal } = dictionary.compareAndSet(key, old, action.value);
              const isSame = action.isSame && !Array.isArray(held) && !Number.isNaN(held);
              if (!isSame) assert.equal(refusal, 'changed');
              else if (refusal === undefined) model.set(name, { value: action.value, expiresMs: 0 });
              else assert.equal(refusal, 'no memory');
            } else if ('ms' in action) clock.nowMs += action.ms;
            else if (action.do === 'flush') {
              dictionary.flushAll();
              model.clear();
            } else if (action.do === 'flushExpired') dictionary.flushExpired();
            audit(shared);
          }
          if (evicts) return;
          const names = [...model.keys()].filter((key) => live(key) !== undefined);
          assert.deepEqual(dictionary.keys(0).map(text).sort(), names.sort());
          for (const key of names) assert.ok(dictionary.delete(bytes(key)));
          dictionary.flushExpired();
          audit(shared);
          assert.equal(readStatus(shared).usedBytes, 0);
          assert.equal(readStatus(shared).items, 0);
        }),
        { numRuns: 60 },
      );
    });
  }

  it('keeps every value that it has accepted, and says when there is no room', () => {
    const { shared, dictionary, value } = create(64 * 1024);
    let stored = 0;
    while (dictionary.set(bytes(`k${stored}`), bytes('v'.repeat(100))).refusal === undefined) stored += 1;
    assert.ok(stored > 150, `${stored} found room`);
    for (let at = 0; at < stored; at += 1) assert.equal(value(`k${at}`), 'v'.repeat(100));
    assert.deepEqual(dictionary.set(bytes('more'), bytes('v'.repeat(100))), {
      refusal: 'no memory',
      hasEvicted: false,
    });
    assert.equal(readStatus(shared).failures, 2);
    assert.equal(readStatus(shared).evictions, 0);
  });

  it('has room for one large value after any number of small ones: its memory does not fall to pieces (lua-nginx-module 175)', () => {
    const { shared, dictionary, value } = create(256 * 1024);
    let count = 0;
    while (dictionary.set(bytes(`k${count}`), bytes('v'.repeat(count % 90))).refusal === undefined) count += 1;
    for (let at = 0; at < count; at += 2) dictionary.delete(bytes(`k${at}`));
    const large = 'x'.repeat(Math.floor((dictionary.freeBytes * 62) / 64) - 200);
    assert.equal(dictionary.set(bytes('large'), bytes(large)).refusal, undefined);
    assert.equal(value('large'), large);
    audit(shared);
  });

  it('replaces a value for which there is no room beside the old one', () => {
    const { dictionary, value } = create(64 * 1024);
    const large = Math.floor(dictionary.freeBytes * 0.7);
    assert.equal(dictionary.set(bytes('a'), bytes('1'.repeat(large))).refusal, undefined);
    assert.equal(dictionary.set(bytes('a'), bytes('2'.repeat(large))).refusal, undefined);
    assert.equal(value('a'), '2'.repeat(large));
    assert.equal(dictionary.set(bytes('a'), bytes('3'.repeat(2 * large))).refusal, 'no memory');
    assert.equal(value('a'), '2'.repeat(large), 'a value that finds no room leaves the old one');
  });

  it('that evicts takes what has expired first, then what was not used for the longest time, and counts it', () => {
    const { shared, dictionary, clock, value } = create(64 * 1024, { evicts: true });
    const body = bytes('v'.repeat(1000));
    let count = 0;
    for (; dictionary.freeBytes > 3000; count += 1) dictionary.set(bytes(`k${count}`), body);
    dictionary.set(bytes('short'), body, { ttlMs: 10 });
    clock.nowMs += 20;
    value('k0');
    while (!dictionary.set(bytes(`k${count}`), body).hasEvicted) count += 1;
    assert.equal(readStatus(shared).expired, 1);
    assert.equal(readStatus(shared).evictions, 1);
    assert.equal(value('k0'), 'v'.repeat(1000), 'it was used');
    assert.equal(value('k1'), undefined, 'the oldest one');
    assert.equal(dictionary.set(bytes('safe'), body, { isSafe: true }).refusal, 'no memory');
  });

  it('refuses at once what could never fit, and evicts nothing for it', () => {
    const { shared, dictionary, value } = create(64 * 1024, { evicts: true });
    dictionary.set(bytes('a'), 1);
    assert.equal(dictionary.set(bytes('b'), bytes('x'.repeat(70_000))).refusal, 'no memory');
    assert.equal(value('a'), 1);
    assert.equal(readStatus(shared).evictions, 0);
    const big = create(32 << 20);
    assert.equal(big.dictionary.set(bytes('b'), new Uint8Array(MOST_VALUE_BYTES + 1)).refusal, 'no memory');
    assert.equal(big.dictionary.set(bytes('b'), new Uint8Array(MOST_VALUE_BYTES)).refusal, undefined);
  });

  it('gives a stale value until its room is needed, and none that was flushed', () => {
    const { dictionary, clock } = create(64 * 1024);
    dictionary.set(bytes('a'), bytes('old'), { ttlMs: 10, flags: 3 });
    clock.nowMs += 11;
    assert.equal(dictionary.get(bytes('a')), undefined);
    const stale = dictionary.get(bytes('a'), true);
    assert.deepEqual([plain(stale?.value), stale?.flags, stale?.isStale], ['old', 3, true]);
    dictionary.flushAll();
    assert.equal(dictionary.get(bytes('a'), true), undefined);
  });

  it('adds whole numbers of 64 bits as Lua 5.4 does, and others as floats', () => {
    const { dictionary } = create(64 * 1024);
    dictionary.set(bytes('a'), 2n ** 63n - 1n);
    assert.equal(dictionary.increment(bytes('a'), 1n).value, -(2n ** 63n));
    assert.equal(dictionary.increment(bytes('b'), 1.5, 1n).value, 2.5);
    assert.equal(dictionary.increment(bytes('c'), 1).refusal, 'not found');
  });

  it('spreads keys by a secret: those that fall into one bucket of a dictionary do not in another', () => {
    const keys = Array.from({ length: 20_000 }, (_, at) => bytes(`key ${at}`));
    const together = keys.filter((key) => (hashKey(key, 11, 22) & 255) === 7);
    assert.ok(together.length > 40 && together.length < 120, `${together.length} of ${keys.length} in one of 256`);
    const elsewhere = new Set(together.map((key) => hashKey(key, 33, 44) & 255));
    assert.ok(elsewhere.size > together.length / 2, `${elsewhere.size} buckets`);
  });
});
