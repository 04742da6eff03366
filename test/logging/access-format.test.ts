/** Lines of the access log: every field, and values that try to look like something else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  AccessFormat,
  AccessFormatError,
  type AccessRecord,
  DEFAULT_ACCESS_FORMAT,
  FIELD_BYTES,
  FIELDS,
} from '../../src/logging/access-format.js';
import { pairs } from '../support/fcgi-wire.js';

function record(over: Partial<AccessRecord> = {}, params: Readonly<Record<string, string>> = {}): AccessRecord {
  return {
    arrivedMs: Date.parse('2026-11-23T10:15:02.013Z'),
    durationMs: 12.3456,
    waitMs: 1.5,
    cpuMs: 0.25,
    memoryBytes: 65_536,
    request: 'run-1',
    script: '/srv/a.lua',
    state: 4,
    worker: 0,
    method: 'GET',
    status: 200,
    outcome: 'done',
    sentBytes: 10,
    receivedBytes: 0,
    role: 'RESPONDER',
    params: pairs({
      REMOTE_ADDR: '::1',
      REQUEST_URI: '/a?b',
      QUERY_STRING: 'b',
      HTTP_USER_AGENT: 'Lynx 2.9',
      ...params,
    }),
    ...over,
  };
}

const line = (
  format: string,
  over: Partial<AccessRecord> = {},
  params: Readonly<Record<string, string>> = {},
): string => new AccessFormat(format).line(record(over, params));

describe('a line of the access log', () => {
  it('has by default who asked for what, with what result, and what it took', () => {
    assert.equal(
      line(DEFAULT_ACCESS_FORMAT),
      '2026-11-23T10:15:02.013Z ::1 "GET /a?b" 200 10 12.346 65536 /srv/a.lua 4 run-1',
    );
  });

  it('has every field there is, and any parameter', () => {
    for (const name of Object.keys(FIELDS)) assert.doesNotMatch(line(`<{${name}}>`), /[{}]|undefined|NaN/);
    assert.equal(line('{param:QUERY_STRING}|{param:HTTP_X}|{query}|{worker}'), 'b|-|b|0');
  });

  it('has a dash for what is not known', () => {
    const nothing = {
      script: '',
      status: 0,
      state: undefined,
      worker: undefined,
      cpuMs: undefined,
      memoryBytes: undefined,
      waitMs: undefined,
    };
    assert.equal(
      line('{script} {status} {state} {worker} {cpu_ms} {memory_bytes} {wait_ms} {user}', nothing),
      '- - - - - - - -',
    );
  });

  it('keeps braces that are doubled', () => {
    assert.equal(line('{{{status}}} }}'), '{200} }');
  });

  it('keeps text in UTF-8, and shows other bytes by their numbers', () => {
    assert.equal(line('{script}', { script: '/gr\xc3\xbcn.lua' }), '/grün.lua');
    assert.equal(line('{script}', { script: '/gr\xfcn.lua' }), '/gr\\xfcn.lua');
    assert.equal(line('{script}', { script: '/\xef\xbf\xbd' }), '/\ufffd');
  });

  it('shows spaces where they would begin another field, and not in quotes', () => {
    assert.equal(line('{agent} "{agent}" {agent}'), 'Lynx\\x202.9 "Lynx 2.9" Lynx\\x202.9');
  });

  it('cannot be made to look like something else, whatever the client sends', () => {
    const bytes = fc
      .array(fc.integer({ min: 0, max: 255 }), { maxLength: 30 })
      .map((list) => String.fromCharCode(...list));
    fc.assert(
      fc.property(bytes, bytes, (agent, script) => {
        const text = line('{agent} "{agent}" {script} end', { script }, { HTTP_USER_AGENT: agent });
        assert.match(text, /^[^\s"]+ "[^"\p{Cc}]*" [^\s"]+ end$/u);
        const object = JSON.parse(line('json', { script }, { HTTP_USER_AGENT: agent })) as Record<string, unknown>;
        assert.equal(object.status, 200);
        assert.doesNotMatch(line('json', { script }, { HTTP_USER_AGENT: agent }), /\n/);
      }),
      { numRuns: 500 },
    );
  });

  it('shows no character that nobody sees, or that turns text around, in text and in JSON (attacks F13.4)', () => {
    const agent = Buffer.from('a\x7f\x85\x9b\u202e\u2028\u2066\u061cz', 'utf8').toString('latin1');
    const hidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
    const text = line('"{agent}"', {}, { HTTP_USER_AGENT: agent });
    assert.equal(text, '"a\\x7f\\xc2\\x85\\xc2\\x9b\\xe2\\x80\\xae\\xe2\\x80\\xa8\\xe2\\x81\\xa6\\xd8\\x9cz"');
    const json = line('json', {}, { HTTP_USER_AGENT: agent });
    assert.doesNotMatch(json, hidden);
    assert.equal((JSON.parse(json) as { agent: string }).agent, 'a\x7f\x85\x9b\u202e\u2028\u2066\u061cz');
  });

  it('has spaces of all kinds as bytes outside of quotes, and as they are in quotes', () => {
    const agent = Buffer.from('a \u00a0\u2003\u3000z').toString('latin1');
    assert.equal(line('{agent}', {}, { HTTP_USER_AGENT: agent }), 'a\\x20\\xc2\\xa0\\xe2\\x80\\x83\\xe3\\x80\\x80z');
    assert.equal(line('"{agent}"', {}, { HTTP_USER_AGENT: agent }), '"a \u00a0\u2003\u3000z"');
  });

  describe('whose values are long', () => {
    it('are cut at 8 KiB, and tell how much is missing (attacks F11)', () => {
      for (const [format, wanted] of [
        ['{uri}', `${'\\x01'.repeat(FIELD_BYTES)}...(+1040384)`],
        ['"{uri}"', `"${'\\x01'.repeat(FIELD_BYTES)}...(+1040384)"`],
      ] as const) {
        assert.equal(line(format, {}, { REQUEST_URI: '\x01'.repeat(2 ** 20) }), wanted);
      }
      const { script, uri } = JSON.parse(
        line('json', { script: 's'.repeat(2 ** 20) }, { REQUEST_URI: '\x01'.repeat(2 ** 20) }),
      ) as { script: string; uri: string };
      assert.equal(uri, `${'\x01'.repeat(FIELD_BYTES)}...(+1040384)`);
      assert.equal(script, `${'s'.repeat(FIELD_BYTES)}...(+1040384)`);
    });

    it('are cut between characters of UTF-8', () => {
      for (const character of ['é', '€', '😀']) {
        for (let before = 0; before < 4; before += 1) {
          const bytes = Buffer.from('x'.repeat(before) + character.repeat(FIELD_BYTES)).toString('latin1');
          const shown = line('{uri}', {}, { REQUEST_URI: bytes });
          const [, text = '', missing = ''] = /^(x*\P{ASCII}*)\.\.\.\(\+(\d+)\)$/u.exec(shown) ?? [];
          assert.equal(Buffer.byteLength(text) + Number(missing), bytes.length, shown.slice(-60));
          assert.ok(Buffer.byteLength(text) <= FIELD_BYTES);
        }
      }
    });
  });

  it('of JSON has all that is known, numbers as numbers', () => {
    assert.deepEqual(JSON.parse(line('json', { state: undefined })), {
      time: '2026-11-23T10:15:02.013Z',
      remote: '::1',
      method: 'GET',
      uri: '/a?b',
      query: 'b',
      agent: 'Lynx 2.9',
      status: 200,
      outcome: 'done',
      sent_bytes: 10,
      received_bytes: 0,
      duration_ms: 12.346,
      wait_ms: 1.5,
      cpu_ms: 0.25,
      memory_bytes: 65_536,
      script: '/srv/a.lua',
      worker: 0,
      request: 'run-1',
      role: 'responder',
    });
  });

  it('has the time to the millisecond, from second to second', () => {
    const format = new AccessFormat('{time}');
    for (const ms of [0, 999.9, 1000, 59_999, 60_000, 1_000_000_000_007.5]) {
      assert.equal(format.line(record({ arrivedMs: ms })), new Date(ms).toISOString());
    }
  });
});

describe('a format', () => {
  it('says whether workers have to measure something', () => {
    assert.ok(new AccessFormat('{cpu_ms}').needsUsage);
    assert.ok(new AccessFormat('json').needsUsage);
    assert.ok(new AccessFormat('{memory_bytes}').needsUsage);
    assert.ok(!new AccessFormat('{status} {param:cpu_ms}').needsUsage);
    assert.ok(new AccessFormat('{cpu_ms}').needsCpuTime);
    assert.ok(!new AccessFormat('{memory_bytes}').needsCpuTime);
  });

  it('of unknown fields, lone braces or no field is refused with the reason', () => {
    const refusal = (format: string): AccessFormatError => {
      try {
        new AccessFormat(format);
      } catch (error) {
        if (error instanceof AccessFormatError) return error;
        throw error;
      }
      assert.fail(`${format} is taken`);
    };
    assert.equal(refusal('{status} {sate}').field, 'sate');
    assert.equal(refusal('{toString}').field, 'toString');
    assert.match(refusal('{status').message, /a single "\{"/);
    assert.match(refusal('status}').message, /a single "\}"/);
    assert.match(refusal('status').message, /no field/);
  });
});
