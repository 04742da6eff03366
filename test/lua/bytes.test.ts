import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allBytes, newState, serve, serveSource } from './support.js';

test('all 256 byte values pass unchanged', async (t) => {
  await t.test('from a parameter to the body', () => {
    assert.equal(serveSource('con:puts(env.X)', { params: { X: allBytes } }).body, allBytes);
  });

  await t.test('as the name of a parameter', () => {
    const { body } = serveSource('for name, value in pairs(env) do if value == "here" then con:puts(name) end end', {
      params: { [allBytes]: 'here' },
    });
    assert.equal(body, allBytes);
  });

  await t.test('from the request body to the answer, read at once and in pieces', () => {
    const body = allBytes.repeat(20);
    assert.equal(serveSource('con:puts(con:gets())', { body, pieceBytes: 77 }).body, body);
    const inPieces = 'while true do local s = con:gets(300) if not s then break end con:puts(s) end';
    assert.equal(serveSource(inPieces, { body, pieceBytes: 77 }).body, body);
  });

  await t.test('in headers, status, log and settings', () => {
    const { calls } = serveSource(
      'con:header(env.X, env.X) con:header(env.X) con:status(env.X) con:log(env.X) con:config("contenttype", env.X)',
      { params: { X: allBytes } },
    );
    assert.deepEqual(calls, [
      `header ${allBytes}: ${allBytes}`,
      `header line ${allBytes}`,
      `status ${allBytes}`,
      `log info ${allBytes}`,
      `configure contenttype ${allBytes}`,
    ]);
  });

  await t.test('from configuration values', () => {
    const config = { text: allBytes, list: [allBytes], table: { [allBytes]: allBytes } };
    const source =
      'con:puts(con:config("text"), con:config("list")[1]) for k, v in pairs(con:config("table")) do con:puts(k, v) end';
    assert.equal(serveSource(source, {}, { config }).body, allBytes.repeat(4));
  });

  await t.test('in Lua source', () => {
    const { state, run } = newState();
    run(`text = [==[\n${allBytes.replace('\r', '').replace('\0', '')}]==] function main(env, con) con:puts(text) end`);
    assert.equal(serve(state, 'main').body, allBytes.replace('\r', '').replace('\0', ''));
    state.close();
  });
});

test('strings keep their exact length around the size of the transfer buffer', () => {
  for (const length of [0, 1, 127, 128, 8191, 8192, 8193, 32767, 32768, 32769, 300000]) {
    const text = '\0x'.repeat(length).slice(0, length);
    const { body } = serveSource('con:puts(#env.X, "|", env.X)', { params: { X: text } });
    assert.equal(body, `${length}|${text}`, `length ${length}`);
  }
});

test('of parameters with one name the last one counts, and the version is among them', () => {
  const { state, run } = newState();
  run('function main(env, con) con:puts(env.A, " ", env.LUAFCGID_VERSION) end');
  const block = Buffer.from('\x01\x01A1\x01\x01A2', 'latin1');
  assert.equal(serve(state, 'main', { override: { params: block } }).body, '2 2.0.0');
  state.close();
});

test('a parameter block that ends too early is read as far as it goes', () => {
  const block = Buffer.from('\x01\x01A1\x01\xff\xff\xff\xffB', 'latin1');
  assert.equal(serveSource('con:puts(env.A, tostring(env.B))', { override: { params: block } }).body, '1nil');
});
