/** luafcgid.json in every engine: lua-cjson's interface, round trips, and what bad values and hostile texts lead to (cases/users F3). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure, isEmbedded, isLua54, newState, serve, serveSource } from './support.js';

const required = 'local json = require("luafcgid.json")';

/** The text that an expression gives. */
function encoded(expression: string): string {
  return serveSource(`${required} con:puts(json.encode(${expression}))`).body;
}

/** The message of the error that a statement ends with, without its place. */
function message(source: string): string {
  const text = failure(`${required} ${source}`);
  assert.match(text, /^\/srv\/script\.lua:\d+: /, 'the error is told at the line of the script');
  return text.replace(/^\/srv\/script\.lua:\d+: /, '');
}

/** JSON as a long string of Lua. */
const long = (text: string) => `[==[${text}]==]`;

test('what was decoded is encoded as the same value, whatever it is (reports: digits, empty arrays)', () => {
  const { state, run } = newState();
  run(`${required} function main(env, con) con:puts(json.encode(json.decode(con:gets()))) end`);
  const check = (text: string) => {
    const { body } = serve(state, 'main', { body: Buffer.from(text).toString('latin1'), pieceBytes: 1 << 20 });
    assert.deepEqual(JSON.parse(Buffer.from(body, 'latin1').toString()), JSON.parse(text));
  };
  const document = fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 });
  fc.assert(
    fc.property(document, fc.constantFrom(0, 2), (value, indent) =>
      check(JSON.stringify({ value, list: [value] }, null, indent)),
    ),
    { numRuns: 60 },
  );
  check('[0.1, 1e300, 5e-324, 1.7976931348623157e308, 0.30000000000000004, 9007199254740991, -1, 1e21, 123456789.125]');
  check('{"a":[],"b":{},"c":[[],{}],"":"","\\u0000":"\\u0000\\u001f\\"\\\\\\/\\b\\f\\n\\r\\t\\u007f"}');
  state.close();
});

test('null, empty arrays and arrays by metatable are as in lua-cjson', () => {
  assert.equal(encoded('{ json.null }'), '[null]');
  assert.equal(encoded('json.null'), 'null');
  assert.equal(encoded('nil'), 'null');
  assert.equal(
    encoded('{ json.empty_array, {}, setmetatable({}, json.array_mt), setmetatable({}, json.empty_array_mt) }'),
    '[[],{},[],[]]',
  );
  assert.equal(encoded('json.decode("[]")'), '[]');
  const { body } = serveSource(`${required}
    con:puts(tostring(json.decode("null") == json.null), getmetatable(json.decode("[1]")) == json.array_mt and " marked" or "")
    json.decode_array_with_array_mt(false)
    con:puts(" ", json.encode(json.decode("[]")), " ")
    json.encode_empty_table_as_object(false)
    con:puts(json.encode({}), json.encode({ a = {} }))`);
  assert.equal(body, 'true marked {} []{"a":[]}');
});

test('numbers keep their digits; whole ones have no exponent', () => {
  const whole = isLua54 ? '1e15, 2^53' : '1e15, 2^53';
  assert.equal(
    encoded(`{ ${whole}, 0.1, 1/3, -5, 100, 1e-7 }`).replaceAll('.0', ''),
    '[1000000000000000,9007199254740992,0.1,0.3333333333333333,-5,100,1e-07]'.replace(
      '1e-07',
      isEmbedded ? '1e-7' : '1e-07',
    ),
  );
  const { body } = serveSource(
    `${required} json.encode_number_precision(3) con:puts(json.encode({ 1/3 }), json.encode(2/3))`,
  );
  assert.equal(body, '[0.333]0.667');
  if (isLua54) assert.equal(encoded('json.decode("[9223372036854775807,1.0,1]")'), '[9223372036854775807,1.0,1]');
});

/** Sends a JSON text through decode and encode. */
function again(): { text(json: string): string; close(): void } {
  const { state, run } = newState({ memoryBytes: 256 << 20 });
  run(`${required} function main(env, con) con:puts(json.encode(json.decode(con:gets()))) end`);
  return {
    text(json) {
      const { body } = serve(state, 'main', { body: Buffer.from(json).toString('latin1'), pieceBytes: 1 << 22 });
      return Buffer.from(body, 'latin1').toString();
    },
    close: () => state.close(),
  };
}

test('tables of every size and shape stay what they are', () => {
  const { text, close } = again();
  const numbers = (count: number) => Array.from({ length: count }, (_, at) => at * 1.5);
  const records = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ [`field ${at}`]: at, same: 'é/"\\\n' }));
  const deep = (levels: number, inner: unknown): unknown =>
    levels === 0 ? inner : [{ a: deep(levels - 1, inner) }, levels];
  // 26,000 numbers need more than one instruction can count; the last ones go beyond what one function can hold.
  for (const count of [0, 1, 49, 50, 51, 255, 256, 257, 600, 26_000]) {
    const value = {
      list: numbers(count),
      rows: records(Math.min(count, 600)),
      after: ['x', count, null, true, {}, []],
    };
    assert.deepEqual(JSON.parse(text(JSON.stringify(value))), value, `${count} items`);
  }
  for (const levels of [1, 30, 60, 200]) {
    const value = deep(levels, [
      ['a', 1],
      [[2], [3, ['b']]],
    ]);
    assert.deepEqual(JSON.parse(text(JSON.stringify(value))), value, `${levels} levels`);
  }
  const strings = Array.from({ length: 140_000 }, (_, at) => `${at}`);
  assert.deepEqual(JSON.parse(text(JSON.stringify(strings))), strings);
  const wide = [
    [...'abcdefgh'.repeat(6), [...'abcdefgh'.repeat(6), [...'abcdefgh'.repeat(6), [[...'abcdefgh'.repeat(6), ['x']]]]]],
  ];
  assert.deepEqual(JSON.parse(text(JSON.stringify(wide))), wide);
  close();
});

test('numbers come back bit by bit, whatever their exponent', () => {
  const { text, close } = again();
  const doubles = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 20, maxLength: 60 });
  fc.assert(
    fc.property(doubles, (list) => {
      const read = JSON.parse(text(JSON.stringify({ list, one: list[0] }))) as { list: number[]; one: number };
      for (const [at, value] of read.list.entries()) assert.equal(value, (list[at] as number) + 0);
      assert.equal(read.one, (list[0] as number) + 0);
    }),
    { numRuns: 40 },
  );
  // About where the digits are no exact double any more, and powers of ten are none.
  const digits = ['9007199254740991', '9007199254740992', '9007199254740993', '9999999999999999', '4.35', '1'];
  const forms = digits.flatMap((number) => [
    `0.${number.replace('.', '')}`,
    `${number}e22`,
    `${number}e23`,
    `${number}E-22`,
    `-${number}e-23`,
    `0.0000000000000000000000${number.replace('.', '')}`,
  ]);
  assert.deepEqual(JSON.parse(text(`[${forms.join()}]`)), JSON.parse(`[${forms.join()}]`));
  assert.equal(
    text('{"a number with many digits":[0.1,1.10,1.25e2,123456789012345678,0.30000000000000004,-1.5E-3,1e-7]}').replace(
      'e-07',
      'e-7',
    ),
    `{"a number with many digits":[0.1,1.1,${isLua54 ? '125.0,123456789012345678' : '125,123456789012345680'},0.30000000000000004,-0.0015,1e-7]}`,
  );
  close();
});

test('zeros, quotes and marks in strings do not change what is around them', () => {
  const { body } = serveSource(`${required}
    local function same(value)
      local text = json.encode(value)
      return text
    end
    for _, hostile in ipairs({ "a\\0]\\0", "a\\0S\\0009999999999\\0", "}\\0", "\\0", "a\\0003\\0001\\0", "sx", "jx\\0true" }) do
      local list = { "first and longer than others", hostile, "last" }
      local fields = { [hostile] = hostile, other = { hostile } }
      assert(json.decode(same(list))[2] == hostile and #json.decode(same(list)) == 3)
      local read = json.decode(same(fields))
      assert(read[hostile] == hostile and read.other[1] == hostile and next(read, next(read, next(read))) == nil)
    end
    local back = {}
    for i = 40, 1, -1 do back[i] = i end
    assert(#json.decode(json.encode(back)) == 40)
    con:puts(json.encode({ [10] = "a", [20.5] = "b", x = 1 }):len(), " ", json.encode({ 1, "a", true, { 2 }, "b", 2.5, json.null, json.empty_array }))`);
  assert.equal(body, '27 [1,"a",true,[2],"b",2.5,null,[]]');
});

test('what cannot be written is told with its place', () => {
  assert.equal(
    message('json.encode({ x = { y = { 1, 2, nil, 4 } } })'),
    'Cannot serialise table: excessively sparse array (at x.y)',
  );
  assert.equal(message('json.encode({ { a = print } })'), 'Cannot serialise function: type not supported (at [1].a)');
  assert.equal(
    message('json.encode({ a = { 1, 0/0 } })'),
    'Cannot serialise number: must not be NaN or Infinity (at a[2])',
  );
  assert.equal(message('json.encode(1/0)'), 'Cannot serialise number: must not be NaN or Infinity');
  assert.equal(
    message('local t = { b = {} } t.b.c = t json.encode(t)'),
    'Cannot serialise a table that contains itself (at b.c)',
  );
  assert.equal(message('json.encode({ [true] = 1 })'), 'Cannot serialise table: table key must be a number or string');
  assert.equal(message('json.encode({ a = "\\255" })'), 'Cannot serialise string: it is not UTF-8 (at a)');
  assert.match(
    message('local t = {} for i = 1, 1200 do t = { t } end json.encode(t)'),
    /^Cannot serialise, excessive depth \(1001\)/,
  );
  assert.match(message('json.decode(nil)'), /^bad argument #1 to 'decode' \(string expected, got nil\)/);
});

const badTexts: Readonly<Record<string, string>> = {
  '': 'Expected value but found end of the text at character 1',
  '{': 'Expected object key string but found end of the text at character 2',
  '[1,]': "Expected value but found ']' at character 4",
  '{"a":1,}': "Expected object key string but found '}' at character 8",
  '{"a" 1}': "Expected colon but found '1' at character 6",
  '[1 2]': "Expected comma or array end but found '2' at character 4",
  nul: "Expected value but found 'nul' at character 1",
  '1 x': "Expected the end but found 'x' at character 3",
  '01': "Expected a number but found '01' at character 1",
  '1.': "Expected a number but found '1.' at character 1",
  '1e+': "Expected a number but found '1e+' at character 1",
  '+1': "Expected value but found '+1' at character 1",
  '-': "Expected value but found '-' at character 1",
  NaN: "Expected value but found 'NaN' at character 1",
  '"a': 'Unfinished string at character 1',
  '"\\x"': 'Invalid escape at character 2',
  '"\\u12g4"': 'Invalid unicode escape at character 2',
  '"\\ud800"': 'Half a surrogate pair in a unicode escape at character 2',
  '"\\ud800\\u0041"': 'Half a surrogate pair in a unicode escape at character 2',
  '"\t"': 'Control character in a string at character 2',
};

test('a text that is no JSON is refused with the first character that is wrong', () => {
  for (const [text, wanted] of Object.entries(badTexts)) {
    assert.equal(message(`json.decode(${long(text)})`), wanted, text);
    const { body } = serveSource(
      `${required} local value, text = json.safe.decode(${long(text)}) con:puts(tostring(value), text)`,
    );
    assert.equal(body, `nil${wanted}`);
  }
  assert.equal(message('json.decode("\\"\\255\\"")'), 'The text is not UTF-8');
  for (const bytes of ['\\192\\128', '\\237\\160\\128', '\\244\\144\\128\\128', '\\226\\130', '\\128']) {
    assert.equal(message(`json.decode('"${bytes}"')`), 'The text is not UTF-8', bytes);
  }
});

test('deep and long texts and values are read or refused in time that grows with their length', () => {
  assert.match(message('json.decode(("["):rep(100000))'), /^Found too many nested data structures \(1001\)/);
  assert.match(message(`json.decode(('{"a":'):rep(100000))`), /^Found too many nested data structures \(1001\)/);
  const { body } = serveSource(
    `${required}
    local text = "[" .. ("1,"):rep(1e6) .. "1]"
    local list = json.decode(text)
    con:puts(#list, " ", #json.encode(list), " ")
    local text = '"' .. ("\\\\n"):rep(1e6) .. '"'
    con:puts(#json.decode(text), " ", #json.encode(json.decode(text)), " ")
    con:puts(#json.encode(json.decode(("["):rep(1000) .. ("]"):rep(1000))))`,
    {},
    { memoryBytes: 512 << 20 },
  );
  assert.equal(body, '1000001 2000003 1000000 2000002 2000');
});

test('a text that takes more memory than the state has is a memory error, and the state goes on', () => {
  const { state, run } = newState({ memoryBytes: 8 << 20 });
  run(`${required} local text = "[" .. ("[],"):rep(3e5) .. "1]"
    function main() json.decode(text) end
    function after(env, con) con:puts(json.encode(json.decode('{"a":[1]}'))) end`);
  assert.throws(() => serve(state, 'main'), /not enough memory/);
  if (isEmbedded) {
    // Lua 5.1 collects no garbage when an allocation fails.
    for (let step = 0; step < 100; step += 1) state.collectStep();
    assert.equal(serve(state, 'after').body, '{"a":[1]}');
  }
  state.close();
});

test('settings are those of lua-cjson, and each instance has its own', () => {
  const { body } = serveSource(`${required}
    local other = json.new()
    other.encode_invalid_numbers("null") other.decode_invalid_numbers(true) other.encode_escape_forward_slash(true)
    con:puts(other.encode({ 1/0, "a/b" }), tostring(other.decode("[NaN]")[1]):find("nan") and " nan " or "", json.encode("a/b"), " ")
    other.encode_sparse_array(true, 2, 3)
    con:puts(other.encode({ [10] = 1 }), " ", pcall(json.encode, { [10] = 1 }) and "" or "refused", " ")
    other.encode_max_depth(2)
    con:puts(tostring(pcall(other.encode, { { 1 } })), tostring(pcall(other.encode, { { {} } })), json.encode_max_depth())`);
  assert.equal(body, '[null,"a\\/b"] nan "a/b" {"10":1} refused truefalse1000');
  assert.match(message('json.encode_max_depth(0)'), /whole number of at least 1 expected/);
});

test('the env of a request is written in full', () => {
  const { body } = serveSource(`con:puts(require("luafcgid.json").encode({ env = env }))`, { params: { A: 'x' } });
  const { env } = JSON.parse(body) as { env: Record<string, string> };
  assert.equal(env.A, 'x');
});

test('json.script is safe between script tags', () => {
  const { body } = serveSource(`${required} con:puts(json.script({ "</script><!-- &\\226\\128\\168" }))`);
  assert.equal(body, '["\\u003c/script\\u003e\\u003c!-- \\u0026\\u2028"]');
  assert.equal(message('json.script({ print })'), 'Cannot serialise function: type not supported (at [1])');
});

if (isEmbedded) {
  test('where no C module is installed, cjson and cjson.safe are this module with settings of lua-cjson', () => {
    const { body } = serveSource(`local cjson, safe = require("cjson"), require("cjson.safe")
      con:puts(cjson.encode({ "\\255", cjson.null }), " ", cjson.encode({ 1, nil, 3 }), " ", tostring((safe.decode("["))), " ")
      con:puts(select(2, safe.decode("[")), " ", tostring(cjson.null == require("luafcgid.json").null))`);
    assert.equal(body, '["\xff",null] [1,null,3] nil Expected value but found end of the text at character 2 true');
  });
}
