/** The scripts beside the hostile ones: good ones, whose answers must be right, and victims, whose data must stay theirs. */

/** Answers with what the request brought, and nothing else. */
const GOOD = `function main(env, con)
  local body = con:gets() or ""
  con:header("X-Token", env.HTTP_X_TOKEN)
  con:puts("good ", env.HTTP_X_TOKEN, " ", #body, " ", body)
end
`;

/** Has the server open what it needs to reach others, which it keeps. */
const REACH = `function main(env, con) con:puts(require("luafcgid.http").get("http://127.0.0.1:" .. env.HTTP_X_UPSTREAM .. "/").body) end
`;

/** Puts what it was sent everywhere where a script can leave something: globals, the stack of C, coroutines, buffers. */
const VICTIM = `local unpack = unpack or table.unpack
secrets, nested = secrets or {}, nil
local function render(text, depth)
  if depth == 0 then return text end
  return (text:gsub("{(.-)}", function(name) return render("<" .. name .. ">" .. text, depth - 1) end, 1))
end
function main(env, con)
  local token = env.HTTP_X_TOKEN
  secrets[#secrets % 50 + 1] = { token, env.HTTP_COOKIE, token:rep(200) }
  nested = coroutine.wrap(function(...) local a, b = token .. "a", { token } pcall(coroutine.yield, a, b, ...) end)
  nested(unpack({ token, token, token }))
  local page = render("{" .. token .. "}", 10)
  table.sort({ token .. "c", token .. "b", token .. "a" }, function(a, b) return (a .. token) < (b .. token) end)
  local text = token
  for i = 1, 8 do text = text .. text end
  con:puts("victim ", token, " ", #page > 0 and #text == #token * 256 and "well" or "wrong")
end
`;

export const VICTIMS = 6;

export const SITE: Readonly<Record<string, string>> = {
  'good.lua': GOOD,
  'reach.lua': REACH,
  ...Object.fromEntries(Array.from({ length: VICTIMS }, (_, at) => [`victim${at}.lua`, VICTIM])),
};
