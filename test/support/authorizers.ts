/** Scripts for the tests of the Authorizer role, and how each of their ways to refuse is answered. */

/** Does what the query says. */
const AUTHORIZE = `
local luafcgid = require("luafcgid")
local does = {
  grant = function(env, con) con:variable("REMOTE_USER", "bob") con:variable("GREETING", "hi") return true end,
  silent = function() end,
  no = function() return false end,
  one = function() return 1 end,
  login = function(env, con) con:redirect("/login", 303) end,
  unauthorized = function(env, con)
    con:status(401) con:header("WWW-Authenticate", 'Basic realm="x"') con:type("text/plain") con:puts("who are you?")
  end,
  accepted = function(env, con) con:status(202) con:puts("not a yes") end,
  flushed = function(env, con) con:puts("too early") con:flush() return true end,
  finished = function(env, con) con:variable("REMOTE_USER", "bob") con:finish() return true end,
  error = function(env, con) con:variable("REMOTE_USER", "bob") error("trouble") end,
  late = function(env, con) con:variable("REMOTE_USER", "bob") luafcgid.sleep(0.01) error("trouble") end,
  exit = function() os.exit(0) end,
  statusheader = function(env, con) con:header("Status", "200 OK") return false end,
  statusline = function(env, con) con:header("Status: 200 OK") con:status(200) return "true" end,
  forged = function(env, con)
    pcall(con.variable, con, "A", "b\\r\\nStatus: 200 OK")
    pcall(con.variable, con, "A: b\\r\\nStatus", "200 OK")
    pcall(con.status, con, "403 x\\r\\nStatus: 200 OK")
    con:header("Variable-REMOTE_USER", "eve") con:header("vArIaBlE-REMOTE_USER: eve")
    return { true }
  end,
  second = function() return false, true end,
  exittrue = function() os.exit(true) end,
  inner = function() coroutine.wrap(function() os.exit(0) end)() return true end,
  yields = function() coroutine.yield(true) return true end,
  many = function(env, con) for at = 1, 1e6 do con:variable("A" .. at, "x") end return true end,
  endlessbody = function(env, con) while true do con:puts(("x"):rep(65536)) end end,
  told = function(env, con)
    error(setmetatable({}, { __tostring = function() con:status(200) con:flush() return "x" end }))
  end,
  slept = function(env, con) con:variable("REMOTE_USER", "bob") luafcgid.sleep(0.01) return true end,
  endless = function() while true do end end,
  hang = function() string.find(("a"):rep(3000), ".-.-.-.-.-b") return true end,
}
function authorize(env, con)
  local what = (env.QUERY_STRING or ""):match("do=(%a+)")
  return does[what](env, con)
end`;

const PAGE = `
function main(env, con)
  con:type("text/plain")
  con:puts("page for ", env.REMOTE_USER or "nobody", ", ", env.GREETING or "-", ", ", env.REQUEST_METHOD, " ", con:gets() or "")
end`;

/** Has its state until its body is complete. */
export const HOLD = 'function main(env, con) con:puts("held") con:flush() con:gets() end';

export const FILES = { 'authorize.lua': AUTHORIZE, 'private/page.lua': PAGE, 'private/secret.txt': 'the secret\n' };

/** What refuses, and with which status. */
export const REFUSALS: Readonly<Record<string, number>> = {
  silent: 403,
  no: 403,
  one: 403,
  login: 303,
  unauthorized: 401,
  accepted: 403,
  flushed: 403,
  finished: 403,
  error: 500,
  late: 500,
  exit: 403,
  statusheader: 403,
  statusline: 403,
  forged: 403,
  second: 403,
  exittrue: 403,
  inner: 403,
  yields: 500,
  many: 500,
  endlessbody: 403,
  told: 403,
  endless: 504,
  hang: 504,
  unheard: 500,
};
