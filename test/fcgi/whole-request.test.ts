/** Requests that are taken in one look mean what the session makes of the same bytes, or are left to the session. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LuafcgidError } from '../../src/base/errors.js';
import { findWholeRequest, ServerSession } from '../../src/fcgi/session.js';
import { beginRequest, pairs, ROLE, record, stream, TYPE } from '../support/fcgi-wire.js';
import { ROOT } from '../support/server.js';

interface Meaning {
  readonly requestId: number;
  readonly params: string;
  readonly body: string;
  readonly keepsConnection: boolean;
}

function found(bytes: Uint8Array): Meaning | undefined {
  const request = findWholeRequest(bytes);
  if (request === undefined) return undefined;
  const { requestId, params, body, bodyBytes, keepsConnection } = request;
  assert.equal(Buffer.concat(body).length, bodyBytes);
  for (const piece of body) assert.ok(piece.length > 0, 'an empty piece of body would be taken for its end');
  return { requestId, params: hex(params), body: hex(Buffer.concat(body)), keepsConnection };
}

/** What the session makes of the bytes, if that is one whole request and nothing else. */
function meant(bytes: Uint8Array): Meaning | undefined {
  const events: string[] = [];
  const body: Buffer[] = [];
  let [requestId, params] = [0, ''];
  const session = new ServerSession(
    { maxConnections: 1, maxRequests: 1 },
    {
      onRequest: (id, _role, encoded) => {
        events.push('request');
        requestId = id;
        params = hex(encoded);
      },
      onBody: (_, piece) => body.push(Buffer.from(piece)),
      onBodyEnd: () => events.push('end'),
      onData: () => undefined,
      onDataEnd: () => undefined,
      onUnknownRole: () => undefined,
      onAbort: () => events.push('abort'),
      onParamsTooLarge: () => events.push('too large'),
      onReply: () => events.push('reply'),
    },
  );
  try {
    session.receive(bytes);
  } catch (error) {
    assert.ok(error instanceof LuafcgidError);
    return undefined;
  }
  if (events.join() !== 'request,end' || session.isInsideRecord) return undefined;
  return { requestId, params, body: hex(Buffer.concat(body)), keepsConnection: session.keepsConnection };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

interface Spec {
  readonly id: number;
  readonly otherId: number;
  readonly keepConn: boolean;
  readonly role: number;
  readonly params: readonly string[];
  readonly body: readonly string[];
  readonly padding: number;
}

const TEXT = fc.string({ maxLength: 40, unit: 'binary-ascii' });
const SPEC: fc.Arbitrary<Spec> = fc.record({
  id: fc.constantFrom(1, 1, 1, 1, 2, 255, 256, 65535, 1, 0),
  // Of the body's records: another request's now and then.
  otherId: fc.nat(15).map((n) => (n < 14 ? 0 : n === 14 ? 1 : 256)),
  keepConn: fc.nat(15).map((n) => n > 0),
  role: fc.nat(15).map((n) => (n < 13 ? 1 : ([2, 3, 257][n - 13] as number))),
  params: fc.oneof(
    { weight: 9, arbitrary: TEXT.map((text) => [text]) },
    { weight: 1, arbitrary: fc.array(TEXT, { maxLength: 3 }) },
  ),
  body: fc.array(TEXT, { maxLength: 3 }),
  padding: fc.constantFrom(0, 1, 7, 255),
});

function encode({ id, otherId, keepConn, role, params, body, padding }: Spec): Buffer {
  const bodyId = id ^ otherId;
  return Buffer.concat([
    beginRequest(id, { keepConn, role }),
    ...params.map((text) => record(TYPE.PARAMS, id, pairs({ A: text }), padding)),
    record(TYPE.PARAMS, id, '', padding),
    ...body.filter((text) => text !== '').map((text) => record(TYPE.STDIN, bodyId, text, padding)),
    record(TYPE.STDIN, bodyId, '', padding),
  ]);
}

type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'byte'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'more'; readonly bytes: Uint8Array };

const CHANGE: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('none' as const) }) },
  // Mostly in the headers of the first records, where the meaning lies.
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('byte' as const),
      at: fc.oneof(fc.nat(40), fc.nat(400)),
      value: fc.oneof(fc.nat(12), fc.nat(255)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: fc.nat(400) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('more' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
  },
);

function changed(bytes: Buffer, change: Change): Buffer {
  switch (change.kind) {
    case 'none':
      return bytes;
    case 'byte':
      bytes[change.at % bytes.length] = change.value;
      return bytes;
    case 'cut':
      return bytes.subarray(0, change.at % (bytes.length + 1));
    case 'more':
      return Buffer.concat([bytes, change.bytes]);
  }
}

describe('a whole request', () => {
  it('means what the session makes of it, or is left to the session', () => {
    let accepted = 0;
    fc.assert(
      fc.property(SPEC, fc.array(CHANGE, { minLength: 1, maxLength: 3 }), (spec, changes) => {
        const bytes = changes.reduce(changed, encode(spec));
        const request = found(bytes);
        if (request === undefined) return;
        accepted += 1;
        assert.deepEqual(request, meant(bytes));
      }),
      { numRuns: 5_000 },
    );
    assert.ok(accepted > 200, `only ${accepted} were accepted: this shows little`);
  });

  it('is accepted as web servers send most of them: parameters in one record, any body', () => {
    fc.assert(
      fc.property(
        SPEC.filter(({ id, otherId }) => id !== 0 && otherId === 0),
        (spec) => {
          const bytes = encode({ ...spec, role: ROLE.RESPONDER, params: ['x'] });
          assert.deepEqual(found(bytes), meant(bytes));
          assert.notEqual(found(bytes), undefined);
        },
      ),
    );
  });

  it('is all of the bytes: no first part of it is one, and nothing with more behind it', () => {
    const bytes = encode({
      id: 1,
      otherId: 0,
      keepConn: true,
      role: 1,
      params: ['x'],
      body: ['some', 'body'],
      padding: 3,
    });
    for (let end = 0; end < bytes.length; end += 1) assert.equal(found(bytes.subarray(0, end)), undefined, `${end}`);
    assert.notEqual(found(bytes), undefined);
    for (const more of [bytes, record(TYPE.ABORT_REQUEST, 1), record(TYPE.GET_VALUES, 0), Buffer.of(1)]) {
      assert.equal(found(Buffer.concat([bytes, more])), undefined);
    }
  });

  it('may have bodies in any number of records', () => {
    const head = [beginRequest(7, { keepConn: true }), stream(TYPE.PARAMS, 7, pairs({ A: 'b' }))];
    const pieces = Array.from({ length: 50 }, (_, at) => record(TYPE.STDIN, 7, `<${at}>`, at));
    const request = findWholeRequest(Buffer.concat([...head, ...pieces, record(TYPE.STDIN, 7)]));
    assert.equal(request?.body.length, 50);
    assert.equal(
      Buffer.concat([...(request?.body ?? [])]).toString(),
      Array.from({ length: 50 }, (_, at) => `<${at}>`).join(''),
    );
  });

  it('is left to the session without parameters, in more than one record of them, or with another role', () => {
    const usual = { id: 1, otherId: 0, keepConn: true, role: 1, params: ['x'], body: [], padding: 0 };
    assert.notEqual(found(encode(usual)), undefined);
    assert.equal(found(encode({ ...usual, params: [] })), undefined);
    assert.equal(found(encode({ ...usual, params: ['x', 'y'] })), undefined);
    assert.equal(found(encode({ ...usual, role: ROLE.FILTER })), undefined);
    assert.equal(found(encode({ ...usual, keepConn: false }))?.keepsConnection, false);
    assert.equal(found(encode({ ...usual, id: 0 })), undefined);
  });
});

describe('what web servers send', () => {
  const folder = join(ROOT, 'test/golden');
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.bin'))) {
    it(`is one whole request, and means the same to both: ${file}`, () => {
      const bytes = readFileSync(join(folder, file));
      const request = found(bytes);
      // HAProxy asks for values first.
      assert.equal(request === undefined, file.startsWith('haproxy'));
      if (request === undefined) return;
      assert.deepEqual(request, meant(bytes));
      assert.equal(request.keepsConnection, file.startsWith('nginx'));
    });
  }
});
