/** What a client can send that is no FastCGI, or is FastCGI of the worst kind. */
import type { Random } from '../fuzz/random.js';
import {
  beginRequest,
  type Pair,
  pairs,
  record,
  requestBytes,
  scriptParams,
  stream,
  TYPE,
} from '../support/fcgi-client.js';

/** What an attack is made of. */
export interface Means {
  readonly random: Random;
  /** A whole request with a token of this connection. */
  request(options?: {
    id?: number;
    body?: number;
    keepConn?: boolean;
    extra?: Readonly<Record<string, string>>;
  }): Buffer;
  /** Random bytes. */
  noise(bytes: number): Buffer;
}

export interface Plan {
  readonly pieces: readonly Buffer[];
  /** Each piece a moment after the one before. */
  readonly isSlow?: boolean;
  readonly readsNothing?: boolean;
  /** How the connection ends: at once, by a reset, after a half close, or when the server has been silent for a while. */
  readonly end: 'close' | 'reset' | 'half close' | 'wait';
}

const MIB = 1 << 20;

/** A record whose header says another length than that of its content. */
function lying(type: number, id: number, content: Buffer, saidBytes: number): Buffer {
  const bytes = record(type, id, content);
  bytes.writeUInt16BE(saidBytes, 4);
  return bytes;
}

/** Cuts bytes at random places. */
function cut(random: Random, bytes: Buffer, most: number): Buffer[] {
  const places = Array.from({ length: random.below(most) }, () => random.below(bytes.length)).sort((a, b) => a - b);
  return [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length));
}

const ends = (random: Random): Plan['end'] => random.pick(['close', 'reset', 'half close', 'wait']);

export const ATTACKS: Readonly<Record<string, (means: Means) => Plan>> = {
  garbage: ({ random, noise }) => ({ pieces: cut(random, noise(1 + random.below(30_000)), 5), end: ends(random) }),
  'garbage after a request': ({ random, request, noise }) => ({
    pieces: [request({ keepConn: true }), noise(1 + random.below(2000))],
    end: ends(random),
  }),
  'records of any type and id': ({ random, noise }) => ({
    pieces: Array.from({ length: 30 }, () =>
      record(random.below(16), random.below(4), noise(random.below(400)), random.below(256)),
    ),
    end: ends(random),
  }),
  'another version': ({ random, request }) => {
    const bytes = request();
    bytes[0] = random.below(256);
    return { pieces: [bytes], end: 'wait' };
  },
  'some bytes of a request changed': ({ random, request }) => {
    const bytes = request({ keepConn: true, body: random.below(3000) });
    for (let count = 1 + random.below(8); count > 0; count -= 1) bytes[random.below(bytes.length)] = random.below(256);
    return { pieces: cut(random, bytes, 4), end: ends(random) };
  },
  'a request that ends anywhere': ({ random, request }) => {
    const bytes = request({ body: random.below(5000) });
    return { pieces: cut(random, bytes.subarray(0, random.below(bytes.length)), 3), end: ends(random) };
  },
  'a second request that ends anywhere': ({ random, request }) => {
    const bytes = request({ keepConn: true });
    return { pieces: [request({ keepConn: true }), bytes.subarray(0, random.below(bytes.length))], end: ends(random) };
  },
  'a request byte by byte': ({ random, request }) => {
    const bytes = request({ keepConn: true });
    const from = random.below(bytes.length - 20);
    const single = Array.from({ length: 20 }, (_, at) => bytes.subarray(from + at, from + at + 1));
    return { pieces: [bytes.subarray(0, from), ...single, bytes.subarray(from + 20)], isSlow: true, end: 'wait' };
  },
  'roles and flags of any kind': ({ random }) => ({
    pieces: Array.from({ length: 8 }, (_, at) =>
      beginRequest(at + 1, { role: random.below(65_536), flags: random.below(256) }),
    ),
    end: ends(random),
  }),
  'a begin that is too short or too long': ({ random, noise }) => ({
    pieces: [record(TYPE.BEGIN_REQUEST, 1, noise(random.pick([0, 1, 7, 9, 300]))), record(TYPE.PARAMS, 1)],
    end: 'wait',
  }),
  'an id that is in use': ({ random, request }) => {
    const bytes = request({ keepConn: true, body: 2000 });
    const at = 16 + random.below(bytes.length - 16);
    return {
      pieces: [bytes.subarray(0, at), beginRequest(1, { keepConn: true }), bytes.subarray(at)],
      end: ends(random),
    };
  },
  'an id that is used again at once': ({ random, request }) => ({
    pieces: [Buffer.concat(Array.from({ length: 12 }, () => request({ id: 7, keepConn: true })))],
    end: ends(random),
  }),
  'the id 0': ({ random, noise }) => ({
    pieces: [beginRequest(0), record(TYPE.PARAMS, 0, noise(20)), record(TYPE.STDIN, 0), record(TYPE.ABORT_REQUEST, 0)],
    end: ends(random),
  }),
  'the highest ids': ({ random, request }) => ({
    pieces: [65_535, 65_534, 256, 255].map((id) => request({ id, keepConn: true })),
    end: ends(random),
  }),
  'hundreds of ids at once': ({ random, request }) => ({
    pieces: [Buffer.concat(Array.from({ length: 200 }, (_, at) => request({ id: at + 1, keepConn: true })))],
    end: ends(random),
  }),
  'ids mixed record by record': ({ random, request }) => {
    const ids = Array.from({ length: 10 }, (_, at) => request({ id: at + 1, keepConn: true, body: 500 }));
    const records = ids.map((bytes) => splitRecords(bytes));
    const mixed: Buffer[] = [];
    for (
      let left = records.filter((list) => list.length > 0);
      left.length > 0;
      left = left.filter((list) => list.length > 0)
    )
      mixed.push(random.pick(left).shift() as Buffer);
    return { pieces: [Buffer.concat(mixed)], end: ends(random) };
  },
  'ids that never end': ({ random }) => ({
    pieces: [Buffer.concat(Array.from({ length: 500 }, (_, at) => beginRequest(at + 1, { keepConn: true })))],
    end: ends(random),
  }),
  'records in the wrong order': ({ random, request }) => {
    const list = splitRecords(request({ keepConn: true, body: 100 }));
    const order = list.map((one) => ({ one, at: random.below(100) })).sort((a, b) => a.at - b.at);
    return { pieces: order.map(({ one }) => one), end: ends(random) };
  },
  'records of ids that never began': ({ random, noise }) => ({
    pieces: [TYPE.PARAMS, TYPE.STDIN, TYPE.DATA, TYPE.ABORT_REQUEST].map((type) =>
      record(type, 1 + random.below(300), noise(50)),
    ),
    end: ends(random),
  }),
  'records that only a server sends': ({ random, request, noise }) => ({
    pieces: [TYPE.STDOUT, TYPE.STDERR, TYPE.END_REQUEST].map((type) => record(type, 1, noise(8))).concat(request()),
    end: ends(random),
  }),
  'lengths of records that lie': ({ random, request, noise }) => ({
    pieces: [
      beginRequest(1),
      lying(TYPE.PARAMS, 1, noise(100), random.pick([0, 1, 99, 101, 65_535])),
      request({ id: 2 }),
    ],
    end: ends(random),
  }),
  'lengths of parameters that lie': ({ random }) => {
    const lengths = [0x7f, 0x80000000, 0x80000001, 0xffffffff, 0x80ffffff, 0x8000ffff];
    const content = Buffer.alloc(8 + random.below(100), 'x');
    content.writeUInt32BE(random.pick(lengths), 0);
    content.writeUInt32BE(random.pick(lengths), 4);
    return {
      pieces: [beginRequest(1), record(TYPE.PARAMS, 1, content), record(TYPE.PARAMS, 1), record(TYPE.STDIN, 1)],
      end: 'wait',
    };
  },
  'parameters that are garbage': ({ random, noise }) => ({
    pieces: [
      beginRequest(1),
      record(TYPE.PARAMS, 1, noise(random.below(3000))),
      record(TYPE.PARAMS, 1),
      record(TYPE.STDIN, 1),
    ],
    end: ends(random),
  }),
  'parameters with names and values of any bytes': ({ random, request, noise }) => ({
    pieces: [
      request({
        extra: Object.fromEntries(
          Array.from({ length: 20 }, () => [
            noise(random.below(40)).toString('latin1'),
            noise(random.below(300)).toString('latin1'),
          ]),
        ),
      }),
    ],
    end: 'wait',
  }),
  'parameters of 2 MiB': ({ random, request }) => ({
    pieces: [request({ extra: { HTTP_LONG: 'x'.repeat(2 * MIB) }, keepConn: random.below(2) === 0 })],
    end: ends(random),
  }),
  'parameters of a hundred thousand names': ({ random }) => {
    const many: Pair[] = Array.from({ length: 100_000 }, (_, at) => [`N${at}`, '']);
    return { pieces: [beginRequest(1, { keepConn: true }), stream(TYPE.PARAMS, 1, pairs(many))], end: ends(random) };
  },
  'parameters one byte a record': ({ random, request }) => {
    const [begin, ...rest] = splitRecords(request({ keepConn: true }));
    const content = Buffer.concat(rest.filter((one) => one[1] === TYPE.PARAMS).map((one) => one.subarray(8)));
    return {
      pieces: [begin as Buffer, stream(TYPE.PARAMS, 1, content, { recordBytes: 1 }), record(TYPE.STDIN, 1)],
      end: ends(random),
    };
  },
  'a length of the body that lies': ({ random, request }) => ({
    pieces: [
      request({
        body: random.below(2000),
        keepConn: true,
        extra: { CONTENT_LENGTH: random.pick(['0', '1', '-1', '99999999999', '1e9', 'x', '', '0x10', '2000 ']) },
      }),
    ],
    end: ends(random),
  }),
  'a body after its end': ({ random, request, noise }) => ({
    pieces: [
      request({ keepConn: true, body: 10 }),
      record(TYPE.STDIN, 1, noise(500)),
      record(TYPE.STDIN, 1),
      record(TYPE.DATA, 1, noise(9)),
    ],
    end: ends(random),
  }),
  'aborts at any moment': ({ random, request }) => {
    const bytes = request({ keepConn: true, body: 30_000 });
    const abort = record(TYPE.ABORT_REQUEST, 1);
    return {
      pieces: [bytes.subarray(0, 1000), bytes.subarray(1000), abort].slice(random.below(2)),
      isSlow: random.below(2) === 0,
      end: ends(random),
    };
  },
  'aborts without an end': ({ random, request }) => ({
    pieces: [
      request({ keepConn: true }),
      Buffer.concat(Array.from({ length: 300 }, (_, at) => record(TYPE.ABORT_REQUEST, at % 5))),
    ],
    end: ends(random),
  }),
  'management records of any kind': ({ random, noise }) => ({
    pieces: [
      record(
        TYPE.GET_VALUES,
        0,
        pairs([
          ['FCGI_MAX_CONNS', ''],
          ['FCGI_MPXS_CONNS', 'x'],
          ['', ''],
          ['NOTHING', ''],
        ]),
      ),
      record(TYPE.GET_VALUES, 0, noise(random.below(500))),
      record(TYPE.GET_VALUES_RESULT, 0, noise(20)),
      record(TYPE.UNKNOWN_TYPE, 0, noise(8)),
      record(12 + random.below(240), 0, noise(random.below(60_000)), 255),
      record(TYPE.GET_VALUES, 5, pairs([['FCGI_MAX_REQS', '']])),
    ],
    end: ends(random),
  }),
  'management records without an end': ({ random, noise }) => ({
    pieces: [Buffer.concat(Array.from({ length: 1000 }, () => record(200, 0, noise(3))))],
    readsNothing: random.below(2) === 0,
    end: ends(random),
  }),
  'empty records without an end': ({ random, request }) => ({
    pieces: [request({ keepConn: true }), Buffer.concat(Array.from({ length: 5000 }, () => record(TYPE.DATA, 1)))],
    end: ends(random),
  }),
  'padding of 255 bytes of garbage': ({ random, request, noise }) => ({
    pieces: splitRecords(request({ keepConn: true, body: 300 })).map((one) => {
      const content = one.subarray(8, 8 + one.readUInt16BE(4));
      return record(one[1] as number, one.readUInt16BE(2), content, noise(255));
    }),
    end: ends(random),
  }),
  'a reader of nothing': ({ random, request }) => ({
    pieces: [
      Buffer.concat(Array.from({ length: 20 }, (_, at) => request({ id: at + 1, keepConn: true, body: 60_000 }))),
    ],
    readsNothing: true,
    end: random.pick(['close', 'reset']),
  }),
  'connects and goes': ({ random }) => ({ pieces: [], end: random.pick(['close', 'reset', 'half close']) }),
  'asks and goes': ({ random, request }) => ({
    pieces: Array.from({ length: 1 + random.below(5) }, (_, at) => request({ id: at + 1, keepConn: true })),
    end: random.pick(['close', 'reset', 'half close']),
  }),
};

/** The records that bytes consist of. */
function splitRecords(bytes: Buffer): Buffer[] {
  const list: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 8 + bytes.readUInt16BE(at + 4) + (bytes[at + 6] as number);
    list.push(bytes.subarray(at, end));
    at = end;
  }
  return list;
}

/** What an attack is made of, for one connection with this token. */
export function means(random: Random, token: string, script: string): Means {
  return {
    random,
    request: ({ id = 1, body = 0, keepConn = false, extra = {} } = {}) => {
      const text = token.repeat(Math.ceil(body / token.length)).slice(0, body);
      const params = scriptParams(script, {
        REQUEST_METHOD: 'POST',
        CONTENT_LENGTH: String(body),
        HTTP_X_TOKEN: token,
        QUERY_STRING: token,
        ...extra,
      });
      return requestBytes({ id, keepConn, params, body: text });
    },
    noise(bytes) {
      const words = new Uint32Array(Math.ceil(bytes / 4));
      for (let at = 0; at < words.length; at += 1) words[at] = random.below(2 ** 32);
      return Buffer.from(words.buffer, 0, bytes);
    },
  };
}
