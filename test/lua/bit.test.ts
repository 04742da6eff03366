/** The module bit, where it is not Lua's own: it is to be the same as LuaJIT's (cases/users F13). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, newState, serve } from './support.js';

const values = [
  0,
  1,
  -1,
  2,
  255,
  256,
  65_535,
  2 ** 31,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32,
  2 ** 32 - 1,
  2 ** 40 + 7,
  -12_345_678,
  0x12345678,
];
const rotate = (value: number, by: number) => (by === 0 ? value | 0 : (value << by) | (value >>> (32 - by)));

/** By name: what JavaScript makes of two numbers. */
const operations: Readonly<Record<string, (a: number, b: number) => number>> = {
  band: (a, b) => a & b,
  bor: (a, b) => a | b,
  bxor: (a, b) => a ^ b,
  lshift: (a, b) => a << b,
  rshift: (a, b) => (a >>> b) | 0,
  arshift: (a, b) => a >> b,
  rol: (a, b) => rotate(a, b & 31),
  ror: (a, b) => rotate(a, -b & 31),
  tobit: (a) => a | 0,
  bnot: (a) => ~a,
  bswap: (a) => Buffer.from(Int32Array.of(a).buffer).readInt32BE(0),
};

test('all operations give what they give in LuaJIT', () => {
  const { state, run } = newState();
  run(`local bit = require("bit") function main(env, con)
    local op, a, b = con:gets():match("(%S+) (%S+) (%S+)")
    con:puts(("%d"):format(bit[op](tonumber(a), tonumber(b)))) end`);
  for (const [name, compute] of Object.entries(operations)) {
    for (const a of values) {
      for (const b of values.slice(0, 9)) {
        const { body } = serve(state, 'main', { body: `${name} ${a} ${b}` });
        assert.equal(Number(body), compute(a, b), `${name}(${a}, ${b})`);
      }
    }
  }
  state.close();
});

test('many arguments, fractions, digits and errors are as in LuaJIT', () => {
  const { evaluate } = newState();
  assert.equal(
    evaluate('require("bit").bor(1, 2, 4, 8) + require("bit").bxor(1, 1, 1) + require("bit").band(7)'),
    '23',
  );
  assert.equal(
    evaluate('table.concat({ require("bit").tobit(0.5), require("bit").tobit(1.5), require("bit").tobit(-1.5) }, " ")'),
    '0 2 -2',
  );
  assert.equal(
    evaluate(
      'require("bit").tohex(-1) .. require("bit").tohex(255, 4) .. require("bit").tohex(255, -4) .. require("bit").tohex(1, 0)',
    ),
    'ffffffff00ff00FF',
  );
  assert.match(
    failure('local band = require("bit").band band({}, 1)'),
    /bad argument #1 to '[^']*' \(number expected, got table\)/,
  );
});
