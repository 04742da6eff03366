import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as messages from '../../src/channel/messages.js';
import {
  decodeDependency,
  decodeStart,
  encodeDependency,
  encodeStartHead,
  FromWorker,
  requestName,
  ToWorker,
  typeOf,
} from '../../src/channel/messages.js';

describe('messages between the front and workers', () => {
  it('START holds its subject, slot, path and parameters', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.nat(0x7fffffff), fc.nat(7), bytes, bytes, fc.nat(9), (subject, slot, path, params, offset) => {
        const message = Buffer.concat([encodeStartHead(subject, slot, path), params]);
        // Where it lies in a larger buffer does not matter.
        const inside = Buffer.concat([Buffer.alloc(offset), message, Buffer.alloc(3)]);
        const decoded = decodeStart(inside.subarray(offset, offset + message.length));
        assert.deepEqual([decoded.subject, decoded.slot], [subject, slot]);
        assert.deepEqual(
          [Buffer.from(decoded.path), Buffer.from(decoded.params)],
          [Buffer.from(path), Buffer.from(params)],
        );
      }),
    );
  });

  it('DEPENDS holds a fingerprint and a path of any bytes', () => {
    const path = Buffer.from('/srv/ä€\xff\x01.lua').toString('latin1');
    const dependency = { path, fingerprint: '12:1700000000000000000:42#abc' };
    assert.deepEqual(decodeDependency(encodeDependency(dependency)), dependency);
    assert.deepEqual(decodeDependency(encodeDependency({ path: '', fingerprint: '' })), { path: '', fingerprint: '' });
  });

  it('have types that are all different and that flags do not touch', () => {
    const flags = Object.entries(messages)
      .filter(([name]) => /^(MORE|START_|END_)/.test(name))
      .map(([, value]) => value as number);
    assert.ok(flags.length >= 6);
    for (const types of [Object.values(ToWorker), Object.values(FromWorker)]) {
      assert.equal(new Set<number>(types).size, types.length);
      for (const type of types) {
        for (const flag of flags) assert.equal(typeOf(type | flag), type);
        assert.equal(typeOf(flags.reduce((all, flag) => all | flag, type)), type);
      }
    }
    const ofStart = Object.entries(messages).filter(([name]) => /^(MORE|START_)/.test(name));
    assert.equal(new Set(ofStart.map(([, value]) => value)).size, ofStart.length);
  });

  it('START holds the FastCGI role of its request, beside its flags', () => {
    const { START_CREATE, START_HEAD, START_OFFER, START_RETIRE, START_NO_BODY, startRole, roleOf } = messages;
    const flags = START_CREATE | START_HEAD | START_OFFER | START_RETIRE | START_NO_BODY;
    for (const role of [1, 2, 3]) {
      const type = ToWorker.START | flags | startRole(role);
      assert.deepEqual([roleOf(type), typeOf(type), type & flags], [role, ToWorker.START, flags]);
    }
    assert.equal(roleOf(ToWorker.START | flags), 0);
  });

  it('are counted on both sides when they change which side has a connection or which states are busy, and only then', () => {
    const { RETURNED, PROMOTED, ACCEPTED, FREED } = FromWorker;
    const counted = Object.values(FromWorker).filter((type) => messages.isCounted(type | messages.END_STATE_GONE));
    assert.deepEqual(new Set<number>(counted), new Set<number>([RETURNED, PROMOTED, ACCEPTED, FREED]));
  });

  it('name a request by its run and number, the same on both sides', () => {
    assert.equal(requestName('a1b2c3', 1), 'a1b2c3-1');
    assert.equal(requestName('a1b2c3', 36 * 36), 'a1b2c3-100');
    assert.notEqual(requestName('a', 1), requestName('b', 1));
  });
});
