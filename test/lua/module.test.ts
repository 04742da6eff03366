import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { allBytes, compatible, isLua54, luaError, newState, serve } from './support.js';

const { state, run, evaluate } = newState();
after(() => state.close());
run(`m = require("luafcgid")
  function call(env, con) con:puts(m[env.NAME](env.TEXT)) end
  -- One line for each field, values of lists in order.
  function fields(env, con)
    local lines = {}
    for name, value in pairs(m.parse(env.TEXT)) do
      if type(value) == "table" then value = "{" .. table.concat(value, ",") .. "}" end
      lines[#lines + 1] = name .. "=" .. value
    end
    table.sort(lines)
    con:puts(table.concat(lines, ";"))
  end`);

const call = (name: string, text: string) => serve(state, 'call', { params: { NAME: name, TEXT: text } }).body;
const parse = (text: string) => serve(state, 'fields', { params: { TEXT: text } }).body;
const byteStrings = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));

test('parse reads forms as browsers write them', () => {
  for (const [text, fields] of [
    ['', ''],
    ['foo', 'foo='],
    ['foo=', 'foo='],
    ['a=b&c=d', 'a=b;c=d'],
    ['a=b=c==', 'a=b=c=='],
    ['a=1&a=2&a=3&b=4', 'a={1,2,3};b=4'],
    ['a&a', 'a={,}'],
    ['=x', '=x'],
    ['&&a=1&', 'a=1'],
    ['a;b=1;c', 'a;b=1;c'],
    ['a+b=c+d%2B', 'a b=c d+'],
    ['%61=%62%zz%4', 'a=b%zz%4'],
    ['a=%00%ff', 'a=\0\xff'],
    ['a%3Db=1%26', 'a=b=1&'],
  ] as const) {
    assert.equal(parse(text), fields, text);
  }
  assert.equal(evaluate('next(m.parse(nil))'), 'nil');
  assert.match(
    luaError(() => evaluate('m.parse({})')).message,
    /script.lua:1: bad argument #1 to 'parse' \(string expected, got table\)/,
  );
});

test('parse prints nothing and never fails, whatever it is given', () => {
  fc.assert(fc.property(byteStrings, (text) => typeof parse(text) === 'string'));
});

test('urlencode keeps what RFC 3986 leaves unreserved', () => {
  assert.equal(call('urlencode', 'AZaz09-._~'), 'AZaz09-._~');
  assert.equal(call('urlencode', 'a b/c?d&e=f+g\n\0é'), 'a+b%2Fc%3Fd%26e%3Df%2Bg%0A%00%E9');
  assert.equal(evaluate('m.urlencode(5)'), '5');
  assert.equal(evaluate('m.urlencode(nil)'), 'nil');
  assert.equal(evaluate('select("#", m.urlencode("a b"))'), '1');
});

test('urldecode is the inverse of urlencode', () => {
  assert.equal(call('urldecode', call('urlencode', allBytes)), allBytes);
  fc.assert(fc.property(byteStrings, (text) => call('urldecode', call('urlencode', text)) === text));
  assert.equal(call('urldecode', '100%+%4'), '100% %4');
  assert.equal(evaluate('m.urldecode(nil)'), 'nil');
});

test('fields survive being written and parsed', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(byteStrings, byteStrings), { selector: ([name]) => name }), (pairs) => {
      const text = pairs.map(([name, value]) => `${call('urlencode', name)}=${call('urlencode', value)}`).join('&');
      const wanted = pairs.map(([name, value]) => `${name}=${value}`);
      const sorted = wanted.map((line) => Buffer.from(line, 'latin1')).sort(Buffer.compare);
      return parse(text) === sorted.map((line) => line.toString('latin1')).join(';');
    }),
    { numRuns: 50 },
  );
});

test('escape does so with texts of any length', () => {
  for (const length of [0, 1, 4095, 4096, 4097, 8192, 8193, 100_000]) {
    const plain = 'p'.repeat(length);
    assert.equal(call('escape', plain), plain);
    assert.equal(call('escape', `${plain}<`), `${plain}&lt;`);
    assert.equal(call('escape', '"'.repeat(length)), '&quot;'.repeat(length));
  }
});

test('escape makes text safe in HTML', () => {
  assert.equal(
    call('escape', `<a href="x" title='y'>&amp;</a>`),
    '&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;',
  );
  assert.equal(call('escape', 'plain \0 \xff'), 'plain \0 \xff');
  assert.equal(evaluate('m.escape(5) .. select("#", m.escape("<"))'), '51');
  assert.match(
    luaError(() => evaluate('m.escape(nil)')).message,
    /bad argument #1 to 'escape' \(string expected, got nil\)/,
  );
});

test('the module knows its version', () => {
  assert.equal(evaluate('m.version'), '2.0.0');
});

test('serialize writes source that makes the value again', () => {
  run(`${compatible}function same(a, b)
    if type(a) ~= type(b) then return false end
    if type(a) ~= "table" then return a == b and (a ~= 0 or 1 / a == 1 / b) or (a ~= a and b ~= b) end
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
  end
  function trip(value) return same(value, assert(loadstring("return " .. m.serialize(value)))()) end
  function text(env, con) con:puts(assert(loadstring("return " .. m.serialize(env.TEXT)))()) end`);
  for (const value of [
    'nil',
    'true',
    'false',
    '0',
    '-0.0',
    '0 * -1',
    '1/0',
    '-1/0',
    '0/0',
    '0.1',
    '1/3',
    '1e308 * 0.99',
    '5e-324',
    '2^53',
    '-123456789012345',
    '""',
    '"\\r\\n\\0\\\\\\"]]\\127\\200"',
    '"a\\\\\\nb"',
    '{}',
    '{1, 2, 3}',
    '{1, nil, 3}',
    '{[0] = 0, [-1] = 1, [1.5] = 2, [true] = 3, [false] = 4, [1/0] = 5, ["end"] = 6, [""] = 7, ["a b"] = 8}',
    '{{}, {{}}, a = {b = {c = {1, "x", false}}}}',
    '{zero = 0, minus = 0 * -1}',
    '(function() local shared = {1} return {shared, shared} end)()',
    '(function() local t = {} for i = 1, 1000 do t[i] = {i, tostring(i)} end return t end)()',
    '(function() local t = {} for i = 1, 170 do t = {t} end return t end)()',
    'setmetatable({1}, {__index = function() return 5 end})',
  ]) {
    assert.equal(evaluate(`trip(${value})`), 'true', value);
  }
  assert.equal(serve(state, 'text', { params: { TEXT: allBytes } }).body, allBytes);
  fc.assert(fc.property(byteStrings, (text) => serve(state, 'text', { params: { TEXT: text } }).body === text));
});

test('serialize keeps every number exactly', () => {
  run(
    `${compatible}function number(env, con) con:puts(tostring(tonumber(env.TEXT) == loadstring("return " .. m.serialize(tonumber(env.TEXT)))())) end`,
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      return serve(state, 'number', { params: { TEXT: String(value) } }).body === 'true';
    }),
  );
});

test('serialize writes plain numbers plainly', () => {
  assert.equal(evaluate('m.serialize({1, 0.1, -5, x = 1e15})'), `{1,0.1,-5,["x"]=1e+15}`);
  // Only Lua 5.4 tells 1 and 1.0 apart.
  assert.equal(evaluate('m.serialize({1.0, 2, 1e300})'), isLua54 ? '{1.0,2,1e+300}' : '{1,2,1e+300}');
});

test('serialize says what cannot be written, and where it lies', () => {
  for (const [value, message] of [
    ['print', 'cannot serialize a function'],
    ['{a = {print}}', 'cannot serialize a function (at ["a"][1])'],
    ['{a = {b = coroutine.create(print)}}', 'cannot serialize a thread (at ["a"]["b"])'],
    ['{x = io.stdout}', 'cannot serialize a userdata (at ["x"])'],
    ['{[{}] = 1}', 'cannot serialize a table with a key that is a table'],
    ['{x = {[print] = 1}}', 'cannot serialize a table with a key that is a function (at ["x"])'],
    [
      '(function() local t = {} t.x = {t} return t end)()',
      'cannot serialize a table that contains itself (at ["x"][1])',
    ],
    [
      '(function() local t = {} for i = 1, 300 do t = {t} end return t end)()',
      'cannot serialize tables nested deeper than 180 levels',
    ],
  ] as const) {
    assert.equal(luaError(() => evaluate(`m.serialize(${value})`)).message, `/srv/script.lua:1: ${message}`);
  }
});
