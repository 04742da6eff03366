/** What `con` does, from the script's calls to the frames that the front gets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { END_STATE_GONE, FromWorker } from '../../src/channel/messages.js';
import { NO_BODY } from '../../src/worker/inbox.js';
import { OutputBuffer } from '../../src/worker/output-buffer.js';
import type { RequestSettings } from '../../src/worker/request-channels.js';
import { ScriptRequest } from '../../src/worker/script-request.js';
import { Ends } from './support/ends.js';

const SETTINGS: RequestSettings = {
  httpStatus: '200 OK',
  contentType: 'text/html',
  headers: '',
  buffering: true,
  outputBufferBytes: 100,
  sendBufferBytes: 200,
  watchdogMs: 60_000,
  watchdogMaxMs: 0,
};
const HEAD = 'Status: 200 OK\r\nContent-Type: text/html\r\n\r\n';

interface Setting {
  readonly request: ScriptRequest;
  readonly ends: Ends;
  readonly buffer: OutputBuffer;
}

function begin(settings: Partial<RequestSettings> = {}, isHead = false, ends = new Ends(), role = 1): Setting {
  const buffer = new OutputBuffer();
  const channels = {
    inlet: NO_BODY,
    outlet: ends.outbox,
    buffer,
    startedMs: performance.now(),
    stateId: 3,
    origin: { runName: 'run', worker: 1 },
  };
  return {
    request: new ScriptRequest(5, new Uint8Array(0), { role, isHead }, { ...SETTINGS, ...settings }, channels),
    ends,
    buffer,
  };
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

describe("a script's own watchdog", () => {
  it('is no longer than watchdogmax allows, nor without a limit (attacks F9)', () => {
    const { request, ends } = begin({ watchdogMaxMs: 60_000 });
    for (const seconds of [0, 60.001, 1e9, Number.POSITIVE_INFINITY, Number.NaN, -1]) {
      assert.throws(() => request.configure('watchdog', seconds), {
        code: 'LUAFCGID_SCRIPT_WATCHDOG',
        blame: 'script',
      });
    }
    assert.equal(request.watchdogMs, 60_000);
    assert.deepEqual(ends.told(), []);
    request.configure('watchdog', 0.5);
    assert.equal(request.watchdogMs, 500);
    request.configure('watchdog', 60);
    assert.equal(request.watchdogMs, 60_000);
  });

  it('is what it wants without watchdogmax', () => {
    const { request } = begin();
    for (const seconds of [0, 3600]) {
      request.configure('watchdog', seconds);
      assert.equal(request.watchdogMs, seconds * 1000);
    }
  });
});

describe("a script's answer", () => {
  it('is head and body together when it fits, in one message', () => {
    const { request, ends } = begin();
    request.write(bytes('hello '));
    request.write(bytes('world'));
    request.header('X', 'y');
    assert.deepEqual(ends.told(), []);
    request.end(0, 7);
    assert.deepEqual(ends.told(), [`end 7 ${HEAD.slice(0, -2)}X: y\r\n\r\nhello world`]);
  });

  it('has a head when the script says nothing', () => {
    const { request, ends } = begin();
    request.end(END_STATE_GONE, 0);
    const [end] = ends.heard();
    assert.deepEqual([end?.type, end?.flags, end?.id], [FromWorker.END, END_STATE_GONE, 5]);
    assert.equal(end?.payload.toString(), HEAD);
  });

  it('goes out as soon as it is larger than its buffer', () => {
    const { request, ends } = begin();
    request.write(bytes('x'.repeat(100)));
    assert.deepEqual(ends.told(), []);
    request.write(bytes('y'));
    assert.deepEqual(ends.told(), [`output ${HEAD}${'x'.repeat(100)}`, 'output y']);
    request.end(0, 0);
    assert.deepEqual(ends.told(), ['end 0 ']);
  });

  it('goes out at once without buffering, and from the time on when it is switched off', () => {
    const { request, ends } = begin({ buffering: false });
    request.write(bytes('one'));
    request.write(bytes('two'));
    assert.deepEqual(ends.told(), [`output ${HEAD}`, 'output one', 'output two']);
    const later = begin();
    later.request.write(bytes('kept'));
    later.request.configure('buffering', false);
    assert.deepEqual(later.ends.told(), [`output ${HEAD}kept`]);
  });

  it('goes out when it is flushed, the head also without a body', () => {
    const { request, ends } = begin();
    request.flush();
    request.flush();
    assert.deepEqual(ends.told(), [`output ${HEAD}`]);
    request.write(bytes('part'));
    request.flush();
    assert.deepEqual(ends.told(), ['output part']);
  });

  it('may be dropped until it is sent', () => {
    const { request, ends } = begin();
    request.status('404');
    request.headerLine('X: y');
    request.write(bytes('wrong'));
    request.reset();
    request.write(bytes('right'));
    request.flush();
    assert.deepEqual(ends.told(), [`output ${HEAD}right`]);
    for (const call of [
      () => request.reset(),
      () => request.status('404'),
      () => request.header('X', 'y'),
      () => request.headerLine('X: y'),
      () => request.configure('httpstatus', '404'),
      () => request.configure('contenttype', 'a/b'),
    ]) {
      assert.throws(call, { code: 'LUAFCGID_RESPONSE_SENT' });
    }
    request.configure('buffering', true);
  });

  it('has no Content-Length that is not that of its body, where all of it is there (fidelity D-B9)', () => {
    for (const end of ['end', 'finish'] as const) {
      for (const [length, body, isHead, isKept] of [
        ['50', '0123456789', false, false],
        ['5', '0123456789', false, false],
        ['010', '0123456789', false, true],
        ['50', '0123456789', true, true],
        ['50', '', true, true],
        ['1', '', false, false],
        ['0', '', false, true],
      ] as const) {
        const { request, ends } = begin({}, isHead);
        request.header('Content-Length', length);
        request.write(bytes(body));
        if (end === 'end') request.end(0, 0);
        else request.finish();
        const told = ends.told().join('\n');
        assert.equal(told.includes(`Content-Length: ${length}\r\n`), isKept, `${length} ${body} ${isHead}`);
        assert.equal(told.includes(`left out: the body has ${body.length} bytes`), !isKept);
      }
    }
    const { request, ends } = begin();
    request.header('Content-Length', '50');
    request.write(bytes('x'));
    request.flush();
    request.end(0, 0);
    assert.match(ends.told()[0] as string, /Content-Length: 50/, 'the rest was not known when it went out');
  });

  it('has ended for the client after finish; the script may log and read on', () => {
    const { request, ends } = begin();
    request.write(bytes('all'));
    request.finish();
    assert.deepEqual(ends.told(), [`output ${HEAD}all`, 'finish 0']);
    for (const call of [
      () => request.write(bytes('x')),
      () => request.flush(),
      () => request.finish(),
      () => request.reset(),
      () => request.header('X', 'y'),
    ]) {
      assert.throws(call, { code: 'LUAFCGID_RESPONSE_FINISHED' });
    }
    request.log('info', 'still here');
    assert.equal(request.readBody(10), null);
    request.end(0, 3);
    assert.deepEqual(ends.told(), ['log info still here', 'end 3 ']);
  });

  for (const [what, build] of [
    ['a HEAD request', (setting: Setting) => setting.request.header('X', 'y')],
    ['status 204', (setting: Setting) => setting.request.status('204')],
    ['status 304', (setting: Setting) => setting.request.status('304')],
  ] as const) {
    it(`to ${what} has no body, however it is written`, () => {
      for (const buffering of [true, false]) {
        const setting = begin({ buffering }, what === 'a HEAD request');
        build(setting);
        setting.request.write(bytes('x'.repeat(60)));
        setting.request.write(bytes('y'.repeat(60)));
        setting.request.flush();
        setting.request.write(bytes('z'));
        setting.request.end(0, 0);
        const text = setting.ends
          .heard()
          .map(({ payload }) => payload.toString())
          .join('');
        assert.match(text, /^Status: [\s\S]*\r\n\r\n$/);
        assert.equal(text.indexOf('\r\n\r\n'), text.length - 4);
      }
    });
  }

  it('tells in the log which header was left out', () => {
    const { request, ends } = begin();
    request.header('Transfer-Encoding', 'chunked');
    const [line] = ends.told();
    assert.match(line ?? '', /^log warn .*Transfer-Encoding/);
  });

  it('tells of Connection at level debug: many scripts set it in each request (users D11)', () => {
    const { request, ends } = begin();
    request.header('Connection', 'close');
    assert.match(ends.told()[0] ?? '', /^log debug .*Connection/);
  });
});

describe('an answer that fails', () => {
  const detail = { message: 'it <broke>' };

  it('is a page when nothing was sent; what the script wrote is not in it', () => {
    const { request, ends } = begin();
    request.write(bytes('half'));
    request.fail(0, 500, detail);
    const [end] = ends.told();
    assert.match(end ?? '', /^end 1 Status: 500 .*\r\n/);
    assert.ok(end?.includes('it &lt;broke&gt;') && end.includes('run-5') && !end.includes('half'));
  });

  it('is the head of the page alone for HEAD', () => {
    const { request, ends } = begin({}, true);
    request.fail(0, 500, detail);
    assert.match(ends.told()[0] ?? '', /^end 1 Status: 500 [\s\S]*\r\n\r\n$/);
  });

  it('ends where it is when some was sent, with the detail where a reader of HTML sees it', () => {
    const shown: [string, (request: ScriptRequest) => void, boolean][] = [
      ['HTML', () => {}, true],
      ['plain text', (request) => request.header('Content-Type', 'text/plain'), false],
      ['a body of known length', (request) => request.header('Content-Length', '9'), false],
      ['no body', (request) => request.status('204'), false],
    ];
    for (const [what, build, isShown] of shown) {
      const { request, ends } = begin();
      build(request);
      request.write(bytes('part'));
      request.flush();
      ends.heard();
      request.write(bytes('more'));
      request.fail(0, 500, detail);
      const text = ends.told().join();
      assert.match(text, what === 'no body' ? /^end 1 $/ : /^end 1 more/);
      assert.equal(text.includes('&lt;broke&gt;'), isShown, what);
    }
  });

  it('does not show what is not to be shown', () => {
    const { request, ends } = begin();
    request.flush();
    ends.heard();
    request.fail(0, 500, undefined);
    assert.deepEqual(ends.told(), ['end 1 ']);
  });

  it('adds nothing after finish', () => {
    const { request, ends } = begin();
    request.finish();
    ends.heard();
    request.fail(END_STATE_GONE, 500, detail);
    const [end] = ends.heard();
    assert.deepEqual([end?.type, end?.flags, end?.payload.length], [FromWorker.END, END_STATE_GONE, 0]);
  });
});

describe('the outbox of a worker', () => {
  it('cuts what is longer than a frame, and sends the end with the last of it', () => {
    const ends = new Ends(1024);
    const text = Array.from({ length: 1200 }, (_, n) => String.fromCharCode(97 + (n % 26))).join('');
    const output = bytes(text);
    // Room for all of it comes only with a reader: here as much as the ring takes.
    ends.outbox.end(1, 0, 9, output.subarray(0, 900), performance.now());
    const said = ends.heard();
    assert.deepEqual(
      said.map(({ type }) => type),
      [FromWorker.OUTPUT, FromWorker.END],
    );
    assert.equal(Buffer.concat(said.map(({ payload }) => payload)).toString(), text.slice(0, 900));
    assert.equal(said.at(-1)?.argument, 9);
  });

  it('cuts long log lines into several, and loses nothing of them', () => {
    const ends = new Ends(1024);
    ends.outbox.log(1, 'error', 'z'.repeat(700));
    ends.outbox.log(1, 'debug', '');
    const said = ends.told();
    assert.equal(said.length, 3);
    assert.equal(said.map((line) => line.replace(/^log \w+ /, '')).join('').length, 700);
    assert.equal(said[2], 'log debug ');
  });

  it('says that a path is too long to be watched', () => {
    const ends = new Ends(128);
    ends.outbox.depends(1, `/${'x'.repeat(20)}`, '1:2:3');
    assert.deepEqual(ends.told(), [`type ${FromWorker.DEPENDS}`]);
    const larger = new Ends(1024);
    larger.outbox.depends(1, `/${'x'.repeat(600)}`, '1:2:3');
    assert.ok(larger.told().every((line) => line.startsWith('log error ')));
  });
});

describe('the output buffer', () => {
  it('keeps what was added, grows, and is empty when cleared', () => {
    const buffer = new OutputBuffer();
    let all = '';
    for (const size of [0, 1, 16_383, 1, 5, 300_000]) {
      const part = String.fromCharCode(97 + (size % 26)).repeat(size);
      buffer.add(bytes(part));
      all += part;
      assert.equal(buffer.length, all.length);
      assert.equal(Buffer.from(buffer.bytes).toString(), all);
    }
    buffer.clear();
    assert.equal(buffer.length, 0);
    buffer.add(bytes('again'));
    assert.equal(Buffer.from(buffer.bytes).toString(), 'again');
  });
});

describe("an Authorizer's answer", () => {
  const authorizer = (settings: Partial<RequestSettings> = {}, isHead = false): Setting =>
    begin({ headers: 'X-Powered-By: Lua\r\n', ...settings }, isHead, new Ends(), 2);
  /** What the front is told once the request is over: its answer, and the lines of the log. */
  const outcome = ({ ends }: Setting): { readonly said: string; readonly logged: readonly string[] } => {
    const heard = ends.heard();
    const texts = (isLog: boolean): string[] =>
      heard.filter(({ type }) => (type === FromWorker.LOG) === isLog).map(({ payload }) => payload.toString('latin1'));
    return { said: texts(false).join(''), logged: texts(true) };
  };

  it('that lets the client in is status 200 with what the script has set, and nothing else (fidelity D-C1)', () => {
    const setting = authorizer({ httpStatus: '404 Not Found' });
    setting.request.header('Variable-A', 'b');
    setting.request.header('Set-Cookie', 'c=d');
    setting.request.grant();
    setting.request.end(0, 0);
    assert.equal(outcome(setting).said, 'Status: 200 OK\r\nVariable-A: b\r\nSet-Cookie: c=d\r\n\r\n');
  });

  it('has no body when it lets the client in, and the log says what was left out', () => {
    for (const outputBufferBytes of [3, 100]) {
      const setting = authorizer({ outputBufferBytes });
      setting.request.header('Content-Type', 'text/plain');
      setting.request.header('Content-Length', '7');
      setting.request.grant();
      setting.request.write(bytes('welcome'));
      setting.request.end(0, 0);
      assert.deepEqual(outcome(setting), {
        said: 'Status: 200 OK\r\n\r\n',
        logged: ['7 bytes of body left out: an Authorizer that lets a client in has none'],
      });
    }
  });

  it('is 403 when the script has not let the client in, whatever 2xx it has set', () => {
    for (const status of ['', '200', '200 OK', '204', '206', '299']) {
      const setting = authorizer();
      if (status !== '') setting.request.status(status);
      setting.request.header('Variable-A', 'b');
      setting.request.write(bytes('no'));
      setting.request.end(0, 0);
      const answer = 'Status: 403 Forbidden\r\nContent-Type: text/html\r\nX-Powered-By: Lua\r\n\r\nno';
      assert.equal(outcome(setting).said, answer, status);
    }
  });

  it('has the status that refuses, before all other headers, since lighttpd drops what comes before it', () => {
    const setting = authorizer();
    setting.request.status('302');
    setting.request.header('Location', '/login');
    setting.request.end(0, 0);
    assert.match(outcome(setting).said, /^Status: 302 Found\r\nLocation: \/login\r\n/);
  });

  it('refuses when a status or a redirect contradicts what the function returns', () => {
    for (const contradict of [
      (request: ScriptRequest) => request.status('401'),
      (request: ScriptRequest) => request.status('204'),
      (request: ScriptRequest) => request.header('Location', '/x'),
    ]) {
      const setting = authorizer();
      contradict(setting.request);
      setting.request.grant();
      setting.request.end(0, 0);
      const { said, logged } = outcome(setting);
      assert.match(said, /^Status: [34]/);
      assert.match(logged[0] as string, /returned true, and the client is refused all the same: the status/);
    }
  });

  it('that is sent before the function returns is a refusal', () => {
    for (const send of [
      (request: ScriptRequest) => request.flush(),
      (request: ScriptRequest) => request.finish(),
      (request: ScriptRequest) => request.write(bytes('x'.repeat(200))),
      (request: ScriptRequest) => {
        request.configure('buffering', false);
        request.write(bytes('x'));
      },
    ]) {
      const setting = authorizer();
      setting.request.header('Variable-A', 'b');
      send(setting.request);
      setting.request.grant();
      setting.request.end(0, 0);
      const { said, logged } = outcome(setting);
      assert.match(said, /^Status: 403 Forbidden\r\n/);
      assert.doesNotMatch(said, /Status: 2|Variable/);
      assert.match(logged[0] as string, /its answer was already sent, as a refusal/);
    }
  });

  it('is an error page when the script fails after it has let the client in', () => {
    for (const status of [500, 504, 0, 200]) {
      const setting = authorizer();
      setting.request.header('Variable-A', 'b');
      setting.request.grant();
      setting.request.fail(0, status, undefined);
      const { said } = outcome(setting);
      assert.match(said, /^Status: 50[04] /);
      assert.doesNotMatch(said, /Variable/);
    }
  });

  it('is a refusal when the function for errors gives it, whatever that sets and returns', () => {
    const setting = authorizer();
    setting.request.header('Variable-A', 'b');
    setting.request.grant();
    setting.request.beginProblem({ status: 500, code: 'LUAFCGID_SCRIPT_FAILED', message: 'x', traceback: '' });
    setting.request.header('Variable-C', 'd');
    setting.request.status('200');
    setting.request.grant();
    setting.request.write(bytes('sorry'));
    setting.request.end(0, 0);
    const { said } = outcome(setting);
    assert.match(said, /^Status: 403 Forbidden\r\n/);
    assert.doesNotMatch(said, /Variable/);
  });

  it('is no matter of a Responder', () => {
    const setting = begin();
    setting.request.grant();
    setting.request.write(bytes('x'));
    setting.request.end(0, 0);
    assert.equal(outcome(setting).said, `${HEAD}x`);
  });
});
