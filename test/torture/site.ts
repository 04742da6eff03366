/** The scripts of the run: good ones, whose answers are known byte for byte, and bad ones with what they may answer. */

/** Scripts that good clients ask for. */
export const GOOD_SCRIPTS = {
  'token.lua': `function main(env, con)
    con:type("text/plain")
    con:header("X-Token", env.HTTP_X_TOKEN)
    con:puts(env.HTTP_X_TOKEN)
  end`,
  'body.lua': `function main(env, con)
    con:type("application/octet-stream")
    local size = tonumber(env.HTTP_X_PIECE)
    if size == 0 then con:puts(con:gets() or "") return end
    for piece in function() return con:gets(size) end do con:puts(piece) end
  end`,
  // The state is named by its first request. So two states never have one name, and each count is given once.
  'count.lua': `local name, count = nil, 0
  function main(env, con)
    count = count + 1
    name = name or env.HTTP_X_TOKEN
    con:puts(name, " ", count, " ", env.HTTP_X_TOKEN)
  end`,
  'stream.lua': `function main(env, con)
    con:type("text/plain")
    for row = 1, tonumber(env.HTTP_X_ROWS) do
      con:puts(row, " ", env.HTTP_X_TOKEN, "\\n")
      if row % 100 == 0 then con:flush() end
    end
  end`,
} as const;

export interface BadScript {
  readonly text: string;
  /** What a client may get for it; everything else is a failure. */
  readonly statuses: readonly number[];
  /** It cannot be stopped but by giving up its worker. */
  readonly hangs?: boolean;
  /** The client reads the beginning of the answer, and goes. */
  readonly isLeft?: boolean;
}

// A loop that LuaJIT has compiled cannot be stopped, and takes the worker along: those are few, and marked.
const INTERPRETED = 'if jit then jit.off(true, true) end\n';
const bounded = (body: string): string => `${INTERPRETED}function main(env, con)
  con:config("watchdog", 0.2)
  ${body}
end`;

export const BAD_SCRIPTS: Readonly<Record<string, BadScript>> = {
  'loop.lua': { text: bounded('while true do end'), statuses: [504] },
  'loop-in-coroutine.lua': {
    text: bounded(`local inner = coroutine.wrap(function()
      if jit then jit.off(true, true) end
      while true do pcall(function() while true do end end) end
    end)
    inner()`),
    statuses: [504],
  },
  'loop-in-pcall.lua': { text: bounded('while true do pcall(error, "caught") end'), statuses: [504] },
  'hang.lua': {
    text: bounded('return string.find(("a"):rep(60), ("a*"):rep(30) .. "b")'),
    statuses: [504],
    hangs: true,
  },
  'bomb.lua': {
    text: bounded('con:config("watchdog", 5) local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end'),
    statuses: [500],
  },
  'recursion.lua': { text: 'function main() local function f() return 1 + f() end f() end', statuses: [500] },
  'error.lua': { text: 'function main() error({}) end', statuses: [500] },
  'error-in-stream.lua': {
    text: 'function main(env, con) con:puts("begun") con:flush() error("in the middle") end',
    statuses: [200],
  },
  'exit.lua': { text: 'function main(env, con) con:puts("bye") os.exit(1) end', statuses: [200, 500] },
  'finish-then-loop.lua': {
    text: bounded('con:puts("done") con:finish() while true do end'),
    statuses: [200],
  },
  'endless-output.lua': {
    text: bounded('local text = ("x"):rep(20000) while true do con:puts(text) con:flush() end'),
    statuses: [200],
    isLeft: true,
  },
  'syntax.lua': { text: 'function main(', statuses: [500] },
  'header.lua': { text: 'function main(env, con) con:header("X", "a\\r\\nb") end', statuses: [500] },
  'log-flood.lua': {
    text: 'function main(env, con) for i = 1, 300 do con:log("warn", "flood") end con:puts("logged") end',
    statuses: [200],
  },
  'kept-con.lua': {
    text: 'local kept\nfunction main(env, con) if kept then kept:puts("late") end kept = con end',
    statuses: [200, 500],
  },
  // Its module is there only now and then.
  'with-module.lua': {
    text: 'local module = require("module")\nfunction main(env, con) con:puts(module.text) end',
    statuses: [200, 500],
  },
  // Written anew in place, so it may be read half.
  'changing-in-place.lua': { text: changing(0), statuses: [200, 404, 500] },
};

/** Writes files as long as there is room in a folder that it may write to, and tries all the others. */
export function fileWriter(granted: string, denied: readonly string[]): string {
  const places = denied.map((folder) => JSON.stringify(`${folder}/torture-escaped`)).join(', ');
  return `${INTERPRETED}local number = 0
function main(env, con)
  con:config("watchdog", 2)
  for _, place in ipairs({ ${places} }) do
    local file = io.open(place, "w")
    if file then file:close() con:status(418) con:puts("escaped to ", place) return end
  end
  local names, text = {}, ("x"):rep(100000)
  for at = 1, 10 do
    number = number + 1
    local name = ${JSON.stringify(`${granted}/`)} .. env.HTTP_X_TOKEN .. number
    local file = io.open(name, "w")
    if file then
      names[#names + 1] = name
      for piece = 1, 5 do if not file:write(text) then break end end
      file:close()
    end
  end
  for _, name in ipairs(names) do os.remove(name) end
  con:puts("written")
end`;
}

/** A script that says which version of it runs. */
export function changing(version: number): string {
  return `function main(env, con) con:puts("version ${version}") end\n`;
}
