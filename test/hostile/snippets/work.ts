/** Loops of functions and operators that work in C for long: those of the embedded engine end between two of them (attacks F13.5). */
import type { EngineName } from '../../../src/lua/engine-names.js';
import type { Snippet, Snippets } from './snippet.js';

const EMBEDDED: readonly EngineName[] = ['embedded'];

/** @param setUp what is done before the loop. On a busy machine one step may take so long that the worker is given up. */
const loop = (setUp: string, work: string): Snippet => ({
  lua: `${setUp} while true do ${work} end`,
  on: EMBEDDED,
  ends: 'stopped',
});
const long = (count: string): string => `local s = ("x"):rep(${count})`;

export const work: Snippets = {
  'formats of long texts': loop(long('2 ^ 18'), 'local x = ("%q%s"):format(s, s)'),
  'numbers from long texts': loop('local s = ("1"):rep(2 ^ 18)', 'tonumber(s) tonumber(s, 10)'),
  'chunks of long source': loop('local s = ("x = 1 "):rep(20000)', 'load_text(s)'),
  'chunks that are dumped': loop('', 'load_text(string.dump(load_text("return 1")))'),
  'cycles of a large heap': loop('local t = {} for i = 1, 3e4 do t[i] = {} end', 'collectgarbage()'),
  'comparisons of long texts': loop(`${long('2 ^ 20')} local a, b = s .. "a", s .. "b"`, 'local c = a < b'),
  'joined long texts': loop(long('2 ^ 17'), 'local c = s .. s'),
  'reversed long texts': loop(long('2 ^ 18'), 's:reverse() s:upper()'),
  'bytes and characters': loop(long('4000'), 'string.char(s:byte(1, -1))'),
  'thousands of arguments': loop('local t = {} for i = 1, 7000 do t[i] = i end', 'select(-1, unpack(t))'),
  'lists that are sorted': loop('local t = {} for i = 1, 2e4 do t[i] = i % 2 end', 'table.sort(t)'),
  'lists that are joined': loop('local t = {} for i = 1, 2e4 do t[i] = i + 0.1 end', 'table.concat(t)'),
  'lists that are emptied from the front': loop(
    '',
    'local t = {} for i = 1, 3e4 do t[i] = i end while #t > 0 do table.remove(t, 1) end',
  ),
  'lists that are filled from the front': loop('local t = {}', 'table.insert(t, 1, 0)'),
  'lines of a long function': loop(
    'local t = {} for i = 1, 5000 do t[i] = "x = " .. i end local f = load_text(table.concat(t, "\\n"))',
    'debug.getinfo(f, "L")',
  ),
  'stacks that are told': loop(
    'local function deep(n, f) if n == 0 then return f() end return 1 + deep(n - 1, f) end',
    'deep(200, function() debug.traceback() return 0 end)',
  ),
};
