/** The header block of an answer: what a script may set, and what goes out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LuafcgidError } from '../../src/base/errors.js';
import { HEAD_LIMIT_BYTES, ResponseHead } from '../../src/cgi/response.js';

const DEFAULTS = { httpStatus: '200 OK', contentType: 'text/html', headers: '' };

/** The block that these calls make. */
function encode(build: (head: ResponseHead) => void, defaults: Partial<typeof DEFAULTS> = {}): string {
  const head = new ResponseHead({ ...DEFAULTS, ...defaults });
  build(head);
  return head.encode();
}

function linesOf(build: (head: ResponseHead) => void, defaults: Partial<typeof DEFAULTS> = {}): string[] {
  const block = encode(build, defaults);
  assert.ok(block.endsWith('\r\n\r\n'), block);
  return block.slice(0, -4).split('\r\n');
}

describe('a header block', () => {
  it('has the defaults when the script sets nothing', () => {
    assert.equal(
      encode(() => {}, { headers: 'X-Powered-By: Lua\r\nX-B: c\r\n' }),
      'Status: 200 OK\r\nContent-Type: text/html\r\nX-Powered-By: Lua\r\nX-B: c\r\n\r\n',
    );
  });

  it('has headers in their order and as often as they were added', () => {
    const lines = linesOf((head) => {
      head.set('Set-Cookie', 'a=1');
      head.setLine('X-Other:value: with colon');
      head.set('Set-Cookie', 'b=2');
    });
    assert.deepEqual(lines.slice(2), ['Set-Cookie: a=1', 'X-Other: value: with colon', 'Set-Cookie: b=2']);
  });

  it('has the last Status, Content-Type, Location and Content-Length, whatever their case', () => {
    const lines = linesOf((head) => {
      head.set('status', '404');
      head.set('STATUS', '201 Made');
      head.set('content-TYPE', 'a/b');
      head.setLine('Content-type: text/plain');
      head.set('location', '/one');
      head.set('Location', '/two');
      head.set('Content-Length', '1');
      head.set('content-length', '2');
    });
    assert.deepEqual(lines, ['Location: /two', 'Status: 201 Made', 'Content-Type: text/plain', 'Content-Length: 2']);
  });

  it('is as new after a reset, but for defaults that were changed', () => {
    const lines = linesOf((head) => {
      head.setDefault('contentType', 'text/plain');
      head.set('X', 'y');
      head.set('Location', '/');
      head.set('Content-Length', '5');
      head.set('Content-Type', 'a/b');
      head.setStatus('404');
      head.reset();
    });
    assert.deepEqual(lines, ['Status: 200 OK', 'Content-Type: text/plain']);
  });

  it('keeps what was set when a default is changed afterwards', () => {
    const lines = linesOf((head) => {
      head.setStatus('404');
      head.setDefault('httpStatus', '503');
      head.setDefault('contentType', 'a/b');
    });
    assert.deepEqual(lines, ['Status: 404 Not Found', 'Content-Type: a/b']);
  });
});

describe('a status', () => {
  for (const [status, line] of [
    ['200', '200 OK'],
    ['404', '404 Not Found'],
    ['404 ', '404 Not Found'],
    ['404 Nothing here', '404 Nothing here'],
    ['418', "418 I'm a teapot"],
    ['299', '299 Status'],
    ['599', '599 Status'],
    ['500 Gr\xfc\xdfe', '500 Gr\xfc\xdfe'],
  ] as const) {
    it(`${JSON.stringify(status)} goes out as ${line}`, () => {
      assert.equal(linesOf((head) => head.setStatus(status))[0], `Status: ${line}`);
      assert.equal(linesOf((head) => head.set('Status', status))[0], `Status: ${line}`);
    });
  }

  for (const status of [
    '',
    '20',
    '2000',
    '099',
    '100',
    '199',
    '600',
    '200OK',
    ' 200',
    'OK',
    '200\nOK',
    '404 a\r\nX: y',
    '404 \0',
    '-200',
    '2e2',
  ]) {
    it(`${JSON.stringify(status)} is none`, () => {
      assert.throws(() => encode((head) => head.setStatus(status)), {
        code: 'LUAFCGID_RESPONSE_STATUS',
        blame: 'script',
      });
      assert.throws(() => encode((head) => head.setDefault('httpStatus', status)), {
        code: 'LUAFCGID_RESPONSE_STATUS',
      });
    });
  }

  it('comes after the Location, without which HAProxy answers 302 to everything (reports A5, fidelity D-B1)', () => {
    for (const status of ['200', '201', '301', '303', '307', '308']) {
      const lines = linesOf((head) => {
        head.setStatus(status);
        head.set('Location', '/x');
      });
      assert.equal(lines[0], 'Location: /x');
      assert.match(lines[1] as string, new RegExp(`^Status: ${status} `));
    }
  });

  it('is 302 with a Location alone, and what was set with one', () => {
    assert.deepEqual(linesOf((head) => head.set('Location', '/x'))[1], 'Status: 302 Found');
    for (const first of ['status', 'location']) {
      const lines = linesOf((head) => {
        if (first === 'status') head.setStatus('201');
        head.set('Location', 'http://example.org/');
        if (first !== 'status') head.setStatus('201');
      });
      // Reports A5: HAProxy takes the last of the two for the status of the answer.
      assert.deepEqual(lines.slice(0, 2), ['Location: http://example.org/', 'Status: 201 Created']);
    }
  });

  it('is told before it goes out', () => {
    const head = new ResponseHead(DEFAULTS);
    assert.equal(head.statusCode, 200);
    head.set('Location', '/');
    assert.equal(head.statusCode, 302);
    head.setStatus('404');
    assert.equal(head.statusCode, 404);
  });

  it('of 204 and 304 allows no body and no length', () => {
    for (const status of ['204', '304 Same']) {
      const head = new ResponseHead(DEFAULTS);
      head.set('Content-Length', '5');
      assert.equal(head.mayHaveBody, true);
      head.setStatus(status);
      assert.equal(head.mayHaveBody, false);
      assert.ok(!head.encode().includes('Content-Length'));
    }
  });

  it('of 204 and 304 has no Content-Type that the script has not set (reports A14)', () => {
    for (const status of ['204', '304']) {
      const head = new ResponseHead({ ...DEFAULTS, headers: 'X-Powered-By: Lua\r\n' });
      head.setStatus(status);
      assert.match(head.encode(), /^Status: \d+ [\w ]+\r\nX-Powered-By: Lua\r\n\r\n$/);
      head.set('Content-Type', 'text/css');
      assert.match(head.encode(), /\r\nContent-Type: text\/css\r\n/);
    }
  });
});

describe('the size of a header block', () => {
  const tooLarge = { code: 'LUAFCGID_RESPONSE_HEAD_TOO_LARGE', blame: 'script' };

  it('is bounded, however many headers it is made of (attacks F6)', () => {
    const head = new ResponseHead(DEFAULTS);
    let count = 0;
    assert.throws(() => {
      for (; count < 1_000_000; count += 1) head.set('X', 'v'.repeat(1000));
    }, tooLarge);
    assert.equal(count, 65);
    assert.ok(head.encode().length <= HEAD_LIMIT_BYTES);
  });

  for (const name of ['X', 'Content-Type', 'Location', 'Status', 'Content-Length']) {
    it(`is bounded for one ${name}, and what was refused is not there`, () => {
      const head = new ResponseHead(DEFAULTS);
      const before = head.encode();
      const value = (name === 'Status' ? '200 ' : '') + '1'.repeat(HEAD_LIMIT_BYTES);
      assert.throws(() => head.set(name, value), tooLarge);
      assert.equal(head.encode(), before);
    });
  }

  it('does not count what was replaced or dropped', () => {
    const head = new ResponseHead(DEFAULTS);
    for (let i = 0; i < 10; i += 1) head.set('Location', 'l'.repeat(60_000));
    for (let i = 0; i < 10; i += 1) {
      head.reset();
      head.set('X', 'l'.repeat(60_000));
    }
    assert.ok(head.encode().length < HEAD_LIMIT_BYTES);
  });

  it('counts the defaults', () => {
    const head = new ResponseHead({ ...DEFAULTS, headers: `X: ${'v'.repeat(40_000)}\r\n` });
    head.set('Y', 'v'.repeat(20_000));
    assert.throws(() => head.set('Z', 'v'.repeat(10_000)), tooLarge);
    assert.throws(() => head.setDefault('contentType', 'v'.repeat(10_000)), tooLarge);
    assert.throws(() => head.setDefault('httpStatus', `200 ${'v'.repeat(10_000)}`), tooLarge);
  });
});

describe('a header', () => {
  it('may have any byte in its value but control characters (reports Q6)', () => {
    for (let byte = 0; byte < 256; byte++) {
      const value = `a${String.fromCharCode(byte)}b`;
      if ((byte < 32 && byte !== 9) || byte === 127) {
        for (const bad of [value, value.slice(1), value.slice(0, 2), value[1] as string]) {
          for (const name of ['X', 'Content-Type', 'Location', 'Status', 'Content-Length', 'Connection']) {
            assert.throws(() => encode((head) => head.set(name, bad)), {
              code: 'LUAFCGID_RESPONSE_HEADER',
              blame: 'script',
            });
          }
          assert.throws(() => encode((head) => head.setLine(`X: ${bad}`)), { code: 'LUAFCGID_RESPONSE_HEADER' });
          assert.throws(() => encode((head) => head.setDefault('contentType', bad)), {
            code: 'LUAFCGID_RESPONSE_HEADER',
          });
        }
      } else {
        assert.deepEqual(linesOf((head) => head.set('X', value)).at(-1), `X: ${value}`);
        assert.deepEqual(linesOf((head) => head.set('Content-Type', value))[1], `Content-Type: ${value}`);
      }
    }
  });

  it('of type is never empty (reports Q7)', () => {
    for (const type of ['', ' \t']) {
      assert.throws(() => encode((head) => head.set('Content-Type', type)), { code: 'LUAFCGID_RESPONSE_HEADER' });
      assert.throws(() => encode((head) => head.setDefault('contentType', type)), { code: 'LUAFCGID_RESPONSE_HEADER' });
    }
  });

  it('loses spaces and tabs around its value, and nothing else', () => {
    assert.equal(linesOf((head) => head.setLine('X: \t value \t ')).at(-1), 'X: value');
    assert.equal(linesOf((head) => head.set('X', '')).at(-1), 'X: ');
    // UTF-8 that ends in bytes which are spaces in other character sets: "à" is C3 A0.
    for (const text of ['voilà', '\u0085', '\ufeffBOM\ufeff']) {
      const bytes = Buffer.from(text).toString('latin1');
      assert.equal(linesOf((head) => head.set('X', bytes)).at(-1), `X: ${bytes}`);
    }
  });

  it('has a token for a name', () => {
    for (let byte = 0; byte < 256; byte++) {
      const name = `X${String.fromCharCode(byte)}Y`;
      if (/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
        assert.equal(linesOf((head) => head.set(name, 'v')).at(-1), `${name}: v`);
      } else {
        assert.throws(() => encode((head) => head.set(name, 'v')), { code: 'LUAFCGID_RESPONSE_HEADER' });
      }
    }
    for (const name of ['', ' X', 'X ']) {
      assert.throws(() => encode((head) => head.set(name, 'v')), { code: 'LUAFCGID_RESPONSE_HEADER' });
    }
  });

  for (const line of ['', ':', ': value', 'no colon', 'X : y', ' X: y', 'X\r\nY: z', 'HTTP/1.1 200 OK']) {
    it(`is no line: ${JSON.stringify(line)}`, () => {
      assert.throws(() => encode((head) => head.setLine(line)), { code: 'LUAFCGID_RESPONSE_HEADER' });
    });
  }

  it('of one hop is left out, and that is told', () => {
    for (const name of [
      'Connection',
      'keep-alive',
      'TE',
      'Trailer',
      'Transfer-Encoding',
      'UPGRADE',
      'Proxy-Connection',
    ]) {
      let leftOut: string | undefined;
      const lines = linesOf((head) => {
        leftOut = head.set(name, 'chunked');
        assert.equal(head.setLine(`${name}: chunked`), name);
        assert.equal(head.set('X', 'y'), undefined);
      });
      assert.equal(leftOut, name);
      assert.deepEqual(lines.slice(2), ['X: y']);
    }
  });

  for (const length of ['', '-1', '+5', '1e3', '0x1', '5 5', '5,5', '١']) {
    it(`Content-Length ${JSON.stringify(length)} is no length`, () => {
      assert.throws(() => encode((head) => head.set('Content-Length', length)), { code: 'LUAFCGID_RESPONSE_HEADER' });
    });
  }

  it('is shown in its error so that it can be read', () => {
    try {
      new ResponseHead(DEFAULTS).set('X', `a\r\n\x1b[31m${'y'.repeat(1000)}`);
      assert.fail('it was taken');
    } catch (error) {
      assert.ok(error instanceof LuafcgidError);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
      assert.doesNotMatch(error.message, /[\x00-\x1f]/);
      assert.match(error.message, /X: a\\x0d\\x0a\\x1b\[31my+…/);
    }
  });

  it('is shown short, whatever its length is (attacks F1)', () => {
    // As long as this V8 ends the process when each character of it is looked at by a callback.
    const long = '\x01a'.repeat(24 * 2 ** 20);
    for (const set of [
      (head: ResponseHead) => head.set(long, 'v'),
      (head: ResponseHead) => head.set('X', long),
      (head: ResponseHead) => head.setLine(long),
      (head: ResponseHead) => head.setStatus(long),
    ]) {
      assert.throws(
        () => set(new ResponseHead(DEFAULTS)),
        (error) => error instanceof LuafcgidError && error.message.length < 400 && /…/.test(error.message),
      );
    }
  });
});

it('an error shows text as people write it', () => {
  const value = Buffer.from('grüße\n').toString('latin1');
  assert.throws(() => new ResponseHead(DEFAULTS).set('X', value), /X: grüße/);
});

describe('any calls', () => {
  it('make lines that are as they were set, or an error of the script', () => {
    const text = fc.oneof(
      fc.constantFrom('Status', 'Location', 'X', '200', 'text/plain', '5', 'Content-Length', 'connection', 'a: b'),
      fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    );
    const call = fc.tuple(fc.constantFrom('set', 'setLine', 'setStatus', 'reset', 'setDefault'), text, text);
    fc.assert(
      fc.property(fc.array(call), (calls) => {
        const head = new ResponseHead(DEFAULTS);
        for (const [name, a, b] of calls) {
          try {
            if (name === 'set') head.set(a, b);
            else if (name === 'setLine') head.setLine(a);
            else if (name === 'setStatus') head.setStatus(a);
            else if (name === 'reset') head.reset();
            else head.setDefault('contentType', a);
          } catch (error) {
            assert.ok(error instanceof LuafcgidError && error.blame === 'script', String(error));
          }
        }
        const block = head.encode();
        assert.match(block, /^(Location: .*\r\n)?Status: [2-5]\d\d .+\r\nContent-Type: /);
        assert.ok(block.endsWith('\r\n\r\n'));
        assert.equal(block.indexOf('\r\n\r\n'), block.length - 4);
        for (const line of block.slice(0, -4).split('\r\n')) {
          assert.match(line, /^[\w!#$%&'*+.^`|~-]+: [^\r\n\0]*$/);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
