/** Numbers beyond 32 bits in every function of the embedded Lua: as in a stock Lua 5.1 of a 64-bit system. */
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { FileHost } from '../../../src/lua/state.js';
import { newState, serveSource } from '../support.js';

const evaluate = (expression: string): string => {
  const { state, evaluate } = newState();
  try {
    return evaluate(expression);
  } finally {
    state.close();
  }
};

/** An expression, and what Lua 5.1.5 gives for it as text. */
const cases: readonly (readonly [string, string])[] = [
  // Integers of string.format (fidelity D-A1, reports A4).
  ['("%d"):format(3000000000)', '3000000000'],
  ['("%d %u %x"):format(2^31, 2^32 + 5, 2^36)', '2147483648 4294967301 1000000000'],
  ['("%i"):format(-2^31 - 1)', '-2147483649'],
  ['("%d"):format(2^53)', '9007199254740992'],
  ['("%d"):format(-2^63)', '-9223372036854775808'],
  ['("%d"):format(1e300)', '-9223372036854775808'],
  ['("%u"):format(-1)', '18446744073709551615'],
  ['("%x %X %o"):format(-1, -2, -8)', 'ffffffffffffffff FFFFFFFFFFFFFFFE 1777777777777777777770'],
  ['("%x %o"):format(2^40, 2^40)', '10000000000 20000000000000'],
  ['("[%15d][%-15d][%015d]"):format(2^40, 2^40, -2^40)', '[  1099511627776][1099511627776  ][-01099511627776]'],
  [
    '("%+d % d %#x %#o %.20d"):format(2^33, 2^33, 2^33, 2^33, 2^33)',
    '+8589934592  8589934592 0x200000000 0100000000000 00000000008589934592',
  ],
  ['("%5.15d|%-+20.15d|"):format(2^33, 2^33)', '000008589934592|+000008589934592    |'],
  ['("%s %d %% %d %s"):format("a", "3000000000", 7, 2^40)', 'a 3000000000 % 7 1099511627776'],
  ['("%c%d"):format(65, 2^32)', 'A4294967296'],
  ['("%5.1f %d"):format(2^40, 2^40)', '1099511627776.0 1099511627776'],
  ['("%d"):format(os.time({ year = 2200, month = 1, day = 1, hour = 12 })) + 0 > 2^32', 'true'],
  ['select(2, pcall(string.format, "%d %y", 2^40, 1))', "invalid option '%y' to 'format'"],
  ['select(2, pcall(string.format, "%d %d", 2^40))', "bad argument #3 to '?' (no value)"],
  ['select(2, pcall(string.format, "%0000000d", 2^40))', 'invalid format (repeated flags)'],
  // tonumber with a base.
  ['("%.0f"):format(tonumber("ffffffffff", 16))', '1099511627775'],
  ['("%.0f"):format(tonumber("1f00000000", 16))', '133143986176'],
  ['("%.0f"):format(tonumber("zzzzzzz", 36))', '78364164095'],
  ['("%.0f"):format(tonumber(("1"):rep(40), 2))', '1099511627775'],
  ['("%.0f"):format(tonumber("80000000", 16))', '2147483648'],
  ['("%.0f"):format(tonumber("-1", 16))', '18446744073709551616'],
  ['("%.0f"):format(tonumber(("f"):rep(100), 16))', '18446744073709551616'],
  ['tonumber("0xff", 16)', '255'],
  ['tonumber(" 7f ", 16)', '127'],
  ['tonumber("8589934592z", 16)', 'nil'],
  ['tonumber("8589934592", 10)', '8589934592'],
  ['("%.0f"):format(tonumber(8589934592, 16))', '573538780562'],
  ['tonumber("0x")', 'nil'],
  ['pcall(function() return "0x" + 1 end)', 'false'],
  ['loadstring("return 0x") == nil', 'true'],
  // Positions in strings.
  ['("abc"):sub(1, 2^31)', 'abc'],
  ['("abc"):sub(-2^31)', 'abc'],
  ['("abc"):sub(-2^40, 2^40)', 'abc'],
  ['("abc"):sub(2^31)', ''],
  ['("abc"):sub("2", "4294967296")', 'bc'],
  ['("abc"):find("b", 2^31)', 'nil'],
  ['("abc"):find("b", -2^32)', '2'],
  ['("abc"):match("b", 2^32)', 'nil'],
  ['select("#", ("abc"):byte(1, 2^32))', '3'],
  ['select("#", ("abc"):byte(2^32))', '0'],
  // Where C has an int, the stock interpreter takes the low 32 bits.
  ['("ab"):rep(2^32)', ''],
  ['("ab"):rep(2^32 + 2)', 'abab'],
  ['string.char(2^32 + 65)', 'A'],
  ['("aaa"):gsub("a", "b", 2^32 + 1)', 'baa'],
  ['select(2^32 + 2, "a", "b")', 'b'],
  ['select(-2^32 - 1, "a", "b")', 'b'],
  ['table.concat({ 1, 2, 3 }, ",", 2^32 + 2)', '2,3'],
  ['select("#", unpack({ 1, 2, 3 }, 2^32 + 2, 2^32 + 3))', '2'],
  ['table.remove({ 1, 2, 3 }, 2^32 + 1)', '1'],
  ['(function() local t = { 1, 2 } table.insert(t, 2^32 + 1, "x") return t[1] end)()', 'x'],
  ['math.ldexp(1, 2^32 + 3)', '8'],
  ['(function() local r = math.random(2^32 + 1, 2^32 + 1) return r end)()', '1'],
  // Times.
  ['os.date("!%Y-%m-%d", 1e11)', '5138-11-16'],
  ['os.difftime(2^40, 2^39)', '549755813888'],
  ['os.date("!%Y", 1e18)', 'nil'],
];

describe('numbers beyond 32 bits in the embedded Lua', () => {
  for (const [expression, wanted] of cases) {
    it(`${expression} is ${wanted}`, () => assert.equal(evaluate(expression), wanted));
  }

  it('con:cookie keeps a maxage beyond 2^31 (fidelity D-A1)', () => {
    const { calls } = serveSource('con:cookie("a", "b", { maxage = 4000000000 })');
    assert.deepEqual(calls, ['header Set-Cookie: a=b; Max-Age=4000000000']);
  });

  it('functions of the library stay what they were to the debug library', () => {
    for (const name of ['string.format', 'string.sub', 'tonumber', 'os.date', 'os.setlocale']) {
      assert.equal(evaluate(`debug.getinfo(${name}).what .. #debug.getinfo(${name}, "S").source`), 'C4', name);
    }
  });
});

describe('os.setlocale of the embedded Lua', () => {
  for (const [expression, wanted] of [
    ['os.setlocale("xx_YY")', 'nil'],
    ['os.setlocale("pt_BR")', 'nil'],
    ['os.setlocale("")', 'C'],
    ['os.setlocale("C", "numeric")', 'C'],
    ['os.setlocale(nil, "all")', 'C'],
    ['select(2, pcall(os.setlocale, "C", "wrong"))', "bad argument #2 to '?' (invalid option 'wrong')"],
  ] as const) {
    it(`${expression} is ${wanted} (fidelity D-A7)`, () => assert.equal(evaluate(expression), wanted));
  }
});

describe('file:seek beyond 2 GiB', () => {
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-seek-'));
  const file = join(folder, 'large');
  const bytes = 3 * 2 ** 30;
  const notUsed = (): never => {
    throw new Error('these tests do not use it');
  };
  const files: FileHost = {
    largestBytes: Number.POSITIVE_INFINITY,
    attributes: notUsed,
    list: notUsed,
    makeDirectory: notUsed,
    removeDirectory: notUsed,
    touch: notUsed,
    open: (path, how) => openSync(path, how.writes ? (how.truncates ? 'w' : 'r+') : 'r'),
    remove() {},
    rename() {},
    makeTemporary: () => '',
  };
  const run = (body: string): string =>
    serveSource(`local f = assert(io.open("${file}", "r+")) ${body} f:close()`, {}, { files }).body;

  it('tells and sets positions as a 64-bit system does (fidelity D-A1)', (t) => {
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(file, 'head');
    truncateSync(file, bytes);
    const show = (call: string): string => run(`con:puts(tostring(${call}))`);
    assert.equal(show('f:seek("end")'), String(bytes));
    assert.equal(show('f:seek("set", 3 * 2^30 - 10)'), String(bytes - 10));
    assert.equal(show('f:seek("set", 2^40)'), String(2 ** 40));
    assert.equal(show('f:seek("end", -3 * 2^30 + 1)'), '1');
    assert.equal(show('f:read(2) and f:seek("cur", 2^32)'), String(2 ** 32 + 2));
    assert.equal(show('f:seek("cur", -2^32)'), 'nil');
    assert.equal(show('select(2, f:seek("cur", -2^32))'), 'Invalid argument');
    assert.equal(show('select(2, pcall(f.seek, f, "wrong", 2^32))'), "bad argument #2 to '?' (invalid option 'wrong')");
    assert.equal(
      run(
        'f:write("HEAD") f:seek("set", 3 * 2^30) f:write("tail") f:seek("set", 3 * 2^30 - 2) con:puts(#f:read(2^32), " ", f:seek())',
      ),
      `6 ${bytes + 4}`,
    );
    assert.equal(
      run('f:seek("set", 3 * 2^30) con:puts(f:read("*a")) f:seek("set", 0) con:puts(f:read(4))'),
      'tailHEAD',
    );
  });
});
