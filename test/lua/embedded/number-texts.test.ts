/** Whole numbers as texts: their digits are not written by the C library (issue 14). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newState, serve } from '../support.js';

/** Numbers at which the number of digits, or who writes them, changes. */
const EDGES = [0, 9, 10, 99, 100, 12345, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 1e14 - 1].flatMap((value) => [
  value,
  -value,
]);

test('whole numbers are the same texts in each way, also negative zero and those beyond 32 bits', () => {
  const { state, run } = newState();
  run(`local ways = {
      tostring, function(n) return n .. "" end, function(n) return table.concat({ n }) end, function(n) return ("%s"):format(n) end,
      function(n) return (("x"):gsub("x", { x = n })) end, function(n) return string.format("%.14g", n) end,
    }
    function main(env, con)
      local lines = {}
      for value in env.QUERY_STRING:gmatch("[^,]+") do
        local number, texts = value == "-0" and 0 or tonumber(value), {}
        if value == "-0" then number = -number end
        for at, way in ipairs(ways) do texts[at] = way(number) end
        for at = 2, #texts do assert(texts[at] == texts[1], value .. ": " .. texts[at] .. " is not " .. texts[1]) end
        lines[#lines + 1] = texts[1]
      end
      con:puts(table.concat(lines, ","))
    end`);
  const texts = EDGES.map((value) => (Object.is(value, -0) ? '-0' : String(value)));
  const random = Array.from({ length: 300 }, (_, at) =>
    String((at % 2 === 0 ? 1 : -1) * Math.floor(10 ** ((at % 99) / 10))),
  );
  const all = [...texts, ...random.filter((text) => text.length <= 14)].join(',');
  assert.equal(serve(state, 'main', { params: { QUERY_STRING: all } }).body, all);
});

test('what is no whole number is written as before', () => {
  const { state, run } = newState();
  run(
    'function main(env, con) con:puts(0.5, " ", -0.5, " ", 1 / 3, " ", 1e14, " ", 2^53, " ", -1e300, " ", 1 / 0, " ", -1 / 0) end',
  );
  assert.equal(serve(state, 'main').body, '0.5 -0.5 0.33333333333333 1e+14 9.007199254741e+15 -1e+300 inf -inf');
});
