/**
 * What reads bytes of clients looks at each of them a fixed number of times. Counted, not timed: the library's sources run
 * with string functions that count the bytes they look at, and input of twice the size may cost twice as much.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { luaFile } from '../../src/lua/runtime/manifest.js';
import { compatible, newState, serve } from './support.js';

const sourceOf = (name: string): string => readFileSync(luaFile(`library/${name}.lua`), 'latin1');

/**
 * A function of a Lua source that sees counting string functions. `find`, and `match` at a place, count up to what they found,
 * all others all of their text; Lua code itself counts by its instructions.
 */
const METER = `
  local work = 0
  local counting = setmetatable({}, { __index = string })
  function counting.find(text, pattern, at, plain)
    local results = { string.find(text, pattern, at, plain) }
    -- What begins with "^" looks at one place only; how far is told by what it found.
    local first = at or 1
    local last = results[2] or (pattern:sub(1, 1) == "^" and not plain and first) or #text
    work = work + last - first + 1
    return unpack(results)
  end
  function counting.match(text, pattern, at)
    local results = { string.match(text, pattern, at) }
    work = work + (at and pattern:sub(1, 1) == "^" and #(results[1] or "") + 1 or #text)
    return unpack(results)
  end
  function counting.byte(text, first, last)
    first = first or 1
    work = work + (last or first) - first + 1
    return string.byte(text, first, last)
  end
  for _, name in ipairs({ "gsub", "sub", "lower" }) do
    local plain = string[name]
    counting[name] = function(...)
      local results = { plain(...) }
      work = work + (name == "sub" and #results[1] or #(...))
      return unpack(results)
    end
  end
  function counting.gmatch(text, pattern)
    work = work + #text
    return string.gmatch(text, pattern)
  end
  local function load_counting(source, name, ...)
    local globals = setmetatable({ string = counting }, { __index = _G })
    local chunk
    if setfenv then chunk = setfenv(assert(loadstring(source, name)), globals) else chunk = assert(load(source, name, "t", globals)) end
    return chunk(...)
  end
  local parts = { arguments = { text = function(value) return value end }, luafcgid = {} }
  parts.utf8 = { is_valid = function(text) work = work + #text return true end }
  for _, name in ipairs({ "url", "form", "cookie", "json-decode" }) do parts[name] = load_counting(sources[name], "=" .. name, parts) end
  local url, form, cookie = parts.url, parts.form, parts.cookie
  local limits = { parts = 1e9, field = 1e9, memory = 1e9 }
  local parsers = {
    query = function(text) return url.parse(text, 1e9) end,
    multipart = function(text) return form.multipart(text, "multipart/form-data; boundary=x", limits) end,
    type = function(text) return form.multipart("--x--", text, limits) end,
    cookie = function(text) return cookie.read(text, 1e9) end,
    json = function(text) return parts["json-decode"].decode(text, { decode_depth = 1000, checks_utf8 = true }) end,
  }
  function measure(env, con)
    local text = con:gets()
    work = 0
    if jit then jit.off() end -- compiled code calls no hook
    debug.sethook(function() work = work + 100 end, "", 100)
    parsers[env.PARSER](text)
    debug.sethook()
    con:puts(string.format("%d", work))
  end`;

const { state, run } = newState({ memoryBytes: 256 << 20 });
after(() => state.close());
const long = (text: string): string => `[=====[\n${text}]=====]`;
run(
  `${compatible}local sources = { ${['url', 'form', 'cookie', 'json-decode']
    .map((name) => `["${name}"] = ${long(sourceOf(name))}`)
    .join(', ')} }\n${METER}`,
);

function workOf(parser: string, body: string): number {
  return Number(serve(state, 'measure', { params: { PARSER: parser }, body, pieceBytes: 1 << 20 }).body);
}

const PARTS = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n';
/** Inputs of about so many bytes, each a shape that a parser may look at again and again. */
const SHAPES: readonly { readonly parser: string; readonly name: string; readonly text: (size: number) => string }[] = [
  ...['a=1&', '&', '=', 'a', '%41', '%', '+', 'a=b=c', '\0'].map((piece) => ({
    parser: 'query',
    name: JSON.stringify(piece),
    text: (size: number) => piece.repeat(size / piece.length),
  })),
  ...['a=1; ', ';', '=', ' ', 'a ', ' a', 'a=" ', '"', 'a=%41;', ' = '].map((piece) => ({
    parser: 'cookie',
    name: JSON.stringify(piece),
    text: (size: number) => piece.repeat(size / piece.length),
  })),
  { parser: 'cookie', name: 'a value that ends in spaces', text: (size) => `a=b${' '.repeat(size)}c` },
  ...[
    '--x\r\nA\r\n', // reports A2: parts whose heads never end
    PARTS,
    '\r\n--x',
    '\r\n--x ',
    '\r\n--',
    '\r',
    '\r\n',
    '\r\n\r\n',
    '--x\r\n',
    '--x\r\n\r\n',
    '--x\r\n\r\n\r\n',
    ' ',
  ].flatMap((piece) =>
    ['', '\r\n--x--\r\n'].map((end) => ({
      parser: 'multipart',
      name: `${JSON.stringify(piece)}${end === '' ? '' : ' with an end'}`,
      text: (size: number) => `--x\r\n\r\n${piece.repeat(size / piece.length)}${end}`,
    })),
  ),
  ...['A: b\r\n', 'A\r\n', ':', 'Content-Disposition: form-data\r\n', ' ', '\t:'].map((piece) => ({
    parser: 'multipart',
    name: `${JSON.stringify(piece)} in one head`,
    text: (size: number) => `--x\r\n${piece.repeat(size / piece.length)}\r\n\r\nz\r\n--x--\r\n`,
  })),
  ...[
    ['[', '1,'],
    ['[', '"a",'],
    ['[', '"\\\\",'],
    ['["', '\\u0041'],
    ['["', '\\"'],
    ['["', 'a'],
    ['["\\', ' "'],
    ['[', ' '],
    ['[\n', '"a",\n'],
    ['[', '-'],
    ['[', '1'],
    ['[1.', '1'],
    ['[1e', '1'],
    ['[', 't'],
    ['', '['],
    ['{', '"a":1,'],
    ['', '{"a":'],
  ].map(([start = '', piece = '']) => ({
    parser: 'json',
    name: `${start}, then ${JSON.stringify(piece)}`,
    text: (size: number) => start + piece.repeat(size / piece.length),
  })),
  ...['; name=a', '; name="a"', '; a="\\', '\\"', ';', '; ', ' =', '"'].map((piece) => ({
    parser: 'multipart',
    name: `${JSON.stringify(piece)} in one disposition`,
    text: (size: number) =>
      `--x\r\nContent-Disposition: form-data${piece.repeat(size / piece.length)}\r\n\r\nz\r\n--x--\r\n`,
  })),
  ...['; a=b', '; a="b"', ';', ' ', '; =', '\\'].map((piece) => ({
    parser: 'type',
    name: `${JSON.stringify(piece)} before the boundary`,
    text: (size: number) => `multipart/form-data${piece.repeat(size / piece.length)}; boundary=x`,
  })),
];

describe('input of twice the size costs at most a little more than twice', () => {
  for (const { parser, name, text } of SHAPES) {
    it(`for ${parser}: ${name}`, () => {
      const [small, large] = [workOf(parser, text(20_000)), workOf(parser, text(40_000))];
      assert.ok(large <= 2.5 * small + 5000, `${small} for 20,000 bytes, ${large} for 40,000`);
      // JSON is read token by token, of which some have two bytes.
      const mostPerByte = parser === 'json' ? 250 : 80;
      assert.ok(large <= mostPerByte * 40_000, `${large} for 40,000 bytes`);
    });
  }
});
