/** Headers as tables, headers that are read and removed, and answers that a client has already. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, serveSource } from './support.js';

test('header takes a table of names and values, in the order of the names (LuCI, users F12)', () => {
  const source = 'con:header({ ["X-B"] = 2, ["Set-Cookie"] = { "a=1", "b=2" }, ["X-A"] = "1" })';
  assert.deepEqual(serveSource(source).calls, [
    'header Set-Cookie: a=1',
    'header Set-Cookie: b=2',
    'header X-A: 1',
    'header X-B: 2',
  ]);
  assert.deepEqual(serveSource('con:header({})').calls, []);
  assert.match(
    failure('con:header({ "X-A: 1" })'),
    /^\/srv\/script\.lua:1: con:header: the key 1 is no name of a header/,
  );
  assert.match(
    failure('con:header({ ["X-A"] = true })'),
    /^\/srv\/script\.lua:1: con:header: the value of X-A is a boolean/,
  );
});

test('nothing of a table of headers is set when one value cannot be', () => {
  const source = 'pcall(con.header, con, { ["X-A"] = "1", ["X-B"] = print }) con:puts("x")';
  assert.deepEqual(serveSource(source).calls, []);
});

test('headers are read and removed', () => {
  const values: Record<string, string[]> = { 'Set-Cookie': ['a=1', 'b=2'], 'X-A': ['1'] };
  const override = { headerValues: (name: string) => values[name] ?? [] };
  const source = `con:puts(table.concat({ con:get_header("Set-Cookie") }, "|"), con:get_header("X-A"),
    tostring(con:get_header("no"))) con:remove_header("X-A")`;
  const { body, calls } = serveSource(source, { override });
  assert.equal(body, 'a=1|b=21nil');
  assert.deepEqual(calls, ['remove header X-A']);
  assert.match(failure('con:get_header()'), /bad argument #1 to 'get_header' \(string expected, got nil\)/);
  assert.match(failure('con:finish() con:remove_header("a")'), /con:remove_header after con:finish/);
});

const known = (source: string, params: Record<string, string>) => {
  const { body, calls } = serveSource(`con:puts(tostring(${source}))`, {
    params: { REQUEST_METHOD: 'GET', ...params },
  });
  return [body, ...calls];
};

test('a client that has the version already is told so', () => {
  const tag = 'header ETag: "v7"';
  assert.deepEqual(known('con:etag("v7")', {}), ['false', tag]);
  for (const header of ['"v7"', 'W/"v7"', '"a", "v7"', '"a",W/"v7"', '*', ' * ']) {
    assert.deepEqual(known('con:etag("v7")', { HTTP_IF_NONE_MATCH: header }), ['true', tag, 'status 304'], header);
  }
  for (const header of ['v7', '"v8"', '"v77"', '', '"v7', '"**"']) {
    assert.deepEqual(known('con:etag("v7")', { HTTP_IF_NONE_MATCH: header }), ['false', tag], header);
  }
  assert.deepEqual(known('con:etag("v7")', { HTTP_IF_NONE_MATCH: '"v7"', REQUEST_METHOD: 'POST' }), ['false', tag]);
  assert.deepEqual(known('con:etag(7, { weak = true })', { HTTP_IF_NONE_MATCH: 'W/"7"' }), [
    'true',
    'header ETag: W/"7"',
    'status 304',
  ]);
  for (const wrong of ['""', '"a b"', '"a\\"b"', '"a\\nb"'])
    assert.match(failure(`con:etag(${wrong})`), /con:etag: a tag is/);
});

test('a client that has a page as new as this one is told so', () => {
  const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
  const head = `header Last-Modified: ${date}`;
  const of = (since: string, more: Record<string, string> = {}) =>
    known('con:last_modified(784111777)', { HTTP_IF_MODIFIED_SINCE: since, ...more });
  assert.deepEqual(known('con:last_modified(784111777)', {}), ['false', head]);
  assert.deepEqual(of(date), ['true', head, 'status 304']);
  assert.deepEqual(of('Sun, 06 Nov 1994 08:49:36 GMT'), ['false', head]);
  assert.deepEqual(of('Tue, 29 Feb 2000 00:00:00 GMT'), ['true', head, 'status 304']);
  for (const other of ['yesterday', '784111777', 'Sun, 06 Foo 1994 08:49:37 GMT'])
    assert.deepEqual(of(other), ['false', head]);
  assert.deepEqual(of(date, { HTTP_IF_NONE_MATCH: '"a"' }), ['false', head]);
  assert.deepEqual(of(date, { REQUEST_METHOD: 'PUT' }), ['false', head]);
  assert.match(failure('con:last_modified("now")'), /bad argument #1 to 'last_modified'/);
});
