/** What arriving records mean: each cell of the session's table, and the answers that the protocol itself gives. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LuafcgidError } from '../../src/base/errors.js';
import { Role, ServerSession } from '../../src/fcgi/session.js';
import {
  beginRequest,
  pairs,
  parsePairs,
  RecordReader,
  record,
  requestBytes,
  stream,
  TYPE,
} from '../support/fcgi-wire.js';
import { byByte, cutAt } from './support/pieces.js';

/** A session, and what it has told: one line an event, the bytes of bodies put together. */
class Heard {
  readonly events: string[] = [];
  readonly params = new Map<number, Buffer>();
  readonly replies: Buffer[] = [];
  readonly session: ServerSession;

  constructor() {
    const told = (event: string): void => {
      this.events.push(event);
    };
    this.session = new ServerSession(
      { maxConnections: 100, maxRequests: 200 },
      {
        onRequest: (id, _role, params) => {
          this.params.set(id, Buffer.from(params));
          told(`request ${id}`);
        },
        onBody: (id, bytes) => {
          const text = Buffer.from(bytes).toString('latin1');
          const prefix = `body ${id} `;
          const last = this.events.length - 1;
          // However it is cut, a body is one stream.
          if (this.events[last]?.startsWith(prefix)) this.events[last] += text;
          else told(prefix + text);
        },
        onBodyEnd: (id) => told(`end ${id}`),
        onData: (id, bytes) => told(`data ${id} ${Buffer.from(bytes).toString('latin1')}`),
        onDataEnd: (id) => told(`data end ${id}`),
        onUnknownRole: (id, role) => told(`role ${id} ${role}`),
        onAbort: (id) => told(`abort ${id}`),
        onParamsTooLarge: (id, limit) => told(`too large ${id} ${limit}`),
        onReply: (bytes) => {
          this.replies.push(Buffer.from(bytes));
          told(`reply ${Buffer.from(bytes).toString('hex')}`);
        },
      },
    );
  }

  receive(...pieces: readonly Uint8Array[]): this {
    for (const piece of pieces) {
      const bytes = Uint8Array.from(piece);
      this.session.receive(bytes);
      bytes.fill(0xab);
    }
    return this;
  }

  takeEvents(): string[] {
    return this.events.splice(0);
  }
}

const BEGIN = beginRequest(1, { keepConn: true });
const PARAMS = stream(TYPE.PARAMS, 1, pairs({ A: 'b' }));
const PARAMS_PART = record(TYPE.PARAMS, 1, pairs({ A: 'b' }));
const PARAMS_END = record(TYPE.PARAMS, 1);
const STDIN_PART = record(TYPE.STDIN, 1, 'body');
const STDIN_END = record(TYPE.STDIN, 1);
const ABORT = record(TYPE.ABORT_REQUEST, 1);
const DATA = record(TYPE.DATA, 1, 'data');
const END_0 = 'reply 0103000100080000' + '0000000000000000';

describe('each record at each stage', () => {
  const stages = {
    unknown: [],
    params: [BEGIN, PARAMS_PART],
    refused: [BEGIN, stream(TYPE.PARAMS, 1, Buffer.alloc((1 << 20) + 1), { end: false })],
    body: [BEGIN, PARAMS, STDIN_PART],
    ended: [BEGIN, PARAMS, STDIN_END],
    finished: [BEGIN, PARAMS, STDIN_END],
  };
  const table: Record<string, [bytes: Uint8Array, Record<keyof typeof stages, string[] | 'fault'>]> = {
    BEGIN_REQUEST: [
      BEGIN,
      { unknown: [], params: 'fault', refused: 'fault', body: 'fault', ended: 'fault', finished: [] },
    ],
    'PARAMS, a part': [
      PARAMS_PART,
      { unknown: [], params: [], refused: [], body: 'fault', ended: 'fault', finished: [] },
    ],
    'PARAMS, the end': [
      PARAMS_END,
      { unknown: [], params: ['request 1'], refused: [], body: 'fault', ended: 'fault', finished: [] },
    ],
    'STDIN, a part': [
      STDIN_PART,
      { unknown: [], params: 'fault', refused: [], body: ['body 1 body'], ended: [], finished: [] },
    ],
    'STDIN, the end': [
      STDIN_END,
      { unknown: [], params: 'fault', refused: [], body: ['end 1'], ended: [], finished: [] },
    ],
    ABORT_REQUEST: [
      ABORT,
      { unknown: [], params: [END_0], refused: ['abort 1'], body: ['abort 1'], ended: ['abort 1'], finished: [] },
    ],
    DATA: [DATA, { unknown: [], params: [], refused: [], body: [], ended: [], finished: [] }],
    'STDOUT, which is not for a web server': [
      record(TYPE.STDOUT, 1, 'x'),
      { unknown: [], params: 'fault', refused: 'fault', body: 'fault', ended: 'fault', finished: [] },
    ],
    'END_REQUEST, which is not either': [
      record(TYPE.END_REQUEST, 1, Buffer.alloc(8)),
      { unknown: [], params: 'fault', refused: 'fault', body: 'fault', ended: 'fault', finished: [] },
    ],
    'a type that does not exist': [
      record(99, 1, 'x'),
      { unknown: [], params: 'fault', refused: 'fault', body: 'fault', ended: 'fault', finished: [] },
    ],
  };
  for (const [name, [bytes, cells]] of Object.entries(table)) {
    for (const [stage, wanted] of Object.entries(cells)) {
      it(`${name}: ${stage}`, () => {
        const heard = new Heard().receive(...stages[stage as keyof typeof stages]);
        if (stage === 'finished') heard.session.finish(1);
        heard.takeEvents();
        if (wanted === 'fault')
          assert.throws(() => heard.receive(bytes), { code: 'LUAFCGID_FCGI_RECORD', blame: 'peer' });
        else assert.deepEqual(heard.receive(bytes).takeEvents(), wanted);
      });
    }
  }

  it('an id is known until it is finished, and forgotten after an abort among its parameters', () => {
    const heard = new Heard().receive(BEGIN, PARAMS, STDIN_END);
    assert.deepEqual([heard.session.openRequests, heard.session.isReceiving(1)], [1, false]);
    heard.session.finish(1);
    heard.session.finish(1);
    assert.equal(heard.session.openRequests, 0);
    heard.receive(BEGIN, PARAMS_PART);
    assert.equal(heard.session.isReceiving(1), true);
    heard.receive(ABORT);
    assert.equal(heard.session.openRequests, 0);
    heard.receive(BEGIN, PARAMS);
    assert.equal(heard.session.isReceiving(1), true);
  });
});

/** What a reply says on STDOUT, and its END_REQUEST in hexadecimal. */
function refusalIn(event = ''): { readonly text: string; readonly end: string } {
  const records = new RecordReader().push(Buffer.from(event.replace('reply ', ''), 'hex'));
  const text = records.filter(({ type }) => type === TYPE.STDOUT).map(({ content }) => content.toString());
  assert.deepEqual(
    records.map(({ type }) => type),
    [TYPE.STDOUT, TYPE.STDOUT, TYPE.END_REQUEST],
  );
  return { text: text.join(''), end: event.slice(-32) };
}

describe('BEGIN_REQUEST', () => {
  it('without KEEP_CONN lets the connection be done when all is answered', () => {
    const heard = new Heard().receive(beginRequest(1, { keepConn: true }), beginRequest(2, { keepConn: false }));
    assert.equal(heard.session.isDone, false);
    heard.session.finish(2);
    assert.equal(heard.session.isDone, false);
    heard.session.finish(1);
    assert.equal(heard.session.isDone, true);
  });

  it('has flags of which only KEEP_CONN counts', () => {
    for (const [flags, isDone] of [
      [0xfe, true],
      [0xff, false],
    ] as const) {
      const heard = new Heard().receive(beginRequest(1, { flags }));
      heard.session.finish(1);
      assert.equal(heard.session.isDone, isDone);
    }
  });

  it('of a role that does not exist is answered UNKNOWN_ROLE after a status, and the rest passed over (fidelity D-C1)', () => {
    for (const role of [0, 4, 256, 65535]) {
      const heard = new Heard().receive(requestBytes({ id: 1, role, keepConn: true, params: { A: 'b' }, body: 'x' }));
      const events = heard.takeEvents();
      assert.deepEqual(events.slice(1), [`role 1 ${role}`]);
      const refusal = refusalIn(events[0]);
      assert.match(refusal.text, /^Status: 501 /);
      assert.equal(refusal.end, '0103000100080000' + '0000000003000000');
      assert.equal(heard.session.openRequests, 0);
      assert.deepEqual(heard.receive(BEGIN, PARAMS).takeEvents(), ['request 1']);
    }
  });

  it('of a body that has not eight bytes is a protocol error', () => {
    for (const size of [0, 7, 9, 16]) {
      assert.throws(() => new Heard().receive(record(TYPE.BEGIN_REQUEST, 1, Buffer.alloc(size, 1))), {
        code: 'LUAFCGID_FCGI_RECORD',
      });
    }
  });

  it('of an Authorizer is never ended in silence: too many of them, and an abort among its parameters (fidelity D-C1)', () => {
    const heard = new Heard();
    for (let id = 1; id <= 128; id++) heard.receive(beginRequest(id, { keepConn: true, role: Role.AUTHORIZER }));
    heard.receive(beginRequest(999, { keepConn: true, role: Role.AUTHORIZER }));
    const tooMany = refusalIn(heard.takeEvents()[0]);
    assert.match(tooMany.text, /^Status: 503 /);
    assert.equal(tooMany.end, '010303e700080000' + '0000000002000000');
    heard.receive(ABORT);
    const aborted = refusalIn(heard.takeEvents()[0]);
    assert.match(aborted.text, /^Status: 503 /);
    assert.equal(aborted.end, '0103000100080000' + '0000000000000000');
  });

  it('of a Filter is given a file behind its body, and nothing before it', () => {
    const filter = beginRequest(1, { keepConn: true, role: Role.FILTER });
    const heard = new Heard().receive(filter, PARAMS, stream(TYPE.STDIN, 1, 'ab'));
    assert.deepEqual(heard.takeEvents(), ['request 1', 'body 1 ab', 'end 1']);
    assert.equal(heard.session.isReceiving(1), true);
    assert.deepEqual(heard.receive(stream(TYPE.STDIN, 1, 'late')).takeEvents(), []);
    assert.deepEqual(heard.receive(stream(TYPE.DATA, 1, 'cd')).takeEvents(), ['data 1 cd', 'data end 1']);
    assert.equal(heard.session.isReceiving(1), false);
    assert.deepEqual(heard.receive(stream(TYPE.DATA, 1, 'late'), ABORT).takeEvents(), ['abort 1']);
    for (const before of [[], [PARAMS], [PARAMS, record(TYPE.STDIN, 1, 'x')]]) {
      const early = new Heard().receive(filter, ...before);
      assert.throws(() => early.receive(record(TYPE.DATA, 1, 'x')), { code: 'LUAFCGID_FCGI_RECORD' });
    }
  });

  it('of an Authorizer has no body: it is complete with its parameters, and STDIN is ignored', () => {
    const heard = new Heard().receive(beginRequest(1, { keepConn: true, role: Role.AUTHORIZER }), PARAMS);
    assert.deepEqual(heard.takeEvents(), ['request 1']);
    assert.equal(heard.session.isReceiving(1), false);
    assert.deepEqual(heard.receive(stream(TYPE.STDIN, 1, 'x')).takeEvents(), []);
  });

  it('of more requests than one connection may have is answered OVERLOADED and hurts no other', () => {
    const heard = new Heard();
    for (let id = 1; id <= 128; id++) heard.receive(beginRequest(id, { keepConn: true }));
    assert.deepEqual(heard.takeEvents(), []);
    heard.receive(requestBytes({ id: 999, keepConn: true, params: { A: 'b' }, body: 'x' }));
    assert.deepEqual(heard.takeEvents(), ['reply 010303e700080000' + '0000000002000000']);
    heard.receive(stream(TYPE.PARAMS, 128, pairs({ A: 'b' })));
    assert.deepEqual(heard.takeEvents(), ['request 128']);
    heard.session.finish(128);
    heard.receive(requestBytes({ id: 999, keepConn: true }));
    assert.deepEqual(heard.takeEvents(), ['request 999', 'end 999']);
  });
});

describe('PARAMS', () => {
  it('are one stream: pairs may lie across records', () => {
    const all = pairs([
      ['FIRST', 'v'.repeat(300)],
      ['SECOND', 'w'],
      ['', ''],
    ]);
    for (let size = 1; size < 20; size++) {
      const heard = new Heard().receive(BEGIN, stream(TYPE.PARAMS, 1, all, { recordBytes: size, padding: size % 8 }));
      assert.deepEqual(heard.params.get(1), all);
    }
  });

  it('may be none', () => {
    assert.deepEqual(new Heard().receive(BEGIN, PARAMS_END).params.get(1), Buffer.alloc(0));
  });

  it('of exactly the limit are taken, of one byte more refused, once', () => {
    const limit = 1 << 20;
    const heard = new Heard().receive(BEGIN, stream(TYPE.PARAMS, 1, Buffer.alloc(limit)));
    assert.deepEqual(heard.takeEvents(), ['request 1']);
    const refused = new Heard().receive(
      BEGIN,
      stream(TYPE.PARAMS, 1, Buffer.alloc(limit + 1)),
      PARAMS,
      STDIN_PART,
      STDIN_END,
    );
    assert.deepEqual(refused.takeEvents(), [`too large 1 ${limit}`]);
    // Its answer ends it as any other; the id may then be used again.
    refused.session.finish(1);
    assert.deepEqual(refused.receive(BEGIN, PARAMS).takeEvents(), ['request 1']);
  });

  it('of several requests may come interleaved', () => {
    const heard = new Heard().receive(beginRequest(1, { keepConn: true }), beginRequest(2, { keepConn: true }));
    const [one, two] = [pairs({ ONE: '1'.repeat(50) }), pairs({ TWO: '2'.repeat(50) })];
    for (let at = 0; at < one.length; at += 7) {
      heard.receive(record(TYPE.PARAMS, 1, one.subarray(at, at + 7)), record(TYPE.PARAMS, 2, two.subarray(at, at + 7)));
    }
    heard.receive(
      record(TYPE.PARAMS, 2),
      record(TYPE.STDIN, 2, 'x'),
      record(TYPE.PARAMS, 1),
      record(TYPE.STDIN, 1, 'y'),
    );
    assert.deepEqual(heard.takeEvents(), ['request 2', 'body 2 x', 'request 1', 'body 1 y']);
    assert.deepEqual([heard.params.get(1), heard.params.get(2)], [one, two]);
  });
});

describe('management records', () => {
  const values: [asked: string[], answered: [string, string][]][] = [
    [['FCGI_MPXS_CONNS'], [['FCGI_MPXS_CONNS', '1']]],
    [
      ['FCGI_MAX_CONNS', 'FCGI_MAX_REQS', 'FCGI_MPXS_CONNS'],
      [
        ['FCGI_MAX_CONNS', '100'],
        ['FCGI_MAX_REQS', '200'],
        ['FCGI_MPXS_CONNS', '1'],
      ],
    ],
    [['FCGI_MAX_REQS', 'OTHER', '', 'toString', '__proto__'], [['FCGI_MAX_REQS', '200']]],
    [['FCGI_MPXS_CONNS', 'FCGI_MPXS_CONNS'], [['FCGI_MPXS_CONNS', '1']]],
    [[], []],
  ];
  for (const [asked, answered] of values) {
    it(`GET_VALUES of [${asked.join()}] is answered with those known`, () => {
      const query = record(TYPE.GET_VALUES, 0, pairs(asked.map((name) => [name, 'x'] as const)));
      for (const pieces of [[query], byByte(query)]) {
        const heard = new Heard().receive(...pieces);
        const [result, ...more] = heard.replies.flatMap((bytes) => new RecordReader().push(bytes));
        assert.deepEqual([result?.type, result?.id, more.length], [TYPE.GET_VALUES_RESULT, 0, 0]);
        assert.deepEqual(parsePairs(result?.content ?? Buffer.alloc(0)), answered);
      }
    });
  }

  it('GET_VALUES is answered to the byte', () => {
    const heard = new Heard().receive(
      Buffer.concat([Buffer.from([1, 9, 0, 0, 0, 17, 0, 0, 15, 0]), Buffer.from('FCGI_MPXS_CONNS')]),
    );
    assert.deepEqual(
      heard.replies[0],
      Buffer.concat([Buffer.from([1, 10, 0, 0, 0, 18, 6, 0, 15, 1]), Buffer.from('FCGI_MPXS_CONNS1'), Buffer.alloc(6)]),
    );
  });

  it('GET_VALUES with malformed pairs is a protocol error', () => {
    assert.throws(() => new Heard().receive(record(TYPE.GET_VALUES, 0, '\x05')), { code: 'LUAFCGID_FCGI_PARAMS' });
  });

  it('of any other type are answered UNKNOWN_TYPE, once, however they are cut', () => {
    for (const type of [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 99, 255]) {
      const bytes = record(type, 0, 'some content', 3);
      const wanted = [`reply 010b000000080000${type.toString(16).padStart(2, '0')}00000000000000`];
      assert.deepEqual(new Heard().receive(bytes).takeEvents(), wanted);
      assert.deepEqual(new Heard().receive(...byByte(bytes)).takeEvents(), wanted);
    }
  });

  it('may come at any time between the records of requests', () => {
    const heard = new Heard().receive(BEGIN, record(TYPE.GET_VALUES, 0), PARAMS, record(50, 0), STDIN_END);
    assert.deepEqual(
      heard.takeEvents().map((event) => event.split(' ')[0]),
      ['reply', 'request', 'reply', 'end'],
    );
  });
});

describe('a whole connection', () => {
  const bodyText = fc.uint8Array({ maxLength: 400 });
  const request = fc.record({
    params: fc.array(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 200 }))),
    body: bodyText,
    recordBytes: fc.integer({ min: 1, max: 500 }),
    padding: fc.nat(20),
  });

  it('tells the requests that were sent, interleaved or not and however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.nat(4)),
        fc.array(fc.nat()),
        (requests, order, cuts) => {
          const lanes = requests.map(({ params, body, recordBytes, padding }, index) => {
            const bytes = requestBytes({
              id: index + 1,
              keepConn: true,
              params,
              body,
              stream: { recordBytes, padding },
            });
            return new RecordReader()
              .push(bytes)
              .map((each) => record(each.type, each.id, each.content, each.paddingBytes));
          });
          const merged: Buffer[] = [];
          for (const lane of lanes.values()) assert.ok(lane.length >= 3);
          while (lanes.some((lane) => lane.length > 0)) {
            const open = lanes.filter((lane) => lane.length > 0);
            const lane = open[(order.next().value as number) % open.length] as Buffer[];
            merged.push(lane.shift() as Buffer);
          }
          const heard = new Heard().receive(...cutAt(Buffer.concat(merged), cuts));
          for (const [index, { params, body }] of requests.entries()) {
            const id = index + 1;
            assert.deepEqual(heard.params.get(id), pairs(params));
            const own = heard.events.filter((event) => event.split(' ')[1] === String(id));
            assert.equal(own[0], `request ${id}`);
            assert.equal(own.at(-1), `end ${id}`);
            const text = own.slice(1, -1).map((event) => event.slice(`body ${id} `.length));
            assert.equal(text.join(''), Buffer.from(body).toString('latin1'));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of any records is told, or is a protocol error, the same however it is cut', () => {
    const outcome = (pieces: readonly Uint8Array[]): string[] => {
      const heard = new Heard();
      try {
        heard.receive(...pieces);
        return [...heard.events, `${heard.session.openRequests} ${heard.session.isDone}`];
      } catch (error) {
        assert.ok(error instanceof LuafcgidError && error.blame === 'peer', String(error));
        return [...heard.events, `${error.code} ${error.message}`];
      }
    };
    const id = fc.constantFrom(0, 1, 1, 1, 2);
    const anything = fc.oneof(
      fc
        .tuple(id, fc.nat(12), fc.uint8Array({ maxLength: 20 }), fc.nat(9))
        .map(([n, type, content, padding]) => record(type, n, content, padding)),
      id.map((n) => beginRequest(n, { keepConn: true })),
      id.map((n) => stream(TYPE.PARAMS, n, pairs({ A: 'b' }))),
      id.map((n) => record(TYPE.STDIN, n, 'some body')),
      id.map((n) => record(TYPE.STDIN, n)),
      id.map((n) => record(TYPE.ABORT_REQUEST, n)),
    );
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 30, size: 'max' }), fc.array(fc.nat()), (records, cuts) => {
        const bytes = Buffer.concat(records);
        const whole = outcome([bytes]);
        assert.deepEqual(outcome(byByte(bytes)), whole);
        assert.deepEqual(outcome(cutAt(bytes, cuts)), whole);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a request whose records were read elsewhere', () => {
  it('has its id taken until it is finished, and says whether its connection is kept', () => {
    const heard = new Heard();
    heard.session.adopt(3, Role.RESPONDER, true);
    assert.deepEqual([heard.session.openRequests, heard.session.isReceiving(3)], [1, false]);
    assert.equal(heard.session.keepsConnection, true);
    assert.throws(() => heard.receive(beginRequest(3, { keepConn: true })), LuafcgidError);
    heard.session.finish(3);
    assert.equal(heard.session.openRequests, 0);
    const other = new Heard();
    other.session.adopt(1, Role.RESPONDER, false);
    assert.equal(other.session.isDone, false);
    other.session.finish(1);
    assert.equal(other.session.isDone, true);
  });

  it('may be aborted, and changes nothing once the session has ended', () => {
    const heard = new Heard();
    heard.session.adopt(1, Role.RESPONDER, true);
    heard.receive(record(TYPE.ABORT_REQUEST, 1));
    assert.deepEqual(heard.events, ['abort 1']);
    heard.session.end();
    heard.session.adopt(2, Role.RESPONDER, true);
    assert.equal(heard.session.openRequests, 0);
  });
});
