/** con:param, con:params, con:file, con:files, con:json, con:cookie(name), con.id and the like. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LuafcgidError } from '../../src/base/errors.js';
import { failure, luaError, newState, type RequestInput, serve, serveSource } from './support.js';

const POSTED = 'application/x-www-form-urlencoded';

const posted = (query: string, body: string, type = POSTED): RequestInput => ({
  params: { REQUEST_METHOD: 'POST', QUERY_STRING: query, CONTENT_TYPE: type, HTTP_COOKIE: 'c=one; c=two; d=%20x' },
  body,
});

const say = (expression: string, input: RequestInput): string =>
  serveSource(`con:puts(tostring(${expression}))`, input).body;

function refused(source: string, input: RequestInput): LuafcgidError | undefined {
  return luaError(() => serveSource(source, input)).hostError as LuafcgidError | undefined;
}

test('a field is a string or nil, however often it was sent (users II.6)', () => {
  const input = posted('a=q1&a=q2&only=query&empty', 'a=f1&a=f2&b=2');
  assert.equal(say('con:param("a")', input), 'f1');
  assert.equal(say('con:param("a", "query")', input), 'q1');
  assert.equal(say('con:param("a", "form")', input), 'f1');
  assert.equal(say('con:param("only")', input), 'query');
  assert.equal(say('con:param("only", "form")', input), 'nil');
  assert.equal(say('#con:param("empty")', input), '0');
  assert.equal(say('con:param("no")', input), 'nil');
  assert.equal(say('con:param("c", "cookie")', input), 'one');
  assert.equal(say('con:param("c")', input), 'nil');
});

test('all values of a field are a list, the form before the query', () => {
  const input = posted('a=q1&a=q2', 'a=f1&a=f2');
  assert.equal(say('table.concat(con:params("a"), ",")', input), 'f1,f2,q1,q2');
  assert.equal(say('table.concat(con:params("a", "query"), ",")', input), 'q1,q2');
  assert.equal(say('table.concat(con:params("c", "cookie"), ",")', input), 'one,two');
  assert.equal(say('#con:params("no")', input), '0');
});

test('a field that was sent as a file is no text, and an empty input for files is no file (users II.15)', () => {
  const part = (head: string, content: string): string =>
    `--XX\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}\r\n`;
  const body =
    `${part('name="a"; filename="x.txt"', 'file')}${part('name="a"', 'text')}${part('name="e"; filename=""', '')}` +
    `${part('name="a"; filename="y.txt"', 'second')}--XX--\r\n`;
  const input = posted('', body, 'multipart/form-data; boundary=XX');
  assert.equal(say('con:param("a")', input), 'text');
  assert.equal(say('con:file("a").content .. con:file("a").filename', input), 'filex.txt');
  assert.equal(say('#con:files("a")', input), '2');
  assert.equal(say('con:file("e")', input), 'nil');
  assert.equal(say('#con:files("e")', input), '0');
  assert.equal(say('con:param("e")', input), 'nil');
});

test('the cookie of a name is one string, or nil', () => {
  const input = posted('', '');
  assert.equal(say('con:cookie("c")', input), 'one');
  assert.equal(say('con:cookie("d")', input), ' x');
  assert.equal(say('con:cookie("no")', input), 'nil');
  assert.match(failure('con:cookie("c", nil)'), /^\/srv\/script\.lua:1: bad argument #2 to 'cookie'/);
});

test('wrong arguments are told at the line of the script', () => {
  for (const call of ['param', 'params', 'file', 'files']) {
    assert.match(
      failure(`con:${call}({})`),
      new RegExp(`^/srv/script\\.lua:1: bad argument #1 to '${call}' \\(string`),
    );
  }
  assert.match(failure('con:param("a", "body")'), /^\/srv\/script\.lua:1: con:param: a field is of the "form"/);
  assert.match(failure('con.param("a")'), /^\/srv\/script\.lua:1: con\.param was called without its con/);
  assert.match(failure('con:json({ max = 0 })'), /^\/srv\/script\.lua:1: con:json: max is a number of bytes/);
  assert.match(failure('con:json({ most = 1 })'), /^\/srv\/script\.lua:1: con:json has no option most; there is max/);
});

test('too many fields are an error at the line of the script, with status 400', () => {
  const { state, run } = newState({ config: { maxfields: 3 } });
  run('function main(env, con) con:param("a") end');
  const error = luaError(() => serve(state, 'main', { params: { QUERY_STRING: 'a=1&b=2&c=3&d=4' } }));
  assert.match(error.message, /^\/srv\/script\.lua:1: query string with more than 3 fields/);
  assert.equal((error.hostError as LuafcgidError).code, 'LUAFCGID_REQUEST_FIELDS');
  state.close();
});

const json = (body: string, type = 'application/json', source = 'local v = con:json() con:puts(type(v), v.a or "")') =>
  serveSource(source, { params: { CONTENT_TYPE: type }, body, pieceBytes: 3 }).body;

test('a JSON body is decoded, by its announced type', () => {
  assert.equal(json('{"a":"\\u00e4"}'), 'table\xc3\xa4');
  assert.equal(json('{"a":1}', 'application/json; charset=utf-8'), 'table1');
  assert.equal(json('{"a":1}', 'Application/Vnd.Api+JSON'), 'table1');
  assert.equal(json('[1,2]', undefined, 'con:puts(#con:json(), con:json()[2])'), '22');
  assert.equal(json('null', undefined, 'con:puts(tostring(con:json() == require("luafcgid.json").null))'), 'true');
});

test('a body that is no JSON is refused with the status that fits, and a message that tells the place', () => {
  const of = (body: string, type: string, source = 'con:json()') =>
    refused(source, { params: { CONTENT_TYPE: type }, body });
  const wrong = of('{"a":}', 'application/json');
  assert.deepEqual([wrong?.code, wrong?.status], ['LUAFCGID_REQUEST_JSON', 400]);
  assert.match(wrong?.message ?? '', /^the request body is no JSON: .*character/);
  assert.equal(of('', 'application/json')?.message, 'the request body is no JSON: it is empty');
  assert.equal(of('['.repeat(200) + ']'.repeat(200), 'application/json')?.status, 400);
  assert.equal(of('"\xff"', 'application/json')?.status, 400);
  const type = of('a=1', POSTED);
  assert.deepEqual([type?.code, type?.status], ['LUAFCGID_REQUEST_TYPE', 415]);
  assert.equal(of('{}', '')?.status, 415);
  const large = of('{"a":"0123456789"}', 'application/json', 'con:json({ max = 10 })');
  assert.deepEqual([large?.status, large?.message], [413, 'request body of more than 10 bytes']);
  assert.equal(json('{"a":123456}', undefined, 'con:puts(con:json({ max = 12 }).a)'), '123456');
});

test('a request knows its name, its state and its worker', () => {
  assert.equal(say('con.id .. con.state .. con.worker', {}), 'run-131');
  assert.equal(say('con.problem', {}), 'nil');
  assert.equal(say('con.other', {}), 'nil');
});

test('the settings of the application are a copy (users F11)', () => {
  const { body } = serveSource(
    `local app = require("luafcgid").app()
    app.title, app.list[1] = "changed", "changed"
    local again = con:config("app")
    con:puts(again.title, #again.list, again.list[1], tostring(again.on), tostring(again.deep.er))`,
    {},
    { config: { app: { title: 'T', list: ['a', 'b'], on: true, deep: { er: 1 } } } },
  );
  assert.equal(body, 'T2atrue1');
});
