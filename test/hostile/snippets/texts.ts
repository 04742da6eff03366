/** Texts, patterns, formats, numbers and tables of impossible sizes and shapes. */
import type { Snippets } from './snippet.js';

export const texts: Snippets = {
  'a text that doubles': 'local s = "x" while true do s = s .. s end',
  'rep of 2^31':
    'for _, n in ipairs({ 2 ^ 31 - 1, 2 ^ 31, 2 ^ 32, 2 ^ 53, 1e300, math.huge, -1, 0 / 0 }) do pcall(string.rep, "x", n) pcall(string.rep, "xxxxxxxxxxxxxxxxx", n) pcall(string.rep, "", n) end',
  'rep of rep':
    'local s = "x" for i = 1, 40 do local ok, r = pcall(string.rep, s, 10) if not ok then break end s = r end con:puts(#s)',
  'rep with a separator': 'pcall(string.rep, "", 1e9, "xx") pcall(string.rep, "x", 1e7, ("y"):rep(1e5))',
  'rep of nothing, for ever': { lua: 'local s = ("").rep("", 1e9) con:puts(#s)', ends: 'lost' },
  'concat of one text often':
    'local t, s = {}, ("x"):rep(2 ^ 20) for i = 1, 300 do t[i] = s end con:puts(#table.concat(t))',
  'concat with a huge separator':
    'local t, s = {}, ("y"):rep(2 ^ 20) for i = 1, 300 do t[i] = "" end con:puts(#table.concat(t, s))',
  'concat of impossible ranges':
    'for _, r in ipairs({ { 1, 2 ^ 31 }, { -2 ^ 31, 2 ^ 31 - 1 }, { 2 ^ 31 - 5, 2 ^ 31 - 1 }, { 1, 2 ^ 53 } }) do pcall(table.concat, {}, "", r[1], r[2]) end',
  'concat of what is no text': 'for _, v in ipairs({ {}, true, print }) do pcall(table.concat, { 1, v }) end',
  'insert at impossible places': {
    lua: 'for _, at in ipairs({ 0, -1, -2 ^ 31, 1e300, 0 / 0 }) do pcall(table.insert, {}, at, 1) end',
  },
  'insert far beyond the end': {
    lua: 'pcall(table.insert, { 1 }, 2 ^ 31 - 1, 1) pcall(table.insert, { 1 }, 2 ^ 31, 1) pcall(table.insert, {}, 1e9, 1)',
    ends: 'lost',
  },
  'remove at impossible places':
    'for _, at in ipairs({ 0, -1, 2 ^ 31, -2 ^ 31, 1e300, 0 / 0 }) do pcall(table.remove, { 1, 2 }, at) pcall(table.remove, {}, at) end',
  'move of impossible ranges': {
    lua: 'for _, r in ipairs({ { 1, 2 ^ 62, 2 }, { -2 ^ 63, 1, 1 }, { 1, 10, 2 ^ 63 - 1 } }) do pcall(table.move, {}, r[1], r[2], r[3]) end',
    on: ['lua5.4'],
  },
  'move of a billion nothings': { lua: 'table.move({}, 1, 2000000000, 2)', on: ['lua5.4'], ends: 'lost' },
  'tables with lengths that lie': {
    lua: 'local t = setmetatable({}, { __len = function() return 1e9 end }) pcall(table.unpack, t) pcall(table.insert, t, 1) local u = setmetatable({}, { __len = function() return "x" end }) pcall(table.concat, u) pcall(table.sort, u)',
    on: ['lua5.4'],
  },
  'sort of a length that lies': {
    lua: 'table.sort(setmetatable({}, { __len = function() return 2 ^ 31 | 0 end, __index = function(_, k) return k end }))',
    on: ['lua5.4'],
  },
  'sort of a lot with a bound':
    'local t = {} for i = 1, 100000 do t[i] = math.random(1000000) end table.sort(t) con:puts(t[1] <= t[2] and "sorted" or "not")',
  'keys that are not numbers':
    'local t = {} pcall(function() t[0 / 0] = 1 end) pcall(function() t[nil] = 1 end) t[math.huge] = 1 t[-math.huge] = 2 con:puts(#t)',
  'a table of a million keys': 'local t = {} for i = 1, 300000 do t["k" .. i] = i end con:puts("full")',
  'a table that is emptied while it is walked':
    'local t = {} for i = 1, 1000 do t[i] = i end for k in pairs(t) do for i = 1, 1000 do t[i] = nil end end',
  'a table that is filled while it is walked':
    'local t, n = { 1 }, 0 pcall(function() for k in pairs(t) do n = n + 1 if n > 5000 then break end t[k .. "x"] = 1 end end)',
  'next of keys that are not there':
    'for _, k in ipairs({ 1, "x", true, {}, 2 ^ 53 }) do pcall(next, {}, k) pcall(next, { 1, 2 }, k) end',
  'array parts with holes':
    'local t = {} for i = 1, 64 do t[2 ^ i] = i end con:puts(#t) for i = 1, 64 do t[-2 ^ i] = i end con:puts(#t)',
  'a literal of very many fields':
    'local parts = {} for i = 1, 60000 do parts[i] = "x" .. i .. "=" .. i end local f = load_text("return {" .. table.concat(parts, ",") .. "}") con:puts(type(f))',
  'very many constants, locals and upvalues':
    'for _, make in ipairs({ function(i) return "local a" .. i .. " = 1 " end, function(i) return "x = " .. i .. ".5 " end, function(i) return "goto l" .. i .. " ::l" .. i .. ":: " end }) do local t = {} for i = 1, 30000 do t[i] = make(i) end con:puts(tostring((load_text(table.concat(t)))), " ") end',
  'source that nests deeply':
    'for _, p in ipairs({ { "(", ")" }, { "{", "}" }, { "function() return ", " end" }, { "do ", " end " }, { "-", "" }, { "not ", "" }, { "a[", "]" }, { "f(", ")" }, { "if x then ", " end " }, { "while x do ", " end " } }) do load_text("return " .. p[1]:rep(20000) .. "1" .. p[2]:rep(20000)) load_text(p[1]:rep(20000) .. p[2]:rep(20000)) end',
  'a chain of concatenations in source':
    'for _, n in ipairs({ 190, 1000, 50000 }) do local f = load_text("return " .. ("1 .. "):rep(n) .. "1") if f then pcall(f) end end',
  'source of ten thousand branches':
    'local f = load_text("local x = 1 if x == 0 then " .. (" elseif x == 2 then x = 3"):rep(10000) .. " end") if f then f() end',
  'source with every byte':
    'for b = 0, 255 do local c = string.char(b) load_text(c) load_text("x" .. c .. "=1") load_text("\\"" .. c .. "\\"") load_text("--[" .. c) end',
  'long brackets of any level':
    'for n = 0, 200, 50 do load_text("return [" .. ("="):rep(n) .. "[x]" .. ("="):rep(n) .. "]") load_text("[" .. ("="):rep(100000)) end',
  'numbers of any length in source':
    'for _, s in ipairs({ ("9"):rep(100000), "0x" .. ("f"):rep(100000), "1e" .. ("9"):rep(1000), "0." .. ("0"):rep(10000) .. "1" }) do local f = load_text("return " .. s) if f then f() end pcall(tonumber, s) end',
  'formats of impossible widths':
    'for _, f in ipairs({ "%99d", "%.99f", "%99.99f", "%100d", "%.1000f", "%-+ #0d", "%-+ #0-+ d", "%1$s", "%*d", "%n", "%", "%5", "%ll", "%p", "%a", "%q" }) do pcall(string.format, f, 1e308) pcall(string.format, f, "x") pcall(string.format, f) end',
  'formats of very many arguments':
    'local t = {} for i = 1, 200 do t[i] = 1e308 end con:puts(#string.format(("%99.99f"):rep(200), unpack(t)))',
  'formats of huge texts':
    'local s = ("x"):rep(2 ^ 20) con:puts(#string.format("%s%s%q", s, s, s)) pcall(string.format, "%99.99s", s)',
  'quotes of every byte':
    'local t = {} for b = 0, 255 do t[#t + 1] = string.char(b) end con:puts(#string.format("%q", table.concat(t):rep(1000)))',
  'characters out of range':
    'for _, n in ipairs({ -1, 256, 2 ^ 31, 1e300, 0 / 0, math.huge }) do pcall(string.char, n) end pcall(function() return string.char(unpack({}, 1, 5000)) end)',
  'bytes of impossible ranges':
    'local s = ("x"):rep(2 ^ 20) pcall(string.byte, s, 1, -1) pcall(string.byte, s, -2 ^ 31, 2 ^ 31) pcall(string.byte, "x", 2 ^ 31, 2 ^ 53) pcall(string.byte, s, 1, 100000)',
  'pieces of impossible ranges':
    'for _, r in ipairs({ { -2 ^ 31, 2 ^ 31 }, { 2 ^ 31, -2 ^ 31 }, { -2 ^ 53, 2 ^ 53 }, { 0 / 0, 0 / 0 }, { 1e300, -1e300 } }) do pcall(string.sub, "abc", r[1], r[2]) pcall(string.find, "abc", "b", r[1]) pcall(string.find, "abc", "b", r[2], true) end',
  'a pattern that backtracks': { lua: 'string.find(("a"):rep(40), ("a-"):rep(14) .. "b")', ends: 'lost' },
  'patterns that are cut anywhere':
    'local p = "^(%a[^%]%w]-)%b()%f[%w]%1(.-)$" for i = 1, #p do for k = i, #p do pcall(string.find, "x(y)z w", p:sub(i, k)) pcall(string.gsub, "x(y)z w", p:sub(i, k), "%1%2%0") end end',
  'patterns with very many captures':
    'for _, n in ipairs({ 31, 32, 33, 1000 }) do pcall(string.find, ("x"):rep(n), ("(.)"):rep(n)) pcall(string.find, "x", ("("):rep(n)) pcall(string.find, "x", ("()"):rep(n)) pcall(string.gsub, "x", "(x)", ("%1"):rep(n) .. "%9") end',
  'patterns that are long':
    'for _, item in ipairs({ "a*", "a?", "a-", "[ab]", "(a)", "%b()", "." }) do for _, n in ipairs({ 100, 3000 }) do pcall(string.find, ("a"):rep(n), "^" .. item:rep(n)) end end',
  'balanced and frontier patterns at the edges':
    'for _, p in ipairs({ "%b", "%bx", "%f", "%f[", "%fx", "%g", "%1", "%0", "[]", "[^]", "[%", "[a-", "[%a-z]", "%" }) do pcall(string.find, "x", p) pcall(string.match, "", p) pcall(string.gsub, "xx", p, "") end',
  'gmatch that matches nothing for ever':
    'local n = 0 for _ in ("x"):rep(10000):gmatch("y*") do n = n + 1 end con:puts(n)',
  'gsub that grows a text':
    'local s = "x" for i = 1, 40 do local ok, r = pcall(string.gsub, s, ".", "%0%0%0%0%0%0%0%0") if not ok or #r > 2 ^ 22 then break end s = r end con:puts(#s)',
  'gsub with replacements that are cut':
    'for _, r in ipairs({ "%", "%%", "%x", "%10", "%0%", "\\0", ("%0"):rep(5000) }) do pcall(string.gsub, ("a"):rep(100), "a", r) end',
  'numbers from texts':
    'for _, s in ipairs({ "", " ", "0x", "1e", "1e999", "-0x1p-9999", "nan", "inf", "1_0", ("1"):rep(100000), "\\0", "1\\0" }) do for base = 2, 36, 17 do pcall(tonumber, s, base) end pcall(tonumber, s) end for _, b in ipairs({ 0, 1, 37, -1, 1e300 }) do pcall(tonumber, "1", b) end',
  'mathematics at the edges':
    'for _, f in pairs(math) do if type(f) == "function" and f ~= math.randomseed then for _, v in ipairs({ 0, -1, 1e308, -1e308, 1 / 0, 0 / 0, 2 ^ 53, 2 ^ 63 }) do pcall(f, v) pcall(f, v, v) pcall(f, v, -v) end end end',
  'for loops at the edges':
    'for i = 1, 0 / 0 do end for i = 2 ^ 53, 2 ^ 53 + 4, 2 do end pcall(function() for i = 1, 10, 0 do break end end) for i = 1, math.huge do if i > 1000 then break end end',
  'integers that overflow': {
    lua: 'local f = load_text([[local m = math.mininteger local t = {} for _, g in ipairs({ function() return m // -1 end, function() return m % -1 end, function() return 1 // 0 end, function() return 1 << 64, 1 >> -64, m >> 63 end, function() for i = math.maxinteger - 1, math.maxinteger do t[i] = 1 end end }) do pcall(g) end]]) f()',
    on: ['lua5.4'],
  },
  'packed texts that lie': {
    lua: 'for _, f in ipairs({ "s8", "z", "i16", "i17", "!17i", "s1", "Xi8", "!8 Xi16", "c2147483647", ("i8"):rep(1000), "<>=!", "j" }) do pcall(string.unpack, f, ("\\255"):rep(64)) pcall(string.pack, f, ("x"):rep(300)) pcall(string.packsize, f) pcall(string.pack, f, 2 ^ 62) end',
    on: ['lua5.4'],
  },
  'utf8 of every byte': {
    lua: 'for b = 0, 255 do local s = string.char(b, 200 - b % 100, 128) pcall(utf8.len, s) pcall(utf8.codepoint, s, 1, -1) for _ in pcall(utf8.codes, s) and utf8.codes("x") or next, {} do break end end for _, n in ipairs({ -1, 2 ^ 31, 2 ^ 62, 0x7fffffff }) do pcall(utf8.char, n | 0) end pcall(utf8.offset, "x", 2 ^ 62 | 0)',
    on: ['lua5.4'],
  },
  'dates at the edges':
    'for _, t in ipairs({ 0, -1, 1e10, -1e10, 2 ^ 31, 2 ^ 53, -2 ^ 53, 1e300, 0 / 0, 1 / 0 }) do for _, f in ipairs({ "*t", "!*t", "%c", "%Z", "!%x %X", "%", "%E", ("%c"):rep(500), "%5", "\\0" }) do pcall(os.date, f, t) end pcall(os.difftime, t, -t) end',
  'times at the edges':
    'for _, v in ipairs({ 0, -1, 2 ^ 31, -2 ^ 31, 1e300, 0 / 0, "x", "9", {} }) do pcall(os.time, { year = v, month = v, day = v, hour = v, min = v, sec = v }) pcall(os.time, { year = 2020, month = v, day = v }) pcall(os.time, { year = v, month = 1, day = 1 }) end',
};
