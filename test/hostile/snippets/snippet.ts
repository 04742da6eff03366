/** What a hostile script is, and what all of them begin with. */
import type { EngineName } from '../../../src/lua/engine-names.js';

export interface Snippet {
  /** The body of the handler; or the whole file, where `isWhole`. */
  readonly lua: string;
  /** The engines on which it means something; left out: all. */
  readonly on?: readonly EngineName[];
  /** `stopped`: only the watchdog ends it. `lost`: its worker may be lost as well. Left out: it ends by itself. */
  readonly ends?: 'stopped' | 'lost';
  readonly isWhole?: boolean;
}

/** By name. A text is a snippet without any of the rest. */
export type Snippets = Readonly<Record<string, string | Snippet>>;

export const LUA_51: readonly EngineName[] = ['embedded', 'lua5.1', 'luajit'];
export const NATIVE: readonly EngineName[] = ['lua5.1', 'lua5.4', 'luajit'];

/**
 * Before each handler, on one line. LuaJIT's compiler is off, since compiled code looks at no hook. `spill` puts every text that can be
 * reached from a value.
 */
export const HEAD = `if jit then jit.off() end
local load_text, unpack = loadstring or load, unpack or table.unpack
local function finalized(run)
  if newproxy then local p = newproxy(true) getmetatable(p).__gc = run return p end
  return setmetatable({}, { __gc = run })
end
local function spill(con, root, most)
  local seen, left, put = {}, most or 3000, 0
  local function walk(value)
    if left <= 0 or seen[value] then return end
    local kind = type(value)
    if kind == "string" then
      put = put + #value
      if put < 300000 then con:puts(value, "\\n") end
      return
    end
    if kind ~= "table" and kind ~= "function" and kind ~= "thread" and kind ~= "userdata" then return end
    seen[value], left = true, left - 1
    local meta = debug.getmetatable(value)
    if meta then walk(meta) end
    if kind == "table" then
      for k, v in next, value do walk(k) walk(v) end
    elseif kind == "function" then
      for i = 1, 60 do
        local name, inner = debug.getupvalue(value, i)
        if name == nil then break end
        if inner ~= nil then walk(inner) end
      end
      if debug.getfenv then walk(debug.getfenv(value)) end
    end
  end
  if root ~= nil then walk(root) end
end
`;

/** What a hostile handler gets. Others get more, so that a busy machine stops none of them. */
const WATCHDOG_S = 0.25;

/** The file of a snippet. @param canWait its handler runs where it can wait, which changes what \`pcall\` and coroutines are */
export function scriptOf(snippet: string | Snippet, canWait: boolean): string {
  const { lua, isWhole = false } = typeof snippet === 'string' ? { lua: snippet } : snippet;
  const text = isWhole
    ? `${HEAD}${lua}\n`
    : `${HEAD}function main(env, con) con:config("watchdog", ${WATCHDOG_S})\n${lua}\nend\n`;
  return canWait ? `${text}-- require("luafcgid")\n` : text;
}
